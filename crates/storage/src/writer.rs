//! The one thread that writes: group commits over any [`Backend`].
//!
//! All threads put their changes into one ordered queue. The writer takes all that are in it, applies them in one transaction, and commits that
//! with one fsync. A batch applies intents first (a client waits for each), then outcomes in their order, then all other changes. Outcomes that
//! nobody waits for begin no commit of their own for a millisecond.
//!
//! * The outcome of a request comes after its intent in the queue, so no batch applies them the other way round.
//! * Where room is short, history is deleted early ([`room`]). Only if that does not help, intents are refused with `Full`, and so are callers of
//!   [`Writer::admits`] and changes that nobody was promised. An outcome that could not be committed for want of space is kept, and tried again
//!   until there is space, because its event is owed. A caller that waits for it gets the error at once.
//! * Any failure before the commit itself (for example because another process holds the database's lock) is treated like `Full`. If one change of
//!   a batch cannot be made, only that change fails.
//! * The first commit that fails in another way latches the writer: from then on every change is refused and nothing is acknowledged, because
//!   nobody knows what is on disk (after an fsync that failed, the next one may report success).

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
mod dropped;
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
pub use dropped::{DropReason, DroppedEvents};
pub use joint::IntentBatch;
pub use receipt::Receipt;
pub use room::Space;
pub use stall::STALLED_AFTER;
pub use stats::{Histogram, WriterStats, count};

/// The name of the writer's thread.
const THREAD: &str = "store-writer";
/// The most changes that may wait for the writer. A further one is refused with `Overloaded`, unless it is an outcome that is owed
/// ([`Writer::settle`], [`Writer::publish`]): its request was forwarded on that promise. There are no more of these than open requests, because
/// intents are refused meanwhile.
pub const MAX_QUEUED: usize = 32_768;
/// The most items of the queue that one commit takes. Outcomes that are tried again come on top of these.
const MAX_BATCH: usize = 1_024;
/// The most rows that housekeeping deletes or changes in one commit. They take about a millisecond.
const HOUSEKEEPING_ROWS: usize = 64;
/// The time between two rounds of housekeeping, after one that left nothing to do.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(5);
/// The time between two measurements of the store's room while there are no changes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The name of a small value that nobody reads. It is written to find out whether there is room again.
const PROBE: &str = "room";
/// How long outcomes that nobody waits for are gathered before they are committed. Their deliveries begin later by as much.
const LINGER: Duration = Duration::from_millis(1);
/// The time between two tries at outcomes that could not be committed for want of space.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// The handle to the writer. All clones belong to the same writer.
#[derive(Clone)]
pub struct Writer {
    queue: Outbox<Change>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Whether a commit has failed for good.
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
    /// Gets the events of every commit, and wakes the tasks that wait for them.
    pub feed: Feed,
    /// The wall clock and the machine's uptime, from which the store's own clock is made.
    pub clock: Arc<dyn Clock>,
    /// The limits of the store, and how long it keeps what.
    pub retention: Retention,
    /// Reports an unexpected end of the writer's thread.
    pub vitals: Vitals,
}

impl Writer {
    /// Starts the writer's thread. Returns the handle to the writer, and the thread to join after [`Writer::stop`].
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
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
        // So that the first question about room has an answer.
        let _ = worker.look_for_room();
        let vital = worker.config.vitals.of(THREAD);
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            worker.run();
            vital.ends_in_order();
        })?;
        Ok((Self { queue, shared }, thread))
    }

    /// Notes an intent. The receipt resolves when it is durable.
    pub fn intend(&self, intent: Intent) -> Receipt<()> {
        // Queuing behind a disk that hangs is pointless, so refuse at once.
        if let Some(taken) = self.stalled_for() {
            return Receipt::refused(StoreError::Stalled(taken));
        }
        let (reply, receipt) = receipt();
        self.send(Change::Intend(Noted { intent, reply, request: Request::New }), receipt)
    }

    /// Settles an intent: appends `event`, which has the intent's id, or ends the intent without an event. The receipt resolves when that is durable,
    /// with the event's position, if there is one. It may be dropped: the change is in the queue when this returns.
    pub fn settle(&self, intent: EventId, event: Option<NewEvent>) -> Receipt<Option<Position>> {
        self.settlement(Claim::Intent(intent), event)
    }

    /// Appends an event that had no intent but is owed like one that had. The caller must have asked [`Writer::admits`] before the request of this
    /// event was forwarded. The receipt resolves when the event is durable, with its position.
    pub fn publish(&self, event: NewEvent) -> Receipt<Option<Position>> {
        self.settlement(Claim::Owed, Some(event))
    }

    /// Appends an event that nobody was promised, if there is room for it; otherwise it is counted as dropped. The receipt resolves when the event is
    /// durable, with its position.
    pub fn offer(&self, event: NewEvent) -> Receipt<Option<Position>> {
        self.settlement(Claim::Nothing, Some(event))
    }

    /// Appends an event if there is room for it, for a sender that waits for the receipt and may send it again. An event that is refused is not kept:
    /// no later commit has it. The receipt resolves with its position, or with `None` if its topic was deleted before and it was not appended.
    pub fn append(&self, event: NewEvent) -> Receipt<Option<Position>> {
        self.settlement(Claim::Asked, Some(event))
    }

    /// Like [`Writer::settle`], but nobody waits for it: it becomes durable with the next commit that somebody waits for, or in a commit a
    /// millisecond later.
    pub fn settle_unawaited(&self, intent: EventId, event: Option<NewEvent>) {
        self.settlement_unawaited(Claim::Intent(intent), event);
    }

    /// Like [`Writer::offer`], but nobody waits for it; see [`Writer::settle_unawaited`].
    pub fn offer_unawaited(&self, event: NewEvent) {
        self.settlement_unawaited(Claim::Nothing, Some(event));
    }

    fn settlement(&self, claim: Claim, event: Option<NewEvent>) -> Receipt<Option<Position>> {
        let (reply, receipt) = receipt();
        self.send(Change::Settle(Settlement { claim, event, reply: Some(reply) }), receipt)
    }

    fn settlement_unawaited(&self, claim: Claim, event: Option<NewEvent>) {
        // If it was refused, `enqueue` has counted it.
        let _ = self.enqueue(Change::Settle(Settlement { claim, event, reply: None }));
    }

    /// Runs `change` in the next commit. The receipt resolves with its value when that is durable. The transaction may have other changes, too.
    /// `change` may run more than once, and must not keep state between runs. If it returns an error, nothing of it is kept.
    pub fn transact<T, F>(&self, change: F) -> Receipt<T>
    where
        T: Send + 'static,
        F: FnMut(&mut dyn Tx) -> Result<T> + Send + 'static,
    {
        self.transaction(change, Growth::None)
    }

    /// Like [`Writer::transact`], for a change that adds to what the store keeps: it is refused with `Full` if there is no room.
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

    /// Puts a change into the queue, or refuses it at once: it never blocks, because it runs on the data path's threads.
    fn enqueue(&self, change: Change) -> Result<()> {
        let loses_event = matches!(&change, Change::Settle(settlement) if settlement.loses_its_event());
        let urgency = change.urgency();
        self.queue.send(change, urgency).map_err(|refused| {
            let (reason, error) = match refused {
                Refused::Full => (DropReason::QueueFull, StoreError::Overloaded { limit: MAX_QUEUED }),
                Refused::Closed => (DropReason::Stopped, StoreError::Closed),
            };
            if loses_event {
                self.shared.stats.dropped.note(reason, &error);
            }
            error
        })
    }

    /// Whether a commit has failed for good, so that this process acknowledges nothing any more.
    pub fn is_latched(&self) -> bool {
        self.shared.latched.load(Ordering::Relaxed)
    }

    /// Says whether an intent would be accepted now, as far as that is known without one. A refusal for want of space is counted like that of an
    /// intent.
    ///
    /// # Errors
    /// `Latched`, `Stalled`, `Full`, `Overloaded` or `Closed`, as an intent would get it.
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

    /// How long the commit under way has taken so far, if that is longer than [`STALLED_AFTER`].
    pub fn stalled_for(&self) -> Option<Duration> {
        self.shared.under_way.longer_than(STALLED_AFTER)
    }

    /// Whether intents are refused for want of space. The answer may be a second old.
    pub fn is_full(&self) -> bool {
        self.shared.gauge.is_full()
    }

    /// How much room the store has. The numbers may be a second old.
    pub fn space(&self) -> Space {
        self.shared.gauge.space(&self.shared.retention)
    }

    /// How many rows of history were deleted before their time to make room, since this process started.
    pub fn cleared(&self) -> u64 {
        self.shared.gauge.cleared()
    }

    /// How many intents of this process are open.
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

    /// Has the writer commit what is queued and close the store. Join its thread afterwards.
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
    /// Outcomes that could not be committed for want of space, in their order.
    owed: VecDeque<Settlement>,
    /// Whether the last commit was put off. Until one succeeds, each also writes [`PROBE`].
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

/// The upkeep that a commit does besides its changes.
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

/// The result of applying a batch, before its commit.
#[derive(Default)]
struct Applied {
    /// How many rows of history it deletes to make room.
    cleared: u64,
    /// One for each settlement.
    positions: Vec<Option<Position>>,
    events: Vec<Arc<Event>>,
    /// The moment of the transaction.
    now: Stamp,
    trace: Trace,
    /// Whether the commit also writes the clock's record.
    keeps_clock: bool,
}

/// Why a batch was not committed.
enum Failed {
    /// The store accepts nothing now. It is as it was before.
    NothingWritten(StoreError),
    /// One of the changes could not be made. The store is as it was before.
    OneChange(StoreError),
    /// The commit itself failed: nobody knows what is on disk.
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
            // Notices at once that there is room again, whether a commit or something outside of this process made it.
            let _ = self.look_for_room();
        }
        while self.latched.is_none() && !self.short && !self.owed.is_empty() {
            self.commit_batch(Upkeep::default());
        }
        self.drop_owed(DropReason::Stopped, &StoreError::Closed);
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

    /// Waits for a change, and takes all that are queued, up to [`MAX_BATCH`].
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
        // A latched writer refuses everything, and does so at once.
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
            // Only before the first try: an intent that was noted since did not overlap with this one.
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

    /// Commits the intents and outcomes of the batch without its transactions, and then each transaction by itself. So if the store cannot make one
    /// change, for example because of a damaged row, only the caller of that change gets the error.
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

    /// Refuses changes that nobody was promised if there is no room: they must not use the space that is kept free for outcomes that are owed.
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
            self.shared.stats.dropped.note_refused(&settlement, DropReason::NoRoom, &error);
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
        // The counts come before the answers, so that a caller that has its answer finds itself counted.
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
        // The feed needs events in the order of their positions, and all of them. It does not get those that transactions appended after these.
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

    /// Counts what housekeeping took, and what receives gave up. Writes the log lines about it when the round of housekeeping is over.
    fn housekept(&mut self, committed: &Committed) {
        self.untold.note(committed);
        committed.ended.iter().for_each(lapses::tell_ended);
        self.shared.stats.owed_dropped(committed);
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

    /// Nothing of the batch was kept, and the store is as it was: there is no space, another process holds the lock, or a page cannot be read.
    /// Outcomes are kept and tried again, because they are owed. All callers get the error.
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
            // The number of owed outcomes is bounded by that of open exchanges. Outcomes that nobody was promised have this limit.
            let has_place = settlement.is_owed() || self.owed.len() + later.len() < MAX_QUEUED;
            if has_place && !settlement.is_asked() {
                self.owed.push_back(settlement);
            } else {
                self.shared.stats.dropped.note_refused(&settlement, DropReason::QueueFull, error);
            }
        }
        self.owed.extend(later);
        // Housekeeping may make room, but it needs some itself, so it must not be part of every try.
        self.housekeeping_due = Instant::now() + RETRY_EVERY;
        self.refuse_all(error);
    }

    /// A commit failed, and nobody knows what is on disk: from now on everything is refused.
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
        let refused = StoreError::Latched(cause);
        self.drop_owed(DropReason::Latched, &refused);
        self.refuse_all(&refused);
    }

    /// Gives all callers of the batch the error. It has settlements only if the writer is latched.
    fn refuse_all(&mut self, error: &StoreError) {
        let mut rings = Rings::default();
        for Noted { reply, .. } in self.batch.intents.drain(..) {
            reply.send(Err(error.clone()), &mut rings);
        }
        for settlement in self.batch.settlements.drain(..) {
            self.shared.stats.dropped.note_refused(&settlement, DropReason::Latched, error);
            if let Some(reply) = settlement.reply {
                reply.send(Err(error.clone()), &mut rings);
            }
        }
        for transaction in self.batch.transactions.drain(..) {
            transaction.finish(Err(error.clone()), &mut rings);
        }
    }

    /// No commit will take the outcomes that were put off any more.
    fn drop_owed(&mut self, reason: DropReason, error: &StoreError) {
        for settlement in self.owed.drain(..) {
            self.shared.stats.dropped.note_refused(&settlement, reason, error);
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
    // This settles the intent, which has the same id.
    let position = tx.append(body)?;
    // If the id is in the log already, the position is an old one, and the feed has had the event.
    if events.last().is_none_or(|last| last.position < position) {
        events.push(Arc::new(Event { position, stamp: now, body: body.clone() }));
    }
    Ok(Some(position))
}

#[cfg(test)]
mod tests;
