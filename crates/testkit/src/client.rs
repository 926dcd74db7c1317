//! A client over a bare socket, so that a test decides when each byte leaves and how the connection ends.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::server::{fill, lower, read_chunks, reset, take};

/// Nobody waits longer than this for an answer.
const PATIENCE: Duration = Duration::from_secs(70);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of a name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }
}

/// A connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a request with a Content-Length and waits for its answer.
    ///
    /// # Errors
    /// If the connection breaks before the whole answer.
    pub fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        self.write(&request(method, target, headers, body))?;
        self.answer()
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// If the connection breaks before its last byte.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let (mut answer, length) = loop {
            if let Some(parsed) = parse_head(&self.buffer)? {
                break parsed;
            }
            if !fill(&mut self.stream, &mut self.buffer)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        self.buffer.drain(..length);
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = read_chunks(&mut self.stream, &mut self.buffer)?;
        } else if let Some(length) = answer.header("content-length").and_then(|length| length.parse().ok()) {
            answer.body = take(&mut self.stream, &mut self.buffer, length)?;
        }
        Ok(answer)
    }

    /// Whether anything has come that was not taken yet. Does not wait.
    pub fn has_more(&self) -> bool {
        let peeked = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut [0]));
        // An error is that nothing is there; one of another kind shows at the next read.
        let more = !self.buffer.is_empty() || peeked.is_ok();
        self.stream.set_nonblocking(false).is_ok() && more
    }

    /// Waits until a text has come behind what was taken.
    ///
    /// # Errors
    /// If the connection ends before.
    pub fn until(&mut self, text: &str) -> io::Result<()> {
        while !self.buffer.windows(text.len()).any(|window| window == text.as_bytes()) {
            if !fill(&mut self.stream, &mut self.buffer)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// All that comes until the end of the connection.
    ///
    /// # Errors
    /// If it is reset.
    pub fn rest(mut self) -> io::Result<Vec<u8>> {
        while fill(&mut self.stream, &mut self.buffer)? {}
        Ok(self.buffer)
    }

    /// Ends the connection with a FIN.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn fin(self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Both)
    }

    /// Ends the connection with a RST.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn rst(self) -> io::Result<()> {
        reset(self.stream)
    }
}

/// A request's bytes, with a Content-Length if there is a body.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("host: test.example.com\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The most header lines of an answer; no gateway passes on more.
const MAX_HEADERS: usize = 2_048;

fn parse_head(buffer: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let mut headers = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let status = parsed.parse(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(length) = status else { return Ok(None) };
    let answer =
        Answer { status: parsed.code.unwrap_or(0), headers: lower(parsed.headers), body: Vec::new() };
    Ok(Some((answer, length)))
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// If nobody listens, or the connection breaks before the whole answer.
pub fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    Client::connect(address)?.send(method, target, headers, body)
}

/// Gets an `http://` URL with a literal address.
///
/// # Errors
/// If the URL is none of these, or as [`send`].
pub fn get(url: &str) -> io::Result<Answer> {
    let rest = url.strip_prefix("http://").ok_or(io::ErrorKind::InvalidInput)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let address = authority.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    send(address, "GET", &format!("/{path}"), &[("host", authority)], b"")
}
