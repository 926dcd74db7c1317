//! As much of HTTP/1.1 as the load generator and the stubs speak: kept connections, bodies with a Content-Length.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The most headers of a message.
const MAX_HEADERS: usize = 64;
/// The most bytes of a message.
const MAX_MESSAGE: usize = 1 << 20;

/// A connection and what was read of its next message.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

/// How long the first message of a buffer is.
pub struct Frame {
    /// Bytes of its head.
    pub head: usize,
    /// Bytes of head and body.
    pub whole: usize,
    /// An answer's status; 0 of a request.
    pub status: u16,
}

impl Wire {
    /// Takes a connection over.
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 16 << 10], filled: 0 })
    }

    /// Sends a whole message.
    pub async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.stream.write_all(message).await
    }

    /// Waits for a whole message; `None` at the end of the connection. The message stays until [`Self::consume`].
    pub async fn receive(
        &mut self,
        parse: fn(&[u8]) -> io::Result<Option<Frame>>,
    ) -> io::Result<Option<Frame>> {
        loop {
            if self.filled > 0
                && let Some(frame) = parse(&self.buffer[..self.filled])?
                && frame.whole <= self.filled
            {
                return Ok(Some(frame));
            }
            if self.filled == self.buffer.len() {
                if self.buffer.len() >= MAX_MESSAGE {
                    return Err(bad("a message of more than a MiB"));
                }
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            match self.stream.read(&mut self.buffer[self.filled..]).await? {
                0 if self.filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.filled += read,
            }
        }
    }

    /// The message that was received.
    pub fn message(&self, frame: &Frame) -> &[u8] {
        &self.buffer[..frame.whole]
    }

    /// Makes room for the next message.
    pub fn consume(&mut self, frame: &Frame) {
        self.buffer.copy_within(frame.whole..self.filled, 0);
        self.filled -= frame.whole;
    }
}

/// The frame of a request, if its head is whole.
pub fn request(bytes: &[u8]) -> io::Result<Option<Frame>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes).map_err(bad)?;
    let httparse::Status::Complete(head) = parsed else { return Ok(None) };
    Ok(Some(Frame { head, whole: head + content_length(request.headers)?, status: 0 }))
}

/// The frame of an answer, if its head is whole.
pub fn answer(bytes: &[u8]) -> io::Result<Option<Frame>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(bytes).map_err(bad)?;
    let httparse::Status::Complete(head) = parsed else { return Ok(None) };
    let status = answer.code.unwrap_or_default();
    Ok(Some(Frame { head, whole: head + content_length(answer.headers)?, status }))
}

fn content_length(headers: &[httparse::Header<'_>]) -> io::Result<usize> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(header.value).map_err(bad)?;
            return text.trim().parse().map_err(bad);
        }
        if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(bad("a body without a Content-Length"));
        }
    }
    Ok(0)
}

fn bad(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_body() {
        let text = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}GET";
        let frame = request(text).unwrap().unwrap();
        assert_eq!(&text[frame.head..frame.whole], b"{}");
        assert!(request(&text[..20]).unwrap().is_none());
        let text = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n";
        let frame = answer(text).unwrap().unwrap();
        assert_eq!((frame.status, frame.whole), (503, text.len()));
    }

    #[test]
    fn a_chunked_body_is_refused() {
        assert!(answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
    }
}
