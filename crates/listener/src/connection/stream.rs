//! A connection's stream, which notes whether its client takes what is written.

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
}

impl<T> Seated<T> {
    pub fn new(stream: T, seat: Rc<Seat>, reader: Option<Rc<Reader>>, limits: &Limits) -> Self {
        let Limits { write_timeout: timeout, bad_head, .. } = *limits;
        Self { stream, seat, is_blocked: false, timeout, patience: None, bad_head, instead: None, reader }
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
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if let Some(reader) = &self.reader {
            reader.came(&mut buffer.filled_mut()[before..]);
        }
        Poll::Ready(read)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Seated<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        // Where an answer may be replaced, it has to come in one piece.
        self.bad_head.is_none() && self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
