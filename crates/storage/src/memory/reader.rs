//! Reads of what is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::{Event, EventId, Position, Stamp, Timestamp, TopicId};

use super::Shared;
use super::faults::ReadFaults;
use super::state::State;
use super::transaction::waits;
use crate::Result;
use crate::delivery::{Attempt, Death, Delivery, DeliveryId, DeliveryState};
use crate::entities::{Queue, QueueId, Subscription, SubscriptionId, Topic};
use crate::ports::{
    self, BlockedKey, DeliveriesReader, JournalReader, Lag, LogReader, LookBack, Looked, OpenIntents,
    QueuesReader, RegistryReader, Rows, StoreStats, UpkeepReader, Waiting,
};
use crate::queue::{Limits, QueueDepth, QueuedMessage};
use crate::registry::Row;

/// The in-memory store's read side.
pub(super) struct MemoryReader {
    pub(super) shared: Arc<Shared>,
    pub(super) faults: Arc<ReadFaults>,
}

impl MemoryReader {
    /// The committed tables as they are now, unless this read is made to fail.
    fn state(&self) -> Result<State> {
        self.faults.pass()?;
        Ok(self.shared.state())
    }

    /// A copy of the rows, unless one of them is made unreadable.
    fn whole<'r>(&self, rows: impl Iterator<Item = &'r Delivery>) -> Result<Vec<Delivery>> {
        rows.map(|row| self.faults.touch_row(row).map(|()| row.clone())).collect()
    }
}

impl LogReader for MemoryReader {
    fn head(&self) -> Result<Position> {
        Ok(self.state()?.head)
    }

    fn events_after(
        &self,
        topic: TopicId,
        after: Position,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Event>> {
        let state = self.state()?;
        let of_topic = state.after(after).filter(|event| event.body.topic == topic);
        let mut events: Vec<Event> = Vec::new();
        let mut bytes = 0;
        for event in of_topic.take(limit) {
            let whole = self.faults.touch(event.position).and(state.event_at(event.position).map(drop));
            match whole {
                Err(_) if !events.is_empty() => break,
                whole => whole?,
            }
            bytes += event.body.bytes();
            if bytes > max_bytes && !events.is_empty() {
                break;
            }
            events.push(event.clone());
        }
        Ok(events)
    }

    fn next_position(&self, topic: TopicId, after: Position) -> Result<Option<Position>> {
        let state = self.state()?;
        let mut of_topic = state.after(after).filter(|event| event.body.topic == topic);
        Ok(of_topic.next().map(|event| event.position))
    }

    fn event_at(&self, position: Position) -> Result<Option<Event>> {
        self.faults.touch(position)?;
        Ok(self.state()?.event_at(position)?.cloned())
    }

    fn first_since(&self, moment: Stamp) -> Result<Option<Position>> {
        let state = self.state()?;
        Ok(state.events.iter().find(|(_, event)| event.stamp >= moment).map(|(position, _)| *position))
    }

    fn id_at(&self, position: Position) -> Result<Option<EventId>> {
        Ok(self.state()?.events.get(&position).map(|event| event.body.id))
    }

    fn event(&self, id: EventId) -> Result<Option<Event>> {
        let state = self.state()?;
        match state.positions.get(&id) {
            Some(position) => Ok(state.event_at(*position)?.cloned()),
            None => Ok(None),
        }
    }

    fn look_back(&self, over: LookBack) -> Result<Looked> {
        let state = self.state()?;
        let before = over.before.unwrap_or(Position(i64::MAX));
        let (mut looked, mut rows) = (Looked::default(), 0);
        for (position, event) in state.events.range(..before).rev() {
            let rows_here = state.deliveries.values().filter(|row| row.id.position == *position);
            let rows_here: Vec<&Delivery> = rows_here.filter(|row| state.is_kept(row)).collect();
            // A search by the state of rows looks only at events that have rows; another one with a topic only at events of the topic.
            let is_looked_at = match over.row {
                Some(_) => !rows_here.is_empty(),
                None => over.topic.is_none_or(|topic| event.body.topic == topic),
            };
            if !is_looked_at {
                continue;
            }
            if rows >= over.rows {
                return Ok(looked);
            }
            rows += 1 + if over.row.is_some() { rows_here.len() } else { 0 };
            looked.next = Some(*position);
            if over.topic.is_none_or(|topic| event.body.topic == topic)
                && over.row.is_none_or(|wanted| rows_here.iter().any(|row| row.state.word() == wanted))
            {
                looked.heads.push((&**event).into());
            }
        }
        looked.next = looked.next.filter(|_| rows >= over.rows);
        Ok(looked)
    }
}

impl JournalReader for MemoryReader {
    fn open_intents(&self, after: i64, rows: usize, max_bytes: usize) -> Result<OpenIntents> {
        let state = self.state()?;
        let (mut open, mut bytes) = (OpenIntents::default(), 0);
        for (seq, intent) in state.intents.range(after.saturating_add(1)..).take(rows) {
            let intent = intent.intent.clone();
            bytes += intent.request.len();
            if bytes > max_bytes && !open.intents.is_empty() {
                return Ok(open);
            }
            open.next = Some(*seq);
            open.intents.push(ports::OpenIntent { seq: *seq, intent });
        }
        open.next = open.next.filter(|last| state.intents.range(last + 1..).next().is_some());
        Ok(open)
    }

    fn intent_at(&self, position: Position) -> Result<Option<Timestamp>> {
        Ok(self.state()?.noted.get(&position).copied())
    }
}

impl QueuesReader for MemoryReader {
    fn messages_at(&self, position: Position) -> Result<Vec<QueuedMessage>> {
        let state = self.state()?;
        let here =
            state.messages.values().filter(|message| message.position == position && !message.is_dropped);
        let mut messages: Vec<QueuedMessage> = here
            .map(|message| QueuedMessage {
                queue: message.queue,
                subscription: message.subscription,
                receive_count: message.receive_count,
            })
            .collect();
        messages.sort_by_key(|message| message.subscription);
        Ok(messages)
    }

    fn queue_depth(&self, queue: QueueId, now: Stamp) -> Result<QueueDepth> {
        Ok(self.state()?.queue_depth(queue, now))
    }
}

impl DeliveriesReader for MemoryReader {
    fn due_deliveries(
        &self,
        subscription: SubscriptionId,
        now: Stamp,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let state = self.state()?;
        let mut due: Vec<(Stamp, &Delivery)> =
            state.rows_of(subscription).filter_map(retry_at).filter(|(at, _)| *at <= now).collect();
        due.sort_by_key(|(at, row)| (*at, row.id.position));
        self.whole(due.into_iter().take(limit).map(|(_, row)| row))
    }

    fn next_due(&self, subscription: SubscriptionId) -> Result<Option<Stamp>> {
        Ok(self.state()?.rows_of(subscription).filter_map(retry_at).map(|(at, _)| at).min())
    }

    fn waiting_deliveries(
        &self,
        subscription: SubscriptionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let state = self.state()?;
        let rows = state.rows_of(subscription).filter(|row| waits(row) && row.id.position > after);
        self.whole(rows.take(limit))
    }

    fn deliveries_of_key(
        &self,
        subscription: SubscriptionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let state = self.state()?;
        let rows = state.rows_of(subscription).filter(|row| waits(row) && row.key == key);
        self.whole(rows.take(limit))
    }

    fn waiting_positions(
        &self,
        subscription: SubscriptionId,
        which: Waiting<'_>,
        limit: usize,
    ) -> Result<Vec<Position>> {
        let state = self.state()?;
        let waiting = state.rows_of(subscription).filter(|row| waits(row));
        let mut rows: Vec<&Delivery> = match which {
            Waiting::Due(now) => {
                waiting.filter(|row| retry_at(row).is_some_and(|(at, _)| at <= now)).collect()
            }
            Waiting::After(after) => waiting.filter(|row| row.id.position > after).collect(),
            Waiting::OfKey(key) => waiting.filter(|row| row.key == key).collect(),
        };
        if let Waiting::Due(_) = which {
            rows.sort_by_key(|row| (retry_at(row).map(|(at, _)| at), row.id.position));
        }
        Ok(rows.into_iter().take(limit).map(|row| row.id.position).collect())
    }

    fn dead_letters(
        &self,
        of: Option<SubscriptionId>,
        before: Option<Death>,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let state = self.state()?;
        let mut dead = state.dead_letters(of);
        dead.retain(|(death, _)| before.is_none_or(|before| *death < before));
        Ok(dead.into_iter().rev().take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn dead_letters_until(
        &self,
        of: SubscriptionId,
        after: Option<Death>,
        until: Stamp,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let state = self.state()?;
        let mut dead = state.dead_letters(Some(of));
        dead.retain(|(death, _)| death.at <= until && after.is_none_or(|after| *death > after));
        Ok(dead.into_iter().take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn deliveries_after(
        &self,
        of: Option<SubscriptionId>,
        after: Option<DeliveryId>,
        which: Rows,
        limit: usize,
    ) -> Result<Vec<Delivery>> {
        let state = self.state()?;
        let is_meant = |row: &&Delivery| {
            of.is_none_or(|of| row.id.subscription == of)
                && after.is_none_or(|after| row.id > after)
                && (which == Rows::All || waits(row))
                && state.is_kept(row)
        };
        self.whole(state.deliveries.values().filter(is_meant).take(limit))
    }

    fn blocked_keys(
        &self,
        subscription: SubscriptionId,
        after: Option<&str>,
        limit: usize,
        at_most: u64,
    ) -> Result<Vec<BlockedKey>> {
        let state = self.state()?;
        let mut keys: BTreeMap<&str, BlockedKey> = BTreeMap::new();
        let is_after = |row: &&Delivery| after.is_none_or(|after| *row.key > *after);
        for row in state.rows_of(subscription).filter(|row| waits(row)).filter(is_after) {
            keys.entry(&row.key)
                .and_modify(|known| known.behind = at_most.min(known.behind + 1))
                .or_insert_with(|| BlockedKey { head: row.clone(), behind: 0 });
        }
        Ok(keys.into_values().take(limit).collect())
    }

    fn deliveries_at(&self, position: Position) -> Result<Vec<Delivery>> {
        let state = self.state()?;
        let here = |row: &&Delivery| row.id.position == position && state.is_kept(row);
        Ok(state.deliveries.values().filter(here).cloned().collect())
    }

    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>> {
        let state = self.state()?;
        match state.deliveries.get(&id).filter(|row| state.is_kept(row)) {
            Some(row) => Ok(self.whole([row].into_iter())?.pop()),
            None => Ok(None),
        }
    }

    fn attempts_at(&self, position: Position) -> Result<Vec<Attempt>> {
        let state = self.state()?;
        let at = state.attempts.values().map(|recorded| &recorded.attempt);
        Ok(at.filter(|attempt| attempt.delivery.position == position).cloned().collect())
    }

    fn last_attempt(&self, id: DeliveryId) -> Result<Option<Attempt>> {
        let state = self.state()?;
        let of = (id.position, id.subscription);
        let mut attempts = state.attempts.range((of.0, of.1, 0)..=(of.0, of.1, u32::MAX));
        Ok(attempts.next_back().map(|(_, recorded)| recorded.attempt.clone()))
    }

    fn lag(&self, subscription: SubscriptionId, at_most: u64) -> Result<Lag> {
        Ok(self.state()?.lag(subscription, usize::try_from(at_most).unwrap_or(usize::MAX)))
    }
}

impl RegistryReader for MemoryReader {
    fn topics(&self) -> Result<Vec<Topic>> {
        let state = self.state()?;
        Ok(state.topics.iter().map(|(id, name)| Topic { id: *id, name: name.clone() }).collect())
    }

    fn queues(&self) -> Result<Vec<(Queue, Limits)>> {
        let state = self.state()?;
        let queue =
            |(id, name): (&QueueId, &String)| (Queue { id: *id, name: name.clone() }, state.limits(*id));
        Ok(state.queues.iter().map(queue).collect())
    }

    fn subscriptions(&self) -> Result<Vec<Subscription>> {
        let state = self.state()?;
        Ok(state.subscriptions.values().map(|subscriber| subscriber.subscription.clone()).collect())
    }

    fn rows(&self) -> Result<Vec<Row>> {
        Ok(self.state()?.registry.values().cloned().collect())
    }
}

impl UpkeepReader for MemoryReader {
    fn stats(&self) -> Result<StoreStats> {
        let state = self.state()?;
        Ok(StoreStats { open_intents: state.intents.len() as u64, bytes: state.bytes(), wal_bytes: 0 })
    }

    fn check(&self, _full: bool) -> Result<Vec<String>> {
        let state = self.state()?;
        let head = state.head;
        let subscriptions = state.subscriptions.values().map(|subscriber| &subscriber.subscription);
        let ahead = subscriptions
            .filter(|known| known.cursor.dispatched_to.max(known.cursor.done_to) > head)
            .map(|known| {
                let whose = known.whose(state.topics.get(&known.topic).map(String::as_str));
                format!("subscription {} ({whose}) has read past the log's end", known.id.0)
            });
        let missing = |position| !state.events.contains_key(position);
        let messages = state.messages.iter().filter(|(_, message)| missing(&message.position));
        let rows = state.deliveries.keys().filter(|row| missing(&row.position));
        Ok(ahead
            .chain(messages.map(|(seq, _)| format!("message {seq} points at no event")))
            .chain(rows.map(|row| format!("a delivery points at no event ({})", row.position)))
            .collect())
    }
}

fn retry_at(row: &Delivery) -> Option<(Stamp, &Delivery)> {
    match row.state {
        DeliveryState::Retry { at } => Some((at, row)),
        _ => None,
    }
}

impl State {
    fn after(&self, after: Position) -> impl Iterator<Item = &Event> + '_ {
        self.events.range(Position(after.0.saturating_add(1))..).map(|(_, event)| &**event)
    }

    /// Dead letters, the first that died first.
    fn dead_letters(&self, of: Option<SubscriptionId>) -> Vec<(Death, &Delivery)> {
        let rows = self
            .deliveries
            .values()
            .filter(|row| of.is_none_or(|of| row.id.subscription == of) && self.is_kept(row));
        let mut dead: Vec<_> = rows.filter_map(|row| Some((row.death()?, row))).collect();
        dead.sort_by_key(|(death, _)| *death);
        dead
    }

    fn lag(&self, id: SubscriptionId, at_most: usize) -> Lag {
        let Some(subscriber) = self.subscriptions.get(&id) else { return Lag::default() };
        let subscription = &subscriber.subscription;
        if subscription.protocol.is_pull() {
            return Lag::default();
        }
        let unread: Vec<&Event> = self
            .after(subscription.cursor.done_to)
            .filter(|event| event.body.topic == subscription.topic)
            .take(at_most)
            .collect();
        let waiting: Vec<&Delivery> = self.rows_of(id).filter(|row| waits(row)).take(at_most).collect();
        let first_unread = unread.first().map(|event| event.position);
        let oldest = waiting.first().map(|row| row.id.position).into_iter().chain(first_unread).min();
        Lag {
            unread: unread.len() as u64,
            waiting: waiting.len() as u64,
            behind: waiting.iter().filter(|row| row.state == DeliveryState::Behind).count() as u64,
            dead: self.rows_of(id).filter(|row| !waits(row)).take(at_most).count() as u64,
            oldest: oldest.and_then(|position| self.events.get(&position)).map(|event| event.stamp),
        }
    }
}
