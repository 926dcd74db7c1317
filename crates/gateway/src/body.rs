//! Bodies on their way through the gateway.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::account::observed::ObservedBody;
use crate::account::transformed::TransformedBody;
use crate::exchange::Exchange;
use crate::exchange::body::WatchedBody;
use crate::exchange::hold::Unkept;
use crate::stall::Stall;
use crate::upstream::{Lease, Lost, Progress};

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The sender's side broke.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// Nothing came for the service's read timeout.
    #[error("the upstream sent nothing for {0:?}")]
    Idle(Duration),
    /// Nothing came from the client for its patience.
    #[error("the client sent nothing for {0:?}")]
    Stalled(Duration),
    /// The answer was held for its event's outcome, and the outcome could not be made durable.
    #[error("the outcome of this request could not be stored")]
    Unstored(#[source] Unkept),
}

/// A request's body on its way to the upstream.
pub(crate) enum UpstreamBody {
    /// None, or all of it: leaves in one write with the head.
    Whole(Option<Bytes>),
    /// As it comes from the client.
    Stream(Box<StreamedBody>),
}

/// A body that flows from the client, what was read of it ahead first.
pub(crate) struct StreamedBody {
    ahead: VecDeque<Bytes>,
    rest: Incoming,
    /// The client's, for its next piece.
    stall: Stall,
    progress: Rc<Progress>,
    follower: Follower,
}

/// Whoever wants to know what of a request's body passes.
pub(crate) enum Follower {
    Nobody,
    /// Observers: how much it is.
    Counter(Rc<Cell<u64>>),
    /// Recorders.
    Exchange(Rc<Exchange>),
}

impl Follower {
    pub fn passes(&self, data: &Bytes) {
        match self {
            Self::Nobody => {}
            Self::Counter(count) => count.set(count.get() + data.len() as u64),
            Self::Exchange(exchange) => exchange.request_data(data),
        }
    }
}

impl UpstreamBody {
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// What was read ahead, then the rest as it comes, each piece of it within `patience`.
    pub fn stream(
        ahead: VecDeque<Bytes>,
        rest: Incoming,
        patience: Duration,
        progress: Rc<Progress>,
        follower: Follower,
    ) -> Self {
        Self::Stream(Box::new(StreamedBody { ahead, rest, stall: Stall::new(patience), progress, follower }))
    }

    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

impl StreamedBody {
    fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.rest.is_end_stream()
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(bytes) = self.ahead.pop_front() {
            // The budget may have ended with the last piece: then there is nothing to poll for.
            if self.is_over() {
                self.progress.body_ended();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Poll::Ready(frame) = Pin::new(&mut self.rest).poll_frame(cx) else {
            ready!(self.stall.poll(cx));
            self.progress.body_broke(Lost::BodyStalled);
            return Poll::Ready(Some(Err(BodyError::Stalled(self.stall.limit()))));
        };
        self.stall.moved();
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.follower.passes(data);
                }
                // Behind trailers nobody polls again.
                if frame.is_trailers() || self.rest.is_end_stream() {
                    self.progress.body_ended();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.progress.body_broke(Lost::BodyBroken);
                Poll::Ready(Some(Err(BodyError::Broken(error))))
            }
            None => {
                self.progress.body_ended();
                Poll::Ready(None)
            }
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(body) => {
                let ahead: u64 = body.ahead.iter().map(|bytes| bytes.len() as u64).sum();
                match body.rest.size_hint().exact() {
                    Some(rest) => SizeHint::with_exact(ahead + rest),
                    None => SizeHint::default(),
                }
            }
        }
    }
}

/// An answer's body on its way to the client.
pub(crate) enum ClientBody {
    /// The gateway's own.
    Own(Option<Bytes>),
    /// The upstream's, unwatched.
    Plain(PlainBody),
    /// The upstream's, some of it read ahead; its outcome is settled.
    Begun(Box<BegunBody>),
    /// The upstream's, with an outcome at its end.
    Watched(Box<WatchedBody>),
    /// Any of these, changed by plug-ins.
    Transformed(Box<TransformedBody>),
    /// Any of these, followed by observers.
    Observed(Box<ObservedBody>),
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Plain(body) => body.poll(cx),
            Self::Begun(body) => body.poll(cx),
            Self::Watched(body) => body.poll(cx),
            Self::Transformed(body) => body.poll(cx),
            Self::Observed(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Plain(body) => body.upstream.is_end_stream(),
            Self::Begun(body) => body.ahead.is_empty() && body.rest.has_ended(),
            Self::Watched(body) => body.has_ended(),
            Self::Transformed(body) => body.is_end_stream(),
            Self::Observed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Plain(body) => body.upstream.size_hint(),
            // For a client that is sent no length.
            Self::Begun(_) => SizeHint::default(),
            Self::Watched(body) => body.size_hint(),
            Self::Transformed(body) => body.size_hint(),
            Self::Observed(body) => body.size_hint(),
        }
    }
}

/// An upstream's body of which the beginning is here.
pub(crate) struct BegunBody {
    pub ahead: Bytes,
    pub rest: PlainBody,
}

impl BegunBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ahead.is_empty() {
            return self.rest.poll(cx);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.ahead)))))
    }
}

/// An upstream's body, read with patience; gives the connection back at its end.
pub(crate) struct PlainBody {
    upstream: Incoming,
    lease: Option<Lease>,
    stall: Stall,
}

impl PlainBody {
    pub fn new(upstream: Incoming, lease: Lease, read_timeout: Duration) -> Self {
        let mut body = Self { upstream, lease: Some(lease), stall: Stall::new(read_timeout) };
        if body.upstream.is_end_stream() {
            body.finish();
        }
        body
    }

    fn finish(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.finish();
        }
    }

    /// Whether its last byte has been handed on.
    pub fn has_ended(&self) -> bool {
        self.lease.is_none()
    }

    /// What is left of it.
    pub fn size_hint(&self) -> SizeHint {
        self.upstream.size_hint()
    }

    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.upstream).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.stall.moved();
                if self.upstream.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(BodyError::Broken(error)))),
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => self.stall.poll(cx).map(|()| Some(Err(BodyError::Idle(self.stall.limit())))),
        }
    }
}
