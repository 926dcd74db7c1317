//! One watched exchange: from the intent to the outcome, whatever becomes of the client, the upstream and the process.
//!
//! The exchange keeps the promises of [`pipeline`]: it settles each of its watches exactly once. It outlives its client ([`detach`]), a 504 and
//! a drain notice. When nobody waits for its answer any more, it ends at its time limit. If it is dropped without being settled, it settles by
//! what it knows.

use std::cell::{Cell, RefCell, RefMut};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use event::facts::Latencies;
use event::{Fate, UnknownReason};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Body;
use pipeline::{Answer, Wants};
use storage::failpoint;
use tokio::task::AbortHandle;

use crate::account::observed::{Keeper, observed};
use crate::account::{Account, Audience};
use crate::answer::head_size;
use crate::body::answer::ClientBody;
use crate::body::request::Follow;
use crate::core::Core;
use crate::hold::{Held, Unkept};
use crate::permit::ExchangePermit;
use crate::snapshot::ServiceRef;
use crate::upstream::progress::Progress;

pub(crate) mod body;
pub(crate) mod detach;
pub(crate) mod run;
mod wait;
pub(crate) mod watches;

use watches::Watches;

/// The watches, and what their events will say; shared by the exchange's task and its bodies.
pub(crate) struct Exchange {
    core: Rc<Core>,
    account: RefCell<Account>,
    watches: RefCell<Watches>,
    wants: Wants,
    progress: Rc<Progress>,
    seen: RefCell<Seen>,
    stage: Cell<Stage>,
    hold: RefCell<Option<Held>>,
    resolver: RefCell<Option<AbortHandle>>,
    client_gone: Cell<bool>,
    /// Given back when the outcome is settled, or, if the answer is held, when the outcome is durable. So a client that reads slowly does not
    /// keep it.
    permit: Cell<Option<ExchangePermit>>,
}

/// How far the exchange has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No intent exists yet, or the store refused all of them: there is nothing to settle.
    Idle,
    /// The intents may be durable.
    Open,
    /// The upstream's head arrived.
    Answered(u16),
    /// The outcomes are in the store's queue.
    Settled,
}

/// What has been seen so far.
struct Seen {
    asked: Instant,
    answered: Option<Instant>,
    status: Option<u16>,
    headers: HeaderMap,
    /// The size of the answer's head, in bytes.
    head_size: u64,
    request_body_size: u64,
    response_body_size: u64,
}

impl Exchange {
    pub fn new(core: Rc<Core>, watches: Watches, account: Account, permit: ExchangePermit) -> Rc<Self> {
        let (started, interim) = (account.context.started, account.interim());
        Rc::new(Self {
            core,
            seen: RefCell::new(Seen {
                asked: started,
                answered: None,
                status: None,
                headers: HeaderMap::new(),
                head_size: 0,
                request_body_size: 0,
                response_body_size: 0,
            }),
            account: RefCell::new(account),
            wants: watches.wants(),
            watches: RefCell::new(watches),
            progress: Progress::new(started, interim),
            stage: Cell::new(Stage::Idle),
            hold: RefCell::new(None),
            resolver: RefCell::new(None),
            client_gone: Cell::new(false),
            permit: Cell::new(Some(permit)),
        })
    }

    pub fn account(&self) -> RefMut<'_, Account> {
        self.account.borrow_mut()
    }

    /// Moves into the body of the answer until its end, if an observer wants to know of it.
    pub fn attach(self: Rc<Self>, answer: Response<ClientBody>) -> Response<ClientBody> {
        if !self.account().is_observed() {
            return answer;
        }
        answer.map(|body| observed(body, self))
    }

    pub fn progress(&self) -> &Rc<Progress> {
        &self.progress
    }

    pub fn client_left(&self) {
        self.client_gone.set(true);
    }

    /// Notes a piece of the answer's body that passes.
    fn response_data(&self, data: &Bytes) {
        self.seen.borrow_mut().response_body_size += data.len() as u64;
        if self.wants.response_body {
            self.watches.borrow_mut().response_body(data);
        }
    }

    /// Makes all intents durable, in one wait. If that takes too long, they are given up; if one becomes durable after all, its removal follows
    /// it in the store's queue. If one is refused, the others are settled as not sent.
    async fn intend(&self) -> Result<(), Unkept> {
        let holds = self.watches.borrow_mut().intend();
        // From here on intents may be durable, even if this future is dropped before it knows.
        self.stage.set(Stage::Open);
        let Some(mut held) = Held::new(holds, self.store_timeout(), None) else { return Ok(()) };
        let kept = (&mut held).await;
        if kept.is_err() {
            self.watches.borrow_mut().forget(held.refused());
            if self.watches.borrow().is_empty() {
                self.stage.set(Stage::Idle);
            } else {
                self.settle(Fate::NotSent);
            }
        }
        kept
    }

    /// The upstream is asked now.
    fn asks(&self, now: Instant, service: &ServiceRef) {
        self.seen.borrow_mut().asked = now;
        self.account().asks(now, service);
    }

    /// Notes the upstream's answer: its own status, and the head that the client gets. Returns whether it makes an event.
    fn answered(&self, status: StatusCode, head: &Parts) -> bool {
        {
            let mut seen = self.seen.borrow_mut();
            seen.answered = Some(Instant::now());
            seen.status = Some(head.status.as_u16());
            seen.headers = head.headers.clone();
            seen.head_size = head_size(head.status, &head.headers, &head.extensions);
            // If the client got anything before, it was not the upstream's.
            seen.response_body_size = 0;
        }
        let status = status.as_u16();
        self.stage.set(Stage::Answered(status));
        self.watches.borrow().makes_an_event(Fate::Answered { status })
    }

    /// Whether the client is still there to receive an answer.
    fn audience(&self) -> Audience {
        if self.client_gone.get() { Audience::Nobody } else { Audience::Client }
    }

    fn is_settled(&self) -> bool {
        matches!(self.stage.get(), Stage::Idle | Stage::Settled)
    }

    /// Settles by the upstream's head, which has arrived. The hold is kept for [`Exchange::take_hold`].
    fn settle_answered(&self) {
        if let Stage::Answered(status) = self.stage.get() {
            self.settle(Fate::Answered { status });
        }
    }

    fn store_timeout(&self) -> Duration {
        self.watches.borrow().store_timeout()
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
            latencies: seen.latencies(self.account().context.started),
            now: self.core.clock.now(),
        };
        if let Some(outcome) = self.watches.borrow().outcome(fate) {
            self.account().makes_an_event(outcome);
        }
        let holds = self.watches.borrow_mut().settle(fate, &answer);
        *self.hold.borrow_mut() = Held::new(holds, self.store_timeout(), permit);
        failpoint::hit(failpoint::OUTCOME_QUEUED);
    }

    /// Settles when `resolve_after` is over, if it has not been settled before, however slow the answer or the client is.
    fn settle_later(self: &Rc<Self>) {
        let exchange = self.clone();
        let after = self.watches.borrow().resolve_after();
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

    /// Notes an answer that the gateway itself sends, if the client is still there.
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

/// For its recorders.
impl Follow for Exchange {
    fn passes(&self, data: &Bytes) {
        self.seen.borrow_mut().request_body_size += data.len() as u64;
        if let Some(count) = self.account().request_counter() {
            count.passes(data);
        }
        if self.wants.request_body {
            self.watches.borrow_mut().request_body(data);
        }
    }
}

/// The exchange may go on after the client has got the whole answer.
impl Keeper for Rc<Exchange> {
    fn note(&mut self, note: impl FnOnce(&mut Account)) {
        note(&mut self.account());
    }
}

impl Seen {
    fn latencies(&self, started: Instant) -> Latencies {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Latencies {
            kong: millis(self.asked - started),
            proxy: self.answered.map_or(-1, |answered| millis(answered - self.asked)),
            request: millis(started.elapsed()),
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
