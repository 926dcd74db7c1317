//! An answer's body on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use storage::describe;

use super::BodyError;
use crate::condition::Reason;
use crate::stall::Stall;
use crate::upstream::pool::Lease;

/// An answer's body on its way to the client.
pub(crate) enum ClientBody {
    /// A body that the gateway made itself.
    Own(Option<Bytes>),
    /// The upstream's, of an exchange that nobody watches.
    Plain(PlainBody),
    /// None, for a head that says the length of a body that it does not have (304).
    Absent(u64),
    /// The upstream's, with some of it read already; its outcome is settled.
    Begun(Box<BegunBody>),
    /// A body that is followed or changed as it passes.
    Passing(Box<dyn Passing>),
}

/// A body that is followed or changed as it passes: its exchange is settled at its end, plug-ins change it, or observers want to know of it.
pub(crate) trait Passing {
    /// The next frame. As [`Body::poll_frame`].
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>>;

    /// As [`Body::is_end_stream`].
    fn is_end_stream(&self) -> bool;

    /// As [`Body::size_hint`].
    fn size_hint(&self) -> SizeHint;
}

impl ClientBody {
    /// The upstream's, behind this head.
    pub fn plain(head: &Parts, body: PlainBody) -> Self {
        let length = match head.status {
            StatusCode::NOT_MODIFIED => head.headers.get(CONTENT_LENGTH),
            _ => None,
        };
        match length.and_then(|length| length.to_str().ok()?.parse().ok()) {
            Some(length) => Self::Absent(length),
            None => Self::Plain(body),
        }
    }
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
            Self::Absent(_) => Poll::Ready(None),
            Self::Begun(body) => body.poll(cx),
            Self::Passing(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Plain(body) => body.upstream.is_end_stream(),
            // Otherwise hyper would leave the length out of the head.
            Self::Absent(_) => false,
            Self::Begun(body) => body.ahead.is_empty() && body.rest.has_ended(),
            Self::Passing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Plain(body) => body.upstream.size_hint(),
            Self::Absent(length) => SizeHint::with_exact(*length),
            // Unknown, for a client that gets no length.
            Self::Begun(_) => SizeHint::default(),
            Self::Passing(body) => body.size_hint(),
        }
    }
}

/// An upstream's body whose beginning was read already.
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

/// An upstream's body, read with a timeout for each piece. Gives the connection back at its end.
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
                // After trailers, nobody asks for more.
                if frame.is_trailers() || self.upstream.is_end_stream() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(self.broke_off(Reason::AnswerReset, BodyError::Broken(error)))))
            }
            Poll::Ready(None) => {
                self.finish();
                Poll::Ready(None)
            }
            Poll::Pending => self.stall.poll(cx).map(|()| {
                let idle = BodyError::Idle(self.stall.limit());
                Some(Err(self.broke_off(Reason::AnswerTimeout, idle)))
            }),
        }
    }

    /// Returns the error, with a log line unless the client caused it.
    #[cold]
    #[inline(never)]
    fn broke_off(&self, reason: Reason, error: BodyError) -> BodyError {
        if let Some(lease) = &self.lease
            && !lease.is_broken_by_the_client()
        {
            lease.service.failed(reason, &describe(&error));
        }
        error
    }
}
