//! One watched exchange: from the intent to the outcome, whatever becomes of the client, the upstream and the process.
//!
//! The exchange keeps the promises of [`pipeline`]: it settles its watch exactly once. It outlives its client ([`detach`]), a 504 and
//! a drain notice; once nobody waits for its answer it ends at the watch's bound. When it is dropped unsettled, it settles by what it knows.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use event::facts::Latencies;
use event::{Decision, EventId, Fate, UnknownReason};
use http::response::Parts;
use http::{Extensions, HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::ext::ReasonPhrase;
use pipeline::{Answer, Wants, Watch};
use storage::failpoint;
use storage::throttle::Throttle;
use tokio::task::AbortHandle;

use crate::answer::Refusal;
use crate::body::{BodyError, ClientBody, PlainBody, UpstreamBody};
use crate::core::{Core, ExchangePermit};
use crate::headers;
use crate::table::Service;
use crate::upstream::{self, Audience, Failure, Lease, Lost, Progress, Unsent};

pub(crate) mod body;
pub(crate) mod detach;
pub(crate) mod hold;
mod wait;

use body::WatchedBody;
use hold::{Held, Unkept};
use wait::{Patience, Waited};

/// A watch and what its answer will say; shared by the exchange's task and the bodies that flow through it.
pub(crate) struct Exchange {
    core: Rc<Core>,
    watch: RefCell<Box<dyn Watch>>,
    wants: Wants,
    progress: Rc<Progress>,
    seen: RefCell<Seen>,
    stage: Cell<Stage>,
    hold: RefCell<Option<Held>>,
    resolver: RefCell<Option<AbortHandle>>,
    client_gone: Cell<bool>,
    /// Given back when the outcome is settled, and durable if the answer is held for that: a slow reader of the answer holds none.
    permit: Cell<Option<ExchangePermit>>,
}

/// How far the protocol has got.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No intent yet, or it was refused: there is nothing to settle.
    Idle,
    /// The intent stands.
    Open,
    /// The upstream's head arrived.
    Answered(u16),
    /// The outcome is in the store's queue.
    Settled,
}

/// What has been seen so far.
struct Seen {
    started: Instant,
    asked: Instant,
    answered: Option<Instant>,
    status: Option<u16>,
    headers: HeaderMap,
    /// Of the answer.
    head_size: u64,
    request_body_size: u64,
    response_body_size: u64,
}

impl Exchange {
    pub fn new(core: Rc<Core>, watch: Box<dyn Watch>, started: Instant, permit: ExchangePermit) -> Rc<Self> {
        Rc::new(Self {
            core,
            wants: watch.wants(),
            watch: RefCell::new(watch),
            progress: Progress::new(),
            seen: RefCell::new(Seen {
                started,
                asked: started,
                answered: None,
                status: None,
                headers: HeaderMap::new(),
                head_size: 0,
                request_body_size: 0,
                response_body_size: 0,
            }),
            stage: Cell::new(Stage::Idle),
            hold: RefCell::new(None),
            resolver: RefCell::new(None),
            client_gone: Cell::new(false),
            permit: Cell::new(Some(permit)),
        })
    }

    pub fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    pub fn client_left(&self) {
        self.client_gone.set(true);
    }

    /// A piece of the request's body passes.
    pub fn request_data(&self, data: &Bytes) {
        self.seen.borrow_mut().request_body_size += data.len() as u64;
        if self.wants.request_body {
            self.watch.borrow_mut().request_body(data);
        }
    }

    /// A piece of the answer's body passes.
    fn response_data(&self, data: &Bytes) {
        self.seen.borrow_mut().response_body_size += data.len() as u64;
        if self.wants.response_body {
            self.watch.borrow_mut().response_body(data);
        }
    }

    /// Makes the intent durable. One that takes too long is given up: should it become durable yet, its removal is behind it in the
    /// store's queue.
    async fn intend(&self) -> Result<(), Unkept> {
        let hold = self.watch.borrow_mut().intend();
        // From here on the intent may stand, even if nobody waits for it any more.
        self.stage.set(Stage::Open);
        let Some(hold) = hold else { return Ok(()) };
        let kept = Held::new(hold, self.store_timeout(), None).await;
        match kept {
            Ok(()) => {}
            Err(Unkept::Refused(_)) => self.stage.set(Stage::Idle),
            Err(Unkept::TimedOut(_)) => self.settle(Fate::NotSent),
        }
        kept
    }

    /// Notes the upstream's head, with the headers that the client is sent. Whether an event will come of it.
    fn answered(&self, head: &Parts) -> Decision {
        let status = head.status.as_u16();
        {
            let mut seen = self.seen.borrow_mut();
            seen.answered = Some(Instant::now());
            seen.status = Some(status);
            seen.headers = head.headers.clone();
            seen.head_size = head_size(head.status, &head.headers, &head.extensions);
            // What was told before, if anything, was not the upstream's.
            seen.response_body_size = 0;
        }
        self.stage.set(Stage::Answered(status));
        self.watch.borrow().decision(Fate::Answered { status })
    }

    fn is_settled(&self) -> bool {
        matches!(self.stage.get(), Stage::Idle | Stage::Settled)
    }

    /// Settles by the upstream's head, which has been seen. The hold is kept for [`Exchange::take_hold`].
    fn settle_answered(&self) {
        if let Stage::Answered(status) = self.stage.get() {
            self.settle(Fate::Answered { status });
        }
    }

    fn store_timeout(&self) -> Duration {
        self.watch.borrow().store_timeout()
    }

    fn take_hold(&self) -> Option<Held> {
        self.hold.borrow_mut().take()
    }

    /// Settles, unless it is settled.
    fn settle(&self, fate: Fate) {
        if self.is_settled() {
            return;
        }
        self.stage.set(Stage::Settled);
        let permit = self.permit.take();
        if let Some(resolver) = self.resolver.borrow_mut().take() {
            resolver.abort();
        }
        let seen = self.seen.borrow();
        let answer = Answer {
            status: seen.status,
            headers: &seen.headers,
            request_body_size: seen.request_body_size,
            size: seen.head_size + seen.response_body_size,
            latencies: seen.latencies(),
            now: self.core.clock.now(),
        };
        let hold = self.watch.borrow_mut().settle(fate, &answer);
        *self.hold.borrow_mut() = hold.map(|hold| Held::new(hold, self.store_timeout(), permit));
        failpoint::hit(failpoint::OUTCOME_QUEUED);
    }

    /// Settles at the latest when `resolve_after` is over, however slowly the answer or its reader is.
    fn settle_later(self: &Rc<Self>) {
        let exchange = self.clone();
        let after = self.watch.borrow().resolve_after();
        let task = tokio::task::spawn_local(async move {
            tokio::time::sleep(after).await;
            exchange.resolver.borrow_mut().take();
            exchange.settle_answered();
            if let Some(held) = exchange.hold.borrow_mut().as_mut() {
                held.give_place_back();
            }
        });
        *self.resolver.borrow_mut() = Some(task.abort_handle());
    }

    /// The client is told this by the gateway itself, if it is there.
    fn told(&self, answer: &Response<ClientBody>) {
        if self.client_gone.get() {
            return;
        }
        let mut seen = self.seen.borrow_mut();
        seen.status = Some(answer.status().as_u16());
        seen.headers = answer.headers().clone();
        seen.head_size = head_size(answer.status(), answer.headers(), answer.extensions());
        seen.response_body_size = answer.body().size_hint().lower();
    }
}

/// Status line and headers as the client is sent them, in bytes. The server adds a `Date` where there is none.
fn head_size(status: StatusCode, headers: &HeaderMap, extensions: &Extensions) -> u64 {
    const DATE: usize = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n".len();
    let usual = status.canonical_reason().unwrap_or("<none>").len();
    let reason = extensions.get::<ReasonPhrase>().map_or(usual, |reason| reason.as_bytes().len());
    let line = "HTTP/1.1 200 \r\n".len() + reason;
    let date = if headers.contains_key(http::header::DATE) { 0 } else { DATE };
    let headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (line + headers + date + "\r\n".len()) as u64
}

impl Seen {
    fn latencies(&self) -> Latencies {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Latencies {
            kong: millis(self.asked - self.started),
            proxy: self.answered.map_or(-1, |answered| millis(answered - self.asked)),
            request: millis(self.started.elapsed()),
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let cut =
            if self.core.closing.get() { UnknownReason::DrainDeadline } else { UnknownReason::Abandoned };
        match self.stage.get() {
            Stage::Idle | Stage::Settled => {}
            Stage::Answered(status) => self.settle(Fate::Answered { status }),
            Stage::Open if self.progress.is_sent() => self.settle(Fate::Unanswered(cut)),
            Stage::Open => self.settle(Fate::NotSent),
        }
    }
}

/// Runs a watched exchange from its intent on. The request's body is whole in it, or flows.
///
/// # Errors
/// If the answer must not reach the client because its outcome was not kept: the connection is to be cut.
pub(crate) async fn run(
    core: Rc<Core>,
    exchange: Rc<Exchange>,
    plan: Plan,
    request: Request<UpstreamBody>,
) -> Result<Response<ClientBody>, BodyError> {
    if let Err(error) = exchange.intend().await {
        static REFUSED: Throttle = Throttle::new();
        if let Some(times) = REFUSED.happened() {
            tracing::warn!(id = %plan.id, %error, times, "a matching request was refused: its intent was not kept");
        }
        core.stats.refused.fetch_add(1, Ordering::Relaxed);
        return Ok(plan.refuse(Refusal::StoreUnavailable));
    }
    failpoint::hit(failpoint::INTENT_DURABLE);
    exchange.seen.borrow_mut().asked = Instant::now();
    let (pool, service, progress) = (core.pool.clone(), plan.service.clone(), exchange.progress.clone());
    let asking = upstream::ask(pool, service, request, progress, Audience::Watch);
    let mut asking: Asking = Box::pin(asking);
    let mut patience = Patience::new(&exchange, &plan);
    match patience.wait(&mut asking).await {
        Waited::Head(response, lease) => relay(&exchange, &plan, response, lease).await,
        Waited::Failed(failure) => Ok(fail(&exchange, &plan, failure)),
        Waited::BoundReached => {
            let sent = exchange.progress.is_sent();
            exchange.settle(if sent { Fate::Unanswered(UnknownReason::BoundReached) } else { Fate::NotSent });
            Ok(plan.refuse(Refusal::GatewayTimeout))
        }
        Waited::TimedOut => {
            let answer = plan.refuse(Refusal::GatewayTimeout);
            exchange.told(&answer);
            tokio::task::spawn_local(outlast(exchange, asking, patience));
            Ok(answer)
        }
    }
}

/// What the exchange needs of the request besides what is sent.
pub(crate) struct Plan {
    pub id: EventId,
    pub started: Instant,
    pub service: Arc<Service>,
    pub accept: Option<http::HeaderValue>,
    /// Of the client's request.
    pub version: Version,
    pub bound: Duration,
}

impl Plan {
    /// An answer of the gateway's own.
    pub fn refuse(&self, refusal: Refusal) -> Response<ClientBody> {
        let mut answer = refusal.answer(self.id, self.accept.as_ref());
        headers::of_own_answer(answer.headers_mut(), self.id, self.started.elapsed());
        answer.map(|body| ClientBody::Own(Some(body)))
    }
}

/// The upstream answered: the head goes to the client, the outcome follows at the last byte.
async fn relay(
    exchange: &Rc<Exchange>,
    plan: &Plan,
    response: Response<Incoming>,
    lease: Lease,
) -> Result<Response<ClientBody>, BodyError> {
    failpoint::hit(failpoint::HEAD_RECEIVED);
    let (mut parts, incoming) = response.into_parts();
    let asked = exchange.seen.borrow().asked;
    headers::to_client(&mut parts, plan.id, asked.elapsed(), asked - plan.started);
    let body = PlainBody::new(incoming, lease, plan.service.read_timeout);
    if exchange.is_settled() {
        return Ok(Response::from_parts(parts, ClientBody::Plain(body)));
    }
    let decision = exchange.answered(&parts);
    if decision != Decision::None && !body.has_ended() {
        let hides_a_cut = plan.version < Version::HTTP_11 && body.size_hint().exact().is_none();
        if hides_a_cut && exchange.watch.borrow().may_hold() {
            return Ok(Response::from_parts(parts, body::durable_first(exchange, body).await?));
        }
        let body = WatchedBody::new(exchange.clone(), body);
        return Ok(Response::from_parts(parts, ClientBody::Watched(Box::new(body))));
    }
    // No event to wait for, or no body to wait with: the head is the last byte.
    exchange.settle_answered();
    if let Some(held) = exchange.take_hold() {
        held.await.map_err(body::cut)?;
    }
    Ok(Response::from_parts(parts, ClientBody::Plain(body)))
}

fn fail(exchange: &Rc<Exchange>, plan: &Plan, failure: Failure) -> Response<ClientBody> {
    let (fate, refusal) = match failure {
        Failure::Unsent(unsent) => (Fate::NotSent, refusal_of(unsent)),
        Failure::Lost(lost) => (Fate::Unanswered(lost.reason()), refusal_of_lost(lost)),
    };
    let answer = plan.refuse(refusal);
    exchange.told(&answer);
    exchange.settle(fate);
    answer
}

/// The answer for a request of which nothing was sent.
pub(crate) fn refusal_of(unsent: Unsent) -> Refusal {
    match unsent {
        Unsent::NameResolution => Refusal::NameResolution,
        Unsent::Connect | Unsent::Closed => Refusal::BadGateway,
        Unsent::ConnectTimeout => Refusal::GatewayTimeout,
        Unsent::Body(lost) => refusal_of_lost(lost),
    }
}

/// The answer for a request that was sent, in part or whole, and not answered.
pub(crate) fn refusal_of_lost(lost: Lost) -> Refusal {
    match lost {
        Lost::BodyBroken => Refusal::BadRequest,
        Lost::BodyStalled => Refusal::RequestTimeout,
        Lost::Reset | Lost::Invalid | Lost::TooLarge | Lost::Switched => Refusal::BadGateway,
    }
}

type Asking = std::pin::Pin<Box<dyn Future<Output = Result<(Response<Incoming>, Lease), Failure>>>>;

/// The client has been told 504; the upstream may still answer, up to the bound.
async fn outlast(exchange: Rc<Exchange>, mut asking: Asking, mut patience: Patience) {
    match patience.wait_for_bound(&mut asking).await {
        Waited::Head(response, lease) => {
            let (parts, incoming) = response.into_parts();
            exchange.answered(&parts);
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
