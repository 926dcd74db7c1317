//! Answers before the answer: 102 and 103, of which a service may send any number before the head of its final answer (RFC 9110, 15.2).
//!
//! hyper reads them and says nothing. So the bytes of an answer are looked at on their way to hyper, until its head begins. Pure, and public for
//! the fuzz targets.

use http::HeaderName;
use pipeline::headers::is_hop_by_hop;

/// The longest interim answer that is passed on, in bytes. A longer one, and what follows it, is left to hyper.
const MOST: usize = 16 << 10;
/// The most headers of one.
const MAX_HEADERS: usize = 64;
/// How an answer begins that is not the final one. The digit at [`VERSION_AT`] is the version's and may be another one.
const BEGIN: &[u8] = b"HTTP/1.1 1";
const VERSION_AT: usize = 7;

/// Finds the interim answers in the bytes of one answer.
#[derive(Debug, Default)]
pub struct Scan {
    /// The beginning of one that is not complete.
    partial: Vec<u8>,
    is_over: bool,
}

impl Scan {
    /// Whether the head of the final answer has begun.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Looks at bytes that came. `each` gets each interim answer that concerns the client, as it is written to it.
    pub fn came(&mut self, bytes: &[u8], each: impl FnMut(&[u8])) {
        if self.is_over {
            return;
        }
        if self.partial.is_empty() && bytes.len() >= BEGIN.len() && !begins(bytes) {
            // Nearly always.
            self.is_over = true;
            return;
        }
        self.look(bytes, each);
    }

    #[cold]
    #[inline(never)]
    fn look(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let mut rest = all.as_slice();
        while rest.len() >= BEGIN.len() {
            match next(rest) {
                Ok(Some(Found { head, length })) => {
                    if let Some(head) = head {
                        each(&head);
                    }
                    rest = &rest[length..];
                }
                Ok(None) => break,
                Err(Over) => {
                    self.is_over = true;
                    return;
                }
            }
        }
        self.partial = rest.to_vec();
    }
}

fn begins(bytes: &[u8]) -> bool {
    let mut pairs = bytes.iter().zip(BEGIN).enumerate();
    pairs.all(|(at, (byte, expected))| at == VERSION_AT || byte == expected)
}

/// An interim answer, as the client gets it if it concerns the client, and its length as it came.
struct Found {
    head: Option<Vec<u8>>,
    length: usize,
}

/// What comes now is not an interim answer that can be passed on.
struct Over;

/// The first interim answer in these bytes; `None` if it is not complete. It is parsed as hyper does it, so that both agree where it ends.
fn next(bytes: &[u8]) -> Result<Option<Found>, Over> {
    if !begins(bytes) {
        return Err(Over);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MOST => {
            Ok(Some(Found { head: for_client(&parsed), length }))
        }
        Ok(httparse::Status::Partial) if bytes.len() <= MOST => Ok(None),
        _ => Err(Over),
    }
}

fn for_client(parsed: &httparse::Response<'_, '_>) -> Option<Vec<u8>> {
    // 100 answers an expectation, which is not forwarded; after 101 the connection speaks something else.
    let status = parsed.code.filter(|status| (102..200).contains(status))?;
    let mut text = format!("HTTP/1.1 {status} {}\r\n", parsed.reason.unwrap_or_default()).into_bytes();
    for header in &*parsed.headers {
        if !is_hop_by_hop(&HeaderName::from_bytes(header.name.as_bytes()).ok()?) {
            text.extend_from_slice(&[header.name.as_bytes(), b": ", header.value, b"\r\n"].concat());
        }
    }
    text.extend_from_slice(b"\r\n");
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: close\r\n\r\n";
    const PASSED: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n";
    const FINAL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nHTTP/1.1 103 no\r\n\r\n";

    /// What a client gets if these bytes come in pieces of this size.
    fn passed(bytes: &str, size: usize) -> String {
        let (mut scan, mut passed) = (Scan::default(), Vec::new());
        for piece in bytes.as_bytes().chunks(size) {
            scan.came(piece, |head| passed.extend_from_slice(head));
        }
        String::from_utf8(passed).unwrap()
    }

    #[test]
    fn interim_answers_pass_until_the_head_of_the_final_one() {
        let processing = "HTTP/1.0 102 Processing\r\n\r\n";
        for size in [1, 3, 10, 11, 50, 1_000] {
            assert_eq!(passed(FINAL, size), "", "{size}");
            assert_eq!(passed(&[HINTS, FINAL].concat(), size), PASSED, "{size}");
            let both = [PASSED, "HTTP/1.1 102 Processing\r\n\r\n"].concat();
            assert_eq!(passed(&[HINTS, processing, FINAL].concat(), size), both, "{size}");
            assert_eq!(passed("HTTP/1.1 100 Continue\r\n\r\n", size), "", "{size}");
            assert_eq!(passed("HTTP/1.1 103 Bad Header\r\na b: c\r\n\r\n", size), "", "{size}");
        }
        // A line may end without a carriage return; what follows it is not its body.
        let bare = "HTTP/1.1 103 x\n\nHTTP/1.1 200 OK\r\n\r\nHTTP/1.1 103 no\r\n\r\n";
        assert_eq!(passed(bare, 1_000), "HTTP/1.1 103 x\r\n\r\n");
        assert_eq!(passed(&["HTTP/1.1 103 Long\r\na: ", &"x".repeat(MOST)].concat(), 100), "");
    }
}
