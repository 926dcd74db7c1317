//! One connection: its requests, one at a time, and its end.
//!
//! The attempt itself reads and writes. There is no task between it and the socket, so a delivery costs one wake-up.

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use delivery::sink::Failure;
use dialing::Lifetime;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, HOST};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, timeout_at};

use super::answer::{Framing, Head, Parsed, head};
use super::{AttemptError, BODY_WITHIN, MAX_BODY, Request};

/// How much is read at once, in bytes.
const READ: usize = 4 << 10;
/// A body up to this size is copied behind its head, so that both are sent in one write; a larger one is sent separately. In bytes.
const MAX_COPIED: usize = 64 << 10;

/// A stream to an endpoint, with or without TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection to a checked address. It is closed when it is dropped, whatever is under way on it.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// Bytes that have come and were not parsed yet; empty between two requests.
    buffer: BytesMut,
    /// The part of the request that was not sent yet.
    sending: Sending,
    address: IpAddr,
    pub(super) life: Lifetime,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection ended before anything that could be read as an answer.
    Unanswered(String),
    /// Something came that is not HTTP, or too much of it.
    Invalid(String),
}

/// How the reading of a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// At its end: the connection may be used again.
    Reached,
    /// At the limit, or because the connection broke.
    CutShort,
}

impl Connection {
    pub(super) fn new(stream: impl Stream + 'static, address: IpAddr) -> Self {
        let (stream, buffer, sending) = (Box::new(stream), BytesMut::new(), Sending::default());
        let life = Lifetime::begin(Instant::now().into_std());
        Self { stream, buffer, sending, address, life }
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether nothing has come since the last answer, not even the end of the connection.
    pub(super) fn is_quiet(&mut self) -> bool {
        self.buffer.reserve(READ);
        // tokio lets a task that has read much see nothing, so that others run. Here the truth is needed.
        let read = pin!(unconstrained(self.stream.read_buf(&mut self.buffer)));
        read.poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.buffer.is_empty()
    }

    /// Whether the whole last request has been sent.
    pub(super) fn is_sent(&self) -> bool {
        self.sending.is_done()
    }

    /// Sends a request and waits for the head of its answer. The rest of the request is sent while the body is read.
    pub(super) async fn send(&mut self, request: &Request) -> Result<Head, SendError> {
        let mut text = head_of(request);
        let apart = if request.body.len() > MAX_COPIED {
            request.body.clone()
        } else {
            text.extend_from_slice(&request.body);
            Bytes::new()
        };
        self.sending = Sending { parts: [text.into(), apart], ..Sending::default() };
        // Bytes are parsed only when they end like a head, so an endpoint that sends tiny pieces costs little.
        let mut looked_at = 0;
        poll_fn(|cx| {
            self.sending.poll(&mut *self.stream, cx);
            loop {
                if may_hold_a_head(&self.buffer, looked_at) {
                    match head(&self.buffer).map_err(invalid)? {
                        Parsed::Final(head, length) => {
                            self.buffer.advance(length);
                            return Poll::Ready(Ok(head));
                        }
                        Parsed::Interim(length) => {
                            self.buffer.advance(length);
                            looked_at = 0;
                            continue;
                        }
                        Parsed::Partial => {}
                    }
                }
                looked_at = self.buffer.len();
                match ready!(self.poll_read(cx)) {
                    Ok(0) => return Poll::Ready(Err(unanswered(None))),
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(unanswered(Some(&error)))),
                }
            }
        })
        .await
    }

    /// Reads a body to its end, or to the limit; each piece of its content goes to `content`.
    pub(super) async fn read_body(&mut self, mut framing: Framing, mut content: impl FnMut(&[u8])) -> End {
        let mut total = 0;
        loop {
            let taken = framing.take(&mut self.buffer, |data| {
                total += data.len();
                content(data);
            });
            if framing.has_ended() && taken.is_ok() {
                // More bytes would belong to nothing.
                return if self.buffer.is_empty() { End::Reached } else { End::CutShort };
            }
            if taken.is_err() || total > MAX_BODY {
                return End::CutShort;
            }
            let read = poll_fn(|cx| {
                self.sending.poll(&mut *self.stream, cx);
                self.poll_read(cx)
            });
            if !matches!(read.await, Ok(1..)) {
                return End::CutShort;
            }
        }
    }

    /// Sends the rest of the request, and reads meanwhile, so that neither side waits for the other; until the other side accepts no more, or
    /// nothing for [`BODY_WITHIN`]. For an endpoint that has answered early: it may still want the whole request.
    pub(super) async fn finish_sending(&mut self, deadline: Instant) {
        let mut is_open = true;
        while !self.sending.is_over() {
            let left = self.sending.left();
            let takes_some = poll_fn(|cx| {
                self.sending.poll(&mut *self.stream, cx);
                while is_open && !self.sending.is_over() {
                    self.buffer.clear();
                    match self.poll_read(cx) {
                        Poll::Ready(read) => is_open = matches!(read, Ok(1..)),
                        Poll::Pending => break,
                    }
                }
                let moves = self.sending.is_over() || self.sending.left() < left;
                if moves { Poll::Ready(()) } else { Poll::Pending }
            });
            if timeout_at(deadline.min(Instant::now() + BODY_WITHIN), takes_some).await.is_err() {
                return;
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.buffer.reserve(READ);
        pin!(self.stream.read_buf(&mut self.buffer)).poll(cx)
    }
}

/// A request that is being sent. It is written while its answer is awaited, because an endpoint may answer before it has read everything.
#[derive(Default)]
struct Sending {
    parts: [Bytes; 2],
    /// Whether everything was passed to the socket: TLS keeps bytes that the socket did not accept.
    flushed: bool,
    /// Whether the other side accepts no more. It may have answered nevertheless.
    failed: bool,
}

impl Sending {
    fn is_done(&self) -> bool {
        self.flushed && !self.failed
    }

    fn is_over(&self) -> bool {
        self.flushed || self.failed
    }

    /// How many bytes were not sent yet.
    fn left(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    fn poll(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) {
        if self.is_over() {
            return;
        }
        for part in &mut self.parts {
            while !part.is_empty() {
                match pin!(stream.write(part)).poll(cx) {
                    Poll::Ready(Ok(written @ 1..)) => part.advance(written),
                    Poll::Ready(_) => {
                        self.failed = true;
                        return;
                    }
                    Poll::Pending => return,
                }
            }
        }
        match pin!(stream.flush()).poll(cx) {
            Poll::Ready(Ok(())) => self.flushed = true,
            Poll::Ready(Err(_)) => self.failed = true,
            Poll::Pending => {}
        }
    }
}

/// Whether the bytes after `looked_at` have an empty line, or are so many that there should have been one.
fn may_hold_a_head(bytes: &[u8], looked_at: usize) -> bool {
    let new = &bytes[looked_at.saturating_sub(3)..];
    let mut ends = new.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let has_empty_line = ends.any(|(end, _)| matches!(new[end + 1..], [b'\n', ..] | [b'\r', b'\n', ..]));
    has_empty_line || bytes.len() >= super::MAX_HEAD || !is_http_so_far(bytes)
}

/// Whether the bytes may still be HTTP: anything else is refused at its first bytes.
fn is_http_so_far(bytes: &[u8]) -> bool {
    const BEGINS: &[u8] = b"HTTP/1.";
    let known = bytes.len().min(BEGINS.len());
    // Empty lines may precede it.
    matches!(bytes.first(), Some(b'\r' | b'\n')) || bytes[..known] == BEGINS[..known]
}

/// The head of a POST, with the empty line after it.
fn head_of(request: &Request) -> Vec<u8> {
    let endpoint = &request.endpoint;
    let copied = if request.body.len() > MAX_COPIED { 0 } else { request.body.len() };
    let mut text = Vec::with_capacity(1_024 + endpoint.path.as_str().len() + copied);
    for part in [b"POST ", endpoint.path.as_str().as_bytes(), b" HTTP/1.1\r\n"] {
        text.extend_from_slice(part);
    }
    let mut line = |name: &str, value: &[u8]| {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            text.extend_from_slice(part);
        }
    };
    line(HOST.as_str(), endpoint.authority.as_bytes());
    line(ACCEPT_ENCODING.as_str(), b"identity");
    if let Some(authorization) = &endpoint.authorization {
        line(AUTHORIZATION.as_str(), authorization.as_bytes());
    }
    for (name, value) in &request.headers {
        line(name.as_str(), value.as_bytes());
    }
    line("content-length", itoa::Buffer::new().format(request.body.len()).as_bytes());
    text.extend_from_slice(b"\r\n");
    text
}

fn invalid(why: &'static str) -> SendError {
    SendError::Invalid(format!("what came is not an answer: {why}"))
}

fn unanswered(error: Option<&io::Error>) -> SendError {
    SendError::Unanswered(match error {
        Some(error) => format!("the connection broke before an answer: {}", error.kind()),
        None => "the connection was closed before an answer".into(),
    })
}

impl From<SendError> for AttemptError {
    fn from(error: SendError) -> Self {
        let (SendError::Unanswered(text) | SendError::Invalid(text)) = error;
        Self { kind: Failure::Broken, text }
    }
}
