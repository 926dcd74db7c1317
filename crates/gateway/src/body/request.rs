//! A request's body on its way to the upstream.

use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::BodyError;
use super::upload::Upload;
use crate::headers::trailers_of_client;
use crate::stall::Stall;
use crate::upstream::failure::Lost;
use crate::upstream::progress::Progress;

/// A request's body on its way to the upstream.
pub(crate) enum UpstreamBody {
    /// All of the body, or none: it is sent in one write with the head.
    Whole(Option<Bytes>),
    /// All of a body and its trailers.
    Trailed(Box<Trailed>),
    /// As it comes from the client.
    Stream(Box<StreamedBody>),
}

/// What is left of a body and its trailers.
pub(crate) struct Trailed {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

/// A body that is passed on as it comes from the client, after the part that was read ahead.
pub(crate) struct StreamedBody {
    ahead: VecDeque<Bytes>,
    /// The length of the whole body, if its head says one.
    length: Option<u64>,
    /// The timer for the client's next piece.
    stall: Stall,
    progress: Rc<Progress>,
    follower: Follower,
}

/// Something that follows a request's body as it passes: observers want its size, recorders its content.
pub(crate) trait Follow {
    /// Called with each piece that is passed on.
    fn passes(&self, data: &Bytes);
}

/// For observers: counts the bytes.
impl Follow for Cell<u64> {
    fn passes(&self, data: &Bytes) {
        self.set(self.get() + data.len() as u64);
    }
}

/// `None`: nobody wants to know.
pub(crate) type Follower = Option<Rc<dyn Follow>>;

impl UpstreamBody {
    pub fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// All of a body, and what comes after it.
    pub fn trailed(data: Bytes, trailers: HeaderMap) -> Self {
        let data = Some(data).filter(|data| !data.is_empty());
        Self::Trailed(Box::new(Trailed { data, trailers: Some(trailers) }))
    }

    /// The trailers that are known already.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Trailed(body) => body.trailers.as_ref(),
            Self::Whole(_) | Self::Stream(_) => None,
        }
    }

    /// What was read ahead, then the rest as it comes, each piece of it within `patience`.
    pub fn stream(
        ahead: VecDeque<Bytes>,
        rest: Upload,
        patience: Duration,
        progress: Rc<Progress>,
        follower: Follower,
    ) -> Self {
        let read: u64 = ahead.iter().map(|bytes| bytes.len() as u64).sum();
        let length = rest.size_hint().exact().map(|rest| read + rest);
        progress.rest.replace(Some(rest));
        Self::Stream(Box::new(StreamedBody {
            ahead,
            length,
            stall: Stall::new(patience),
            progress,
            follower,
        }))
    }

    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }
}

impl StreamedBody {
    fn is_over(&self) -> bool {
        self.ahead.is_empty() && self.progress.rest.borrow().as_ref().is_some_and(Body::is_end_stream)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(bytes) = self.ahead.pop_front() {
            // The body may have ended with the last piece: then there is nothing to poll for.
            if self.is_over() {
                self.progress.body_ended();
            }
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let mut rest = self.progress.rest.borrow_mut();
        // The service has answered and gets no more. An error here would be the end of its answer, too.
        let Some(rest) = &mut *rest else { return Poll::Pending };
        let Poll::Ready(frame) = Pin::new(&mut *rest).poll_frame(cx) else {
            ready!(self.stall.poll(cx));
            self.progress.body_broke(Lost::BodyStalled);
            return Poll::Ready(Some(Err(BodyError::Stalled(self.stall.limit()))));
        };
        self.stall.moved();
        match frame {
            Some(Ok(frame)) => {
                if let (Some(follower), Some(data)) = (&self.follower, frame.data_ref()) {
                    follower.passes(data);
                }
                // After trailers the body is not polled again.
                if frame.is_trailers() || rest.is_end_stream() {
                    self.progress.body_ended();
                }
                Poll::Ready(Some(Ok(match frame.into_trailers() {
                    Ok(trailers) => Frame::trailers(trailers_of_client(trailers)),
                    Err(frame) => frame,
                })))
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

impl Drop for StreamedBody {
    fn drop(&mut self) {
        // The connection to the service has ended: nothing waits for the rest.
        self.progress.rest.take();
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
            Self::Trailed(body) => {
                let data = body.data.take().map(Frame::data);
                let frame = data.or_else(|| body.trailers.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
            Self::Stream(body) => body.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Trailed(body) => body.data.is_none() && body.trailers.is_none(),
            Self::Stream(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Trailed(_) => SizeHint::default(),
            Self::Stream(body) => body.length.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
