//! The state of one core's runtime. The only things that it shares with other cores are atomics and what never changes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dialing::Names;
use event::timestamp::Clock;
use event::{EventId, Timestamp};
use http::HeaderValue;
use tokio::sync::watch;

use crate::access_log::{AccessLog, Lines};
use crate::balance::Counts;
use crate::budget::Budget;
use crate::front::Front;
use crate::hops;
use crate::limits::Limits;
use crate::permit::ExchangePermit;
use crate::snapshot::{Follower, Served};
use crate::stats::CoreStats;
use crate::upstream::pool::Pool;

/// How often a draining core checks whether exchanges are still open.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

pub(crate) struct Core {
    /// The generation with which requests begin.
    snapshot: RefCell<Rc<Served>>,
    pub clock: Arc<dyn Clock>,
    pub stats: Arc<CoreStats>,
    /// The lines of the access log, if there is one.
    pub access_log: Option<Rc<Lines>>,
    pub pool: Rc<Pool>,
    /// Whose turn it is among the targets of an upstream.
    pub turns: Counts,
    pub limits: Limits,
    pub front: Front,
    /// The header value for a request that has passed through this node and no other.
    pub first_pass: Option<HeaderValue>,
    /// Whether the drain deadline has passed: exchanges that are dropped from then on were cut off by it.
    pub closing: Cell<bool>,
    /// The budget for bodies that are not complete yet.
    pub read_ahead: Arc<Budget>,
    drain: watch::Receiver<bool>,
    exchanges: Arc<AtomicUsize>,
    random: RefCell<fastrand::Rng>,
}

/// What the cores of a gateway share.
#[derive(Clone)]
pub(crate) struct Shared {
    /// How many exchanges are open.
    pub exchanges: Arc<AtomicUsize>,
    /// The budget for bodies that are not complete yet.
    pub read_ahead: Arc<Budget>,
    /// Whether the drain has begun.
    pub drain: watch::Receiver<bool>,
    /// Where lines of the access log are handed over, if they are wanted.
    pub access_log: Option<AccessLog>,
}

impl Core {
    pub fn new(
        snapshot: Rc<Served>,
        clock: Arc<dyn Clock>,
        stats: Arc<CoreStats>,
        shared: Shared,
        limits: Limits,
        names: Names,
        front: Front,
    ) -> Rc<Self> {
        Rc::new(Self {
            snapshot: RefCell::new(snapshot),
            clock,
            pool: Pool::new(stats.clone(), names, front.name_case),
            turns: Counts::default(),
            access_log: shared.access_log.map(Lines::new),
            stats,
            limits,
            first_pass: hops::next(&front.node, None).ok(),
            front,
            closing: Cell::new(false),
            read_ahead: shared.read_ahead,
            drain: shared.drain,
            exchanges: shared.exchanges,
            random: RefCell::new(fastrand::Rng::new()),
        })
    }

    /// The generation for a request that begins now.
    pub fn snapshot(&self) -> Rc<Served> {
        self.snapshot.borrow().clone()
    }

    /// Takes over each generation that is published, for as long as the core lives.
    pub async fn follow(self: Rc<Self>, mut follower: Follower) {
        loop {
            let next = follower.next().await;
            let generation = next.generation();
            self.turns.keep(|upstream| next.has_upstream(upstream));
            // Requests that have begun may hold the old one.
            drop(self.snapshot.replace(next));
            follower.holds(generation);
        }
    }

    pub fn new_id(&self, now: Timestamp) -> EventId {
        let mut bytes = [0; 10];
        self.random.borrow_mut().fill(&mut bytes);
        EventId::v7(now, bytes)
    }

    /// Resolves when the drain has begun.
    pub async fn draining(&self) {
        // An error means that the sender is gone: stop all the same.
        let _ = self.drain.clone().wait_for(|begun| *begun).await;
    }

    /// Resolves `time` after the drain began, or after now if it has begun already.
    pub async fn drained_for(&self, time: Duration) {
        self.draining().await;
        tokio::time::sleep(time).await;
    }

    /// Resolves when no exchange of any core is open any more.
    pub async fn exchanges_ended(&self) {
        while self.exchanges.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The drain's deadline has come while so many requests are under way on this core. Exchanges go on without their clients, so they count by
    /// themselves.
    pub fn cut_off(&self, requests: usize) {
        self.stats.cut.store(requests as u64, Ordering::Relaxed);
        self.stats.left_open.store(self.exchanges.load(Ordering::Relaxed) as u64, Ordering::Relaxed);
    }

    /// A place among the open exchanges; `None` at the limit.
    pub fn open_exchange(&self) -> Option<ExchangePermit> {
        ExchangePermit::take(&self.exchanges, self.limits.exchanges)
    }
}
