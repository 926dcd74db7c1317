//! A router behind a listener: the guard before it, the headers of every answer, and the limits of its connections.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use storage::failpoint;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tower_service::Service;

use crate::accept::{Listener, accept};
use crate::connection::{self, Limits};
use crate::guard::{Guard, Refusal};
use crate::places::Places;

/// How a listener serves its router.
pub struct Surface<B> {
    /// Its name in log lines: `admin`.
    pub name: &'static str,
    /// Which requests are refused before the router.
    pub guard: Guard,
    /// Whether a request is a link that people follow from elsewhere.
    pub is_link: fn(&Parts) -> bool,
    /// Writes a refusal in the form of this listener's protocol.
    pub refuse: fn(&Parts, &Refusal) -> Response<B>,
    /// Whether a request is answered only when its body has been read.
    pub reads_bodies: bool,
    /// The most connections at once; for one more, a connection without a whole request is closed.
    pub connections: usize,
    /// The limits of each connection.
    pub limits: Limits,
}

/// Headers that an answer gets unless it has its own: browsers do not guess its type, show it in no frame, and nobody caches it.
const HARDENING: [(HeaderName, HeaderValue); 3] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Serves connections, in these places, until the drain begins. Returns when the last connection has ended.
pub async fn serve<L, R, B>(
    listener: L,
    (surface, places): (Rc<Surface<B>>, Rc<Places>),
    router: R,
    mut drain: watch::Receiver<bool>,
) where
    L: Listener,
    L::Stream: AsyncRead + AsyncWrite + Unpin,
    R: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible> + Clone + 'static,
    B: Body + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let name = surface.name;
    let drain = async move {
        // A sender that is gone is a drain, too.
        let _ = drain.wait_for(|begun| *begun).await;
    };
    accept(listener, name, places, drain, move |stream, _, place| {
        failpoint::hit(failpoint::CONTROL_TURN);
        let (surface, router) = (surface.clone(), router.clone());
        async move {
            let limits = surface.limits;
            connection::serve(stream, place, &limits, |request, seat| {
                let body_is_read = body_is_read(&request);
                if let Some(flag) = &body_is_read {
                    seat.begin_answer_when(flag.clone());
                }
                if body_is_read.is_none() || !surface.reads_bodies {
                    seat.begin_answer();
                }
                let request = request.map(|body| RequestBody { body, is_whole: body_is_read });
                answer(surface.clone(), router.clone(), request)
            })
            .await;
        }
    })
    .await;
}

/// Set when the body of a request has been read; `None` if it has none.
fn body_is_read(request: &Request<Incoming>) -> Option<Arc<AtomicBool>> {
    (!request.body().is_end_stream()).then(Arc::default)
}

async fn answer<R, B>(
    surface: Rc<Surface<B>>,
    mut router: R,
    request: Request<RequestBody>,
) -> Result<Response<B>, Infallible>
where
    R: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
{
    let (head, body) = request.into_parts();
    let mut answer = match surface.guard.judge(&head, (surface.is_link)(&head)) {
        Ok(()) => router.call(Request::from_parts(head, body)).await?,
        Err(refusal) => (surface.refuse)(&head, &refusal),
    };
    for (name, value) in HARDENING {
        answer.headers_mut().entry(name).or_insert(value);
    }
    Ok(answer)
}

/// A request's body, which notes that all of it has been read.
pub struct RequestBody {
    body: Incoming,
    is_whole: Option<Arc<AtomicBool>>,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if (frame.is_none() || self.body.is_end_stream())
            && let Some(is_whole) = &self.is_whole
        {
            is_whole.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
