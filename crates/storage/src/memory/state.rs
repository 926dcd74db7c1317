//! The tables, and operations on them that several modules need.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use event::{Event, EventId, Intent, NewEvent, Position, Stamp, Timestamp, TopicId};
use uuid::Uuid;

use super::queues::hidden_until;
use crate::StoreError;
use crate::clock::Record;
use crate::delivery::{Attempt, Delivery, DeliveryId};
use crate::entities::{Incarnation, QueueId, Subscription, SubscriptionId};
use crate::redrive::{GivenUp, Redrive};
use crate::registry::Row;

/// A sorted map whose clones share their entries until one of them is changed.
#[derive(Clone)]
pub(super) struct Table<K, V>(Arc<BTreeMap<K, V>>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, V> Deref for Table<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.0
    }
}

impl<K: Clone + Ord, V: Clone> Table<K, V> {
    pub(super) fn edit(&mut self) -> &mut BTreeMap<K, V> {
        Arc::make_mut(&mut self.0)
    }
}

/// All tables. No number is ever used twice: `head` and the `last_…` only grow, whatever is deleted.
#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) incarnations: Table<Incarnation, ()>,
    pub(super) last_incarnation: i64,
    /// Open intents, by a number that grows in the order in which they were noted.
    pub(super) intents: Table<i64, OpenIntent>,
    pub(super) last_intent: i64,
    pub(super) events: Table<Position, Arc<Event>>,
    pub(super) positions: Table<EventId, Position>,
    pub(super) head: Position,
    /// When the intent of an event was noted, by the event's position. An event that had no intent has no entry.
    pub(super) noted: Table<Position, Timestamp>,
    pub(super) topics: Table<TopicId, String>,
    pub(super) last_topic: i64,
    /// Topics that an owner deleted and that an open intent or an event still has.
    pub(super) deleted_topics: Table<TopicId, ()>,
    pub(super) queues: Table<QueueId, String>,
    pub(super) last_queue: i64,
    /// How long a queue keeps a message, if it has a retention of its own.
    pub(super) message_retention: Table<QueueId, Duration>,
    /// When a queue gives a message up.
    pub(super) redrive: Table<QueueId, Redrive>,
    pub(super) subscriptions: Table<SubscriptionId, Subscriber>,
    pub(super) last_subscription: i64,
    /// Rows of deliveries. Those whose subscription no longer exists are dropped.
    pub(super) deliveries: Table<DeliveryId, Delivery>,
    pub(super) attempts: Table<AttemptId, Recorded>,
    /// By a number that grows in the order in which they were sent.
    pub(super) messages: Table<i64, Message>,
    pub(super) last_message: i64,
    pub(super) values: Table<String, Vec<u8>>,
    /// By kind and id.
    pub(super) registry: Table<(String, Uuid), Row>,
    /// Events that a test made unreadable.
    pub(super) damaged: Table<Position, ()>,
    pub(super) clock: Option<Record>,
}

#[derive(Clone)]
pub(super) struct OpenIntent {
    pub(super) incarnation: Incarnation,
    pub(super) intent: Intent,
}

#[derive(Clone)]
pub(super) struct Subscriber {
    pub(super) subscription: Subscription,
    /// When it was removed, on the store's clock.
    pub(super) removed: Option<Stamp>,
    /// Kept after the confirmation, so that a repeated confirmation still finds the subscription.
    pub(super) token: Option<String>,
    /// Only for the protocol `sqs`: the queue was not sent the events after its cursor's `done_to`. Once the subscription is wanted again, the gap
    /// ends at `dispatched_to`.
    pub(super) has_gap: bool,
}

/// The order in which attempts are shown: by event, subscription and number.
pub(super) type AttemptId = (Position, SubscriptionId, u32);

#[derive(Clone)]
pub(super) struct Recorded {
    /// The order in which attempts were recorded.
    pub(super) seq: i64,
    pub(super) attempt: Attempt,
}

#[derive(Clone)]
pub(super) struct Message {
    pub(super) queue: QueueId,
    pub(super) position: Position,
    pub(super) subscription: Option<SubscriptionId>,
    pub(super) sent_at: Timestamp,
    /// When it was sent, on the store's clock.
    pub(super) stamp: Stamp,
    pub(super) visible_at: Stamp,
    pub(super) first_received_at: Option<Timestamp>,
    pub(super) received_at: Option<Stamp>,
    pub(super) receive_count: u32,
    /// Set if it is in a dead-letter queue because another queue gave it up.
    pub(super) given_up: Option<GivenUp>,
    /// Its queue was purged or deleted.
    pub(super) is_dropped: bool,
}

impl State {
    pub(super) fn new_incarnation(&mut self) -> Incarnation {
        self.last_incarnation += 1;
        let incarnation = Incarnation(self.last_incarnation);
        self.incarnations.edit().insert(incarnation, ());
        incarnation
    }

    pub(super) fn incarnations(&self) -> impl Iterator<Item = Incarnation> + '_ {
        self.incarnations.keys().copied()
    }

    /// Appends an event and sends a message of it to each subscribed queue. Returns its position and these queues; `Err` has the position of the
    /// event in the log that already has its id.
    pub(super) fn append(
        &mut self,
        body: &NewEvent,
        now: Stamp,
    ) -> Result<(Position, Vec<QueueId>), Position> {
        if let Some(position) = self.positions.get(&body.id) {
            return Err(*position);
        }
        let position = self.insert_event(body, now);
        let subscribed = self.subscribed_queues(body.topic);
        for (subscription, queue) in &subscribed {
            self.send(*queue, Some(*subscription), position, (body.recorded_at, now), Duration::ZERO);
        }
        Ok((position, subscribed.into_iter().map(|(_, queue)| queue).collect()))
    }

    pub(super) fn insert_event(&mut self, body: &NewEvent, now: Stamp) -> Position {
        let position = Position(self.head.0 + 1);
        self.head = position;
        self.positions.edit().insert(body.id, position);
        self.events.edit().insert(position, Arc::new(Event { position, stamp: now, body: body.clone() }));
        position
    }

    fn subscribed_queues(&self, topic: TopicId) -> Vec<(SubscriptionId, QueueId)> {
        let live = self.subscriptions.values().map(|subscriber| &subscriber.subscription).filter(|known| {
            known.topic == topic
                && known.protocol.is_pull()
                && known.removed_at.is_none()
                && !known.state.is_disabled()
        });
        live.filter_map(|known| Some((known.id, self.queue_named(&known.endpoint)?))).collect()
    }

    /// Adds a message. Returns its number.
    pub(super) fn send(
        &mut self,
        queue: QueueId,
        subscription: Option<SubscriptionId>,
        position: Position,
        (sent_at, stamp): (Timestamp, Stamp),
        delay: Duration,
    ) -> i64 {
        self.last_message += 1;
        let message = Message {
            queue,
            position,
            subscription,
            sent_at,
            stamp,
            visible_at: hidden_until(delay, stamp),
            first_received_at: None,
            received_at: None,
            receive_count: 0,
            given_up: None,
            is_dropped: false,
        };
        self.messages.edit().insert(self.last_message, message);
        self.last_message
    }

    /// Sends queues at most `limit` messages of what they missed. Returns the queue of each message.
    pub(super) fn copy_missed(&mut self, limit: usize, now: Stamp) -> Vec<QueueId> {
        let ended = |subscriber: &&Subscriber| {
            let known = &subscriber.subscription;
            subscriber.has_gap && known.removed_at.is_none() && !known.state.is_disabled()
        };
        let gaps: Vec<Subscription> = self
            .subscriptions
            .values()
            .filter(ended)
            .map(|subscriber| subscriber.subscription.clone())
            .collect();
        let mut sent = Vec::new();
        for gap in gaps {
            let left = limit - sent.len();
            let Some(queue) = self.queue_named(&gap.endpoint).filter(|_| left > 0) else { continue };
            let range = Position(gap.cursor.done_to.0 + 1)
                ..=gap.cursor.dispatched_to.max(Position(gap.cursor.done_to.0 + 1));
            let missed: Vec<_> = self
                .events
                .range(range)
                .map(|(_, event)| (event.position, event.body.topic, event.body.recorded_at))
                .filter(|(position, topic, _)| *topic == gap.topic && *position <= gap.cursor.dispatched_to)
                .take(left)
                .collect();
            for (position, _, recorded_at) in &missed {
                self.send(queue, Some(gap.id), *position, (*recorded_at, now), Duration::ZERO);
                sent.push(queue);
            }
            if let Some(subscriber) = self.subscriptions.edit().get_mut(&gap.id) {
                subscriber.has_gap = missed.len() == left;
                if let Some((last, ..)) = missed.last().filter(|_| subscriber.has_gap) {
                    subscriber.subscription.cursor.done_to = *last;
                }
            }
        }
        sent
    }

    pub(super) fn queue_named(&self, name: &str) -> Option<QueueId> {
        self.queues.iter().find(|(_, known)| *known == name).map(|(id, _)| *id)
    }

    pub(super) fn topic_named(&self, name: &str) -> Option<TopicId> {
        self.topics.iter().find(|(_, known)| *known == name).map(|(id, _)| *id)
    }

    /// The event at a position. An error if a test damaged it.
    pub(super) fn event_at(&self, position: Position) -> crate::Result<Option<&Event>> {
        if self.damaged.contains_key(&position) {
            return Err(StoreError::Damaged(format!("a test damaged the event at {position}")));
        }
        Ok(self.events.get(&position).map(|event| &**event))
    }

    /// The rows of a subscription, by position; none if it no longer exists.
    pub(super) fn rows_of(&self, id: SubscriptionId) -> impl DoubleEndedIterator<Item = &Delivery> + '_ {
        let name = |position| DeliveryId { subscription: id, position: Position(position) };
        let rows = self.deliveries.range(name(i64::MIN)..=name(i64::MAX)).map(|(_, row)| row);
        rows.filter(|row| self.is_kept(row))
    }

    /// Whether the subscription of a row exists. If not, the row was dropped.
    pub(super) fn is_kept(&self, row: &Delivery) -> bool {
        self.subscriptions.contains_key(&row.id.subscription)
    }

    /// See [`Backend::kept_clock`](crate::backend::Backend::kept_clock).
    pub(super) fn kept_clock(&self) -> Option<Record> {
        let last_event = self.events.values().next_back().map(|event| event.stamp);
        let last_message = self.messages.values().next_back().map(|message| message.stamp);
        let last = last_event.max(last_message).unwrap_or_default();
        self.clock.clone().map(|kept| kept.not_behind(last))
    }

    /// The size of all events in the log, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let size = |event: &Arc<Event>| event.body.bytes();
        self.events.values().map(size).sum::<usize>() as u64
    }
}
