//! Random changes, rollbacks and restarts, on this store and on the in-memory one: both must answer alike and hold the same.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::time::Duration;

use ::entities::Origin;
use event::message::Details;
use event::{Intent, Position, Stamp, TopicId};
use proptest::prelude::*;
use storage::delivery::{Attempt, Delivery, DeliveryId, DeliveryState, RowState};
use storage::entities::{Cursor, Desired, DesiredSubscription, Protocol, QueueId, SubscriptionId};
use storage::memory::{Memory, SAMPLE_TIME};
use storage::ports::{LookBack, Waiting};
use storage::queue::MessageHandle;
use storage::redrive::Redrive;
use storage::registry::Row;
use storage::retention::Housekept;
use uuid::Uuid;

use super::*;

/// Ids, positions, numbers: few, so that they meet.
const SAMPLES: u8 = 12;
/// Ids that intents have: more, because each is used once.
const INTENTS: std::ops::Range<u8> = SAMPLES..36;
const POSITIONS: i64 = 24;
const SUBSCRIPTIONS: i64 = 14;
const QUEUES: i64 = 4;
const TOPICS: i64 = 4;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Op>),
    RollBack(Vec<Op>),
    /// With a close before it, or without.
    Reopen {
        in_order: bool,
    },
}

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    Intend { n: u8, publish_unknown: bool },
    Settle(u8),
    Append { n: u8, topic: i64 },
    Publish { n: u8, topic: i64 },
    Send { n: u8, queue: i64, delay: u64 },
    Recover,
    Sync { chosen: u8, named: u8 },
    Confirm(u8),
    Disable(i64),
    Enable(i64),
    Advance { subscription: i64, dispatched_to: i64, done_to: i64 },
    Put { id: (i64, i64), key: u8, state: u8, due: u64 },
    Remove((i64, i64)),
    Attempt { id: (i64, i64), number: u32 },
    Receive { queue: i64, max: usize, visibility: u64 },
    Delete { queue: i64, seq: i64 },
    Hide { queue: i64, seq: i64, visibility: u64 },
    Value(u8),
    CreateTopic(u8),
    CreateQueue { n: u8, retention: u64 },
    Redrive { queue: i64, to: u8, max_receives: u32 },
    Subscribe { bit: u8, named: u8 },
    Unsubscribe(i64),
    DeleteTopic(i64),
    DeleteQueue(i64),
    PurgeQueue(i64),
    PutRow { n: u8, body: u8 },
    DeleteRow(u8),
    Housekeep { budget: usize },
    MakeRoom { budget: usize },
    CopyMissed(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let id = || (1..=SUBSCRIPTIONS, 1..=POSITIONS);
    let far = prop_oneof![0..60u64, Just(43_200), Just(50_000)];
    prop_oneof![
        3 => (0..400u64).prop_map(Op::Wait),
        3 => (INTENTS, any::<bool>()).prop_map(|(n, publish_unknown)| Op::Intend { n, publish_unknown }),
        2 => INTENTS.prop_map(Op::Settle),
        6 => (0..SAMPLES, 1..=TOPICS).prop_map(|(n, topic)| Op::Append { n, topic }),
        3 => (INTENTS, 1..=TOPICS).prop_map(|(n, topic)| Op::Append { n, topic }),
        1 => (100..200u8, 1..=TOPICS).prop_map(|(n, topic)| Op::Publish { n, topic }),
        2 => (200..=255u8, 1..=QUEUES, 0..90u64).prop_map(|(n, queue, delay)| Op::Send { n, queue, delay }),
        1 => Just(Op::Recover),
        2 => any::<(u8, u8)>().prop_map(|(chosen, named)| Op::Sync { chosen, named }),
        1 => (0..8u8).prop_map(Op::Confirm),
        1 => (1..=SUBSCRIPTIONS).prop_map(Op::Disable),
        1 => (1..=SUBSCRIPTIONS).prop_map(Op::Enable),
        4 => (1..=SUBSCRIPTIONS, 0..=POSITIONS, 0..=POSITIONS).prop_map(
            |(subscription, dispatched_to, done_to)| Op::Advance { subscription, dispatched_to, done_to }
        ),
        4 => (id(), 0..3u8, 0..3u8, 0..60u64)
            .prop_map(|(id, key, state, due)| Op::Put { id, key, state, due }),
        2 => id().prop_map(Op::Remove),
        2 => (id(), 1..4u32).prop_map(|(id, number)| Op::Attempt { id, number }),
        3 => (1..=QUEUES, 0..4usize, 0..60u64)
            .prop_map(|(queue, max, visibility)| Op::Receive { queue, max, visibility }),
        2 => (1..=QUEUES, 1..=POSITIONS).prop_map(|(queue, seq)| Op::Delete { queue, seq }),
        1 => (1..=QUEUES, 1..=POSITIONS, far)
            .prop_map(|(queue, seq, visibility)| Op::Hide { queue, seq, visibility }),
        1 => any::<u8>().prop_map(Op::Value),
        2 => owners(),
        1 => (0..6u8, 0..3u8).prop_map(|(n, body)| Op::PutRow { n, body }),
        1 => (0..6u8).prop_map(Op::DeleteRow),
        3 => (1..9usize).prop_map(|budget| Op::Housekeep { budget }),
        1 => (1..9usize).prop_map(|budget| Op::MakeRoom { budget }),
        2 => (1..4usize).prop_map(Op::CopyMissed),
    ]
}

fn owners() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..3u8).prop_map(Op::CreateTopic),
        1 => (0..3u8, 0..600u64).prop_map(|(n, retention)| Op::CreateQueue { n, retention }),
        2 => (1..=QUEUES, 0..5u8, 1..4u32)
            .prop_map(|(queue, to, max_receives)| Op::Redrive { queue, to, max_receives }),
        4 => (0..8u8, any::<u8>()).prop_map(|(bit, named)| Op::Subscribe { bit, named }),
        2 => (1..=SUBSCRIPTIONS).prop_map(Op::Unsubscribe),
        1 => (1..=TOPICS).prop_map(Op::DeleteTopic),
        1 => (1..=QUEUES).prop_map(Op::DeleteQueue),
        1 => (1..=QUEUES).prop_map(Op::PurgeQueue),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let ops = || prop::collection::vec(op(), 1..6);
    prop_oneof![
        8 => ops().prop_map(Step::Commit),
        2 => ops().prop_map(Step::RollBack),
        1 => any::<bool>().prop_map(|in_order| Step::Reopen { in_order }),
    ]
}

/// The subscriptions that the bits of `chosen` name; two of them want a confirmation. Those of `named` have a name, whose number is shifted by
/// its upper bits, so that names wander over endpoints.
fn desired(chosen: u8, named: u8) -> Desired {
    let subscription = |bit: u8| DesiredSubscription {
        topic: ["one", "two"][usize::from(bit % 2)].into(),
        name: (named & (1 << bit) != 0).then(|| format!("name-{}", (bit + named / 64) % 6)),
        protocol: if bit < 4 { Protocol::Http } else { Protocol::Sqs },
        endpoint: if bit < 4 { format!("http://localhost/{bit}") } else { format!("queue-{}", bit / 2 % 2) },
        confirm_with: (bit < 2).then(|| format!("token-{bit}")),
        uuid: Uuid::from_u128(bit.into()),
    };
    Desired {
        topics: vec!["one".into(), "two".into()],
        queues: vec!["queue-0".into(), "queue-1".into()],
        message_retention: [("queue-1".to_owned(), Duration::from_secs(u64::from(chosen)))].into(),
        redrive: [("queue-0", "queue-1", chosen % 3), ("queue-1", "queue-0", chosen % 5)]
            .into_iter()
            .filter(|(.., max_receives)| *max_receives > 0)
            .map(|(from, to, max_receives)| {
                (from.to_owned(), Redrive { to: to.into(), max_receives: max_receives.into() })
            })
            .collect(),
        subscriptions: (0..8).filter(|bit| chosen & (1 << bit) != 0).map(subscription).collect(),
    }
}

fn limits() -> Retention {
    let secs = Duration::from_secs;
    Retention {
        history: secs(50),
        pending_pin: secs(200),
        removed_grace: secs(300),
        queue_message: secs(500),
        max_age: secs(700),
        dead_letter: secs(900),
        max_attempts: 4,
        ..Retention::default()
    }
}

fn delivery_id((subscription, position): (i64, i64)) -> DeliveryId {
    DeliveryId { subscription: SubscriptionId(subscription), position: Position(position) }
}

/// Does it and tells what was answered. `head` is the log's: a cursor past it is damage.
fn apply(tx: &mut dyn Tx, op: &Op, head: Position, (now, moment): (Timestamp, Stamp)) -> String {
    let secs = Duration::from_secs;
    match op {
        Op::Wait(_) => String::new(),
        Op::Intend { n, publish_unknown } => {
            let intent = Intent { publish_unknown: *publish_unknown, ..sample_intent(*n) };
            told(tx.insert_intent(&intent))
        }
        Op::Settle(n) => told(tx.remove_intent(sample_id(*n))),
        Op::Append { n, topic } => {
            told(tx.append(&NewEvent { topic: TopicId(*topic), recorded_at: now, ..sample_event(*n) }))
        }
        Op::Publish { .. } | Op::Send { .. } => apply_message(tx, op, now),
        Op::Recover => told(tx.recover(now, 2)),
        Op::Sync { chosen, named } => told(tx.sync_entities(&desired(*chosen, *named), now)),
        Op::Confirm(bit) => {
            told(tx.confirm_subscription(&format!("token-{bit}")))
                + &told(tx.confirm_subscription(&format!("back-{bit}")))
        }
        Op::Disable(id) => told(tx.disable_subscription(SubscriptionId(*id), Some(&format!("back-{id}")))),
        Op::Enable(id) => told(tx.enable_subscription(SubscriptionId(*id))),
        Op::Advance { subscription, dispatched_to, done_to } => {
            let within = |position: &i64| Position(*position).min(head);
            let to = Cursor { dispatched_to: within(dispatched_to), done_to: within(done_to) };
            told(tx.advance_cursor(SubscriptionId(*subscription), to))
        }
        Op::Put { id, key, state, due } => told(tx.put_delivery(&Delivery {
            id: delivery_id(*id),
            key: key.to_string(),
            state: match state {
                0 => DeliveryState::Retry { at: moment.plus(secs(*due)) },
                1 => DeliveryState::Behind,
                _ => DeliveryState::Dead { reason: "gone".into(), at: moment, died_at: now },
            },
            attempts: 1,
            since: moment,
            anew_after: 0,
        })),
        Op::Remove(id) => told(tx.remove_delivery(delivery_id(*id))),
        Op::Attempt { id, number } => told(tx.record_attempt(&Attempt {
            delivery: delivery_id(*id),
            event: sample_id(1),
            number: *number,
            at: now,
            took_micros: 5,
            status: Some(204),
            error: None,
            answer: Vec::new(),
            next_at: None,
        })),
        Op::Receive { queue, max, visibility } => {
            told(tx.receive(QueueId(*queue), *max, secs(*visibility), now))
        }
        Op::Delete { queue, seq } => {
            told(tx.delete_message(QueueId(*queue), MessageHandle { seq: *seq, receive_count: 1 }))
        }
        Op::Hide { queue, seq, visibility } => {
            let handle = MessageHandle { seq: *seq, receive_count: 1 };
            told(tx.change_visibility(QueueId(*queue), handle, secs(*visibility)))
        }
        Op::Value(0..=63) => told(tx.delete_value("value")) + &told(tx.get_value("value")),
        Op::Value(value) => told(tx.put_value("value", &[*value])) + &told(tx.get_value("value")),
        Op::PutRow { .. } | Op::DeleteRow(_) => apply_to_registry(tx, op),
        Op::Housekeep { budget } => to_the_end(*budget, || tx.housekeep(&limits(), now, *budget)),
        Op::MakeRoom { budget } => to_the_end(*budget, || tx.make_room(&limits(), now, *budget)),
        Op::CopyMissed(limit) => told(tx.copy_missed(*limit)),
        _ => apply_word(tx, op, now),
    }
}

/// A message that somebody sends.
fn apply_message(tx: &mut dyn Tx, op: &Op, now: Timestamp) -> String {
    let message = |n: u8, topic| {
        let message = sample_message(n, "text", &Details::default());
        NewEvent { topic, recorded_at: now, ..message }
    };
    match *op {
        Op::Publish { n, topic } => told(tx.append(&message(n, TopicId(topic)))),
        Op::Send { n, queue, delay } => {
            // An id that is in the log is refused.
            let delay = Duration::from_secs(delay / 30 * 30);
            let sent = tx.send(&message(n, TopicId::NONE), QueueId(queue), delay);
            format!("{:?}", sent.map_err(|refused| refused.to_string()))
        }
        _ => unreachable!("it sends no message"),
    }
}

/// The word of an owner.
fn apply_word(tx: &mut dyn Tx, op: &Op, now: Timestamp) -> String {
    let named = |n: u8| ["one", "queue-1", "queue-2"][usize::from(n)];
    match *op {
        Op::CreateTopic(n) => told(tx.create_topic(named(n))),
        Op::CreateQueue { n, retention } => {
            let retention = (retention > 99).then_some(Duration::from_secs(retention));
            told(tx.create_queue(named(n), retention))
                + &told(tx.set_queue_retention(QueueId(i64::from(n)), retention))
        }
        Op::Redrive { queue, to, max_receives } => {
            let redrive = (to < 4).then(|| Redrive { to: format!("queue-{to}"), max_receives });
            told(tx.set_queue_redrive(QueueId(queue), redrive.as_ref()))
        }
        Op::Subscribe { bit, named } => told(tx.subscribe(&desired(1 << bit, named).subscriptions[0], now)),
        Op::Unsubscribe(id) => told(tx.unsubscribe(SubscriptionId(id))),
        Op::DeleteTopic(id) => told(tx.delete_topic(TopicId(id))),
        Op::DeleteQueue(id) => told(tx.delete_queue(QueueId(id))),
        Op::PurgeQueue(id) => told(tx.purge_queue(QueueId(id))),
        _ => unreachable!("it is nobody's word"),
    }
}

fn apply_to_registry(tx: &mut dyn Tx, op: &Op) -> String {
    let id = |n: u8| (["topic", "queue"][usize::from(n % 2)], Uuid::from_u128(u128::from(n / 2) << 100));
    match *op {
        Op::PutRow { n, body } => {
            let (kind, id) = id(n);
            let origin = if body % 2 == 0 { Origin::File } else { Origin::Api };
            told(tx.put_row(&Row { kind: kind.into(), id, origin, body: body.to_string() }))
                + &told(tx.rows())
        }
        Op::DeleteRow(n) => {
            let (kind, id) = id(n);
            told(tx.delete_row(kind, id))
        }
        _ => unreachable!("it is no row's"),
    }
}

fn told<T: Debug>(answer: storage::Result<T>) -> String {
    format!("{:?}", answer.unwrap())
}

/// To its end, which is a whole round without any rows: where a slice stops in between is a store's own affair.
fn to_the_end(budget: usize, mut slice: impl FnMut() -> storage::Result<Housekept>) -> String {
    let (mut rows, mut rows_before) = (0, None);
    for _ in 0..1_000 {
        let done = slice().unwrap();
        assert!(done.rows <= budget as u64);
        rows += done.rows;
        if done.more {
            continue;
        }
        if rows_before == Some(rows) {
            return format!("{rows} rows");
        }
        rows_before = Some(rows);
    }
    panic!("housekeeping finds no end")
}

/// All that a reader can see.
fn seen(reader: &dyn Reader, now: Stamp) -> Vec<String> {
    let mut seen = vec![
        told(reader.head()),
        told(reader.events_before(None, 1_000, usize::MAX)),
        told(reader.look_back(LookBack { before: Some(Position(7)), ..LookBack::over(1_000) })),
        // What a place is, is a store's own affair.
        told(
            reader
                .open_intents(0, 1_000, usize::MAX)
                .map(|open| open.intents.into_iter().map(|open| open.intent).collect::<Vec<_>>()),
        ),
        told(reader.queues()),
        told(reader.subscriptions()),
        told(reader.rows()),
        told(reader.stats().map(|stats| stats.open_intents)),
    ];
    for topic in (1..=TOPICS).map(TopicId) {
        seen.push(told(reader.events_after(topic, Position(3), 3, 1_000)));
        seen.push(told(reader.look_back(LookBack { topic: Some(topic), ..LookBack::over(3) })));
    }
    for row in RowState::ALL {
        seen.push(told(reader.look_back(LookBack { row: Some(row), ..LookBack::over(1_000) })));
    }
    for position in (1..=POSITIONS).map(Position) {
        seen.push(told(reader.deliveries_at(position)));
        seen.push(told(reader.attempts_at(position)));
        seen.push(told(reader.intent_at(position)));
        seen.push(told(reader.messages_at(position)));
    }
    for id in (1..=SUBSCRIPTIONS).map(SubscriptionId) {
        seen.extend([2, 1_000].map(|at_most| told(reader.lag(id, at_most))));
        seen.push(told(reader.next_due(id)));
        seen.push(told(reader.due_deliveries(id, now, 3)));
        let page = told(reader.dead_letters(Some(id), None, 2));
        let last = reader.dead_letters(Some(id), None, 2).unwrap().last().and_then(Delivery::death);
        seen.push(
            page + &told(reader.dead_letters(Some(id), last, 2)) + &told(reader.dead_letters(None, last, 3)),
        );
        seen.push(
            told(reader.dead_letters_until(id, last, now, 3))
                + &told(reader.dead_letters_until(id, None, now, 3)),
        );
        seen.push(told(reader.waiting_deliveries(id, Position(5), 3)));
        for which in [Waiting::Due(now), Waiting::After(Position(5)), Waiting::OfKey("1")] {
            seen.push(told(reader.waiting_positions(id, which, 3)));
        }
        seen.push(told(reader.deliveries_of_key(id, "1", 3)));
        seen.push(
            told(reader.blocked_keys(id, None, 9, 2)) + &told(reader.blocked_keys(id, Some("1"), 1, 9)),
        );
        for position in (1..=POSITIONS).map(Position) {
            seen.push(told(reader.last_attempt(DeliveryId { subscription: id, position })));
        }
    }
    for queue in (1..=QUEUES).map(QueueId) {
        seen.push(told(reader.queue_depth(queue, now)));
    }
    seen
}

fn stamp(wall: Timestamp) -> Stamp {
    Stamp::from_micros(wall.as_micros() * 3)
}

/// Both stores and the time that they share.
struct Pair {
    sqlite: (InTemp, Option<Open>),
    memory: (Memory, Option<Open>),
    now: Timestamp,
    ids: Ids,
}

/// Which ids were used: an intent's is new, and only its own run settles it.
#[derive(Default)]
struct Ids {
    run: u32,
    intended: HashMap<u8, u32>,
    appended: HashSet<u8>,
}

impl Ids {
    fn may_be(&mut self, op: &Op) -> bool {
        match op {
            Op::Intend { n, .. } => {
                let new = !self.appended.contains(n) && !self.intended.contains_key(n);
                if new {
                    self.intended.insert(*n, self.run);
                }
                new
            }
            Op::Append { n, .. } => {
                self.appended.insert(*n);
                self.intended.get(n).is_none_or(|run| *run == self.run)
            }
            _ => true,
        }
    }
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            sqlite: (InTemp::new(), None),
            memory: (Memory::default(), None),
            now: SAMPLE_TIME,
            ids: Ids::default(),
        };
        pair.reopen(true);
        pair
    }

    fn both(&mut self) -> [&mut Open; 2] {
        let (sqlite, memory) = (self.sqlite.1.as_mut(), self.memory.1.as_mut());
        [sqlite.expect("open between steps"), memory.expect("open between steps")]
    }

    fn reopen(&mut self, in_order: bool) {
        self.ids.run += 1;
        for open in [&mut self.sqlite.1, &mut self.memory.1] {
            if let Some(mut open) = open.take()
                && in_order
            {
                open.backend.close();
            }
        }
        let memory = self.memory.0.open();
        self.memory.1 =
            Some(Open { backend: Box::new(memory.backend), reader: memory.reader, unclean: memory.unclean });
        self.sqlite.1 = Some(Subject::open(&mut self.sqlite.0));
    }

    fn apply(&mut self, ops: &[Op]) {
        let began = self.now;
        let ops: Vec<&Op> = ops.iter().filter(|op| self.ids.may_be(op)).collect();
        let answers = self.both().map(|open| {
            let (head, mut now) = (open.reader.head().unwrap(), began);
            // All of a transaction is of one moment, which is far from the wall clock's.
            let moment = stamp(began);
            open.backend.begin(moment).unwrap();
            let answers: Vec<String> = ops
                .iter()
                .map(|op| {
                    if let Op::Wait(secs) = op {
                        now = now.plus(Duration::from_secs(*secs));
                    }
                    apply(open.backend.tx(), op, head, (now, moment))
                })
                .collect();
            (answers, now)
        });
        let [(sqlite, now), (memory, _)] = answers;
        assert_eq!(sqlite, memory, "the answers to {ops:?}");
        self.now = now;
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Commit(ops) => {
                self.apply(ops);
                let [sqlite, memory] = self.both().map(|open| told(open.backend.commit()));
                assert_eq!(sqlite, memory, "what the commit of {ops:?} brought");
            }
            Step::RollBack(ops) => {
                self.apply(ops);
                self.both().into_iter().for_each(|open| open.backend.rollback());
            }
            Step::Reopen { in_order } => self.reopen(*in_order),
        }
    }

    fn compare(&mut self) {
        let now = stamp(self.now);
        let [sqlite, memory] = self.both().map(|open| seen(&*open.reader, now));
        assert_eq!(sqlite, memory);
        for open in self.both() {
            assert_eq!(open.reader.check(true).unwrap(), [""; 0]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_and_holds_what_the_in_memory_store_does(steps in prop::collection::vec(step(), 1..40)) {
        let mut pair = Pair::new();
        pair.step(&Step::Commit(vec![Op::Sync { chosen: 0xff, named: 0 }]));
        for step in &steps {
            pair.step(step);
            pair.compare();
        }
    }
}
