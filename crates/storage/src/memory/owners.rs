//! Commands of owners on single topics, queues and subscriptions.

use event::{Position, Stamp, Timestamp, TopicId};

use super::state::State;
use super::transaction::waits;
use crate::dropped::{Dropped, MAX_COUNTED};
use crate::entities::{DesiredSubscription, QueueId, Subscription, SubscriptionId};
use crate::identity::{self, OneMore};

impl State {
    /// Returns the subscription, and whether it is new.
    pub(super) fn subscribe(
        &mut self,
        wanted: &DesiredSubscription,
        moment: (Timestamp, Stamp),
    ) -> (Subscription, bool) {
        let topic = self.ensure_topic(&wanted.topic);
        if wanted.protocol.is_pull() {
            self.ensure_queue(&wanted.endpoint);
        }
        let known: Vec<Subscription> =
            self.subscriptions.values().map(|known| known.subscription.clone()).collect();
        match identity::one_more(&known, (topic, wanted)) {
            OneMore::Wanted(known, change) => {
                let subscriber = self.subscriber(known.id);
                subscriber.change(change, wanted);
                (subscriber.subscription.clone(), false)
            }
            OneMore::Back(known, unnamed) => {
                self.take_names(unnamed);
                (self.keep_subscription(known, wanted), false)
            }
            OneMore::New(unnamed) => {
                self.take_names(unnamed);
                (self.add_subscription(topic, wanted, moment), true)
            }
        }
    }

    pub(super) fn take_names(&mut self, unnamed: Vec<SubscriptionId>) {
        for id in unnamed {
            self.subscriber(id).subscription.name = None;
        }
    }

    pub(super) fn unsubscribe(&mut self, id: SubscriptionId) -> Dropped {
        self.end(|known| known.id == id)
    }

    pub(super) fn delete_topic(&mut self, id: TopicId) -> Dropped {
        if self.topics.edit().remove(&id).is_none() {
            return Dropped::default();
        }
        self.deleted_topics.edit().insert(id, ());
        self.end(|known| known.topic == id)
    }

    /// Deletes subscriptions. Their rows stay until housekeeping deletes them.
    fn end(&mut self, which: impl Fn(&Subscription) -> bool) -> Dropped {
        let known = self.subscriptions.values().map(|known| &known.subscription);
        let ended: Vec<SubscriptionId> = known.filter(|known| which(known)).map(|known| known.id).collect();
        let (mut unread, mut waiting, mut dead) = (0, 0, 0);
        for id in &ended {
            unread += self.unread(*id);
            waiting += self.rows_of(*id).filter(|row| waits(row)).count() as u64;
            dead += self.rows_of(*id).filter(|row| !waits(row)).count() as u64;
        }
        for id in &ended {
            self.subscriptions.edit().remove(id);
        }
        Dropped { subscriptions: ended.len() as u64, unread, waiting, dead, messages: 0 }.counted()
    }

    /// How many events a subscription has not read yet, or its queue has not been sent yet after a gap.
    fn unread(&self, id: SubscriptionId) -> u64 {
        let Some(subscriber) = self.subscriptions.get(&id) else { return 0 };
        let known = &subscriber.subscription;
        if known.protocol.is_pull() && !subscriber.has_gap {
            return 0;
        }
        let last = match known.protocol.is_pull() && known.removed_at.is_none() {
            true => known.cursor.dispatched_to,
            false => Position(i64::MAX),
        };
        let positions = self.events.values().filter(|event| event.body.topic == known.topic);
        let unread = |position| known.cursor.done_to < position && position <= last;
        positions.filter(|event| unread(event.position)).count() as u64
    }

    pub(super) fn delete_queue(&mut self, id: QueueId) -> Dropped {
        let Some(name) = self.queues.edit().remove(&id) else { return Dropped::default() };
        self.message_retention.edit().remove(&id);
        self.redrive.edit().remove(&id);
        let known = self.subscriptions.values().map(|known| &known.subscription);
        let to_it: Vec<SubscriptionId> = known
            .filter(|known| known.protocol.is_pull() && known.endpoint == name)
            .map(|known| known.id)
            .collect();
        let unread = to_it.iter().map(|id| self.unread(*id)).sum();
        for id in to_it {
            self.subscriber(id).has_gap = false;
        }
        Dropped { unread, ..self.purge_queue(id) }.counted()
    }

    pub(super) fn purge_queue(&mut self, id: QueueId) -> Dropped {
        let mut messages = 0;
        for message in self.messages.edit().values_mut().filter(|message| message.is_in(id)) {
            message.is_dropped = true;
            messages += 1;
        }
        Dropped { messages, ..Dropped::default() }.counted()
    }
}

impl Dropped {
    /// With no number above [`MAX_COUNTED`], except that of subscriptions.
    fn counted(self) -> Self {
        let Self { subscriptions, unread, waiting, dead, messages } = self;
        let [unread, waiting, dead, messages] =
            [unread, waiting, dead, messages].map(|count: u64| count.min(MAX_COUNTED));
        Self { subscriptions, unread, waiting, dead, messages }
    }
}
