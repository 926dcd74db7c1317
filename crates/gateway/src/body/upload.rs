//! A request's body as it comes from the client.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use listener::places::Seat;

/// A request's body as it comes from the client. When it is dropped before its end, the connection is closed after the answer, and the client's
/// [`Seat`] is told so.
pub(crate) struct Upload {
    body: Incoming,
    /// `None` at the end of the body.
    seat: Option<Rc<Seat>>,
}

impl Upload {
    pub fn new(body: Incoming, seat: Rc<Seat>) -> Self {
        let seat = (!body.is_end_stream()).then_some(seat);
        Self { body, seat }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
        if frame.as_ref().is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers))
            || this.body.is_end_stream()
        {
            this.seat = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.seat.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(seat) = &self.seat {
            seat.leave_unread();
        }
    }
}
