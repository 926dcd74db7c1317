//! Tests of the writer over the in-memory store.

use std::time::{Duration, Instant};

use event::{Timestamp, TopicId};

use std::future::Future as _;

use super::*;
use crate::backend::{Opened, Reader};
use crate::entities::{Desired, DesiredSubscription, Protocol};
use crate::feed::Recent;
use crate::memory::{
    BlockedCommits, CommitFault, Memory, SAMPLE_TIME, sample_event, sample_id, sample_intent, sample_message,
};
use crate::vital;

mod clock;
mod dropped;
mod inbox;
mod joint;
mod room;
mod upkeep;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
const TOPIC: TopicId = TopicId(1);

/// The wall clock and the uptime, in microseconds.
struct At {
    wall: AtomicU64,
    uptime: AtomicU64,
    /// How often the wall clock was read. The writer reads it once each time that it wakes.
    reads: AtomicU64,
}

impl At {
    fn new(now: Timestamp) -> Arc<Self> {
        Arc::new(Self { wall: now.as_micros().into(), uptime: 1.into(), reads: 0.into() })
    }

    /// Time passes.
    fn pass(&self, by: Duration) {
        self.uptime.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
        self.wall.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }

    /// Somebody sets the wall clock.
    fn set(&self, wall: Timestamp) {
        self.wall.store(wall.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for At {
    fn now(&self) -> Timestamp {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.uptime.load(Ordering::SeqCst))
    }
}

/// A writer over a store of its own; stopped and joined when dropped.
struct World {
    store: Memory,
    clock: Arc<At>,
    writer: Writer,
    feed: Feed,
    reader: Arc<dyn Reader>,
    thread: Option<JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        Self::at(SAMPLE_TIME)
    }

    fn at(now: Timestamp) -> Self {
        Self::with(now, Retention::default())
    }

    fn with(now: Timestamp, retention: Retention) -> Self {
        Self::over(Memory::default(), now, retention)
    }

    fn over(store: Memory, now: Timestamp, retention: Retention) -> Self {
        let Opened { backend, reader, .. } = store.open();
        let feed = Feed::default();
        feed.start_after(reader.head().unwrap());
        let clock = At::new(now);
        let vitals = vital::vitals().0;
        let config = Config { backend, feed: feed.clone(), clock: clock.clone(), retention, vitals };
        let (writer, thread) = Writer::spawn(config).unwrap();
        Self { store, clock, writer, feed, reader, thread: Some(thread) }
    }

    /// Commits wait, and one does: what is handed in now shares the next batch.
    fn block(&self) -> BlockedCommits {
        let blocked = self.store.block_commits();
        drop(self.writer.transact(|_| Ok(())));
        assert!(blocked.wait_for_commit(PATIENCE));
        blocked
    }

    fn intend(&self, n: u8, key: &str) {
        let intent = Intent { key: key.into(), ..sample_intent(n) };
        self.writer.intend(intent).wait().unwrap();
    }

    fn settle(&self, n: u8, key: &str) -> Receipt<Option<Position>> {
        let event = NewEvent { key: key.into(), ..sample_event(n) };
        self.writer.settle(sample_id(n), Some(event))
    }

    fn overlapped(&self, n: u8) -> bool {
        self.reader.event(sample_id(n)).unwrap().unwrap().body.exchange().unwrap().overlapped
    }

    fn commits(&self) -> u64 {
        self.writer.stats().commits.load(Ordering::Relaxed)
    }

    fn failures(&self) -> u64 {
        self.writer.stats().failures.load(Ordering::Relaxed)
    }

    fn in_log(&self) -> Vec<EventId> {
        let events = self.reader.events_before(None, 10_000, usize::MAX).unwrap().events;
        events.iter().rev().map(|event| event.body.id).collect()
    }

    fn in_feed(&self, after: i64) -> Option<Vec<i64>> {
        match self.feed.recent(TOPIC, Position(after), 10_000) {
            Recent::Events(events) => Some(events.iter().map(|event| event.position.0).collect()),
            Recent::Behind => None,
        }
    }

    fn stop(&mut self) {
        self.writer.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How many events were dropped, for each reason.
fn dropped(world: &World) -> [u64; 4] {
    DropReason::ALL.map(|reason| world.writer.stats().dropped.of(reason))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn changes_that_wait_together_share_one_commit() {
    let world = World::new();
    let blocked = world.block();
    let receipts: Vec<_> = (1..=100).map(|n| world.writer.publish(sample_event(n))).collect();
    drop(blocked);
    let positions: Vec<i64> =
        receipts.into_iter().map(|receipt| receipt.wait().unwrap().unwrap().0).collect();
    assert_eq!(positions, (1..=100).collect::<Vec<_>>());
    assert_eq!(world.commits(), 2);
    assert_eq!(world.writer.stats().batch.sum(), 101);
}

#[test]
fn a_batch_has_at_most_its_limit() {
    let world = World::new();
    let blocked = world.block();
    let receipts: Vec<_> = (0..MAX_BATCH + 1).map(|_| world.writer.transact(|_| Ok(()))).collect();
    drop(blocked);
    receipts.into_iter().for_each(|receipt| receipt.wait().unwrap());
    assert_eq!(world.commits(), 3);
}

#[test]
fn intents_go_first_then_outcomes_in_their_order_then_the_rest() {
    let world = World::new();
    let blocked = world.block();
    let seen =
        world.writer.transact(|tx| Ok((tx.append(&sample_event(9))?, tx.remove_intent(sample_id(3))?)));
    let outcomes = [2, 1].map(|n| world.writer.publish(sample_event(n)));
    let intent = world.writer.intend(sample_intent(3));
    drop(blocked);
    intent.wait().unwrap();
    let (position, removed) = seen.wait().unwrap();
    assert!(removed, "the intent was noted before");
    assert_eq!(outcomes.map(|receipt| receipt.wait().unwrap().unwrap().0), [1, 2]);
    assert_eq!(position, Position(3));
    assert_eq!(world.in_log(), [2, 1, 9].map(sample_id));
}

#[test]
fn nothing_is_acknowledged_before_its_commit() {
    let world = World::new();
    let blocked = world.block();
    let receipts = [world.writer.publish(sample_event(1)), world.settle(2, "k")];
    let waiting = std::thread::spawn(move || receipts.map(|receipt| receipt.wait().is_ok()));
    assert!(!waiting.is_finished());
    assert_eq!(world.in_log(), []);
    assert_eq!(world.in_feed(0), Some(vec![]));
    drop(blocked);
    assert_eq!(waiting.join().unwrap(), [true, true]);
}

#[test]
fn an_intent_is_open_until_its_outcome() {
    let world = World::new();
    world.intend(1, "k");
    world.intend(2, "k");
    assert_eq!(world.writer.open_intents(), 2);
    assert_eq!(world.writer.settle(sample_id(1), None).wait().unwrap(), None, "no event came of it");
    world.settle(2, "k").wait().unwrap();
    assert_eq!(world.writer.open_intents(), 0);
    assert_eq!(world.reader.stats().unwrap().open_intents, 0);
    assert_eq!(world.in_log(), [sample_id(2)]);
}

#[test]
fn requests_that_were_open_together_overlap() {
    let world = World::new();
    for (n, key) in [(1, "a"), (2, "a"), (3, "b")] {
        world.intend(n, key);
    }
    world.settle(1, "a").wait().unwrap();
    world.intend(4, "a");
    for (n, key) in [(2, "a"), (3, "b"), (4, "a")] {
        world.settle(n, key).wait().unwrap();
    }
    world.intend(5, "a");
    world.settle(5, "a").wait().unwrap();
    let flags = [1, 2, 3, 4, 5].map(|n| world.overlapped(n));
    assert_eq!(flags, [true, true, false, true, false]);
}

#[test]
fn a_key_belongs_to_its_topic() {
    let world = World::new();
    world.intend(1, "k");
    world.writer.intend(Intent { topic: TopicId(2), key: "k".into(), ..sample_intent(2) }).wait().unwrap();
    world.settle(1, "k").wait().unwrap();
    assert!(!world.overlapped(1));
}

#[test]
fn one_that_begins_in_the_batch_in_which_another_ends_does_not_overlap() {
    let world = World::new();
    world.intend(1, "k");
    let blocked = world.block();
    let first = world.settle(1, "k");
    let second = world.writer.intend(Intent { key: "k".into(), ..sample_intent(2) });
    drop(blocked);
    first.wait().unwrap();
    second.wait().unwrap();
    world.settle(2, "k").wait().unwrap();
    assert_eq!([1, 2].map(|n| world.overlapped(n)), [false, false]);
}

#[test]
fn an_intent_that_is_given_up_in_its_own_batch_leaves_nothing_open() {
    let world = World::new();
    let blocked = world.block();
    let intent = world.writer.intend(sample_intent(1));
    let outcome = world.writer.settle(sample_id(1), None);
    drop(blocked);
    intent.wait().unwrap();
    outcome.wait().unwrap();
    assert_eq!(world.writer.open_intents(), 0);
    assert_eq!(world.reader.stats().unwrap().open_intents, 0);
}

#[test]
fn a_full_store_refuses_intents_and_keeps_outcomes() {
    let world = World::new();
    world.intend(1, "k");
    let blocked = world.block();
    for _ in 0..3 {
        world.store.fail_next_commit(CommitFault::Full);
    }
    let intent = world.writer.intend(Intent { key: "k".into(), ..sample_intent(2) });
    let held = world.settle(1, "k");
    let published = world.writer.publish(sample_event(3));
    let change = world.writer.transact(|tx| tx.put_value("name", b"value"));
    // The commit that is blocked takes the first fault.
    drop(blocked);
    for refused in [
        intent.wait().unwrap_err(),
        held.wait().unwrap_err(),
        published.wait().unwrap_err(),
        change.wait().unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::Full(_)), "{refused}");
    }
    assert!(world.writer.is_full());
    wait_until("what is owed has landed", || world.in_log().len() == 2);
    assert_eq!(world.in_log(), [1, 3].map(sample_id), "in their order");
    assert!(!world.overlapped(1), "the refused intent was never forwarded");
    assert_eq!(world.reader.stats().unwrap().open_intents, 0);
    wait_until("deliveries hear of it", || world.in_feed(0) == Some(vec![1, 2]));
    assert!(!world.writer.is_latched());
    world.intend(4, "k");
    assert!(!world.writer.is_full());
}

#[test]
fn a_change_that_cannot_be_made_fails_alone() {
    let world = World::new();
    let blocked = world.block();
    let intent = world.writer.intend(sample_intent(1));
    let published = world.writer.publish(sample_event(2));
    let damaged = world.writer.transact(|_| Err::<(), _>(StoreError::Damaged("a row".into())));
    let other = world.writer.transact(|tx| tx.put_value("a", b"1"));
    drop(blocked);
    intent.wait().unwrap();
    assert!(published.wait().unwrap().is_some());
    assert!(matches!(damaged.wait(), Err(StoreError::Damaged(_))));
    other.wait().unwrap();
    assert_eq!(world.writer.transact(|tx| tx.get_value("a")).wait().unwrap().as_deref(), Some(&b"1"[..]));
    assert!(!world.writer.is_latched() && !world.writer.is_full());
}

#[test]
fn intents_are_refused_while_outcomes_wait_for_space() {
    let world = World::new();
    let blocked = world.block();
    for _ in 0..4 {
        world.store.fail_next_commit(CommitFault::Full);
    }
    let outcome = world.settle(1, "k");
    drop(blocked);
    assert!(matches!(outcome.wait(), Err(StoreError::Full(_))));
    let refused = world.writer.intend(sample_intent(2)).wait();
    assert!(matches!(&refused, Err(StoreError::Full(why)) if why.contains("outcomes")), "{refused:?}");
    wait_until("what is owed has landed", || world.in_log() == [sample_id(1)]);
}

#[test]
fn what_is_owed_lands_before_what_came_later() {
    let world = World::new();
    let blocked = world.block();
    for _ in 0..6 {
        world.store.fail_next_commit(CommitFault::Full);
    }
    let first = world.settle(1, "k");
    drop(blocked);
    assert!(first.wait().is_err());
    // While the first is owed: it is tried again together with this one.
    drop(world.settle(2, "k"));
    wait_until("both have landed", || world.in_log().len() == 2);
    assert_eq!(world.in_log(), [1, 2].map(sample_id));
}

#[test]
fn a_full_store_is_tried_again_at_leisure() {
    let world = World::new();
    for _ in 0..4 {
        world.store.fail_next_commit(CommitFault::Full);
    }
    let began = Instant::now();
    assert!(world.writer.intend(sample_intent(1)).wait().is_err());
    wait_until("all faults are used up", || world.failures() == 4);
    assert!(began.elapsed() >= RETRY_EVERY * 3, "it spins");
}

#[test]
fn a_full_store_is_tidied_at_once() {
    let world = World::new();
    world.writer.publish(sample_event(1)).wait().unwrap();
    world.clock.pass(Duration::from_secs(1_000_000));
    world.store.fail_next_commit(CommitFault::Full);
    assert!(world.writer.intend(sample_intent(2)).wait().is_err());
    wait_until("housekeeping made room", || world.in_log().is_empty());
}

#[test]
fn what_lapses_is_counted_by_subscription() {
    let (world, retention) = (World::new(), Retention::default());
    let wanted = |endpoint: &str, token: Option<&str>| DesiredSubscription {
        topic: "t".into(),
        name: None,
        protocol: Protocol::Http,
        endpoint: endpoint.into(),
        confirm_with: token.map(Into::into),
        uuid: uuid::Uuid::nil(),
    };
    let subscriptions = vec![wanted("http://a", Some("t")), wanted("http://b", None)];
    let desired = Desired { subscriptions, ..Desired::default() };
    let entities = world.writer.transact(move |tx| tx.sync_entities(&desired, SAMPLE_TIME)).wait().unwrap();
    let (pending, confirmed) = (entities.subscriptions[0].id, entities.subscriptions[1].id);
    let events = [1, 2].map(|n| world.settle(n, "a").wait().unwrap().unwrap());
    let all = crate::entities::Cursor { dispatched_to: events[1], done_to: events[1] };
    world.writer.transact(move |tx| tx.advance_cursor(confirmed, all)).wait().unwrap();
    world.clock.pass(retention.pending_pin + Duration::from_secs(3_600));
    assert!(world.writer.stats().lapsed_deliveries().is_empty());
    tidy(&world);
    wait_until("housekeeping", || world.in_log().is_empty());
    wait_until("the count", || {
        let lapsed = world.writer.stats().lapsed_deliveries();
        lapsed.into_iter().collect::<Vec<_>>() == [(pending, 2)]
    });
}

#[test]
fn a_commit_that_fails_is_the_last() {
    let world = World::new();
    world.intend(1, "k");
    let blocked = world.block();
    world.store.fail_next_commit(CommitFault::Io);
    let in_it = world.writer.publish(sample_event(9));
    drop(blocked);
    // Of the store's commits the next would succeed: nobody may be told so.
    wait_until("the writer latches", || world.writer.is_latched());
    let later = [
        in_it.wait().map(drop),
        world.writer.intend(sample_intent(2)).wait(),
        world.settle(1, "k").wait().map(drop),
        world.writer.transact(|tx| tx.put_value("name", b"value")).wait(),
    ];
    for refused in later {
        assert!(matches!(refused, Err(StoreError::Latched(_))), "{refused:?}");
    }
    assert_eq!(world.in_log(), []);
    assert_eq!(world.in_feed(0), Some(vec![]));
    assert_eq!(world.commits(), 1, "the intent's");
    assert_eq!(world.failures(), 1);
}

#[test]
fn a_latched_writer_tells_the_cause() {
    let world = World::new();
    world.store.fail_next_commit(CommitFault::Io);
    let refused = world.writer.publish(sample_event(1)).wait().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the store is latched after a failed commit (the store failed to commit: a test made the commit fail); \
         restart to recover"
    );
}

#[test]
fn stop_finishes_what_is_queued() {
    let mut world = World::new();
    let blocked = world.block();
    let receipts: Vec<_> = (1..=50).map(|n| world.writer.publish(sample_event(n))).collect();
    world.writer.stop();
    drop(blocked);
    assert!(receipts.into_iter().all(|receipt| receipt.wait().is_ok()));
    world.stop();
    assert_eq!(world.in_log().len(), 50);
    assert!(matches!(world.writer.publish(sample_event(51)).wait(), Err(StoreError::Closed)));
    assert!(!world.store.open().unclean, "the store was closed in order");
}

#[test]
fn the_thread_ends_when_nobody_has_a_handle() {
    let store = Memory::default();
    let Opened { backend, reader, .. } = store.open();
    let feed = Feed::default();
    let (vitals, mut deaths) = vital::vitals();
    let clock = At::new(SAMPLE_TIME);
    let config = Config { backend, feed, clock, retention: Retention::default(), vitals };
    let (writer, thread) = Writer::spawn(config).unwrap();
    drop(writer.publish(sample_event(1)));
    drop(writer);
    thread.join().unwrap();
    assert!(reader.event(sample_id(1)).unwrap().is_some());
    assert!(!store.open().unclean);
    assert!(deaths.try_recv().is_err(), "it was told to end");
}

#[test]
fn a_panic_of_the_thread_is_a_death_and_leaves_nobody_waiting() {
    let store = Memory::default();
    let Opened { backend, .. } = store.open();
    let (vitals, mut deaths) = vital::vitals();
    let clock = At::new(SAMPLE_TIME);
    let config = Config { backend, feed: Feed::default(), clock, retention: Retention::default(), vitals };
    let (writer, thread) = Writer::spawn(config).unwrap();
    let refused = writer.transact(|_| -> Result<()> { std::panic::resume_unwind(Box::new("a bug")) }).wait();
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    let death = deaths.blocking_recv().unwrap();
    assert_eq!((death.part.as_str(), death.manner), ("store-writer", vital::Manner::Panicked));
    assert!(thread.join().is_err());
    assert!(matches!(writer.intend(sample_intent(1)).wait(), Err(StoreError::Closed)));
    assert!(writer.admits().is_err(), "a rule without an intent is refused, too");
}

#[test]
fn beyond_its_limit_the_queue_takes_only_outcomes() {
    let world = World::new();
    let blocked = world.block();
    for _ in 0..MAX_QUEUED {
        drop(world.writer.transact(|_| Ok(())));
    }
    let refused = [
        world.writer.intend(sample_intent(1)).wait(),
        world.writer.offer(sample_event(2)).wait().map(drop),
        world.writer.transact(|_| Ok(())).wait(),
        world.writer.admits(),
    ];
    for refused in refused {
        assert!(matches!(refused, Err(StoreError::Overloaded { limit: MAX_QUEUED })), "{refused:?}");
    }
    // On this thread: who settles is not kept waiting for a commit, and a commit waits for us here.
    let outcomes = [world.settle(3, "k"), world.writer.publish(sample_event(4))];
    drop(blocked);
    assert!(outcomes.into_iter().all(|outcome| outcome.wait().is_ok()), "what is owed always gets in");
    assert_eq!(world.in_log(), [3, 4].map(sample_id));
    world.writer.admits().unwrap();
}

#[test]
fn a_store_that_refused_an_intent_is_full_until_a_commit_succeeds() {
    let world = World::new();
    for _ in 0..3 {
        world.store.fail_next_commit(CommitFault::Full);
    }
    assert!(world.writer.intend(sample_intent(1)).wait().is_err());
    while world.failures() < 3 {
        let failures = world.failures();
        assert!(
            world.writer.admits().is_err() || world.failures() > failures,
            "nothing shows that there is room"
        );
    }
    wait_until("a commit showed that there is room", || world.writer.admits().is_ok());
}

#[test]
fn a_store_that_was_full_says_so_no_longer_than_it_is() {
    let world = World::new();
    let blocked = world.block();
    for _ in 0..3 {
        world.store.fail_next_commit(CommitFault::Full);
    }
    let outcome = world.settle(1, "k");
    drop(blocked);
    assert!(outcome.wait().is_err());
    assert!(matches!(world.writer.admits(), Err(StoreError::Full(_))));
    wait_until("there is room again, though nobody asks for any", || world.writer.admits().is_ok());
    assert_eq!(world.in_log(), [sample_id(1)]);
}

#[test]
fn the_feed_has_every_event_in_order() {
    let world = World::new();
    let watch = world.feed.watch_topic(TOPIC);
    let receipts: Vec<_> = (1..=200).map(|n| world.writer.publish(sample_event(n))).collect();
    assert!(receipts.into_iter().all(|receipt| receipt.wait().is_ok()));
    wait_until("the feed has them", || world.in_feed(0) == Some((1..=200).collect()));
    assert_eq!(*watch.borrow(), Position(200));
}

#[test]
fn an_event_that_was_published_before_is_nothing_new_to_the_feed() {
    let world = World::new();
    for n in [1, 2] {
        world.writer.publish(sample_event(n)).wait().unwrap();
    }
    let mut watch = world.feed.watch_topic(TOPIC);
    watch.mark_unchanged();
    let again = world.writer.publish(sample_event(1)).wait().unwrap();
    assert_eq!(again, Some(Position(1)));
    let blocked = world.block();
    let mixed = [2, 3, 1, 3].map(|n| world.writer.publish(sample_event(n)));
    drop(blocked);
    assert_eq!(mixed.map(|receipt| receipt.wait().unwrap().unwrap().0), [2, 3, 1, 3]);
    wait_until("the feed has the new one", || world.in_feed(0) == Some(vec![1, 2, 3]));
    assert_eq!(*watch.borrow_and_update(), Position(3));
}

#[test]
fn what_a_transaction_appends_is_read_from_the_log() {
    let world = World::new();
    world.writer.publish(sample_event(1)).wait().unwrap();
    let watch = world.feed.watch_topic(TOPIC);
    world.writer.transact(|tx| tx.append(&sample_event(2)).map(drop)).wait().unwrap();
    assert!(watch.has_changed().unwrap(), "it wakes before it answers");
    assert_eq!(world.in_feed(1), None, "the ring does not have it");
    world.writer.publish(sample_event(3)).wait().unwrap();
    wait_until("the ring goes on behind it", || world.in_feed(2) == Some(vec![3]));
}

#[test]
fn queues_with_new_messages_are_woken() {
    let world = World::new();
    let desired = Desired {
        subscriptions: vec![DesiredSubscription {
            topic: "profile-changes".into(),
            name: None,
            protocol: Protocol::Sqs,
            endpoint: "worker".into(),
            confirm_with: None,
            uuid: uuid::Uuid::nil(),
        }],
        ..Desired::default()
    };
    let entities = world.writer.transact(move |tx| tx.sync_entities(&desired, SAMPLE_TIME)).wait().unwrap();
    let woken = world.feed.watch_queue(entities.queues[0].id);
    world.writer.publish(sample_event(1)).wait().unwrap();
    wait_until("the queue is woken", || woken.has_changed().unwrap());
}

/// Counts how often it is woken, and by which thread.
#[derive(Default)]
struct Wakes(std::sync::Mutex<Vec<std::thread::ThreadId>>);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().push(std::thread::current().id());
    }
}

#[test]
fn a_commit_wakes_a_thread_once_and_its_tasks_from_inside() {
    let world = World::new();
    let (ringer, tasks) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
    let (ringing, waiting) = (ringer.clone().into(), tasks.clone().into());
    let (mut ringing, mut waiting) =
        (std::task::Context::from_waker(&ringing), std::task::Context::from_waker(&waiting));
    let mut bell = Box::pin(Bell::serve());
    assert!(bell.as_mut().poll(&mut ringing).is_pending());

    let blocked = world.block();
    let mut receipts: Vec<_> = (1..=9).map(|n| world.writer.publish(sample_event(n))).collect();
    for receipt in &mut receipts {
        assert!(std::pin::Pin::new(receipt).poll(&mut waiting).is_pending());
    }
    drop(blocked);
    wait_until("the bell rings", || !ringer.0.lock().unwrap().is_empty());
    wait_until("all nine are in", || world.in_log().len() == 9);
    assert!(tasks.0.lock().unwrap().is_empty(), "no task is woken from outside");
    let before = ringer.0.lock().unwrap().len();
    assert!(before <= 2, "once a commit, not {before} times");
    assert!(bell.as_mut().poll(&mut ringing).is_pending());
    assert_eq!(*tasks.0.lock().unwrap(), vec![std::thread::current().id(); 9]);
    assert!(receipts.into_iter().all(|receipt| receipt.wait().is_ok()));

    // Without it everybody is woken all the same.
    let blocked = world.block();
    let mut late = world.writer.publish(sample_event(10));
    assert!(std::pin::Pin::new(&mut late).poll(&mut waiting).is_pending());
    drop(bell);
    drop(blocked);
    wait_until("the task is woken", || tasks.0.lock().unwrap().len() == 10);
    assert!(late.wait().is_ok());
}

#[test]
fn a_bell_that_is_taken_down_wakes_whom_it_had() {
    let world = World::new();
    let tasks = Arc::new(Wakes::default());
    let waiting = tasks.clone().into();
    let mut waiting = std::task::Context::from_waker(&waiting);
    let ringer = Arc::new(Wakes::default());
    let ringing = ringer.clone().into();
    let mut bell = Box::pin(Bell::serve());
    assert!(bell.as_mut().poll(&mut std::task::Context::from_waker(&ringing)).is_pending());
    let mut receipt = world.writer.publish(sample_event(1));
    if std::pin::Pin::new(&mut receipt).poll(&mut waiting).is_pending() {
        wait_until("the bell rings", || !ringer.0.lock().unwrap().is_empty());
        drop(bell);
        assert_eq!(tasks.0.lock().unwrap().len(), 1);
        assert!(receipt.wait().is_ok());
    }
}

#[test]
fn outcomes_that_nobody_waits_for_share_a_commit() {
    let world = World::new();
    for n in 1..=20 {
        world.writer.settle_unawaited(sample_id(n), Some(sample_event(n)));
        world.writer.offer_unawaited(sample_event(100 + n));
    }
    wait_until("all are in the log", || world.in_log().len() == 40);
    let commits = world.commits();
    assert!(commits < 10, "{commits} commits");
    // An awaited one takes them along and does not wait itself.
    world.writer.settle_unawaited(sample_id(50), Some(sample_event(50)));
    world.writer.publish(sample_event(51)).wait().unwrap();
    assert_eq!(world.in_log().len(), 42);
    // And the end waits for all.
    let mut world = world;
    world.writer.settle_unawaited(sample_id(60), Some(sample_event(60)));
    world.writer.stop();
    world.stop();
    assert_eq!(world.in_log().len(), 43);
}

/// Bells are hung up and taken down while tasks of two threads wait.
#[test]
fn no_wake_up_is_lost() {
    let world = World::new();
    let run = |writer: Writer| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut waiting = tokio::task::JoinSet::new();
            for _ in 0..16 {
                let writer = writer.clone();
                waiting.spawn(async move {
                    for _ in 0..200 {
                        writer.transact(|_| Ok(())).await.unwrap();
                    }
                });
            }
            let mut bell = tokio::spawn(Bell::serve());
            let mut done = 0;
            let all = async {
                while waiting.join_next().await.is_some() {
                    done += 1;
                    bell.abort();
                    bell = tokio::spawn(Bell::serve());
                }
            };
            tokio::time::timeout(PATIENCE, all).await.expect("somebody was not woken");
            assert_eq!(done, 16);
        });
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let writer = world.writer.clone();
            scope.spawn(move || run(writer));
        }
    });
}

/// Makes housekeeping due: a commit that finds no room is followed by one that tidies.
fn tidy(world: &World) {
    world.store.fail_next_commit(CommitFault::Full);
    assert!(world.writer.intend(sample_intent(200)).wait().is_err());
}

#[test]
fn what_is_appended_for_somebody_who_waits_is_refused_and_not_kept() {
    let world = World::new();
    let topic = world.writer.transact(|tx| tx.create_topic("orders")).wait().unwrap().0.id;
    world.store.fail_next_commit(CommitFault::Full);
    let message = sample_message(1, "text", &event::message::Details::default());
    let refused = world.writer.append(message).wait();
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    let message = sample_message(2, "text", &event::message::Details::default());
    let position = world.writer.append(message).wait().unwrap().unwrap();
    // The commit after it: by then its own has been told to everybody.
    world.writer.transact(|_| Ok(())).wait().unwrap();
    assert_eq!(world.in_log(), [sample_id(2)], "the first was told that it failed, and may come again");
    assert_eq!(world.in_feed(0), Some(vec![position.0]));
    let stats = world.writer.stats();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((count(&stats.published), count(&stats.succeeded), dropped(&world)), (1, 0, [0; 4]));

    world.writer.transact(move |tx| tx.delete_topic(topic)).wait().unwrap();
    let message = sample_message(3, "text", &event::message::Details::default());
    assert_eq!(world.writer.append(message).wait().unwrap(), None, "its topic is gone");
    assert_eq!(world.in_log(), [sample_id(2)]);
}
