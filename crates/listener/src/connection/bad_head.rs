//! Answers to heads that hyper refuses by itself: it sends a status without a body, but clients of some listeners expect an error in JSON.
//!
//! hyper has no hook for it. So what is written is looked at, and an answer of hyper's own is replaced by one with a body. Such an answer is
//! the last of its connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tokio::io::AsyncWrite;

/// Makes the body of such an answer, a JSON object, from its status.
pub type BadHead = fn(StatusCode) -> String;

/// How an answer begins.
const VERSION: &[u8] = b"HTTP/1.1 ";
/// The statuses with which hyper answers by itself.
const STATUSES: [StatusCode; 3] =
    [StatusCode::BAD_REQUEST, StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];

/// Bytes that are written in the place of others.
pub(super) struct Instead {
    bytes: Vec<u8>,
    written: usize,
    /// How many bytes they stand for.
    stands_for: usize,
}

impl Instead {
    /// For bytes that end with an answer of hyper's own.
    pub fn of(bytes: &[u8], body: BadHead) -> Option<Self> {
        let (before, status) = own_answer(bytes)?;
        let body = body(status);
        let reason = status.canonical_reason().unwrap_or_default();
        let mut instead = before.to_vec();
        let answer = format!(
            "HTTP/1.1 {} {reason}\r\nconnection: close\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
             x-content-type-options: nosniff\r\ncontent-length: {}\r\n\r\n{body}",
            status.as_u16(),
            body.len(),
        );
        instead.extend_from_slice(answer.as_bytes());
        Some(Self { bytes: instead, written: 0, stands_for: bytes.len() })
    }

    /// Writes all that is left. Ready with the number of bytes that it stands for.
    pub fn write<T: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut T,
    ) -> Poll<io::Result<usize>> {
        while self.written < self.bytes.len() {
            match ready!(Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        Poll::Ready(Ok(std::mem::take(&mut self.stands_for)))
    }
}

/// The status of an answer without a body that ends these bytes, if it is one of hyper's own; and what comes before it.
fn own_answer(bytes: &[u8]) -> Option<(&[u8], StatusCode)> {
    let begin = bytes.windows(VERSION.len()).rposition(|window| window == VERSION)?;
    let (before, answer) = bytes.split_at(begin);
    let head = std::str::from_utf8(answer).ok()?.strip_suffix("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    let (mut closes, mut is_empty) = (false, false);
    for line in lines {
        match line {
            "connection: close" => closes = true,
            "content-length: 0" => is_empty = true,
            other if other.starts_with("date: ") => {}
            // hyper's own answers have nothing else.
            _ => return None,
        }
    }
    (closes && is_empty && STATUSES.contains(&status)).then_some((before, status))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    const OWN: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\
                       date: Mon, 30 Nov 2026 17:00:00 GMT\r\n\r\n";

    fn body(status: StatusCode) -> String {
        format!("{{\"status\":{}}}", status.as_u16())
    }

    #[test]
    fn an_answer_of_hypers_own_gets_a_body_and_what_came_before_it_stays() {
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        for (before, own, code) in [("", OWN.to_owned(), "400"), (before, OWN.replace("400", "431"), "431")] {
            let bytes = [before, &own].concat();
            let mut instead = Instead::of(bytes.as_bytes(), body).unwrap();
            let (mut ours, mut theirs) = tokio::io::duplex(4096);
            let written = std::future::poll_fn(|cx| instead.write(cx, &mut ours)).now_or_never();
            assert_eq!(written.unwrap().unwrap(), bytes.len(), "all of them count as written");
            drop(ours);
            let mut text = String::new();
            theirs.read_to_string(&mut text).now_or_never().unwrap().unwrap();
            assert!(text.starts_with(before) && text.contains("content-length: 14\r\n"), "{text}");
            assert!(text.ends_with(&format!("\r\n\r\n{{\"status\":{code}}}")), "{text}");
        }
    }

    #[test]
    fn other_answers_stay_as_they_are() {
        let others = [
            OWN.replace("400", "204"),
            OWN.replace("connection: close\r\n", ""),
            OWN.replace("content-length: 0", "content-length: 1"),
            OWN.replace("date: ", "allow: GET\r\ndate: "),
            format!("{OWN}more"),
            "{}".to_owned(),
            String::new(),
        ];
        for other in others {
            assert!(Instead::of(other.as_bytes(), body).is_none(), "{other}");
        }
    }
}
