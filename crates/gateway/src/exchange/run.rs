//! How a recorded exchange runs: its intents, the upstream, and the answer or the lack of one.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use event::{Fate, UnknownReason};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use storage::failpoint;
use storage::throttle::Throttle;

use super::Exchange;
use super::body::{self, WatchedBody};
use super::wait::{Asking, Patience, Waited};
use crate::answer::Refusal;
use crate::body::BodyError;
use crate::body::answer::{ClientBody, PlainBody};
use crate::body::request::UpstreamBody;
use crate::core::Core;
use crate::service::Service;
use crate::snapshot::ServiceRef;
use crate::upstream;
use crate::upstream::failure::Failure;
use crate::upstream::pool::Lease;

/// Runs a watched exchange from its intent on. The request has its whole body, or passes it on as it comes.
///
/// # Errors
/// If the answer must not reach the client because the outcome was not stored: the connection must be cut.
#[expect(
    clippy::manual_async_fn,
    reason = "it would hold its arguments twice, and each exchange would pay for that"
)]
pub(crate) fn run(
    core: Rc<Core>,
    exchange: Rc<Exchange>,
    service: ServiceRef,
    request: Request<UpstreamBody>,
) -> impl Future<Output = Result<Response<ClientBody>, BodyError>> {
    async move {
        if let Err(error) = exchange.intend().await {
            static REFUSED: Throttle = Throttle::new();
            if let Some(times) = REFUSED.happened() {
                let id = exchange.account().context.id;
                tracing::warn!(%id, %error, times, "a matching request was refused because its intent could not be stored");
            }
            core.stats.refused.fetch_add(1, Ordering::Relaxed);
            return Ok(exchange.account().refuse(Refusal::StoreUnavailable));
        }
        failpoint::hit(failpoint::INTENT_DURABLE);
        let now = Instant::now();
        exchange.asks(now, &service);
        let (pool, asked_of, progress) = (core.pool.clone(), service.clone(), exchange.progress.clone());
        let asking = upstream::ask(pool, asked_of, request, progress, upstream::Audience::Watch, now);
        let mut asking: Asking = Box::pin(asking);
        let mut patience = Patience::new(&exchange, &service, now);
        match patience.wait(&mut asking).await {
            Waited::Head(response, lease) => relay(&exchange, &service, response, lease).await,
            Waited::Failed(failure) => Ok(fail(&exchange, failure)),
            Waited::BoundReached => {
                let sent = exchange.progress.is_sent();
                exchange.settle(if sent {
                    Fate::Unanswered(UnknownReason::BoundReached)
                } else {
                    Fate::NotSent
                });
                Ok(exchange.account().refuse(Refusal::GatewayTimeout))
            }
            Waited::TimedOut => {
                service.timed_out(exchange.progress.waits_for());
                let answer = exchange.account().refuse(Refusal::GatewayTimeout);
                exchange.told(&answer);
                tokio::task::spawn_local(outlast(exchange, asking, patience));
                Ok(answer)
            }
        }
    }
}

/// The upstream answered: passes the head to the client, and settles at the last byte.
#[expect(
    clippy::manual_async_fn,
    reason = "it would hold its arguments twice, and each exchange would pay for that"
)]
fn relay<'e>(
    exchange: &'e Rc<Exchange>,
    service: &'e Service,
    response: Response<Incoming>,
    lease: Lease,
) -> impl Future<Output = Result<Response<ClientBody>, BodyError>> + use<'e> {
    async move {
        failpoint::hit(failpoint::HEAD_RECEIVED);
        let (mut parts, incoming) = response.into_parts();
        let (status, version) = (parts.status, exchange.account().context.inbound.version);
        let asked = exchange.seen.borrow().asked;
        let audience = exchange.audience();
        let transforms = exchange.account().upstream_answered(&mut parts, service, asked, audience);
        lease.announce_end(&mut parts.headers);
        let body = PlainBody::new(incoming, lease, service.read_timeout);
        if exchange.is_settled() {
            let body = ClientBody::plain(&parts, body);
            return Ok(Response::from_parts(parts, transforms.of(body)));
        }
        if exchange.answered(status, &parts) && !body.has_ended() {
            let has_length = transforms.is_empty() && body.size_hint().exact().is_some();
            let hides_a_cut = version < Version::HTTP_11 && !has_length;
            if hides_a_cut && exchange.watches.borrow().may_hold() {
                let body = Box::pin(body::durable_first(exchange, body)).await?;
                return Ok(Response::from_parts(parts, transforms.of(body)));
            }
            let body = ClientBody::Passing(Box::new(WatchedBody::new(exchange.clone(), body)));
            return Ok(Response::from_parts(parts, transforms.of(body)));
        }
        // There is no event to wait for, or no body to hold back: the head counts as the last byte.
        exchange.settle_answered();
        if let Some(held) = exchange.take_hold() {
            held.await.map_err(body::cut)?;
        }
        let body = ClientBody::plain(&parts, body);
        Ok(Response::from_parts(parts, transforms.of(body)))
    }
}

fn fail(exchange: &Rc<Exchange>, failure: Failure) -> Response<ClientBody> {
    let (fate, refusal): (_, Refusal) = match failure {
        Failure::Unsent(unsent) => (Fate::NotSent, unsent.into()),
        Failure::Lost(lost) => (Fate::Unanswered(lost.reason()), lost.into()),
    };
    let answer = exchange.account().refuse(refusal);
    exchange.told(&answer);
    exchange.settle(fate);
    answer
}

/// The client got 504. The upstream may still answer until the exchange reaches its time limit.
async fn outlast(exchange: Rc<Exchange>, mut asking: Asking, mut patience: Patience) {
    match patience.wait_for_bound(&mut asking).await {
        Waited::Head(response, lease) => {
            let (parts, incoming) = response.into_parts();
            exchange.answered(parts.status, &parts);
            body::drain(exchange, PlainBody::new(incoming, lease, Duration::from_secs(60))).await;
        }
        Waited::Failed(Failure::Unsent(_)) => exchange.settle(Fate::NotSent),
        Waited::Failed(Failure::Lost(lost)) => exchange.settle(Fate::Unanswered(lost.reason())),
        Waited::TimedOut | Waited::BoundReached if exchange.progress.is_sent() => {
            exchange.settle(Fate::Unanswered(UnknownReason::UpstreamTimeout));
        }
        Waited::TimedOut | Waited::BoundReached => exchange.settle(Fate::NotSent),
    }
}
