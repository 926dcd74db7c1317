//! What a store implements: write transactions, commits and reads.

use std::collections::BTreeMap;
use std::time::Duration;

use event::{Event, EventId, Intent, NewEvent, Position, Stamp, Timestamp, TopicId};
use uuid::Uuid;

use crate::Result;
use crate::clock::{Record, Trace};
use crate::delivery::{Attempt, Death, Delivery, DeliveryId};
use crate::dropped::Dropped;
use crate::entities::{
    Cursor, Desired, DesiredSubscription, Entities, Incarnation, Queue, QueueId, Subscription,
    SubscriptionId, Topic,
};
use crate::queue::{MessageHandle, QueueDepth, QueuedMessage, Received, VisibilityChange};
use crate::registry::Row;
use crate::retention::{Housekept, Retention, Room};

/// Events that were read together, and where the rest is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventPage {
    /// The newest first.
    pub events: Vec<Event>,
    /// Before which position there may be more; `None` if there is none.
    pub next: Option<Position>,
    /// Whether the bytes ended it, before the limit did.
    pub is_cut: bool,
}

/// One open write transaction. Each call sees the writes of the calls before it; none of them is durable before
/// [`Backend::commit`] returned.
///
/// An error means that the store itself failed: the whole transaction is rolled back. Refusals that a caller must handle are values.
///
/// A transaction has one moment on the store's clock, given to [`Backend::begin`]: what it writes has that stamp, and what it judges by
/// age is judged by it. A `now` that a call takes is the wall clock, for times that are shown.
pub trait Tx {
    /// Notes that a request is about to be forwarded, under the backend's own incarnation. An id that is open already stays as it is; one
    /// that is in the log must not be given.
    fn insert_intent(&mut self, intent: &Intent) -> Result<()>;

    /// Settles an open intent of the backend's own incarnation of which no event came. `false` if there is none.
    fn remove_intent(&mut self, id: EventId) -> Result<bool>;

    /// Appends an event, and a message to every queue that is subscribed to its topic, at the next position, and settles the open
    /// intent of the backend's own incarnation that has its id, if there is one. An id that is already in the log is not appended
    /// again: its position is returned.
    fn append(&mut self, event: &NewEvent) -> Result<Position>;

    /// Appends an event that has no topic, and puts it as a message into one queue, where nobody receives it before `delay` has passed.
    /// Returns the message's SQS id; `None` if there is no such queue. The event's id is new: one that is in the log must not be given.
    fn send(&mut self, event: &NewEvent, queue: QueueId, delay: Duration) -> Result<Option<Uuid>>;

    /// Turns the open intents of all dead incarnations into events of outcome `unknown`, reason `gateway_restarted` (or drops those
    /// that asked for that), and forgets these incarnations. Those of a deleted topic become no events: nobody is owed any
    /// ([`Committed::of_deleted_topics`]). Returns how many intents there were. Does at most `limit` intents a call: call it until it
    /// returns 0. The events are recorded at `now`, have no answer and claim no overlap.
    fn recover(&mut self, now: Timestamp, limit: usize) -> Result<usize>;

    /// Makes topics, queues and subscriptions exist as the configuration wants. What is new owns events from this commit on; what is
    /// gone is marked with `now`, what came back is unmarked. A topic or queue that only a subscription names exists too.
    ///
    /// A subscription's identity is its name in its topic if it has one, else (topic, protocol, endpoint). [`identity`](crate::identity)
    /// has the rules as functions. Which one of the store a wanted one is, removed ones included:
    /// 1. the one that has its name, whatever its endpoint is. A queue's subscription has no cursor, so a name is never that of a webhook
    ///    first and of a queue then: the one that had it loses it and counts as one that has no name;
    /// 2. else the one of the same topic, protocol and endpoint whose own name nobody wants: it never had one, or the name was taken away
    ///    or changed. So neither giving a name, nor taking it away, nor changing it loses anything while the endpoint stays. Of several the
    ///    one that was wanted until now, then one without a name;
    /// 3. else it is new.
    ///
    /// All of it is one change: two can swap their names or endpoints, and one can get the endpoint of one that is removed, which keeps
    /// its number and its grace. A name or endpoint that is wanted twice counts once.
    ///
    /// Number, uuid, cursor, rows and what it is owed stay with it, under any name and endpoint. Its state stays too, except that
    /// * a pending one that is wanted without confirmation is confirmed from this commit on;
    /// * a disabled one that was gone and comes back is declared anew, with the state, token and uuid of a new one;
    /// * one whose endpoint moved to another origin (scheme, host or port of a webhook, another queue) has the state and token of a new
    ///   one: whoever confirmed or unsubscribed was somebody else, and the old token confirms nothing. If it was confirmed and is pending
    ///   now, what it is owed is kept as for a confirmed one ([`Subscription::reconfirms`]) until it is confirmed or disabled.
    ///
    /// Messages that a queue has stay there when its subscription moves to another queue; what it missed goes to the new one.
    fn sync_entities(&mut self, desired: &Desired, now: Timestamp) -> Result<Entities>;

    /// The topic of this name, and whether it is new. A name whose topic was deleted gets a new number and a life of its own.
    fn create_topic(&mut self, name: &str) -> Result<(Topic, bool)>;

    /// The queue of this name, and whether it is new. `retention` is for a new one; `Retention::queue_message` if it is `None`.
    fn create_queue(&mut self, name: &str, retention: Option<Duration>) -> Result<(Queue, bool)>;

    /// Sets how long a queue keeps a message; `Retention::queue_message` if it is `None`. `false` if there is no such queue.
    fn set_queue_retention(&mut self, id: QueueId, retention: Option<Duration>) -> Result<bool>;

    /// Makes one more subscription exist beside those that are wanted, and whether it is new; its topic and its queue exist then, too. It is
    /// one that is wanted already if that has its name, or its protocol and endpoint: then it stays as it is, except that a pending one that
    /// needs no confirmation is confirmed and a disabled one is declared anew. Else it is one of the removed ones, by the rules of
    /// [`Tx::sync_entities`], with its number, uuid and cursor; else it is new.
    fn subscribe(&mut self, wanted: &DesiredSubscription, now: Timestamp) -> Result<(Subscription, bool)>;

    /// Ends a subscription, a removed one too, and drops what it is owed. Its number is nobody's from now on; messages that a queue has of
    /// it stay there. One that does not exist is nothing.
    fn unsubscribe(&mut self, id: SubscriptionId) -> Result<Dropped>;

    /// Ends a topic with its subscriptions, removed ones too, and drops what they are owed; messages that queues have of it stay there. One
    /// that does not exist is nothing.
    ///
    /// It is remembered as deleted as long as an open intent or an event has its number. An intent of it that is settled by an event
    /// leaves one that nobody is owed; [`Tx::recover`] leaves none.
    fn delete_topic(&mut self, id: TopicId) -> Result<Dropped>;

    /// Ends a queue and drops its messages, and what was yet to be sent to it. Subscriptions to it stay; their events are sent nowhere until
    /// a queue has its name again, which begins empty. One that does not exist is nothing.
    fn delete_queue(&mut self, id: QueueId) -> Result<Dropped>;

    /// Drops a queue's messages, hidden ones too: their handles name nothing any more.
    fn purge_queue(&mut self, id: QueueId) -> Result<Dropped>;

    /// Sends queues what they missed while their subscriptions were out of the configuration, the oldest first: each event that came
    /// meanwhile, once. Sends at most `limit` messages a call: call it until it returns 0. Until then those events are kept, and what is
    /// published is sent besides.
    fn copy_missed(&mut self, limit: usize) -> Result<usize>;

    /// Confirms the subscription that has this token, pending or disabled. `None` if there is none. Repeating it is no error.
    fn confirm_subscription(&mut self, token: &str) -> Result<Option<Subscription>>;

    /// Stops deliveries to a subscription: it was unsubscribed. From now on `token` alone confirms it. One that is disabled already
    /// stays as it is. Returns the subscription as it is then, `None` if there is none.
    fn disable_subscription(
        &mut self,
        id: SubscriptionId,
        token: Option<&str>,
    ) -> Result<Option<Subscription>>;

    /// Makes a pending or disabled subscription a confirmed one. It goes on at its cursor, with the rows that it still has. Returns the subscription as it is then, `None` if there is none.
    fn enable_subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>>;

    /// Moves a cursor forward. Neither part ever moves back: the greater of stored and given stays.
    fn advance_cursor(&mut self, id: SubscriptionId, to: Cursor) -> Result<()>;

    /// Inserts or replaces a delivery's row. Does nothing if its event or its subscription is no longer in the store.
    fn put_delivery(&mut self, delivery: &Delivery) -> Result<()>;

    /// Removes a delivery's row, if there is one.
    fn remove_delivery(&mut self, id: DeliveryId) -> Result<()>;

    /// Records an attempt, in the place of one of the same delivery and number. Does nothing if its event is no longer in the store.
    fn record_attempt(&mut self, attempt: &Attempt) -> Result<()>;

    /// Hands out up to `max` visible messages in the order in which they were sent and hides them for `visibility`: one, or as many as
    /// have no more than [`MAX_RECEIVED_BYTES`](crate::queue::MAX_RECEIVED_BYTES) in all. A message that is
    /// hidden for longer than [`MAX_VISIBILITY`](crate::queue::MAX_VISIBILITY) from now on is visible: no receive hides one for so long. One whose
    /// event is damaged is not handed out and is hidden for that long.
    fn receive(
        &mut self,
        queue: QueueId,
        max: usize,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<Vec<Received>>;

    /// Deletes a message, whichever receive of it the handle names (SQS's standard queues). `false` if it was gone.
    fn delete_message(&mut self, queue: QueueId, handle: MessageHandle) -> Result<bool>;

    /// Hides a message for `visibility` from now on, whichever receive of it the handle names; zero makes it visible at once. The
    /// limit counts from its last receive.
    fn change_visibility(
        &mut self,
        queue: QueueId,
        handle: MessageHandle,
        visibility: Duration,
    ) -> Result<VisibilityChange>;

    /// A value of the table of small things (signing key, schema notes), by name.
    fn get_value(&mut self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Sets a value of the table of small things.
    fn put_value(&mut self, name: &str, value: &[u8]) -> Result<()>;

    /// Inserts a row of the registry, or replaces the one of the same kind and id. One that is there already as it is costs nothing.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`](crate::StoreError::TooLarge) for a text of more than
    /// [`MAX_BODY_BYTES`](crate::registry::MAX_BODY_BYTES).
    fn put_row(&mut self, row: &Row) -> Result<()>;

    /// Deletes a row of the registry. `false` if there was none.
    fn delete_row(&mut self, kind: &str, id: Uuid) -> Result<bool>;

    /// All rows of the registry, by kind and id.
    fn rows(&mut self) -> Result<Vec<Row>>;

    /// What the transaction has changed so far, as far as it concerns the clock. It may say more than it was, never less.
    fn trace(&self) -> Trace;

    /// Keeps the clock, for the next start.
    fn keep_clock(&mut self, record: &Record) -> Result<()>;

    /// Deletes what nobody is owed and what is past its time, at most `budget` rows a call.
    fn housekeep(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept>;

    /// Deletes what was dropped; then events that nobody is owed, whatever their age, the oldest first, with their attempts; then attempts at deliveries that are
    /// done. At most `budget` rows a call: when it says that there is no more, nothing is left to delete.
    fn make_room(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept>;
}

/// A store. One thread at a time writes through it: [`writer`](crate::writer) sees to that.
pub trait Backend: Send + 'static {
    /// What was kept of the clock when the store was opened; its stamp is behind none that a commit of the last run gave the last event or
    /// the last message. `None` if nothing was kept yet.
    fn kept_clock(&self) -> Option<Record>;

    /// Opens a transaction at a moment on the store's clock, never before that of the last one.
    fn begin(&mut self, now: Stamp) -> Result<()>;

    /// The open transaction.
    fn tx(&mut self) -> &mut dyn Tx;

    /// Makes the open transaction durable: when this returns `Ok`, a power cut cannot take it back.
    ///
    /// `Full` leaves the transaction rolled back and the store usable. Any other error is final for this process.
    fn commit(&mut self) -> Result<Committed>;

    /// Drops the open transaction, if there is one.
    fn rollback(&mut self);

    /// What the store holds and what is left for it. May be a tenth of a second old, but never older than the last commit that made room.
    fn room(&mut self) -> Result<Room>;

    /// Called by the writer between commits: a place for upkeep that must not run inside one (checkpoints).
    fn between_commits(&mut self) {}

    /// The last call: leave everything as tidy as can be.
    fn close(&mut self) {}
}

/// What a commit brought.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The last new position of every topic that has one.
    pub topics: Vec<(TopicId, Position)>,
    /// Queues that have new messages which can be received.
    pub queues: Vec<QueueId>,
    /// Messages that went straight into a queue, without a topic.
    pub sends: u64,
    /// What housekeeping took from pending and disabled subscriptions: deliveries that they were owed and are owed no more.
    pub lapsed: BTreeMap<SubscriptionId, u64>,
    /// Waiting deliveries that housekeeping made dead letters.
    pub given_up: u64,
    /// Messages that housekeeping deleted because their queue's retention was over, by the queue's name.
    pub expired: BTreeMap<String, u64>,
    /// Damaged messages that a receive came upon and set aside, by queue.
    pub set_aside: BTreeMap<QueueId, u64>,
    /// Open intents of dead incarnations that recovery settled without an event, because their topic was deleted.
    pub of_deleted_topics: u64,
}

impl Committed {
    /// Notes a new event and the queues that got a message of it. Positions only grow.
    pub fn appended(&mut self, topic: TopicId, position: Position, queues: impl Iterator<Item = QueueId>) {
        match self.topics.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, last)) => *last = position,
            None => self.topics.push((topic, position)),
        }
        queues.for_each(|queue| self.sent(queue));
    }

    /// Notes that a queue got a message.
    pub fn sent(&mut self, queue: QueueId) {
        if !self.queues.contains(&queue) {
            self.queues.push(queue);
        }
    }

    /// Notes that a queue got a message without a topic. Nobody is woken for one that is delayed.
    pub fn sent_straight(&mut self, queue: QueueId, delay: Duration) {
        self.sends += 1;
        if delay.is_zero() {
            self.sent(queue);
        }
    }

    /// Notes that a receive set messages aside.
    pub fn set_aside(&mut self, queue: QueueId, messages: u64) {
        if messages > 0 {
            *self.set_aside.entry(queue).or_default() += messages;
        }
    }

    /// Notes that a pending or disabled subscription is owed one delivery less.
    pub fn lapsed(&mut self, subscription: SubscriptionId) {
        *self.lapsed.entry(subscription).or_default() += 1;
    }
}

/// Reads beside the writer: each call is a short transaction of its own, never longer than a second. Blocking: call it off the
/// runtime.
///
/// What fails has been tried twice, the second time with nothing cached. [`StoreError::Io`](crate::StoreError::Io) says that the disk
/// did not give what was asked: it may the next time. [`StoreError::Damaged`](crate::StoreError::Damaged) says that it gave something
/// that the store cannot have written: it will every time. One event that is damaged spoils no other: it can be stepped over, because its
/// neighbours are read by their positions.
pub trait Reader: Send + Sync + 'static {
    /// The last position of the log, whatever the topic; 0 for an empty log that never held one.
    fn head(&self) -> Result<Position>;

    /// A topic's events after a position, in order, at most `limit` and about `max_bytes` of JSON (always at least one). An event that
    /// cannot be read ends it: those before it are returned, and it is an error only where it is the first.
    fn events_after(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Event>>;

    /// The position of a topic's first event after a position; read without the event itself, which may be damaged.
    fn next_position(&self, topic: TopicId, after: Position) -> Result<Option<Position>>;

    /// The event at a position.
    fn event_at(&self, position: Position) -> Result<Option<Event>>;

    /// The event with an id.
    fn event(&self, id: EventId) -> Result<Option<Event>>;

    /// A page of events, newest first, before a position: at most `limit` of them, and no more than `max_bytes` in all
    /// ([`NewEvent::bytes`]), but always one if there is one. Those that are damaged are left out.
    fn events_before(&self, before: Option<Position>, limit: usize, max_bytes: usize) -> Result<EventPage>;

    /// All subscriptions, removed ones too.
    fn subscriptions(&self) -> Result<Vec<Subscription>>;

    /// Rows in state `Retry` of a subscription that are due at `now`, the earliest first, equals by position.
    fn due_deliveries(&self, subscription: SubscriptionId, now: Stamp, limit: usize)
    -> Result<Vec<Delivery>>;

    /// When the earliest `Retry` row of a subscription is due.
    fn next_due(&self, subscription: SubscriptionId) -> Result<Option<Stamp>>;

    /// Rows of a subscription after a position that are not dead, by position.
    fn waiting_deliveries(
        &self,
        subscription: SubscriptionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// Rows of a subscription that are not dead and whose key is `key`, by position.
    fn deliveries_of_key(
        &self,
        subscription: SubscriptionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// The positions of such rows, in the order in which the reads of the rows themselves have them; read without what else the rows say,
    /// which may be damaged.
    fn waiting_positions(
        &self,
        subscription: SubscriptionId,
        which: Waiting<'_>,
        limit: usize,
    ) -> Result<Vec<Position>>;

    /// Dead letters, of one subscription or of all: the last that died first, equals by delivery, both downwards. `before` is that of
    /// the last one of the page before.
    fn dead_letters(
        &self,
        of: Option<SubscriptionId>,
        before: Option<Death>,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// Dead letters of a subscription that died up to `until`, the first that died first, equals by position. `after` is that of the
    /// last one of the page before.
    fn dead_letters_until(
        &self,
        of: SubscriptionId,
        after: Option<Death>,
        until: Stamp,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// The messages of an event that are still in queues, by subscription.
    fn messages_at(&self, position: Position) -> Result<Vec<QueuedMessage>>;

    /// All rows of an event, by subscription.
    fn deliveries_at(&self, position: Position) -> Result<Vec<Delivery>>;

    /// A delivery's row, if it has one.
    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>>;

    /// The attempts at an event's deliveries, by subscription and number.
    fn attempts_at(&self, position: Position) -> Result<Vec<Attempt>>;

    /// What a subscription is behind by. Each number is counted up to `at_most` and no further, so that the read is short whatever stands
    /// in the store.
    fn lag(&self, subscription: SubscriptionId, at_most: u64) -> Result<Lag>;

    /// How full a queue is.
    fn queue_depth(&self, queue: QueueId, now: Stamp) -> Result<QueueDepth>;

    /// All rows of the registry, by kind and id.
    fn rows(&self) -> Result<Vec<Row>>;

    /// Sizes and counts for the metrics.
    fn stats(&self) -> Result<StoreStats>;

    /// Looks for damage: all of it, or only what a start can afford. One line a finding, none if all is well.
    fn check(&self, full: bool) -> Result<Vec<String>>;
}

/// Rows of a subscription that are not dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting<'k> {
    /// Those of [`Reader::due_deliveries`].
    Due(Stamp),
    /// Those of [`Reader::waiting_deliveries`].
    After(Position),
    /// Those of [`Reader::deliveries_of_key`].
    OfKey(&'k str),
}

/// What a push subscription is behind by; each number stands for that many or more if it is as large as was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Events after its cursor.
    pub unread: u64,
    /// Rows that wait for an attempt.
    pub waiting: u64,
    /// Of these, of as many as were counted, rows that wait for an earlier one of their key.
    pub behind: u64,
    /// Rows that are dead.
    pub dead: u64,
    /// When the oldest event that is unread or waits entered the log.
    pub oldest: Option<Stamp>,
}

/// Sizes and counts for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Open intents, those of dead incarnations too.
    pub open_intents: u64,
    /// The database, in bytes.
    pub bytes: u64,
    /// The write-ahead log, in bytes.
    pub wal_bytes: u64,
}

/// The parts of an opened store.
pub struct Opened<B> {
    /// For the writer.
    pub backend: B,
    /// For everybody else.
    pub reader: std::sync::Arc<dyn Reader>,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// Whether the last run ended without closing the store.
    pub unclean: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_the_last_position_of_each_topic_and_each_queue_once() {
        let mut committed = Committed::default();
        for (topic, position, queues) in [(1, 5, &[7, 8][..]), (2, 6, &[7]), (1, 9, &[])] {
            let queues = queues.iter().map(|queue| QueueId(*queue));
            committed.appended(TopicId(topic), Position(position), queues);
        }
        assert_eq!(committed.topics, [(TopicId(1), Position(9)), (TopicId(2), Position(6))]);
        assert_eq!(committed.queues, [QueueId(7), QueueId(8)]);
    }
}
