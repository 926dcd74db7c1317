//! Making topics, queues and subscriptions what the configuration wants.

use event::{Position, Stamp, Timestamp, TopicId};

use super::state::{State, Subscriber};
use crate::entities::{
    Cursor, Desired, DesiredSubscription, Entities, Queue, QueueId, Subscription, SubscriptionId,
    SubscriptionState, Topic,
};
use crate::identity::{self, Assignment, Change, Match};
use crate::steps::Step;

impl State {
    pub(super) fn sync(&mut self, desired: &Desired, (wall, now): (Timestamp, Stamp)) -> Entities {
        let mut entities = Entities::default();
        for name in desired.topic_names() {
            entities.topics.push(Topic { id: self.ensure_topic(name), name: name.to_owned() });
        }
        for name in desired.queue_names() {
            let id = self.ensure_queue(name);
            self.set_limits(id, &desired.limits(name));
            entities.queues.push(Queue { id, name: name.to_owned() });
        }
        let known: Vec<Subscription> =
            self.subscriptions.values().map(|known| known.subscription.clone()).collect();
        let wanted = identity::of_topics(&entities.topics, &desired.subscriptions);
        let Assignment { matches, unnamed } = identity::assign(&known, &wanted);
        self.take_names(unnamed);
        for (found, (topic, wanted)) in matches.into_iter().zip(wanted) {
            entities.subscriptions.push(match found {
                Match::Known(known) => self.keep_subscription(known, wanted),
                Match::New => self.add_subscription(topic, wanted, (wall, now)),
                Match::Repeated => continue,
            });
        }
        let head = self.head;
        for subscriber in self.subscriptions.edit().values_mut() {
            if !entities.subscriptions.iter().any(|wanted| wanted.id == subscriber.subscription.id) {
                subscriber.remove(head, (wall, now));
                entities.removed.push(subscriber.subscription.clone());
            }
        }
        entities
    }

    pub(super) fn take_step(&mut self, step: &Step, moment: (Timestamp, Stamp)) {
        match step {
            Step::Topic(name) => drop(self.ensure_topic(name)),
            Step::Queue(name, limits) => {
                let id = self.ensure_queue(name);
                self.set_limits(id, limits);
            }
            Step::Unname(id) if self.subscriptions.contains_key(id) => self.take_names(vec![*id]),
            Step::Unname(_) => {}
            Step::Keep(id, wanted) => {
                match self.subscriptions.get(id).map(|known| known.subscription.clone()) {
                    Some(known) => drop(self.keep_subscription(&known, wanted)),
                    None => self.take_step(&Step::Add(wanted.clone()), moment),
                }
            }
            Step::Add(wanted) => {
                let topic = self.ensure_topic(&wanted.topic);
                self.add_subscription(topic, wanted, moment);
            }
            Step::Remove(id) => {
                let head = self.head;
                if let Some(subscriber) = self.subscriptions.edit().get_mut(id) {
                    subscriber.remove(head, moment);
                }
            }
        }
    }

    pub(super) fn ensure_topic(&mut self, name: &str) -> TopicId {
        self.topic_named(name).unwrap_or_else(|| {
            self.last_topic += 1;
            let id = TopicId(self.last_topic);
            self.topics.edit().insert(id, name.to_owned());
            id
        })
    }

    pub(super) fn ensure_queue(&mut self, name: &str) -> QueueId {
        self.queue_named(name).unwrap_or_else(|| {
            self.last_queue += 1;
            let id = QueueId(self.last_queue);
            self.queues.edit().insert(id, name.to_owned());
            id
        })
    }

    pub(super) fn subscriber(&mut self, id: SubscriptionId) -> &mut Subscriber {
        self.subscriptions.edit().get_mut(&id).expect("it was read a moment ago")
    }

    pub(super) fn keep_subscription(
        &mut self,
        known: &Subscription,
        wanted: &DesiredSubscription,
    ) -> Subscription {
        let (head, change) = (self.head, identity::change(known, wanted));
        let subscriber = self.subscriber(known.id);
        subscriber.removed = None;
        let subscription = &mut subscriber.subscription;
        subscription.removed_at = None;
        subscription.name.clone_from(&wanted.name);
        subscription.protocol = wanted.protocol;
        subscription.endpoint.clone_from(&wanted.endpoint);
        subscriber.change(change, wanted);
        if known.removed_at.is_some() && subscriber.has_gap {
            subscriber.subscription.cursor.dispatched_to = head;
        }
        subscriber.subscription.clone()
    }

    pub(super) fn add_subscription(
        &mut self,
        topic: TopicId,
        wanted: &DesiredSubscription,
        (wall, now): (Timestamp, Stamp),
    ) -> Subscription {
        self.last_subscription += 1;
        let subscription = Subscription {
            id: SubscriptionId(self.last_subscription),
            uuid: wanted.uuid,
            topic,
            name: wanted.name.clone(),
            protocol: wanted.protocol,
            endpoint: wanted.endpoint.clone(),
            state: first_state(wanted),
            reconfirms: false,
            disabled_because: None,
            created_at: wall,
            created: now,
            removed_at: None,
            cursor: Cursor { dispatched_to: self.head, done_to: self.head },
        };
        let subscriber = Subscriber {
            subscription: subscription.clone(),
            removed: None,
            token: wanted.confirm_with.clone(),
            has_gap: false,
        };
        self.subscriptions.edit().insert(subscription.id, subscriber);
        subscription
    }

    /// Whether a push subscription of the topic has not read the position yet, or a queue has not been sent it after a gap. Pending and disabled
    /// subscriptions count only if the event was stamped after `pinned_since`.
    pub(super) fn is_unread(
        &self,
        topic: TopicId,
        position: Position,
        stamp: Stamp,
        pinned_since: Stamp,
    ) -> bool {
        self.readers_before(topic, position).any(|subscription| subscription.pins() || stamp > pinned_since)
    }

    /// Push subscriptions of the topic that have not read the position yet, and those of queues that have not been sent it after a gap.
    pub(super) fn unread_by(&self, topic: TopicId, position: Position) -> Vec<SubscriptionId> {
        self.readers_before(topic, position).map(|subscription| subscription.id).collect()
    }

    fn readers_before(&self, topic: TopicId, position: Position) -> impl Iterator<Item = &Subscription> {
        let reads =
            |subscriber: &&Subscriber| subscriber.subscription.protocol.is_push() || subscriber.has_gap;
        let readers = self.subscriptions.values().filter(reads).map(|subscriber| &subscriber.subscription);
        readers.filter(move |known| known.topic == topic && known.cursor.done_to < position)
    }
}

impl Subscriber {
    /// The configuration no longer wants it. If it is that of a queue, a gap begins after `head`.
    fn remove(&mut self, head: Position, (wall, now): (Timestamp, Stamp)) {
        let subscription = &mut self.subscription;
        if subscription.removed_at.is_none()
            && subscription.protocol.is_pull()
            && !subscription.state.is_disabled()
            && !std::mem::replace(&mut self.has_gap, true)
        {
            subscription.cursor = Cursor { dispatched_to: head, done_to: head };
        }
        subscription.removed_at.get_or_insert(wall);
        self.removed.get_or_insert(now);
    }

    /// Changes its state.
    pub(super) fn change(&mut self, change: Change, wanted: &DesiredSubscription) {
        let subscription = &mut self.subscription;
        match change {
            Change::None => return,
            Change::Vouched => subscription.state = SubscriptionState::Confirmed,
            Change::DeclaredAnew | Change::Moved { .. } => {
                subscription.state = first_state(wanted);
                subscription.disabled_because = None;
                self.token.clone_from(&wanted.confirm_with);
            }
        }
        if change == Change::DeclaredAnew {
            subscription.uuid = wanted.uuid;
            self.has_gap = false;
        }
        subscription.reconfirms = change == Change::Moved { reconfirms: true };
    }
}

/// The state of a new subscription.
fn first_state(wanted: &DesiredSubscription) -> SubscriptionState {
    match &wanted.confirm_with {
        Some(token) => SubscriptionState::Pending { token: token.clone() },
        None => SubscriptionState::Confirmed,
    }
}
