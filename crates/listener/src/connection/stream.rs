//! A connection's stream, which notes whether its client takes what is written, and lets the client have the last answer before it is closed.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Limits;
use super::bad_head::{BadHead, Instead};
use super::odd::Reader;
use crate::places::Seat;

mod read_on;

use read_on::ReadOn;

/// A stream whose seat knows whether bytes wait to be taken, and for how long they may.
pub(super) struct Seated<T> {
    stream: T,
    seat: Rc<Seat>,
    is_blocked: bool,
    timeout: Option<Duration>,
    /// Made when bytes have to wait for the first time.
    patience: Option<Pin<Box<Sleep>>>,
    bad_head: Option<BadHead>,
    /// What is written in the place of an answer of hyper's own.
    instead: Option<Instead>,
    /// Sees what comes before hyper does.
    reader: Option<Rc<Reader>>,
    /// An interim answer that is being written, and how much of it has been.
    interim: (Vec<u8>, usize),
    end: End,
}

/// How far the end of a connection has come.
enum End {
    /// Neither side has ended it.
    Open,
    /// The client sends no more.
    OfClient,
    /// Nothing more is written, and what the client still sends is thrown away.
    ReadingOn(ReadOn),
}

impl<T> Seated<T> {
    pub fn new(stream: T, seat: Rc<Seat>, reader: Option<Rc<Reader>>, limits: &Limits) -> Self {
        let Limits { write_timeout: timeout, bad_head, .. } = *limits;
        Self {
            stream,
            seat,
            is_blocked: false,
            timeout,
            patience: None,
            bad_head,
            instead: None,
            reader,
            interim: (Vec::new(), 0),
            end: End::Open,
        }
    }

    /// What a write came to: whether the client takes bytes, and whether it has taken none for too long.
    fn written<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            if self.is_blocked {
                self.is_blocked = false;
                self.seat.set_unblocked();
            }
            return result;
        }
        if !self.is_blocked {
            self.is_blocked = true;
            self.seat.set_blocked();
            if let Some(timeout) = self.timeout {
                let deadline = Instant::now() + timeout;
                match &mut self.patience {
                    Some(patience) => patience.as_mut().reset(deadline),
                    None => self.patience = Some(Box::pin(tokio::time::sleep_until(deadline))),
                }
            }
        }
        let is_over = self.patience.as_mut().is_some_and(|patience| patience.as_mut().poll(cx).is_ready());
        if is_over { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Seated<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if read.is_ok() && buffer.filled().len() == before && room > 0 {
            self.end = End::OfClient;
        }
        if let Some(reader) = &self.reader {
            reader.came(&mut buffer.filled_mut()[before..]);
        }
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> Seated<T> {
    /// Writes the interim answers that there are, before all else.
    #[inline]
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.seat.set_flushed(false);
        if self.interim.0.is_empty() && !self.seat.has_interim() {
            return Poll::Ready(Ok(()));
        }
        self.write_interim(cx)
    }

    #[cold]
    fn write_interim(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.interim.0.extend_from_slice(&self.seat.take_interim());
        while self.interim.1 < self.interim.0.len() {
            let result = Pin::new(&mut self.stream).poll_write(cx, &self.interim.0[self.interim.1..]);
            match ready!(self.written(cx, result))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.interim.1 += written,
            }
        }
        self.interim = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Seated<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let this = &mut *self;
        if let Some(bad_head) = this.bad_head
            && this.instead.is_none()
        {
            this.instead = Instead::of(bytes, bad_head);
        }
        let result = match &mut this.instead {
            Some(instead) => instead.write(cx, &mut this.stream),
            None => Pin::new(&mut this.stream).poll_write(cx, bytes),
        };
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_interim(cx))?;
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        // Where an answer may be replaced, it has to come in one piece.
        self.bad_head.is_none() && self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes when it has written all that it has.
        ready!(self.poll_interim(cx))?;
        self.seat.set_flushed(true);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes this direction. If the client may still be sending, the other one stays open for a while.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, seat, end, .. } = &mut *self;
        match end {
            End::OfClient => Pin::new(stream).poll_shutdown(cx),
            End::ReadingOn(read_on) => read_on.poll(cx, stream).map(Ok),
            End::Open => {
                ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
                let is_sending = seat.has_left_unread()
                    || matches!(read_on::read(cx, stream, &mut [0; 1 << 10]), Poll::Ready(Ok(1..)));
                if !is_sending {
                    *end = End::OfClient;
                    return Poll::Ready(Ok(()));
                }
                let mut read_on = ReadOn::new();
                let read = read_on.poll(cx, stream);
                *end = End::ReadingOn(read_on);
                read.map(Ok)
            }
        }
    }
}
