//! The one thread that writes: group commits over any [`Backend`].
//!
//! Everybody hands changes to one ordered queue; the writer takes all that are there, applies them in one transaction and commits it
//! with one fsync. Intents go first in a batch (a client waits for each), then outcomes in their order, then the rest. Outcomes that nobody
//! waits for begin no commit of their own for a millisecond.
//!
//! * The outcome of a request is behind its intent in the queue, so a batch never sees it the other way round.
//! * Where room is short, history makes way ([`room`]); `Full` refuses intents only when that does not help, and whoever asks [`Writer::admits`] because it needs no intent. An outcome that `Full` refused is kept and
//!   tried again until there is space: its event is owed. Whoever held an answer for it is told at once.
//! * Whatever fails before the commit itself (another process holds the database's lock, say) is treated like `Full`; a change that
//!   cannot be made fails alone.
//! * The first commit that fails otherwise latches the writer: from then on every change is refused and nothing is acknowledged,
//!   because nobody knows what is on disk (an fsync that failed may report success the next time).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use event::timestamp::Clock;
use event::{Event, EventId, Intent, NewEvent, Position, Stamp};

use crate::backend::{Backend, Committed};
use crate::clock::{Keeping, StoreClock, Trace};
use crate::retention::{Housekept, Retention};
use crate::throttle::Throttle;
use crate::vital::Vitals;
use crate::{Feed, Result, StoreError, Tx, describe, failpoint};

mod bell;
mod change;
mod inbox;
mod joint;
mod lapses;
mod open_keys;
mod receipt;
mod room;
mod stall;
mod stats;
mod sync;
mod wall;

use bell::Rings;
use change::{Change, Claim, Closure, Growth, Noted, Request, Settlement, Transaction};
use inbox::{Found, Inbox, Outbox, Refused, inbox};
use lapses::Untold;
use open_keys::OpenKeys;
use receipt::receipt;
use room::{Gauge, Keeper};
use stall::UnderWay;

pub use bell::Bell;
pub use joint::IntentBatch;
pub use receipt::Receipt;
pub use room::Space;
pub use stall::STALLED_AFTER;
pub use stats::{Histogram, WriterStats, count};

/// The writer's thread.
const THREAD: &str = "store-writer";
/// Changes that may wait for the writer; one more is refused with `Overloaded`. Only the outcome of an intent always gets in: there are
/// no more of those than of intents, which this limits.
pub const MAX_QUEUED: usize = 32_768;
/// Changes in one commit.
const MAX_BATCH: usize = 1_024;
/// Rows of housekeeping in one commit: about a millisecond of it.
const HOUSEKEEPING_ROWS: usize = 64;
/// Between two rounds of housekeeping when the last one found nothing left to do.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(5);
/// Between two looks whether there is room, when nobody asks for any.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is written to see whether there is room again: a value that nobody reads.
const PROBE: &str = "room";
/// How long outcomes that nobody waits for wait for others to share their commit with. Deliveries wait with them.
const LINGER: Duration = Duration::from_millis(1);
/// Between two tries at outcomes that a full disk refused.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// The handle to the writer; clones share it.
#[derive(Clone)]
pub struct Writer {
    queue: Outbox<Change>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Changes in the queue.
    latched: AtomicBool,
    retention: Retention,
    gauge: Gauge,
    open_intents: AtomicU64,
    under_way: UnderWay,
    stats: WriterStats,
    clock: StoreClock,
}

/// What the writer is built from.
pub struct Config<B> {
    /// The store.
    pub backend: B,
    /// Where commits are told.
    pub feed: Feed,
    /// What the store's own clock is made of, and the times that are shown.
    pub clock: Arc<dyn Clock>,
    /// The limits.
    pub retention: Retention,
    /// Where the end of the writer's thread is noticed.
    pub vitals: Vitals,
}

impl Writer {
    /// Starts the writer's thread.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn spawn<B: Backend>(mut config: Config<B>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, changes) = inbox(MAX_QUEUED);
        let (clock, gap) = StoreClock::resume(config.backend.kept_clock(), config.clock.clone());
        wall::tell_gap(gap);
        config.retention.assumed = clock.assumed().clone();
        let shared = Arc::new(Shared {
            latched: AtomicBool::new(false),
            retention: config.retention.clone(),
            gauge: Gauge::default(),
            open_intents: AtomicU64::new(0),
            under_way: UnderWay::default(),
            stats: WriterStats::default(),
            clock,
        });
        let mut worker = Worker::new(config, changes, shared.clone());
        // The first one who asks is told how it is.
        let _ = worker.look_for_room();
        let vital = worker.config.vitals.of(THREAD);
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            worker.run();
            vital.ends_in_order();
        })?;
        Ok((Self { queue, shared }, thread))
    }

    /// Notes an intent; the receipt resolves when it is durable.
    pub fn intend(&self, intent: Intent) -> Receipt<()> {
        // Who waits behind a disk that hangs would only wait.
        if let Some(taken) = self.stalled_for() {
            return Receipt::refused(StoreError::Stalled(taken));
        }
        let (reply, receipt) = receipt();
        self.send(Change::Intend(Noted { intent, reply, request: Request::New }), receipt)
    }

    /// Settles an intent: appends its event, which has its id, if one came of it. The receipt resolves when that is durable, with the event's position. It
    /// may be dropped: the change is in the queue when this returns.
    pub fn settle(&self, intent: EventId, event: Option<NewEvent>) -> Receipt<Option<Position>> {
        self.settlement(Claim::Intent(intent), event)
    }

    /// Appends an event that had no intent and is owed like one that had: ask [`Writer::admits`] before what it tells of may happen.
    pub fn publish(&self, event: NewEvent) -> Receipt<Option<Position>> {
        self.settlement(Claim::Owed, Some(event))
    }

    /// Appends an event that nobody was promised, if there is room for it.
    pub fn offer(&self, event: NewEvent) -> Receipt<Option<Position>> {
        self.settlement(Claim::Nothing, Some(event))
    }

    /// Appends an event if there is room for it, for a sender that waits for the receipt: what is refused is not kept, and no later commit
    /// has it. `None` if its topic was deleted before: then it is not appended.
    pub fn append(&self, event: NewEvent) -> Receipt<Option<Position>> {
        self.settlement(Claim::Asked, Some(event))
    }

    /// [`Writer::settle`] for whom nobody waits: it goes with the next commit that somebody waits for, or by itself a millisecond later.
    pub fn settle_unawaited(&self, intent: EventId, event: Option<NewEvent>) {
        self.settlement_unawaited(Claim::Intent(intent), event);
    }

    /// [`Writer::offer`] for whom nobody waits, as [`Writer::settle_unawaited`].
    pub fn offer_unawaited(&self, event: NewEvent) {
        self.settlement_unawaited(Claim::Nothing, Some(event));
    }

    fn settlement(&self, claim: Claim, event: Option<NewEvent>) -> Receipt<Option<Position>> {
        let (reply, receipt) = receipt();
        self.send(Change::Settle(Settlement { claim, event, reply: Some(reply) }), receipt)
    }

    fn settlement_unawaited(&self, claim: Claim, event: Option<NewEvent>) {
        // Refused, it was counted.
        let _ = self.enqueue(Change::Settle(Settlement { claim, event, reply: None }));
    }

    /// Runs `change` in the next commit; the receipt resolves with its value when that is durable. It may run in a transaction with
    /// others and must not keep state between runs.
    pub fn transact<T, F>(&self, change: F) -> Receipt<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        self.transaction(change, Growth::None)
    }

    /// As [`Writer::transact`], if there is room for it: like [`Writer::append`], it adds to what is kept, and is refused where that is.
    pub fn transact_if_room<T, F>(&self, change: F) -> Receipt<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        self.transaction(change, Growth::Kept)
    }

    fn transaction<T, F>(&self, run: F, growth: Growth) -> Receipt<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        let (reply, receipt) = receipt();
        self.send(Change::Transact(Box::new(Closure { run, value: None, reply, growth })), receipt)
    }

    fn send<T>(&self, change: Change, receipt: Receipt<T>) -> Receipt<T> {
        match self.enqueue(change) {
            Ok(()) => receipt,
            Err(refused) => Receipt::refused(refused),
        }
    }

    /// Never blocks: it runs on the data path's threads.
    fn enqueue(&self, change: Change) -> Result<()> {
        let is_lost = matches!(&change, Change::Settle(settlement) if !settlement.is_asked());
        let urgency = change.urgency();
        self.queue.send(change, urgency).map_err(|refused| match refused {
            Refused::Full => {
                if is_lost {
                    self.shared.stats.dropped();
                }
                StoreError::Overloaded { limit: MAX_QUEUED }
            }
            Refused::Closed => StoreError::Closed,
        })
    }

    /// Whether a commit has failed for good: this process acknowledges nothing any more.
    pub fn is_latched(&self) -> bool {
        self.shared.latched.load(Ordering::Relaxed)
    }

    /// What an intent would be told, as far as known without one.
    ///
    /// # Errors
    /// If the store takes no new promises now.
    pub fn admits(&self) -> Result<()> {
        if self.is_latched() {
            return Err(StoreError::Latched("the log lines say more".into()));
        }
        if let Some(taken) = self.stalled_for() {
            return Err(StoreError::Stalled(taken));
        }
        if self.is_full() {
            return Err(self.shared.gauge.refuse());
        }
        match self.queue.refuses() {
            None => Ok(()),
            Some(Refused::Full) => Err(StoreError::Overloaded { limit: MAX_QUEUED }),
            Some(Refused::Closed) => Err(StoreError::Closed),
        }
    }

    /// How long the commit under way has taken, if that is longer than [`STALLED_AFTER`].
    pub fn stalled_for(&self) -> Option<Duration> {
        self.shared.under_way.longer_than(STALLED_AFTER)
    }

    /// Whether intents are refused for want of space, as of a second ago at most.
    pub fn is_full(&self) -> bool {
        self.shared.gauge.is_full()
    }

    /// How much room the store has.
    pub fn space(&self) -> Space {
        self.shared.gauge.space(&self.shared.retention)
    }

    /// Rows of history that went before their time to make room.
    pub fn cleared(&self) -> u64 {
        self.shared.gauge.cleared()
    }

    /// Intents of this process that are open.
    pub fn open_intents(&self) -> u64 {
        self.shared.open_intents.load(Ordering::Relaxed)
    }

    /// Counts of commits.
    pub fn stats(&self) -> &WriterStats {
        &self.shared.stats
    }

    /// The store's own clock.
    pub fn clock(&self) -> &StoreClock {
        &self.shared.clock
    }

    /// Lets the writer finish what is queued and close the store. Join its thread afterwards.
    pub fn stop(&self) {
        // A writer that is gone has stopped already.
        let _ = self.queue.send(Change::Stop, Change::Stop.urgency());
    }
}

struct Worker<B> {
    config: Config<B>,
    changes: Inbox<Change>,
    shared: Arc<Shared>,
    batch: Batch,
    /// Outcomes that a full disk refused, in order.
    owed: VecDeque<Settlement>,
    /// The last commit was put off: until one succeeds, each also writes [`PROBE`].
    short: bool,
    open: OpenKeys,
    keeper: Keeper,
    latched: Option<Arc<str>>,
    stopping: bool,
    housekeeping_due: Instant,
    untold: Untold,
    keeping: Keeping,
}

#[derive(Default)]
struct Batch {
    intents: Vec<Noted>,
    settlements: Vec<Settlement>,
    transactions: Vec<Box<dyn Transaction>>,
}

impl Batch {
    fn len(&self) -> usize {
        self.intents.len() + self.settlements.len() + self.transactions.len()
    }
}

/// What a commit does besides its changes.
#[derive(Clone, Copy, Default)]
struct Upkeep {
    housekeep: bool,
    make_room: bool,
}

impl Upkeep {
    fn is_due(self) -> bool {
        self.housekeep || self.make_room
    }
}

/// What applying a batch brought, before its commit.
#[derive(Default)]
struct Applied {
    /// Rows of history that make way.
    cleared: u64,
    /// One for each settlement.
    positions: Vec<Option<Position>>,
    events: Vec<Arc<Event>>,
    /// The moment.
    now: Stamp,
    trace: Trace,
    /// It writes the clock's record, too.
    keeps_clock: bool,
}

/// Why a batch was not committed.
enum Failed {
    /// The store takes nothing now, and is as it was before.
    NothingWritten(StoreError),
    /// The store could not make one of its changes, and is as it was before.
    OneChange(StoreError),
    /// The commit itself failed.
    WhoKnows(StoreError),
}

impl<B: Backend> Worker<B> {
    fn new(config: Config<B>, changes: Inbox<Change>, shared: Arc<Shared>) -> Self {
        Self {
            config,
            changes,
            shared,
            batch: Batch::default(),
            owed: VecDeque::new(),
            short: false,
            open: OpenKeys::default(),
            keeper: Keeper::new(Instant::now()),
            latched: None,
            stopping: false,
            housekeeping_due: Instant::now() + HOUSEKEEPING_EVERY,
            untold: Untold::default(),
            keeping: Keeping::default(),
        }
    }

    fn run(mut self) {
        while !self.stopping {
            self.gather();
            failpoint::hit(failpoint::WRITER_TURN);
            if let Some(jump) = self.shared.clock.look() {
                wall::tell_jump(jump);
                self.keeping.begin_anew();
            }
            if let Some(cause) = self.latched.clone() {
                self.refuse_all(&StoreError::Latched(cause));
                continue;
            }
            let upkeep = self.upkeep(Instant::now());
            if self.batch.len() > 0 || !self.owed.is_empty() || self.short || upkeep.is_due() {
                self.shared.under_way.begin();
                self.commit_batch(upkeep);
                self.config.backend.between_commits();
                self.shared.under_way.end();
            }
            // What was refused for want of space is told as soon as there is some, whoever made it.
            let _ = self.look_for_room();
        }
        self.untold.tell_all(|id| self.config.backend.whose(id));
        if self.latched.is_none()
            && let Err(error) = self.keep_clock_at_the_end()
        {
            self.config.backend.rollback();
            tracing::warn!(
                cause = describe(&error),
                "the store's clock was not kept at the end: the next start goes on from the last change"
            );
        }
        self.config.backend.close();
    }

    fn upkeep(&self, now: Instant) -> Upkeep {
        Upkeep { housekeep: now >= self.housekeeping_due, make_room: self.keeper.is_due(now) }
    }

    fn keep_clock_at_the_end(&mut self) -> Result<()> {
        let record = self.shared.clock.record();
        self.config.backend.begin(record.stamp)?;
        self.config.backend.tx().keep_clock(&record)?;
        self.config.backend.commit().map(drop)
    }

    /// Waits for a change and takes all that are there, up to a batch's limit.
    fn gather(&mut self) {
        let patience = if self.latched.is_some() {
            HOUSEKEEPING_EVERY
        } else if self.owed.is_empty() && !self.short {
            let now = Instant::now();
            let due = self.housekeeping_due.saturating_duration_since(now).min(LOOK_EVERY);
            self.keeper.patience(now).map_or(due, |patience| due.min(patience))
        } else {
            RETRY_EVERY
        };
        // A latched writer only refuses: at once.
        let linger = if self.latched.is_some() { Duration::ZERO } else { LINGER };
        let changes = match self.changes.take(MAX_BATCH, patience, linger) {
            Found::Some(changes) => changes,
            Found::Ended => {
                self.stopping = true;
                return;
            }
        };
        for change in changes {
            match change {
                Change::Intend(noted) => self.batch.intents.push(noted),
                Change::IntendTogether(all) => self.batch.intents.extend(all),
                Change::Settle(settlement) => self.batch.settlements.push(settlement),
                Change::Transact(transaction) => self.batch.transactions.push(transaction),
                Change::Stop => self.stopping = true,
            }
        }
    }

    fn commit_batch(&mut self, upkeep: Upkeep) {
        self.refuse_when_full();
        if let Some(cause) = self.latched.clone() {
            return self.refuse_all(&StoreError::Latched(cause));
        }
        for settlement in &mut self.batch.settlements {
            // Once, before the first try: what is open by the time of a retry did not overlap with it.
            if let (Some(id), Some(event)) = (settlement.intent(), settlement.event.as_mut())
                && let Some(exchange) = event.exchange_mut()
            {
                exchange.overlapped |= self.open.overlapped(id);
            }
        }
        let again = self.owed.len().min(MAX_BATCH);
        self.batch.settlements.splice(0..0, self.owed.drain(..again));
        self.commit_once(upkeep);
    }

    fn commit_once(&mut self, upkeep: Upkeep) {
        let began = Instant::now();
        match self.apply_and_commit(upkeep) {
            Ok((applied, committed)) => self.succeeded(applied, &committed, began.elapsed()),
            Err(Failed::OneChange(error)) if upkeep.is_due() || !self.batch.transactions.is_empty() => {
                self.commit_apart(&error, upkeep);
            }
            Err(Failed::OneChange(error) | Failed::NothingWritten(error)) => self.put_off(&error),
            Err(Failed::WhoKnows(error)) => self.latch(&error),
        }
    }

    /// Commits what requests brought without what others brought, and each of that by itself: a change that the store cannot make (it
    /// meets a damaged row, say) fails nobody but who asked for it.
    fn commit_apart(&mut self, error: &StoreError, upkeep: Upkeep) {
        self.config.backend.rollback();
        self.shared.stats.failed();
        if self.batch.len() == 1 && !upkeep.is_due() {
            return self.refuse_all(error);
        }
        static APART: Throttle = Throttle::new();
        if let Some(times) = APART.happened() {
            tracing::warn!(
                cause = describe(error),
                times,
                "a change could not be made: the batch is committed in parts"
            );
        }
        let now = Instant::now();
        self.housekeeping_due = now + HOUSEKEEPING_EVERY;
        self.keeper.searched(Housekept::default(), now);
        let transactions = std::mem::take(&mut self.batch.transactions);
        if self.batch.len() > 0 {
            self.commit_once(Upkeep::default());
        }
        for transaction in transactions {
            self.batch.transactions.push(transaction);
            match self.latched.clone() {
                Some(cause) => self.refuse_all(&StoreError::Latched(cause)),
                None => self.commit_once(Upkeep::default()),
            }
        }
    }

    fn refuse_when_full(&mut self) {
        let mut rings = Rings::default();
        if !self.batch.intents.is_empty()
            && let Err(error) = self.make_room_for_intents()
        {
            self.note_refused(self.batch.intents.len());
            for Noted { reply, .. } in self.batch.intents.drain(..) {
                reply.send(Err(error.clone()), &mut rings);
            }
        }
        self.drop_what_has_no_room();
    }

    /// What nobody was promised may wait for space like an outcome, but takes nothing of what is kept free for those.
    fn drop_what_has_no_room(&mut self) {
        let asks = |transaction: &dyn Transaction| transaction.growth() == Growth::Kept;
        if self.batch.settlements.iter().all(Settlement::is_owed)
            && !self.batch.transactions.iter().any(|one| asks(&**one))
        {
            return;
        }
        let room = self.config.backend.room();
        let Err(error) = room.and_then(|room| self.config.retention.admit(room)) else { return };
        let mut rings = Rings::default();
        for settlement in self.batch.settlements.extract_if(.., |settlement| !settlement.is_owed()) {
            if !settlement.is_asked() {
                self.shared.stats.dropped();
            }
            if let Some(reply) = settlement.reply {
                reply.send(Err(error.clone()), &mut rings);
            }
        }
        for transaction in self.batch.transactions.extract_if(.., |one| asks(&**one)) {
            transaction.finish(Err(error.clone()), &mut rings);
        }
    }

    fn apply_and_commit(&mut self, upkeep: Upkeep) -> Result<(Applied, Committed), Failed> {
        let now = self.shared.clock.now();
        self.config.backend.begin(now).map_err(Failed::NothingWritten)?;
        let applied = self.apply(upkeep, now).map_err(|error| match error {
            StoreError::Full(_) => Failed::NothingWritten(error),
            _ => Failed::OneChange(error),
        })?;
        failpoint::hit(failpoint::BEFORE_COMMIT);
        let committed = self.config.backend.commit().map_err(|error| match error {
            StoreError::Full(_) => Failed::NothingWritten(error),
            _ => Failed::WhoKnows(error),
        })?;
        failpoint::hit(failpoint::AFTER_COMMIT);
        Ok((applied, committed))
    }

    fn apply(&mut self, upkeep: Upkeep, now: Stamp) -> Result<Applied> {
        let tx = self.config.backend.tx();
        for Noted { intent, .. } in &self.batch.intents {
            tx.insert_intent(intent)?;
        }
        let mut applied = Applied { now, ..Applied::default() };
        for settlement in &self.batch.settlements {
            applied.positions.push(settle(tx, settlement, now, &mut applied.events)?);
        }
        for transaction in &mut self.batch.transactions {
            transaction.apply(tx)?;
        }
        if self.short {
            tx.put_value(PROBE, b"")?;
        }
        let (retention, wall) = (&self.config.retention, self.config.clock.now());
        if upkeep.make_room {
            let done = tx.make_room(retention, wall, Keeper::rows(self.batch.len()))?;
            applied.cleared = done.rows;
            self.keeper.searched(done, Instant::now());
        }
        if upkeep.housekeep {
            let done = tx.housekeep(retention, wall, HOUSEKEEPING_ROWS)?;
            if !done.more {
                self.housekeeping_due = Instant::now() + HOUSEKEEPING_EVERY;
            }
        }
        applied.trace = tx.trace();
        applied.keeps_clock = self.keeping.is_due(applied.trace, now);
        if applied.keeps_clock {
            tx.keep_clock(&self.shared.clock.record())?;
        }
        Ok(applied)
    }

    fn succeeded(&mut self, applied: Applied, committed: &Committed, took: Duration) {
        self.short = false;
        if applied.keeps_clock {
            self.keeping.wrote(applied.now);
        } else {
            self.keeping.passed(applied.trace, applied.now);
        }
        // The counts before the answers: whoever has an answer finds itself counted.
        self.open.turn_over(&self.batch);
        self.shared.open_intents.store(self.open.len() as u64, Ordering::Relaxed);
        self.shared.stats.committed(self.batch.len(), took);
        self.note_cleared(applied.cleared);
        let mut rings = Rings::default();
        for Noted { reply, .. } in self.batch.intents.drain(..) {
            reply.send(Ok(()), &mut rings);
        }
        for (settlement, position) in self.batch.settlements.drain(..).zip(applied.positions) {
            if let Some(reply) = settlement.reply {
                reply.send(Ok(position), &mut rings);
            }
        }
        drop(rings);
        for event in &applied.events {
            self.shared.stats.published(&event.body.content);
        }
        self.shared.stats.sent(committed.sends);
        // The feed takes events in the order of positions, and knows all of them: what a transaction appended came behind it.
        let through_feed = applied.events.last().map(|event| event.position);
        self.config.feed.push(applied.events, &committed.queues);
        if committed.topics.iter().any(|(_, position)| Some(*position) > through_feed) {
            self.config.feed.skip_to(&committed.topics, &committed.queues);
        }
        self.housekept(committed);
        let mut rings = Rings::default();
        for transaction in self.batch.transactions.drain(..) {
            transaction.finish(Ok(()), &mut rings);
        }
    }

    /// Tells what housekeeping took from whom, once its round is over, and what receives gave up.
    fn housekept(&mut self, committed: &Committed) {
        self.untold.note(committed);
        self.shared.stats.lapsed(&committed.lapsed);
        self.shared.stats.expired(&committed.expired);
        self.shared.stats.dead_lettered(&committed.dead_lettered);
        self.shared.stats.set_aside(&committed.set_aside);
        if committed.of_deleted_topics > 0 {
            let count = committed.of_deleted_topics;
            self.shared.stats.of_deleted_topics.fetch_add(count, Ordering::Relaxed);
            tracing::info!(count, "open intents of the last run became no events: their topic was deleted");
        }
        let now = Instant::now();
        if self.housekeeping_due > now {
            self.untold.tell_due(now, |id| self.config.backend.whose(id));
        }
        if committed.given_up > 0 {
            self.config.feed.gave_up();
        }
    }

    /// Nothing of the batch was kept, and the store is as it was: no space, a lock that somebody else holds, a page that cannot be
    /// read. Outcomes are owed and tried again; everybody else is told.
    fn put_off(&mut self, error: &StoreError) {
        self.config.backend.rollback();
        self.shared.stats.failed();
        self.short = true;
        self.note_put_off(error);
        self.note_refused(self.batch.intents.len());
        let later = std::mem::take(&mut self.owed);
        let mut rings = Rings::default();
        for mut settlement in self.batch.settlements.drain(..) {
            if let Some(reply) = settlement.reply.take() {
                reply.send(Err(error.clone()), &mut rings);
            }
            // Open exchanges are limited in number, and so is what is owed; what is not has this limit.
            let has_place = settlement.is_owed() || self.owed.len() + later.len() < MAX_QUEUED;
            if has_place && !settlement.is_asked() {
                self.owed.push_back(settlement);
            }
        }
        self.owed.extend(later);
        // What it deletes may make room, but it may find none for itself.
        self.housekeeping_due = Instant::now() + RETRY_EVERY;
        self.refuse_all(error);
    }

    /// A commit failed, and nobody knows what of it is on disk.
    fn latch(&mut self, error: &StoreError) {
        self.config.backend.rollback();
        self.shared.stats.failed();
        let cause: Arc<str> = describe(error).into();
        tracing::error!(
            cause = &*cause,
            "a commit failed: no change is taken until the process is restarted"
        );
        self.shared.latched.store(true, Ordering::Relaxed);
        self.latched = Some(cause.clone());
        self.refuse_all(&StoreError::Latched(cause));
    }

    fn refuse_all(&mut self, error: &StoreError) {
        let mut rings = Rings::default();
        for Noted { reply, .. } in self.batch.intents.drain(..) {
            reply.send(Err(error.clone()), &mut rings);
        }
        for settlement in self.batch.settlements.drain(..) {
            if let Some(reply) = settlement.reply {
                reply.send(Err(error.clone()), &mut rings);
            }
        }
        for transaction in self.batch.transactions.drain(..) {
            transaction.finish(Err(error.clone()), &mut rings);
        }
    }
}

fn settle(
    tx: &mut dyn Tx,
    settlement: &Settlement,
    now: Stamp,
    events: &mut Vec<Arc<Event>>,
) -> Result<Option<Position>> {
    let Some(body) = &settlement.event else {
        if let Some(id) = settlement.intent() {
            tx.remove_intent(id)?;
        }
        return Ok(None);
    };
    if settlement.is_asked() && !tx.has_topic(body.topic)? {
        return Ok(None);
    }
    // It settles the intent, which has its id.
    let position = tx.append(body)?;
    // An id that is in the log already has an old position: that event is nothing new to the feed.
    if events.last().is_none_or(|last| last.position < position) {
        events.push(Arc::new(Event { position, stamp: now, body: body.clone() }));
    }
    Ok(Some(position))
}

#[cfg(test)]
mod tests;
