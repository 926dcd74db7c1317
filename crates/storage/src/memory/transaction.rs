//! One write transaction, which works on a copy of the tables.

use std::time::Duration;

use event::{EventId, Intent, NewEvent, Position, Stamp, Timestamp, TopicId};
use uuid::Uuid;

use super::state::{OpenIntent, Recorded, State};
use crate::backend::Committed;
use crate::clock::{Record, Trace};
use crate::delivery::{Attempt, Delivery, DeliveryId, DeliveryState};
use crate::dropped::Dropped;
use crate::entities::{
    Cursor, Desired, DesiredSubscription, Entities, Incarnation, Queue, QueueId, Subscription,
    SubscriptionId, SubscriptionState, Topic,
};
use crate::ports::{DeliveriesTx, JournalTx, LogTx, QueuesTx, RegistryTx, UpkeepTx};
use crate::queue::{MessageHandle, Received, VisibilityChange, message_id};
use crate::redrive::{MetByReceive, Redrive};
use crate::registry::Row;
use crate::retention::{Housekept, Retention};
use crate::steps::Step;
use crate::{Result, StoreError};

pub(super) struct Transaction {
    pub(super) state: State,
    pub(super) committed: Committed,
    now: Stamp,
    trace: Trace,
    incarnation: Incarnation,
    /// Incarnations whose backend was dropped.
    dead: Vec<Incarnation>,
}

impl Transaction {
    pub(super) fn new(state: State, now: Stamp, incarnation: Incarnation, dead: Vec<Incarnation>) -> Self {
        Self { state, committed: Committed::default(), now, trace: Trace::Nothing, incarnation, dead }
    }

    /// Housekeeping stamps dead letters, and may delete the last event.
    fn note_housekept(&mut self, done: Housekept) {
        self.trace.note(if done.rows > 0 { Trace::Stamped } else { Trace::Nothing });
    }

    fn recover_one(&mut self, intent: &Intent, now: Timestamp) -> Result<()> {
        if self.state.deleted_topics.contains_key(&intent.topic) {
            self.committed.of_deleted_topics += 1;
            return Ok(());
        }
        if !intent.publish_unknown {
            return Ok(());
        }
        self.append_noted(&intent.left_open(now), Some(intent)).map(drop)
    }

    /// Appends an event; `intent` is the intent that it settles, if it had one.
    fn append_noted(&mut self, event: &NewEvent, intent: Option<&Intent>) -> Result<Position> {
        match self.state.append(event, self.now) {
            Ok((position, queues)) => {
                // SQLite keeps an intent with its event only if both have the same request.
                let is_of = |intent: &&Intent| {
                    event.exchange().is_some_and(|exchange| exchange.request == intent.request)
                };
                if let Some(intent) = intent.filter(is_of) {
                    self.state.noted.edit().insert(position, intent.noted_at);
                }
                self.trace.note(Trace::Appended);
                self.committed.appended(event.topic, position, queues.into_iter());
                Ok(position)
            }
            Err(known) => Ok(known),
        }
    }

    /// Removes an open intent of this incarnation.
    fn take_intent(&mut self, id: EventId) -> Option<Intent> {
        let mine =
            |(_, open): &(&i64, &OpenIntent)| open.incarnation == self.incarnation && open.intent.id == id;
        let seq = self.state.intents.iter().find(mine).map(|(seq, _)| *seq)?;
        self.trace.note(Trace::Unstamped);
        self.state.intents.edit().remove(&seq).map(|open| open.intent)
    }
}

impl JournalTx for Transaction {
    fn insert_intent(&mut self, intent: &Intent) -> Result<()> {
        let mine = |open: &OpenIntent| open.incarnation == self.incarnation && open.intent.id == intent.id;
        if self.state.intents.values().any(mine) {
            return Ok(());
        }
        self.state.last_intent += 1;
        let open = OpenIntent { incarnation: self.incarnation, intent: intent.clone() };
        self.state.intents.edit().insert(self.state.last_intent, open);
        self.trace.note(Trace::Unstamped);
        Ok(())
    }

    fn remove_intent(&mut self, id: EventId) -> Result<bool> {
        Ok(self.take_intent(id).is_some())
    }

    fn recover(&mut self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut recovered = 0;
        for incarnation in self.dead.clone() {
            let of_it: Vec<(i64, Intent)> = self
                .state
                .intents
                .iter()
                .filter(|(_, open)| open.incarnation == incarnation)
                .map(|(seq, open)| (*seq, open.intent.clone()))
                .collect();
            for (seq, intent) in of_it {
                if recovered == limit {
                    return Ok(recovered);
                }
                recovered += 1;
                self.state.intents.edit().remove(&seq);
                self.recover_one(&intent, now)?;
            }
            self.state.incarnations.edit().remove(&incarnation);
            self.trace.note(Trace::Unstamped);
        }
        Ok(recovered)
    }
}

impl LogTx for Transaction {
    fn append(&mut self, event: &NewEvent) -> Result<Position> {
        let intent = self.take_intent(event.id);
        self.append_noted(event, intent.as_ref())
    }
}

impl QueuesTx for Transaction {
    fn send(&mut self, event: &NewEvent, queue: QueueId, delay: Duration) -> Result<Option<Uuid>> {
        if !self.state.queues.contains_key(&queue) {
            return Ok(None);
        }
        if self.state.positions.contains_key(&event.id) {
            return Err(StoreError::Damaged(format!("event {} is in the log already", event.id)));
        }
        let position = self.state.insert_event(event, self.now);
        let seq = self.state.send(queue, None, position, (event.recorded_at, self.now), delay);
        self.trace.note(Trace::Appended);
        self.committed.sent_straight(queue, delay);
        Ok(Some(message_id(event.id, seq)))
    }

    fn copy_missed(&mut self, limit: usize) -> Result<usize> {
        let queues = self.state.copy_missed(limit, self.now);
        self.trace.note(if queues.is_empty() { Trace::Unstamped } else { Trace::Appended });
        queues.iter().for_each(|queue| self.committed.sent(*queue));
        Ok(queues.len())
    }

    fn receive(
        &mut self,
        queue: QueueId,
        max: usize,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<Vec<Received>> {
        let policy = self.state.policy(queue);
        let (received, met) = self.state.receive(queue, max, visibility, policy.as_ref(), (now, self.now))?;
        let is_nothing = received.is_empty() && met == MetByReceive::default();
        self.trace.note(if is_nothing { Trace::Nothing } else { Trace::Stamped });
        self.committed.met(queue, met, policy.as_ref());
        Ok(received)
    }

    fn delete_message(&mut self, queue: QueueId, handle: MessageHandle) -> Result<bool> {
        self.trace.note(Trace::Unstamped);
        Ok(self.state.delete_message(queue, handle))
    }

    fn change_visibility(
        &mut self,
        queue: QueueId,
        handle: MessageHandle,
        visibility: Duration,
    ) -> Result<VisibilityChange> {
        self.trace.note(Trace::Stamped);
        Ok(self.state.change_visibility(queue, handle, visibility, self.now))
    }

    fn purge_queue(&mut self, id: QueueId) -> Result<Dropped> {
        self.trace.note(Trace::Unstamped);
        Ok(self.committed.dropped(self.state.purge_queue(id)))
    }
}

impl DeliveriesTx for Transaction {
    fn advance_cursor(&mut self, id: SubscriptionId, to: Cursor) -> Result<()> {
        self.trace.note(Trace::Unstamped);
        if let Some(subscriber) = self.state.subscriptions.edit().get_mut(&id) {
            let cursor = &mut subscriber.subscription.cursor;
            cursor.dispatched_to = cursor.dispatched_to.max(to.dispatched_to);
            cursor.done_to = cursor.done_to.max(to.done_to);
        }
        Ok(())
    }

    fn put_delivery(&mut self, delivery: &Delivery) -> Result<()> {
        let id = delivery.id;
        if self.state.events.contains_key(&id.position)
            && self.state.subscriptions.contains_key(&id.subscription)
        {
            self.trace.note(Trace::Stamped);
            self.state.deliveries.edit().insert(id, delivery.clone());
        }
        Ok(())
    }

    fn remove_delivery(&mut self, id: DeliveryId) -> Result<()> {
        self.trace.note(Trace::Unstamped);
        self.state.deliveries.edit().remove(&id);
        Ok(())
    }

    fn record_attempt(&mut self, attempt: &Attempt) -> Result<()> {
        let DeliveryId { subscription, position } = attempt.delivery;
        if !self.state.events.contains_key(&position) {
            return Ok(());
        }
        self.trace.note(Trace::Unstamped);
        let id = (position, subscription, attempt.number);
        let last = self.state.attempts.values().map(|recorded| recorded.seq).max().unwrap_or(0);
        let seq = self.state.attempts.get(&id).map_or(last + 1, |recorded| recorded.seq);
        self.state.attempts.edit().insert(id, Recorded { seq, attempt: attempt.clone() });
        Ok(())
    }
}

impl RegistryTx for Transaction {
    fn sync_entities(&mut self, desired: &Desired, now: Timestamp) -> Result<Entities> {
        self.trace.note(Trace::Stamped);
        Ok(self.state.sync(desired, (now, self.now)))
    }

    fn take_step(&mut self, step: &Step, now: Timestamp) -> Result<()> {
        self.trace.note(Trace::Stamped);
        self.state.take_step(step, (now, self.now));
        Ok(())
    }

    fn create_topic(&mut self, name: &str) -> Result<(Topic, bool)> {
        let is_new = self.state.topic_named(name).is_none();
        self.trace.note(if is_new { Trace::Unstamped } else { Trace::Nothing });
        Ok((Topic { id: self.state.ensure_topic(name), name: name.to_owned() }, is_new))
    }

    fn create_queue(&mut self, name: &str, retention: Option<Duration>) -> Result<(Queue, bool)> {
        let is_new = self.state.queue_named(name).is_none();
        let id = self.state.ensure_queue(name);
        if is_new {
            self.set_queue_retention(id, retention)?;
        }
        Ok((Queue { id, name: name.to_owned() }, is_new))
    }

    fn set_queue_retention(&mut self, id: QueueId, retention: Option<Duration>) -> Result<bool> {
        if !self.state.queues.contains_key(&id) {
            return Ok(false);
        }
        self.trace.note(Trace::Unstamped);
        self.state.set_retention(id, retention);
        Ok(true)
    }

    fn set_queue_redrive(&mut self, id: QueueId, redrive: Option<&Redrive>) -> Result<bool> {
        if !self.state.queues.contains_key(&id) {
            return Ok(false);
        }
        self.trace.note(Trace::Unstamped);
        self.state.set_redrive(id, redrive);
        Ok(true)
    }

    fn subscribe(&mut self, wanted: &DesiredSubscription, now: Timestamp) -> Result<(Subscription, bool)> {
        self.trace.note(Trace::Stamped);
        Ok(self.state.subscribe(wanted, (now, self.now)))
    }

    fn unsubscribe(&mut self, id: SubscriptionId) -> Result<Dropped> {
        self.trace.note(Trace::Unstamped);
        Ok(self.committed.dropped(self.state.unsubscribe(id)))
    }

    fn has_topic(&mut self, id: TopicId) -> Result<bool> {
        Ok(self.state.topics.contains_key(&id))
    }

    fn delete_topic(&mut self, id: TopicId) -> Result<Dropped> {
        self.trace.note(Trace::Unstamped);
        Ok(self.committed.dropped(self.state.delete_topic(id)))
    }

    fn delete_queue(&mut self, id: QueueId) -> Result<Dropped> {
        self.trace.note(Trace::Unstamped);
        Ok(self.committed.dropped(self.state.delete_queue(id)))
    }

    fn confirm_subscription(&mut self, token: &str) -> Result<Option<Subscription>> {
        self.trace.note(Trace::Unstamped);
        let mut subscribers = self.state.subscriptions.edit().values_mut();
        let found = subscribers.find(|subscriber| subscriber.token.as_deref() == Some(token));
        Ok(found.map(|subscriber| {
            subscriber.subscription.state = SubscriptionState::Confirmed;
            subscriber.subscription.reconfirms = false;
            subscriber.subscription.disabled_because = None;
            subscriber.subscription.clone()
        }))
    }

    fn disable_subscription(
        &mut self,
        id: SubscriptionId,
        token: Option<&str>,
    ) -> Result<Option<Subscription>> {
        self.trace.note(Trace::Unstamped);
        Ok(self.state.subscriptions.edit().get_mut(&id).map(|subscriber| {
            if !subscriber.subscription.state.is_disabled() {
                subscriber.token = token.map(str::to_owned);
                subscriber.has_gap = false;
                subscriber.subscription.state =
                    SubscriptionState::Disabled { token: subscriber.token.clone() };
                subscriber.subscription.reconfirms = false;
            }
            subscriber.subscription.clone()
        }))
    }

    fn note_why_disabled(&mut self, id: SubscriptionId, why: &str) -> Result<()> {
        self.trace.note(Trace::Unstamped);
        if let Some(subscriber) = self.state.subscriptions.edit().get_mut(&id)
            && subscriber.subscription.state.is_disabled()
        {
            subscriber.subscription.disabled_because = Some(why.to_owned());
        }
        Ok(())
    }

    fn enable_subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>> {
        self.trace.note(Trace::Unstamped);
        Ok(self.state.subscriptions.edit().get_mut(&id).map(|subscriber| {
            subscriber.subscription.state = SubscriptionState::Confirmed;
            subscriber.subscription.reconfirms = false;
            subscriber.subscription.disabled_because = None;
            subscriber.subscription.clone()
        }))
    }

    fn get_value(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.state.values.get(name).cloned())
    }

    fn put_value(&mut self, name: &str, value: &[u8]) -> Result<()> {
        self.trace.note(Trace::Unstamped);
        self.state.values.edit().insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn delete_value(&mut self, name: &str) -> Result<bool> {
        let is_gone = self.state.values.edit().remove(name).is_some();
        self.trace.note(if is_gone { Trace::Unstamped } else { Trace::Nothing });
        Ok(is_gone)
    }

    fn put_row(&mut self, row: &Row) -> Result<()> {
        row.admit()?;
        let key = (row.kind.clone(), row.id);
        if self.state.registry.get(&key) != Some(row) {
            self.trace.note(Trace::Unstamped);
            self.state.registry.edit().insert(key, row.clone());
        }
        Ok(())
    }

    fn delete_row(&mut self, kind: &str, id: Uuid) -> Result<bool> {
        let is_gone = self.state.registry.edit().remove(&(kind.to_owned(), id)).is_some();
        self.trace.note(if is_gone { Trace::Unstamped } else { Trace::Nothing });
        Ok(is_gone)
    }

    fn rows(&mut self) -> Result<Vec<Row>> {
        Ok(self.state.registry.values().cloned().collect())
    }
}

impl UpkeepTx for Transaction {
    fn trace(&self) -> Trace {
        self.trace
    }

    fn keep_clock(&mut self, record: &Record) -> Result<()> {
        self.state.clock = Some(record.clone());
        Ok(())
    }

    fn housekeep(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept> {
        let done = self.state.housekeep(retention, (now, self.now), budget, &mut self.committed);
        self.note_housekept(done);
        Ok(done)
    }

    fn make_room(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept> {
        let done = self.state.make_room(retention, (now, self.now), budget, &mut self.committed);
        self.note_housekept(done);
        Ok(done)
    }
}

/// Whether the row is not that of a dead letter.
pub(super) fn waits(row: &Delivery) -> bool {
    !matches!(row.state, DeliveryState::Dead { .. })
}
