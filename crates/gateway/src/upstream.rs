//! Asking an upstream: the pool of kept connections of one core, and what can go wrong before the head of an answer.
//!
//! The outcome table depends on the distinction that this module makes: a request of which provably nothing was sent ([`Failure::Unsent`]), and
//! one that was sent and not answered ([`Failure::Lost`]).
//!
//! The upstream may close a kept connection just when it is used again. If nothing of the request was sent, it is sent on another connection. If
//! it may have been sent, it is sent a second time only if nobody watches it, it has no body, its method may be repeated (RFC 9110, 9.2.2), and
//! no byte of an answer came on a connection that had been used before; and then on a new connection.

use std::rc::Rc;
use std::time::Instant;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use storage::{describe, failpoint};

use crate::body::request::UpstreamBody;
use crate::condition::Reason;
use crate::service::Service;
use crate::snapshot::ServiceRef;

mod again;
pub(crate) mod failure;
mod habits;
pub(crate) mod interim;
mod name;
pub(crate) mod pool;
pub(crate) mod progress;
mod secure;
mod stream;
mod wire;

use again::Again;
use failure::{Failure, Lost, Unsent};
use pool::{Lease, Pool};
use progress::Progress;

/// Who gets to know about a request, which decides whether it may be sent twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The client alone.
    Client,
    /// A watch, whose outcome says what became of the one request that was sent.
    Watch,
}

/// Asks the service and waits for the head. It has no timeout except the connection's: the caller watches `progress`. `now` is when this is
/// called.
#[expect(
    clippy::manual_async_fn,
    reason = "it would hold its arguments twice, and each exchange would pay for that"
)]
pub(crate) fn ask(
    pool: Rc<Pool>,
    service: ServiceRef,
    mut request: Request<UpstreamBody>,
    progress: Rc<Progress>,
    audience: Audience,
    mut now: Instant,
) -> impl Future<Output = Result<(Response<Incoming>, Lease), Failure>> {
    async move {
        let name = name::name_of(&service, request.headers()).map_err(|trouble| {
            service.is_not_trusted(&trouble);
            Failure::Unsent(Unsent::Connect)
        })?;
        while let Some(mut lease) = pool.take(now, &service, &name).await {
            let again = Again::of(&request);
            if again.is_none() && lease.wire.spoilt().is_some() {
                continue;
            }
            match (begin(&mut lease, request, &progress).await, again) {
                (Ok(response), _) => {
                    service.answered();
                    return Ok((response, lease));
                }
                (Err(Refused::Unsent(back)), _) => request = *back,
                (Err(Refused::NotTaken(Unsent::Closed)), Some(again)) => {
                    request = again.request(&lease.wire).ok_or(Failure::Unsent(Unsent::Closed))?;
                }
                (Err(Refused::NotTaken(unsent)), _) => return Err(Failure::Unsent(unsent)),
                (Err(Refused::Lost(Lost::Reset, error)), again) if !lease.wire.has_read() => {
                    lease.wire.closed_on_reuse();
                    let again = again.filter(|again| audience == Audience::Client && again.may_be_repeated());
                    match again.and_then(|again| again.request(&lease.wire)) {
                        Some(again) => request = again,
                        None => return Err(failed(&service, Lost::Reset, error.as_ref())),
                    }
                    break;
                }
                (Err(Refused::Lost(lost, error)), _) => return Err(failed(&service, lost, error.as_ref())),
            }
            now = Instant::now();
        }
        // Its memory is large, and most exchanges need none.
        let connecting = Box::pin(pool.connect(&service, name));
        let mut lease = connecting.await.map_err(Failure::Unsent)?;
        match begin(&mut lease, request, &progress).await {
            Ok(response) => {
                service.answered();
                Ok((response, lease))
            }
            Err(Refused::Unsent(_)) => Err(closed(&service, Unsent::Closed)),
            Err(Refused::NotTaken(unsent)) => Err(closed(&service, unsent)),
            Err(Refused::Lost(lost, error)) => Err(failed(&service, lost, error.as_ref())),
        }
    }
}

enum Refused {
    /// hyper gives it back.
    Unsent(Box<Request<UpstreamBody>>),
    /// hyper has it, but the kernel accepted nothing of it.
    NotTaken(Unsent),
    Lost(Lost, Option<hyper::Error>),
}

/// Gives the request to hyper; the future waits for the head.
fn begin<'l>(
    lease: &'l mut Lease,
    request: Request<UpstreamBody>,
    progress: &'l Rc<Progress>,
) -> impl Future<Output = Result<Response<Incoming>, Refused>> + use<'l> {
    progress.begin(lease.since, &lease.wire, request.body().is_stream(), &lease.service);
    lease.progress = Some(progress.clone());
    lease.wire.puts_in(&request);
    let answer = lease.sender.try_send_request(request);
    failpoint::hit(failpoint::REQUEST_SENT);
    async move {
        match answer.await {
            Ok(answer) => answered(lease, answer, progress),
            Err(error) => Err(refused(lease, error, progress)),
        }
    }
}

fn answered(
    lease: &Lease,
    answer: Response<Incoming>,
    progress: &Progress,
) -> Result<Response<Incoming>, Refused> {
    // No request is forwarded with an `Upgrade`.
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refused::Lost(Lost::Switched, None));
    }
    lease.wire.heed(answer.headers());
    if announces_the_end(&answer) {
        lease.wire.will_be_closed();
    }
    // A service that refuses a request does not want the rest of it. One that succeeds may go on reading.
    if progress.is_sending() && !answer.status().is_success() {
        progress.stop();
    }
    Ok(answer)
}

#[cold]
#[inline(never)]
fn refused(lease: &Lease, mut error: TrySendError<Request<UpstreamBody>>, progress: &Progress) -> Refused {
    if let Some(request) = error.take_message() {
        progress.is_unsent();
        return Refused::Unsent(Box::new(request));
    }
    let broken = progress.broken();
    if !lease.wire.has_written() {
        progress.is_unsent();
        return Refused::NotTaken(broken.map_or(Unsent::Closed, Unsent::Body));
    }
    let error = error.into_error();
    let lost = match broken {
        Some(broken) => broken,
        None if error.is_parse_too_large() => Lost::TooLarge,
        None if error.is_parse() => Lost::Invalid,
        None => Lost::Reset,
    };
    Refused::Lost(lost, Some(error))
}

/// The failure of a new connection on which nothing was written, with a log line unless the client caused it.
#[cold]
#[inline(never)]
fn closed(service: &Service, unsent: Unsent) -> Failure {
    if unsent == Unsent::Closed {
        service.failed(Reason::Closed, &"it closed a new connection before anything was written");
    }
    Failure::Unsent(unsent)
}

/// The failure of a request that was sent, with a log line unless the client caused it.
#[cold]
#[inline(never)]
fn failed(service: &Service, lost: Lost, error: Option<&hyper::Error>) -> Failure {
    let reason = match lost {
        Lost::Reset => Reason::Reset,
        Lost::Invalid | Lost::TooLarge | Lost::Switched => Reason::Invalid,
        Lost::BodyBroken | Lost::BodyStalled => return Failure::Lost(lost),
    };
    match error {
        Some(error) => service.failed(reason, &format_args!("{lost}: {}", describe(error))),
        None => service.failed(reason, &lost),
    }
    Failure::Lost(lost)
}

/// Whether the answer announces the end of the connection: such an end says nothing about the upstream's habits.
fn announces_the_end(answer: &Response<Incoming>) -> bool {
    let close = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    answer.version() < Version::HTTP_11 || answer.headers().get(CONNECTION).is_some_and(close)
}

#[cfg(test)]
mod tests;
