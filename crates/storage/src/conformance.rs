//! The suites that every store must pass: one for each port, and some for what the ports promise together. Each case has a name that says what a
//! sentence of the contracts of [`ports`](crate::ports) and [`backend`](crate::backend) promises.
//!
//! A store's tests implement [`Subject`] and call [`run`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use event::{NewEvent, Position, Stamp, Timestamp, TopicId};
use uuid::Uuid;

use crate::backend::{Backend, Committed, Reader, Tx};
use crate::delivery::{Delivery, DeliveryId, DeliveryState};
use crate::entities::{Desired, DesiredSubscription, Entities, Protocol, Subscription, SubscriptionId};
use crate::memory::{SAMPLE_TIME, sample_event};
use crate::retention::{Housekept, Retention};
use crate::steps::{Known, Steps};

mod damage;
mod deliveries;
mod entities;
mod housekeeping;
mod journal;
mod log;
mod names;
mod owners;
mod queues;
mod redrive;
mod registry;
mod several;
mod steps;
mod transactions;

/// A store under test, which can be opened, dropped and opened again with what it kept.
pub trait Subject {
    /// Opens the store. What this returned before was dropped by then.
    fn open(&mut self) -> Open;

    /// Makes the event at a position unreadable while the store is open, without going through the store.
    fn damage(&mut self, position: Position);
}

/// An open store.
pub struct Open {
    /// The write side.
    pub backend: Box<dyn Backend>,
    /// The read side.
    pub reader: Arc<dyn Reader>,
    /// See [`Opened::unclean`](crate::backend::Opened::unclean).
    pub unclean: bool,
}

/// One case: its name and what it does with a fresh store.
type Case = (&'static str, fn(&mut Store));

/// All cases, by module.
const SUITES: &[(&str, &[&[Case]])] = &[
    ("journal", &[journal::CASES, several::CASES]),
    ("log", &[log::CASES, damage::CASES]),
    ("queues", &[queues::CASES, redrive::CASES]),
    ("deliveries", &[deliveries::CASES]),
    ("registry", &[registry::CASES, entities::CASES, names::CASES, owners::CASES, steps::CASES]),
    ("upkeep", &[housekeeping::CASES]),
    ("one commit", &[transactions::CASES]),
];

/// Runs every case on a fresh store of its own.
///
/// # Panics
/// If any case fails, with the names of all that did.
pub fn run<S: Subject + 'static>(fresh: impl Fn() -> S) {
    let mut failed = Vec::new();
    for (port, parts) in SUITES {
        let breaks =
            |(_, case): &&Case| catch_unwind(AssertUnwindSafe(|| case(&mut Store::new(fresh())))).is_err();
        let broken = parts.iter().copied().flatten().filter(breaks);
        failed.extend(broken.map(|(name, _)| format!("{port}: {name}")));
    }
    for (name, case) in [entities::CASES, names::CASES].into_iter().flatten() {
        let by_steps = || case(&mut Store { by_steps: true, ..Store::new(fresh()) });
        if catch_unwind(AssertUnwindSafe(by_steps)).is_err() {
            failed.push(format!("registry, step by step: {name}"));
        }
    }
    assert!(failed.is_empty(), "the store breaks its contract: {failed:?}");
}

/// The store of one case.
struct Store {
    subject: Box<dyn Subject>,
    open: Option<Open>,
    /// The moment of the next transactions, on the store's clock.
    now: Stamp,
    /// Whether a sync is made by single steps, each in a commit of its own.
    by_steps: bool,
}

impl Store {
    fn new(mut subject: impl Subject + 'static) -> Self {
        let open = Some(subject.open());
        Self { subject: Box::new(subject), open, now: stamp(0), by_steps: false }
    }

    fn opened(&mut self) -> &mut Open {
        self.open.as_mut().expect("open between calls")
    }

    fn reader(&self) -> &dyn Reader {
        &*self.open.as_ref().expect("open between calls").reader
    }

    /// Commits what `change` does.
    fn write<T>(&mut self, change: impl FnOnce(&mut dyn Tx) -> crate::Result<T>) -> T {
        self.write_and_tell(change).0
    }

    /// Commits what `change` does. Also returns what the commit reports.
    fn write_and_tell<T>(&mut self, change: impl FnOnce(&mut dyn Tx) -> crate::Result<T>) -> (T, Committed) {
        let now = self.now;
        let backend = &mut self.opened().backend;
        backend.begin(now).unwrap();
        let value = change(backend.tx()).unwrap();
        (value, backend.commit().unwrap())
    }

    /// Closes the store in order and opens it again.
    fn reopen(&mut self) {
        self.opened().backend.close();
        self.restart();
    }

    /// Drops the store without closing it, and opens it again.
    fn restart(&mut self) {
        self.open = None;
        self.open = Some(self.subject.open());
    }

    /// Sets the store's clock to this many seconds after its beginning.
    fn at(&mut self, secs: u64) -> &mut Self {
        self.now = stamp(secs);
        self
    }

    /// Appends an event at the moment at which it was recorded.
    fn append(&mut self, event: &NewEvent) -> Position {
        self.at(secs_of(event.recorded_at)).write(|tx| tx.append(event))
    }

    fn sync(&mut self, subscriptions: &[DesiredSubscription]) -> Entities {
        self.sync_at(subscriptions, SAMPLE_TIME)
    }

    fn sync_at(&mut self, subscriptions: &[DesiredSubscription], now: Timestamp) -> Entities {
        let desired = Desired { subscriptions: subscriptions.to_vec(), ..Desired::default() };
        self.at(secs_of(now));
        if !self.by_steps {
            return self.write(|tx| tx.sync_entities(&desired, now));
        }
        self.take_steps(&desired, now, usize::MAX);
        Known::read(self.reader()).unwrap().entities(&desired)
    }

    /// Goes towards what is wanted, up to so many steps that need no commit in common; whether all of them were taken.
    fn take_steps(&mut self, desired: &Desired, now: Timestamp, most: usize) -> bool {
        let Steps { together, rest } = Steps::between(&Known::read(self.reader()).unwrap(), desired);
        self.write(|tx| together.iter().try_for_each(|step| tx.take_step(step, now)));
        for step in rest.iter().take(most) {
            self.write(|tx| tx.take_step(step, now));
        }
        rest.len() <= most
    }

    /// A confirmed push subscription to the topic of the samples.
    fn push_subscription(&mut self) -> Subscription {
        self.sync(&[push("/a")]).subscriptions.remove(0)
    }

    fn subscription(&self, id: SubscriptionId) -> Option<Subscription> {
        self.reader().subscriptions().unwrap().into_iter().find(|known| known.id == id)
    }

    /// Housekeeping until nothing is left to do; how many rows that were.
    fn housekeep(&mut self, retention: &Retention, now: Timestamp) -> u64 {
        let mut rows = 0;
        for _ in 0..1_000 {
            let Housekept { rows: done, more } =
                self.at(secs_of(now)).write(|tx| tx.housekeep(retention, now, 3));
            assert!(done <= 3, "{done} rows are over the budget");
            rows += done;
            if !more {
                return rows;
            }
        }
        panic!("housekeeping finds no end");
    }

    fn positions(&self) -> Vec<i64> {
        let events = self.reader().events_before(None, 1_000, usize::MAX).unwrap().events;
        events.iter().rev().map(|event| event.position.0).collect()
    }
}

const TOPIC: &str = "profile-changes";

fn wanted(protocol: Protocol, endpoint: &str) -> DesiredSubscription {
    let name = endpoint.bytes().fold(7u128, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    DesiredSubscription {
        topic: TOPIC.into(),
        name: None,
        protocol,
        endpoint: endpoint.into(),
        confirm_with: None,
        uuid: Uuid::from_u128(name),
    }
}

fn push(path: &str) -> DesiredSubscription {
    wanted(Protocol::Http, &format!("http://localhost{path}"))
}

fn pending(path: &str, token: &str) -> DesiredSubscription {
    DesiredSubscription { confirm_with: Some(token.into()), ..push(path) }
}

fn to_queue(name: &str) -> DesiredSubscription {
    wanted(Protocol::Sqs, name)
}

/// A sample for a topic.
fn event_of(n: u8, topic: TopicId) -> NewEvent {
    NewEvent { topic, ..sample_event(n) }
}

/// A sample that was recorded `secs` after [`SAMPLE_TIME`].
fn recorded_at(n: u8, secs: u64) -> NewEvent {
    NewEvent { recorded_at: after(secs), ..sample_event(n) }
}

/// So many seconds after [`SAMPLE_TIME`].
fn after(secs: u64) -> Timestamp {
    SAMPLE_TIME.plus(Duration::from_secs(secs))
}

/// The store's clock so many seconds after the beginning: far from the wall clock, so that a store that takes one for the other fails.
fn stamp(secs: u64) -> Stamp {
    Stamp::from_micros(5 * SAMPLE_TIME.as_micros()).plus(Duration::from_secs(secs))
}

fn secs_of(wall: Timestamp) -> u64 {
    wall.since(SAMPLE_TIME).as_secs()
}

fn row(subscription: &Subscription, position: Position, state: DeliveryState) -> Delivery {
    Delivery {
        id: DeliveryId { subscription: subscription.id, position },
        key: "k".into(),
        state,
        attempts: 1,
        since: stamp(0),
        anew_after: 0,
    }
}

fn retry(secs: u64) -> DeliveryState {
    DeliveryState::Retry { at: stamp(secs) }
}

fn dead(secs: u64) -> DeliveryState {
    DeliveryState::Dead { reason: "410 Gone".into(), at: stamp(secs), died_at: after(secs) }
}

/// `name` and the function of that name, for a list of cases.
macro_rules! cases {
    ($($case:ident),* $(,)?) => { &[$((stringify!($case), $case)),*] };
}
use cases;
