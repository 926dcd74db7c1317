//! Answers as they should be, as they should not be, and in pieces.

use super::*;

fn final_head(lines: &str) -> Head {
    let text = format!("HTTP/1.1 {lines}\r\n\r\n");
    match head(text.as_bytes()) {
        Ok(Parsed::Final(head, length)) if length == text.len() => head,
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn a_head_tells_where_its_body_ends_and_whether_another_may_follow() {
    use Framing::{Chunked, Length, UntilClose};
    let cases = [
        ("200 OK\r\nContent-Length: 5", Length(5), true),
        ("200 OK\r\nContent-Length: 0", Length(0), true),
        ("200 OK\r\ncontent-length: 5\r\ncontent-length: 5", Length(5), true),
        ("200 OK\r\nContent-Length: 5\r\nConnection: keep-alive, Close", Length(5), false),
        ("204 No Content", Length(0), true),
        ("204 No Content\r\nContent-Length: 0", Length(0), true),
        ("204 No Content\r\nContent-Length: 5", Length(0), false),
        ("204 No Content\r\nTransfer-Encoding: chunked", Length(0), false),
        ("304 Not Modified", Length(0), true),
        ("200 OK\r\nTransfer-Encoding: chunked", Chunked(Chunk::Size), true),
        ("200 OK\r\nTransfer-Encoding: gzip, Chunked", Chunked(Chunk::Size), true),
        ("200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", Chunked(Chunk::Size), false),
        ("200 OK\r\nTransfer-Encoding: chunked, gzip", UntilClose, false),
        ("200 OK\r\nTransfer-Encoding: xchunked\r\nContent-Length: 5", UntilClose, false),
        ("200 OK", UntilClose, false),
        ("101 Switching Protocols", UntilClose, false),
    ];
    for (lines, framing, keep) in cases {
        let head = final_head(lines);
        assert_eq!((head.framing, head.keep), (framing, keep), "{lines}");
    }
    let old = head(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n");
    assert!(matches!(old, Ok(Parsed::Final(Head { keep: false, framing: Length(5), .. }, _))), "{old:?}");
}

#[test]
fn what_is_no_http_is_no_answer() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_HEAD));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEAD / 6 + 1));
    let cases = [
        ("SSH-2.0-OpenSSH\r\n", "does not begin"),
        ("SSH", "does not begin"),
        ("HTTP/2 200\r\n\r\n", "does not begin"),
        ("HTTP/1.x 200\r\n\r\n", "not HTTP/1"),
        ("HTTP/1.1200 OK\r\n\r\n", "not HTTP/1"),
        ("HTTP/1.1 20\r\n\r\n", "no status"),
        ("HTTP/1.1 099 Low\r\n\r\n", "no status"),
        ("HTTP/1.1 2000\r\n\r\n", "no status"),
        ("HTTP/1.1 OK\r\n\r\n", "no status"),
        (&long, "64 KiB"),
        (&many, "64 KiB"),
    ];
    for (text, why) in cases {
        let begin = &text[..text.len().min(80)];
        match head(text.as_bytes()) {
            Err(error) => assert!(error.contains(why), "{begin:?}: {error}"),
            other => panic!("{begin:?}: {other:?}"),
        }
    }
}

#[test]
fn a_sloppy_head_is_an_answer_whose_connection_is_not_used_again() {
    use Framing::{Chunked, Length, Unclear, UntilClose};
    let many = format!("200 OK\r\n{}Content-Length: 5", "X: y\r\n".repeat(5_000));
    let cases = [
        (many.as_str(), Length(5), true),
        ("200\r\nContent-Length: 5", Length(5), true),
        ("200 \r\nContent-Length: 5", Length(5), true),
        ("200 D\u{e9}j\u{e0} vu\r\nContent-Length: 5", Length(5), true),
        ("200 OK\nContent-Length: 5", Length(5), true),
        ("  200 OK\nContent-Length: 5", Length(5), false),
        ("200 OK\r\nContent-Length: 5, 5", Length(5), true),
        ("200 OK\r\nX: a\r\n b\r\n\tc\r\nContent-Length: 5", Length(5), false),
        ("200 OK\r\n a\r\nContent-Length: 5", Length(5), false),
        ("200 OK\r\nX : a\r\nContent-Length: 5", Length(5), false),
        ("200 OK\r\nContent-Length : 5", Length(5), false),
        ("200 OK\r\nSecured by Some Firewall : x\r\nContent-Length: 5", Length(5), false),
        ("200 OK\r\nno colon\r\nContent-Length: 5", Length(5), false),
        ("200 OK\r\n: no name\r\nContent-Length: 5", Length(5), false),
        ("200 OK\r\nX: a\0b\rc\r\nContent-Length: 5", Length(5), false),
        ("200 OK\r\nTransfer-Encoding : chunked", Chunked(Chunk::Size), false),
        ("200 OK\r\nContent-Length: 5\r\n 6", Unclear, false),
        ("200 OK\r\nTransfer-Encoding: gzip,\r\n chunked", Unclear, false),
        ("200 OK\r\nContent-Length: 5\r\nContent-Length: 6", Unclear, false),
        ("200 OK\r\nContent-Length: 5, 6", Unclear, false),
        ("200 OK\r\nContent-Length: +5", Unclear, false),
        ("200 OK\r\nContent-Length: 99999999999999999999", Unclear, false),
        ("200 OK\r\nContent-Length:", Unclear, false),
        ("204 No\r\nContent-Length: 5, 6", Length(0), false),
        ("200 OK\r\nX: y", UntilClose, false),
    ];
    for (lines, framing, keep) in cases {
        let (head, begin) = (final_head(lines), &lines[..lines.len().min(80)]);
        assert_eq!((head.framing, head.keep), (framing, keep), "{begin:?}");
    }
    let unclear = taken(Unclear, b"abc", 3);
    assert_eq!(unclear, Ok((b"abc".to_vec(), vec![], true)), "nothing more is waited for");
    let after_empty_lines = head(b"\r\n\nHTTP/1.0 200 OK\n\n");
    assert!(matches!(after_empty_lines, Ok(Parsed::Final(_, 20))), "{after_empty_lines:?}");
}

#[test]
fn interim_heads_are_passed_over() {
    assert_eq!(head(b"HTTP/1.1 100 Continue\r\n\r\nHTTP"), Ok(Parsed::Interim(25)));
    assert_eq!(head(b"HTTP/1.1 100 Conti"), Ok(Parsed::Partial));
    assert_eq!(head(b""), Ok(Parsed::Partial));
}

#[test]
fn retry_after_is_passed_on_if_it_is_short_text() {
    assert_eq!(final_head("503 No\r\nRetry-After: 120").retry_after.as_deref(), Some("120"));
    assert_eq!(final_head("503 No\r\nRetry-After: caf\u{e9}").retry_after, None);
    let long = format!("503 No\r\nRetry-After: {}", "1".repeat(MAX_RETRY_AFTER + 1));
    assert_eq!(final_head(&long).retry_after, None);
}

/// The content, and what is left, of bytes that come in pieces of `size`.
fn taken(mut framing: Framing, bytes: &[u8], size: usize) -> Result<(Vec<u8>, Vec<u8>, bool), Invalid> {
    let (mut content, mut buffer) = (Vec::new(), BytesMut::new());
    for piece in bytes.chunks(size) {
        buffer.extend_from_slice(piece);
        framing.take(&mut buffer, |data| content.extend_from_slice(data))?;
    }
    Ok((content, buffer.to_vec(), framing.has_ended()))
}

#[test]
fn a_body_is_the_same_in_any_pieces() {
    let chunked = || Framing::Chunked(Chunk::Size);
    for size in 1..40 {
        let whole = b"5;a=b\r\nhello\r\nA \r\n0123456789\r\n0\r\nX: y\r\n\r\nHTTP";
        assert_eq!(taken(chunked(), whole, size), Ok((b"hello0123456789".to_vec(), b"HTTP".to_vec(), true)));
        let open = b"5\r\nhello\r\n3\r\nab";
        assert_eq!(taken(chunked(), open, size), Ok((b"helloab".to_vec(), vec![], false)));
        assert_eq!(taken(Framing::Length(3), b"abcd", size), Ok((b"abc".to_vec(), b"d".to_vec(), true)));
        assert_eq!(taken(Framing::UntilClose, b"abcd", size), Ok((b"abcd".to_vec(), vec![], false)));
        let endless = [b'1'; MAX_LINE + 40];
        let trailers = [&b"0\r\n"[..], &b"X: y\r\n".repeat(MAX_TRAILERS + 1)].concat();
        for wrong in [
            &b"g\r\n"[..],
            b"\r\n",
            b"5\nhello\r\n",
            b"1\r\nhello",
            b"ffffffffffffffff\r\n",
            &endless,
            &trailers,
        ] {
            assert!(taken(chunked(), wrong, size).is_err(), "{wrong:?}");
        }
    }
}
