//! The least of an HTTP/1.1 server: a thread a connection, requests read whole, answers written by a script.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The raw target.
    pub target: String,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of a name (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a JSON body")
    }
}

/// What a handler does with its connection.
pub enum Then {
    /// Serve the next request.
    KeepOpen,
    /// Close it in good order.
    Close,
    /// Reset it.
    Reset,
}

/// A listening server; stops when dropped.
pub struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on `address` (port 0 for a free one): `handler` is called with each request and its connection, from many threads.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn start<H>(address: SocketAddr, handler: H) -> io::Result<Self>
    where
        H: Fn(&Request, &mut TcpStream) -> io::Result<Then> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let handler = Arc::new(handler);
        let stop = stopping.clone();
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (handler, stop) = (handler.clone(), stop.clone());
                std::thread::spawn(move || {
                    // A client that broke off is part of many tests.
                    let _ = serve(stream, &*handler, &stop);
                });
            }
        });
        Ok(Self { address, stopping, accepting: Some(accepting) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; nobody may be listening any more.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn serve<H>(mut stream: TcpStream, handler: &H, stopping: &AtomicBool) -> io::Result<()>
where
    H: Fn(&Request, &mut TcpStream) -> io::Result<Then>,
{
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut buffer)? {
        if stopping.load(Ordering::Relaxed) {
            return stream.shutdown(Shutdown::Both);
        }
        match handler(&request, &mut stream)? {
            Then::KeepOpen => {}
            Then::Close => return stream.shutdown(Shutdown::Both),
            Then::Reset => return reset(stream),
        }
    }
    Ok(())
}

/// Closes with RST.
///
/// # Errors
/// If the socket is gone.
pub fn reset(stream: TcpStream) -> io::Result<()> {
    socket2::Socket::from(stream).set_linger(Some(std::time::Duration::ZERO))
}

/// Reads one request; `None` at the end of the connection. What belongs to the next stays in `buffer`.
///
/// # Errors
/// If the connection breaks within a request, or it is no HTTP/1.1.
pub fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let (mut request, head) = loop {
        if let Some(parsed) = parse_head(buffer)? {
            break parsed;
        }
        if !fill(stream, buffer)? {
            return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    };
    buffer.drain(..head);
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = read_body(&request, stream, buffer)?;
    Ok(Some(request))
}

fn parse_head(buffer: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let httparse::Status::Complete(length) = status else { return Ok(None) };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: lower(parsed.headers),
        body: Vec::new(),
    };
    Ok(Some((request, length)))
}

pub(crate) fn lower(headers: &[httparse::Header<'_>]) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|header| (header.name.to_ascii_lowercase(), text(header.value))).collect()
}

fn read_body(request: &Request, stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    if request.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return read_chunks(stream, buffer);
    }
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    take(stream, buffer, length)
}

pub(crate) fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = loop {
            if let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") {
                break buffer.drain(..end + 2).collect::<Vec<u8>>();
            }
            if !fill(stream, buffer)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        let digits = String::from_utf8_lossy(&line);
        let size = usize::from_str_radix(digits.trim().split(';').next().unwrap_or(""), 16)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let chunk = take(stream, buffer, size)?;
        take(stream, buffer, 2)?;
        if size == 0 {
            return Ok(body);
        }
        body.extend(chunk);
    }
}

pub(crate) fn take(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    while buffer.len() < length {
        if !fill(stream, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..length).collect())
}

/// Reads what is there; `false` at the end.
///
/// # Errors
/// If the connection is reset.
pub fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 16 << 10];
    let read = stream.read(&mut chunk)?;
    buffer.extend_from_slice(&chunk[..read]);
    Ok(read > 0)
}

/// Reads until `mark` has come; `false` at the end.
///
/// # Errors
/// If the connection is reset.
pub fn fill_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, mark: &[u8]) -> io::Result<bool> {
    while !buffer.windows(mark.len()).any(|window| window == mark) {
        if !fill(stream, buffer)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes a whole answer with a Content-Length.
///
/// # Errors
/// If the connection is gone.
pub fn answer(stream: &mut TcpStream, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Scripted\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if status != 204 && status != 304 {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes)
}
