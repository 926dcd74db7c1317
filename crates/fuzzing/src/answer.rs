//! The answers of endpoints, off the wire.
//!
//! Read as: one byte, the size of the pieces in which the rest comes; the bytes of a connection. What must hold: a head and a body are the
//! same in any pieces; a status is the one of the first line; whatever a strict parser takes for an answer is one here, with the same
//! status; and a connection is used again only after an answer that the strict parser takes, too.

use bytes::{Buf as _, BytesMut};
use sinks::http::answer::{Framing, Head, Invalid, Parsed, head};

use crate::input::Input;

/// Bytes that are no answer after this many have come.
const MOST: usize = sinks::http::MAX_HEAD;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let size = usize::from(input.byte()) + 1;
    let bytes = input.rest();
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(read(bytes, size), whole, "in pieces of {size} bytes");
    let mut strict_lines = [httparse::EMPTY_HEADER; 1_024];
    let mut strict = httparse::Response::new(&mut strict_lines);
    let parsed = strict.parse(bytes);
    match (parsed, head(bytes)) {
        (Ok(httparse::Status::Complete(length)), lenient) if length <= MOST => {
            let status = strict.code.expect("a status");
            match lenient {
                Ok(Parsed::Final(head, at)) => {
                    assert_eq!((head.status, at), (status, length));
                    assert!(!head.keep || is_sure(&head.framing), "{head:?}");
                }
                Ok(Parsed::Interim(at)) => assert_eq!((at, status / 100), (length, 1)),
                Ok(Parsed::Partial) => panic!("a whole head is not seen"),
                Err(_) => assert!(status < 100),
            }
        }
        (Err(error), Ok(Parsed::Final(head, _))) if error != httparse::Error::TooManyHeaders => {
            assert!(!head.keep || error == httparse::Error::Status, "{error}: {head:?}");
        }
        _ => {}
    }
}

fn is_sure(framing: &Framing) -> bool {
    matches!(framing, Framing::Length(_) | Framing::Chunked(_))
}

/// What came of a connection: the final head, the content of its body, and whether that has ended.
type Read = Result<Option<(Head, Vec<u8>, bool)>, Invalid>;

fn read(bytes: &[u8], size: usize) -> Read {
    let (mut buffer, mut answer) = (BytesMut::new(), None);
    for piece in bytes.chunks(size) {
        buffer.extend_from_slice(piece);
        while answer.is_none() {
            match head(&buffer)? {
                Parsed::Partial => break,
                Parsed::Interim(length) => buffer.advance(length),
                Parsed::Final(head, length) => {
                    buffer.advance(length);
                    answer = Some((head, Vec::new()));
                }
            }
        }
        // Of a body whose end is unclear, what is taken depends on what has come.
        if let Some((head, content)) = &mut answer
            && head.framing != Framing::Unclear
            && head.framing.take(&mut buffer, |data| content.extend_from_slice(data)).is_err()
        {
            break;
        }
    }
    Ok(answer.map(|(head, content)| {
        let ended = head.framing.has_ended();
        (head, content, ended)
    }))
}
