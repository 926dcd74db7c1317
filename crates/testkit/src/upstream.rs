//! An upstream that keeps its own record of what it executed, and misbehaves on request.
//!
//! It executes every request that it has read whole; the query chooses how it answers: `?status=404`, `?script=reset` and so on
//! (see [`Script`]). `?framing=chunked` leaves the length out of an answer. Whatever the answer, the execution stands in the record: so a test can tell what a gateway must have told.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::server::{Request, Server, Then, answer};
use crate::wait::pause;

/// A running upstream.
pub struct Upstream {
    server: Server,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record {
    executed: Mutex<Vec<Request>>,
    /// Requests with `?script=wait` answer only when this is set.
    released: Mutex<bool>,
}

/// How an upstream answers, chosen by `?script=`; `?status=` sets the status of those that have a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    /// A whole answer.
    Answer,
    /// Executes, then resets before a head.
    Reset,
    /// Executes, then closes before a head.
    Close,
    /// Executes, then answers with no HTTP.
    Garbage,
    /// Executes, sends the head and half of the body, then resets.
    HalfBody,
    /// Executes, sends the head at once and a piece of the body every 100 ms, for ever.
    Stream,
    /// Executes, answers when released.
    Wait,
    /// A whole answer in chunks.
    Chunked,
    /// Executes, answers after 700 ms.
    Slow,
}

impl Script {
    fn of(target: &str) -> Self {
        match query(target, "script") {
            Some("reset") => Self::Reset,
            Some("close") => Self::Close,
            Some("garbage") => Self::Garbage,
            Some("half") => Self::HalfBody,
            Some("stream") => Self::Stream,
            Some("wait") => Self::Wait,
            Some("chunked") => Self::Chunked,
            Some("slow") => Self::Slow,
            _ => Self::Answer,
        }
    }
}

fn query<'t>(target: &'t str, name: &str) -> Option<&'t str> {
    let (_, query) = target.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

impl Upstream {
    /// Starts on a free port.
    ///
    /// # Panics
    /// If there is none.
    pub fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Starts on an address.
    ///
    /// # Panics
    /// If it is taken.
    pub fn start_on(address: SocketAddr) -> Self {
        let record = Arc::new(Record::default());
        let kept = record.clone();
        let server = Server::start(address, move |request, stream| kept.execute(request, stream));
        Self { server: server.expect("a free port"), record }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// All that it executed, in order.
    pub fn executed(&self) -> Vec<Request> {
        self.record.executed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the requests with `?script=wait` be answered, those to come too.
    pub fn release(&self) {
        *self.record.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }
}

impl Record {
    fn execute(&self, request: &Request, stream: &mut TcpStream) -> io::Result<Then> {
        self.executed.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let status = query(&request.target, "status").and_then(|status| status.parse().ok()).unwrap_or(200);
        let headers = [("content-type", "application/json"), ("x-upstream", "scripted")];
        let body = br#"{"done":true}"#;
        match Script::of(&request.target) {
            Script::Answer if status == 204 => answer(stream, status, &headers, b"")?,
            Script::Answer | Script::Wait if query(&request.target, "framing") == Some("chunked") => {
                self.wait_for_release(&request.target);
                answer_in_chunks(stream, status, body)?;
            }
            Script::Answer => answer(stream, status, &headers, body)?,
            Script::Reset => return Ok(Then::Reset),
            Script::Close => return Ok(Then::Close),
            Script::Garbage => {
                stream.write_all(b"this is no HTTP\r\n\r\n")?;
                return Ok(Then::Close);
            }
            Script::HalfBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nhalf of it")?;
                pause(Duration::from_millis(50));
                return Ok(Then::Reset);
            }
            Script::Stream => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                loop {
                    stream.write_all(b"4\r\ntick\r\n")?;
                    pause(Duration::from_millis(100));
                }
            }
            Script::Wait => {
                self.wait_for_release(&request.target);
                answer(stream, status, &headers, body)?;
            }
            Script::Chunked => answer_in_chunks(stream, status, b"hello")?,
            Script::Slow => {
                pause(Duration::from_millis(700));
                answer(stream, status, &headers, body)?;
            }
        }
        Ok(Then::KeepOpen)
    }

    /// Returns at once unless the script is to wait.
    fn wait_for_release(&self, target: &str) {
        let released = || *self.released.lock().unwrap_or_else(PoisonError::into_inner);
        while Script::of(target) == Script::Wait && !released() {
            pause(Duration::from_millis(2));
        }
    }
}

/// The body in one piece, and its end in another.
fn answer_in_chunks(stream: &mut TcpStream, status: u16, body: &[u8]) -> io::Result<()> {
    stream.write_all(format!("HTTP/1.1 {status} OK\r\ntransfer-encoding: chunked\r\n\r\n").as_bytes())?;
    stream.write_all(format!("{:x}\r\n", body.len()).as_bytes())?;
    stream.write_all(body)?;
    stream.write_all(b"\r\n0\r\n\r\n")
}
