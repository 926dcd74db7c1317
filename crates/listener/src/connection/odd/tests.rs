//! Requests in one connection, in pieces of every size.

use super::*;

/// Requests, what hyper is given for each, what was replaced in it, and the length of its body if that is known.
const REQUESTS: &[(&str, &str, &str, Option<u64>)] = &[
    ("GET /a?b HTTP/1.1\r\nx: ?\"<>\r\n\r\n", "GET /a?b HTTP/1.1\r\nx: ?\"<>\r\n\r\n", "", Some(0)),
    ("GET /a\"?b=<c>\"! HTTP/1.1\r\n\r\n", "GET /a\"?b=!c!!! HTTP/1.1\r\n\r\n", "b=%3Cc%3E%22!", Some(0)),
    (
        "\r\nPUT /?\"? HTTP/1.1\na: b\n\nGET /?<\n\r\n>",
        "\r\nPUT /?!? HTTP/1.1\na: b\n\nGET /?<\n\r\n>",
        "%22?",
        Some(11),
    ),
    (
        "PUT /?a HTTP/1.1\r\n\r\n9;x=\"\r\n\r\nG /?<>\"\r\nA\r\n\n\n\n\n\n\n\n\n\n\n\r\n0\r\nt: \"\r\n\r\n",
        "PUT /?a HTTP/1.1\r\n\r\n9;x=\"\r\n\r\nG /?<>\"\r\nA\r\n\n\n\n\n\n\n\n\n\n\n\r\n0\r\nt: \"\r\n\r\n",
        "",
        None,
    ),
    ("GET /#?\"< HTTP/1.1\r\n\r\n", "GET /#?\"< HTTP/1.1\r\n\r\n", "", Some(0)),
    ("GET /?<#?\"< HTTP/1.1\r\n\r\n", "GET /?!#?\"< HTTP/1.1\r\n\r\n", "%3C", Some(0)),
    ("GET http://a?> HTTP/1.1\r\n\r\n", "GET http://a?! HTTP/1.1\r\n\r\n", "%3E", Some(0)),
];

fn query(head: &str) -> &str {
    let target = head.trim_start().split(' ').nth(1).unwrap_or_default();
    let target = target.split('#').next().unwrap_or_default();
    target.split_once('?').map_or("", |(_, query)| query)
}

/// Where the head ends.
fn head_of(request: &str) -> usize {
    let ends = ["\r\n\r\n", "\n\n"].map(|end| request.find(end).map(|at| at + end.len()));
    ends.into_iter().flatten().min().expect("an end")
}

#[test]
fn queries_are_changed_in_pieces_of_every_size_and_nothing_else_is() {
    for piece in 1..60 {
        let reader = Reader::default();
        for (request, expected, escaped, length) in REQUESTS {
            let mut bytes = request.as_bytes().to_vec();
            let mut read = None;
            let (mut came, head) = (0, head_of(request));
            for piece in bytes.chunks_mut(piece) {
                reader.came(piece);
                came += piece.len();
                if came >= head && read.is_none() {
                    read = Some(reader.head_read(*length));
                }
            }
            assert_eq!(String::from_utf8(bytes.clone()).unwrap(), *expected, "in pieces of {piece}");
            let odd = read.flatten();
            assert_eq!(odd.is_some(), !escaped.is_empty(), "{request} in pieces of {piece}");
            if let Some(odd) = odd {
                let given = query(expected);
                assert_eq!(odd.escaped(given), *escaped);
                assert_eq!(odd.unescaped(escaped), given);
                let mut restored = given.as_bytes().to_vec();
                odd.restore(&mut restored);
                assert_eq!(String::from_utf8(restored).unwrap(), query(request));
            }
            assert_eq!(reader.0.borrow().at, At::Begin, "{request} in pieces of {piece}");
        }
    }
}

#[test]
fn what_comes_with_the_request_before_it_is_left_alone() {
    let reader = Reader::default();
    let two = "GET /?a HTTP/1.1\r\n\r\nGET /?< HTTP/1.1\r\n\r\n";
    let mut bytes = two.as_bytes().to_vec();
    reader.came(&mut bytes);
    assert_eq!(reader.head_read(Some(0)), None);
    assert_eq!(String::from_utf8(bytes).unwrap(), two);
    let mut bytes = b"GET /?< HTTP/1.1\r\n\r\n".to_vec();
    reader.came(&mut bytes);
    assert!(bytes.contains(&b'<'), "it does not know its place");
    // After a body of a known length it does.
    let reader = Reader::default();
    let mut bytes = b"PUT /?a HTTP/1.1\r\n\r\n".to_vec();
    reader.came(&mut bytes);
    assert_eq!(reader.head_read(Some(3)), None);
    let mut bytes = b"<\n?GET /?< HTTP/1.1\r\n\r\n".to_vec();
    reader.came(&mut bytes);
    assert_eq!(bytes, b"<\n?GET /?! HTTP/1.1\r\n\r\n");
}
