//! One HTTP/1.1 connection: the time limits for a request's head and for a client that does not read its answer, and how it ends.
//!
//! A connection ends by itself, when it is asked to leave because others want its place, or when the drain begins. In a drain the request
//! under way is answered; a connection on which no request has been read whole is closed after a short grace.
//!
//! An answer may be complete before its request is, or a head may be refused. Closing the connection while the client is still sending would
//! reset it, and the client would lose the answer. So the connection is then closed in one direction only, and what the client still sends is
//! read and thrown away, within limits (`stream::read_on`).

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::places::{Asked, Place, Seat};

mod bad_head;
mod odd;
mod stream;

pub use bad_head::BadHead;
pub use odd::{OddCharacters, Reader};
use stream::Seated;

/// The smallest buffer for a head that hyper allows, in bytes.
const MIN_HEAD: usize = 8 << 10;

/// What a client may make a connection hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest head of a request, in bytes, at least 8 KiB; a larger one is answered with 431.
    pub head_size: usize,
    /// The most headers of a request; more are answered with 431.
    pub headers: usize,
    /// How long the whole head of a request may take to arrive, and how long a connection may be idle between two requests. Then it is closed.
    pub head_timeout: Duration,
    /// How long bytes of an answer may wait until the client takes any of them; then the connection is closed. No limit if `None`.
    pub write_timeout: Option<Duration>,
    /// In a drain: how long a connection without a whole request may wait for the rest of one; then it is closed.
    pub drain_grace: Duration,
    /// Makes the body of the answer to a head that cannot be read or is too large; if `None`, the answer has none.
    pub bad_head: Option<BadHead>,
    /// Whether a query may have `"`, `<` and `>`. Then a `!` is in the place of each, and the request has a boxed [`OddCharacters`] among its
    /// extensions. If not, such a request is answered with 400.
    pub odd_queries: bool,
    /// How the names of headers are written.
    pub name_case: NameCase,
}

/// How the names of headers are written over HTTP/1. They mean the same in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameCase {
    /// In lower case.
    #[default]
    Lower,
    /// As they came, if they came from the other side. This costs each message the memory and the time to note it.
    Kept,
}

/// Serves a connection until its end.
///
/// `answer` has to call [`Seat::begin_answer`] when the request has been read as far as it must be: until then the connection may be
/// closed without an answer.
pub async fn serve<T, F, Fut, B, E>(stream: T, place: Place, limits: &Limits, answer: F)
where
    T: AsyncRead + AsyncWrite + Unpin,
    F: Fn(Request<Incoming>, Rc<Seat>) -> Fut,
    Fut: Future<Output = Result<Response<B>, E>>,
    B: Body + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let seat = place.seat();
    let reader = limits.odd_queries.then(Rc::<Reader>::default);
    let service = service_fn(|mut request: Request<Incoming>| {
        seat.begin_request();
        let odd = reader.as_ref().and_then(|reader| reader.head_read(request.body().size_hint().exact()));
        if let Some(odd) = odd {
            request.extensions_mut().insert(odd);
        }
        let (answering, claim) = (answer(request, seat.clone()), Claim(seat.clone()));
        async move {
            let answer = answering.await?;
            claim.0.next_turn();
            Ok::<_, E>(answer.map(|body| Claimed { body, _claim: claim }))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .preserve_header_case(limits.name_case == NameCase::Kept)
        .max_headers(limits.headers)
        .max_buf_size(limits.head_size.max(MIN_HEAD))
        .serve_connection(TokioIo::new(Seated::new(stream, seat.clone(), reader.clone(), limits)), service);
    let mut connection = pin!(connection);
    loop {
        tokio::select! {
            biased;
            // That a client broke off is not worth a log line.
            _ = connection.as_mut() => return,
            asked = seat.asked() => match asked {
                Asked::ToEnd => break,
                Asked::ToLeave if seat.may_leave() => return,
                Asked::ToLeave => seat.stay(),
            },
        }
    }
    connection.as_mut().graceful_shutdown();
    loop {
        tokio::select! {
            biased;
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(limits.drain_grace) => {
                if seat.is_silent() {
                    return;
                }
            }
        }
    }
}

/// Marks that an answer is under way; dropped when the answer has been written or was given up.
struct Claim(Rc<Seat>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.end_answer();
    }
}

/// An answer's body with its [`Claim`].
struct Claimed<B> {
    body: B,
    _claim: Claim,
}

impl<B: Body + Unpin> Body for Claimed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
