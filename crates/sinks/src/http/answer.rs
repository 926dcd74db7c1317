//! Answers off the wire, as RFC 9112 frames them: no I/O, every step bounded.
//!
//! An answer is that of a POST on a connection that carries one request at a time. Whatever is unclear costs the connection, not the
//! answer: its status is known by then.

use std::mem::MaybeUninit;

use bytes::{Buf as _, BytesMut};
use httparse::{Header, ParserConfig, Status};

use super::MAX_HEAD;

/// Header lines of one answer.
const MAX_LINES: usize = 100;
/// The longest `Retry-After` that is passed on, in bytes.
const MAX_RETRY_AFTER: usize = 64;
/// The longest line of a chunked body (its size, or a trailer), in bytes.
const MAX_LINE: usize = 4 << 10;
/// Trailer lines of a chunked body.
const MAX_TRAILERS: usize = 64;

/// What a head says that matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// 100 to 999.
    pub(super) status: u16,
    /// As it came, if it is short text.
    pub(super) retry_after: Option<String>,
    /// Where the body ends.
    pub(super) framing: Framing,
    /// Whether another request may follow on the connection.
    pub(super) keep: bool,
}

/// What stands at the beginning of the bytes that have come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    /// Not yet a whole head.
    Partial,
    /// A 1xx answer of so many bytes; the real one follows.
    Interim(usize),
    /// The answer's head, of so many bytes.
    Final(Head, usize),
}

/// Why bytes are no answer; a text for people, that has nothing of the bytes in it.
pub(super) type Invalid = &'static str;

/// Reads a head.
///
/// # Errors
/// If this is no answer and will never be one.
pub(super) fn head(bytes: &[u8]) -> Result<Parsed, Invalid> {
    let mut lines = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_LINES];
    let mut response = httparse::Response::new(&mut []);
    let config = ParserConfig::default();
    let parsed = config.parse_response_with_uninit_headers(&mut response, bytes, &mut lines);
    let length = match parsed {
        Ok(Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(Status::Partial) if bytes.len() < MAX_HEAD => return Ok(Parsed::Partial),
        Ok(_) => return Err("its head is too large"),
        Err(httparse::Error::TooManyHeaders) => return Err("its head has too many lines"),
        Err(_) => return Err("it is not HTTP/1"),
    };
    let status = response.code.filter(|status| *status >= 100).ok_or("it has no status")?;
    if matches!(status, 100 | 102..=199) {
        return Ok(Parsed::Interim(length));
    }
    let mut framed = Framed::default();
    for line in &*response.headers {
        framed.read(line)?;
    }
    Ok(Parsed::Final(framed.head(status, response.version == Some(1)), length))
}

/// What the lines say, as far as they were read.
#[derive(Default)]
struct Framed {
    length: Option<u64>,
    /// Whether there is a `Transfer-Encoding`, and its last coding is `chunked`.
    coded: Option<bool>,
    close: bool,
    retry_after: Option<String>,
}

impl Framed {
    fn read(&mut self, line: &Header<'_>) -> Result<(), Invalid> {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let length = length(line.value).ok_or("its Content-Length is no number")?;
            if self.length.replace(length).is_some_and(|before| before != length) {
                return Err("it has two lengths");
            }
        } else if is("transfer-encoding") {
            self.coded =
                Some(tokens(line.value).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")));
        } else if is("connection") {
            self.close |= tokens(line.value).any(|token| token.eq_ignore_ascii_case(b"close"));
        } else if is("retry-after") && self.retry_after.is_none() && line.value.len() <= MAX_RETRY_AFTER {
            self.retry_after =
                std::str::from_utf8(line.value).ok().filter(|text| text.is_ascii()).map(str::to_owned);
        }
        Ok(())
    }

    fn head(self, status: u16, is_http_11: bool) -> Head {
        let framing = match (status, self.coded, self.length) {
            (204 | 304, ..) => Framing::Length(0),
            (_, Some(true), _) => Framing::Chunked(Chunk::Size),
            (_, None, Some(length)) => Framing::Length(length),
            (_, Some(false), _) | (_, None, None) => Framing::UntilClose,
        };
        // Two framings at once are how answers are smuggled: nothing else is read from such a connection.
        let one_framing = self.coded.is_none() || self.length.is_none();
        // So is a body where there can be none: it may follow all the same.
        let no_false_body =
            !matches!(status, 204 | 304) || self.coded.is_none() && self.length.is_none_or(|n| n == 0);
        let keep = is_http_11
            && !self.close
            && one_framing
            && no_false_body
            && status != 101
            && framing != Framing::UntilClose;
        Head { status, retry_after: self.retry_after, framing, keep }
    }
}

/// Digits alone, as RFC 9110 has them.
fn length(value: &[u8]) -> Option<u64> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Where a body ends, and how much of it is still to come.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// After the chunk of size 0 and its trailer.
    Chunked(Chunk),
    /// Where the connection ends.
    UntilClose,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// A line with a size.
    Size,
    /// So many bytes.
    Data(u64),
    /// The line's end behind the data.
    DataEnd,
    /// A line of the trailer; the number of those before it.
    Trailer(usize),
    /// Nothing.
    End,
}

impl Framing {
    /// Whether all of the body has been taken.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::End))
    }

    /// Takes what it can of the body from `bytes` and hands the content to `content`, piece by piece. What it leaves is the beginning of
    /// something that has not come whole, or comes behind the body.
    ///
    /// # Errors
    /// If a chunk makes no sense: where the body ends is unknown.
    pub(super) fn take(
        &mut self,
        bytes: &mut BytesMut,
        mut content: impl FnMut(&[u8]),
    ) -> Result<(), Invalid> {
        match self {
            Self::Length(left) => *left -= take_data(bytes, *left, &mut content),
            Self::UntilClose => drop(take_data(bytes, u64::MAX, &mut content)),
            Self::Chunked(chunk) => {
                while let Some(next) = chunk.step(bytes, &mut content)? {
                    *chunk = next;
                }
            }
        }
        Ok(())
    }
}

impl Chunk {
    /// `None` if more bytes are needed, or nothing comes any more.
    fn step(self, bytes: &mut BytesMut, content: &mut impl FnMut(&[u8])) -> Result<Option<Self>, Invalid> {
        if let Self::Data(left) = self {
            let left = left - take_data(bytes, left, content);
            let next = if left == 0 { Self::DataEnd } else { Self::Data(left) };
            return Ok((next != self).then_some(next));
        }
        if self == Self::End {
            return Ok(None);
        }
        if self == Self::DataEnd && bytes.first().is_some_and(|byte| *byte != b'\r') {
            return Err("a chunk is longer than it says");
        }
        let Some(line) = take_line(bytes)? else { return Ok(None) };
        let next = match self {
            Self::Size => match size(&line)? {
                0 => Self::Trailer(0),
                size => Self::Data(size),
            },
            Self::DataEnd if line.is_empty() => Self::Size,
            Self::DataEnd => return Err("a chunk has a wrong end"),
            Self::Trailer(_) if line.is_empty() => Self::End,
            Self::Trailer(MAX_TRAILERS) => return Err("its trailer is too long"),
            Self::Trailer(before) => Self::Trailer(before + 1),
            Self::Data(_) | Self::End => return Ok(None),
        };
        Ok(Some(next))
    }
}

/// How many bytes were taken, at most `limit`.
fn take_data(bytes: &mut BytesMut, limit: u64, content: &mut impl FnMut(&[u8])) -> u64 {
    let taken = bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
    content(&bytes[..taken]);
    bytes.advance(taken);
    taken as u64
}

/// A line without its end, once it is whole.
fn take_line(bytes: &mut BytesMut) -> Result<Option<BytesMut>, Invalid> {
    let searched = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = searched.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err("a line of its body is too long") };
    };
    let mut line = bytes.split_to(end + 1);
    line.truncate(end);
    if line.last() != Some(&b'\r') {
        return Err("a line of its body has a wrong end");
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

/// Of a chunk; what stands behind a `;` means nothing to us.
fn size(line: &[u8]) -> Result<u64, Invalid> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    if digits.is_empty() || digits.len() > 15 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err("a chunk has no size");
    }
    let text = std::str::from_utf8(digits).unwrap_or_default();
    u64::from_str_radix(text, 16).map_err(|_| "a chunk has no size")
}

#[cfg(test)]
mod tests {
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
    fn a_head_that_makes_no_sense_is_none() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(MAX_HEAD));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MAX_LINES + 1));
        let cases = [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 099 Low\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
            &long,
            &many,
        ];
        for text in cases {
            assert!(head(text.as_bytes()).is_err(), "{:?}", &text[..text.len().min(80)]);
        }
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
            assert_eq!(
                taken(chunked(), whole, size),
                Ok((b"hello0123456789".to_vec(), b"HTTP".to_vec(), true))
            );
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
}
