//! The bytes of a connection to an upstream, in the clear or over TLS.
//!
//! The outcome table depends on what the *kernel* has accepted, and on bytes that came although no request asked for them. Without TLS, the
//! socket shows both. With TLS, the session may have accepted a write that the kernel has not, and bytes on the socket need not be an answer:
//! servers send tickets for later sessions at any time. So under TLS a [`Socket`] notes what the kernel accepted and where one record ends and
//! the next begins, and unasked bytes go through the session before they are judged.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most reads of unasked bytes over TLS; with more of them the connection is not used. A server has no reason to send so much.
const MAX_LOOKS: usize = 16;

/// The byte stream of a connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<Socket>>),
}

/// The result of a write, or of a flush over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Whether bytes were sent, or may be sent whatever happens next.
    pub accepted: bool,
    /// Whether the kernel accepted bytes.
    pub moved: bool,
    /// Whether bytes wait until the kernel accepts more.
    pub waits: bool,
}

impl Stream {
    /// The result of the write that has just ended like this.
    pub fn sent(&mut self, ended: &Poll<io::Result<usize>>) -> Sent {
        let is_done = matches!(ended, Poll::Ready(Ok(_)));
        match self {
            Self::Plain(_) => Sent { accepted: is_done, moved: is_done, waits: ended.is_pending() },
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                let moved = std::mem::take(&mut socket.took);
                Sent { accepted: moved || is_done, moved, waits: ended.is_pending() || session.wants_write() }
            }
        }
    }

    /// The result of the flush that has just ended like this; `None` without TLS, where a flush says nothing.
    pub fn flushed(&mut self, ended: &Poll<io::Result<()>>) -> Option<Sent> {
        let Self::Tls(stream) = self else { return None };
        let accepted = std::mem::take(&mut stream.get_mut().0.took);
        let is_done = matches!(ended, Poll::Ready(Ok(())));
        Some(Sent { accepted, moved: accepted || is_done, waits: ended.is_pending() })
    }

    /// Whether the connection is closed, or has bytes that no request asked for. Asks the kernel and wakes no task.
    pub fn unasked(&mut self) -> Option<io::Error> {
        match self {
            Self::Plain(stream) => {
                let mut byte = [MaybeUninit::uninit()];
                match SockRef::from(&*stream).peek(&mut byte) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => None,
                    Err(error) => Some(error),
                    Ok(0) => Some(closed()),
                    Ok(_) => Some(unasked()),
                }
            }
            Self::Tls(stream) => unasked_over_tls(stream),
        }
    }
}

/// Reads the waiting bytes without the reactor, so that hyper's interest in the socket does not change.
fn unasked_over_tls(stream: &mut TlsStream<Socket>) -> Option<io::Error> {
    let (socket, session) = stream.get_mut();
    for _ in 0..MAX_LOOKS {
        match session.process_new_packets() {
            Err(error) => return Some(io::Error::new(ErrorKind::InvalidData, error)),
            Ok(state) if state.plaintext_bytes_to_read() > 0 => return Some(unasked()),
            Ok(state) if state.peer_has_closed() => return Some(closed()),
            Ok(_) => {}
        }
        match session.read_tls(&mut Direct(socket)) {
            // A record that is not complete may be anything, even an answer.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return (!socket.records.is_between()).then(unasked);
            }
            Err(error) => return Some(error),
            Ok(0) => return Some(closed()),
            Ok(_) => {}
        }
    }
    Some(unasked())
}

fn closed() -> io::Error {
    io::Error::new(ErrorKind::ConnectionAborted, "the upstream closed a kept connection")
}

fn unasked() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the upstream sent bytes before it was asked")
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// The socket under TLS.
pub(crate) struct Socket {
    stream: TcpStream,
    records: Records,
    /// Whether the kernel has accepted bytes since the last check.
    took: bool,
}

impl Socket {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, records: Records::default(), took: false }
    }

    fn note_write(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.took |= matches!(written, Poll::Ready(Ok(1..)));
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut socket.stream).poll_read(cx, buffer))?;
        socket.records.came(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.stream).poll_write(cx, bytes);
        socket.note_write(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let socket = self.get_mut();
        let written = Pin::new(&mut socket.stream).poll_write_vectored(cx, slices);
        socket.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Reads from the kernel without the reactor.
struct Direct<'s>(&'s mut Socket);

impl Read for Direct<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&*SockRef::from(&self.0.stream)).read(buffer)?;
        self.0.records.came(&buffer[..read]);
        Ok(read)
    }
}

/// The position, within the sequence of TLS records, at which the bytes so far end. A record has a header of five bytes, whose last two are the
/// length of the rest.
#[derive(Debug, Default)]
struct Records {
    header: [u8; Self::HEADER],
    /// How many bytes of the current record's header have come.
    known: usize,
    /// How many bytes of the current record are still missing, without its header.
    left: usize,
}

impl Records {
    const HEADER: usize = 5;

    fn came(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let these = self.left.min(bytes.len());
                self.left -= these;
                bytes = &bytes[these..];
                continue;
            }
            self.header[self.known] = *first;
            self.known += 1;
            bytes = rest;
            if self.known == Self::HEADER {
                self.known = 0;
                self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            }
        }
    }

    fn is_between(&self) -> bool {
        self.known == 0 && self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_told_apart_however_they_come() {
        let bytes = [&[22, 3, 3, 0, 2, 9, 9][..], &[23, 3, 3, 1, 0], &[7; 256], &[20, 3, 3, 0, 0]].concat();
        let ends = [7, 7 + 5 + 256, bytes.len()];
        for piece in [1, 2, 3, 5, 100, bytes.len()] {
            let mut records = Records::default();
            let mut came = 0;
            assert!(records.is_between());
            for bytes in bytes.chunks(piece) {
                records.came(bytes);
                came += bytes.len();
                assert_eq!(records.is_between(), ends.contains(&came), "{came} in pieces of {piece}");
            }
        }
    }
}
