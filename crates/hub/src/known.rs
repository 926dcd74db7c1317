//! The topics, queues and subscriptions of one generation of the configuration, as the hub serves them.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use event::TopicId;
use storage::entities::{Entities, Queue as StoredQueue, Subscription, SubscriptionId};

use crate::message::Writing;
use crate::queue::Queue;
use crate::subscription::Subscribed;
use crate::{Names, QueueSettings, Settings};

/// How many ended subscriptions are still known: the most recent ones.
const MAX_ENDED: usize = 10_000;

/// One generation. It shares everything that is the same with the previous one, so that those who wait for a queue or for a subscription's state
/// go on waiting.
#[derive(Clone)]
pub(crate) struct Known {
    pub writing: Writing,
    /// By bare name, without deleted ones.
    pub topics: HashMap<String, TopicId>,
    /// By bare name.
    pub queues: BTreeMap<String, Queue>,
    /// Subscriptions in the configuration, and removed ones, whose ARNs are still in messages.
    pub subscriptions: HashMap<SubscriptionId, Arc<Subscribed>>,
    ended: Ended,
}

/// Those that their owner ended, up to [`MAX_ENDED`].
#[derive(Clone, Default)]
struct Ended {
    ids: HashSet<SubscriptionId>,
    /// In the order in which they ended.
    order: VecDeque<SubscriptionId>,
}

impl Ended {
    /// Adds one. Returns the oldest, which is forgotten, if there are too many.
    fn push(&mut self, id: SubscriptionId) -> Option<SubscriptionId> {
        self.ids.insert(id);
        self.order.push_back(id);
        let oldest = if self.order.len() > MAX_ENDED { self.order.pop_front() } else { None }?;
        self.ids.remove(&oldest);
        Some(oldest)
    }
}

impl Known {
    pub fn new(
        names: &Names,
        hub_url: &str,
        settings: &Settings,
        entities: &Entities,
        before: Option<&Self>,
    ) -> Self {
        let mut known = Self {
            writing: Writing::new(names.clone(), hub_url),
            topics: HashMap::new(),
            queues: BTreeMap::new(),
            subscriptions: HashMap::new(),
            ended: Ended::default(),
        };
        for topic in &entities.topics {
            known.put_topic(topic.id, &topic.name);
            let version = settings.signed.get(&topic.name).copied().unwrap_or_default();
            known.writing.sign_as(topic.id, version);
        }
        for stored in &entities.queues {
            let settings = settings.queues.get(&stored.name).copied().unwrap_or_default();
            known.put_queue(stored, settings, before.and_then(|before| before.queues.get(&stored.name)));
        }
        for stored in entities.subscriptions.iter().chain(&entities.removed) {
            let before = before.and_then(|before| before.subscriptions.get(&stored.id));
            known.put_subscription(stored, settings.raw.contains(&stored.id), before.map(|before| &**before));
        }
        if let Some(before) = before {
            known.take_over(before);
        }
        known
    }

    /// Takes over removed and ended subscriptions from the previous generation.
    fn take_over(&mut self, before: &Self) {
        for queue in before.queues.values() {
            if self.queues.get(queue.name()).is_none_or(|now| now.id() != queue.id()) {
                queue.delete();
            }
        }
        for id in &before.ended.order {
            if let Some(ended) = before.subscriptions.get(id).filter(|_| !self.subscriptions.contains_key(id))
            {
                self.writing.put_as_in(&before.writing, ended.topic(), *id);
                self.subscriptions.insert(*id, ended.clone());
                self.ended.push(*id);
            }
        }
    }

    pub fn put_topic(&mut self, id: TopicId, name: &str) {
        self.writing.put_topic(id, name);
        self.topics.insert(name.to_owned(), id);
    }

    /// Adds a queue or replaces it, with these settings.
    pub fn put_queue(&mut self, stored: &StoredQueue, settings: QueueSettings, before: Option<&Queue>) {
        let queue = match before {
            Some(before) if before.is(stored, settings) => before.clone(),
            before => Queue::new(stored.clone(), settings, before),
        };
        self.queues.insert(stored.name.clone(), queue);
    }

    pub fn put_subscription(&mut self, stored: &Subscription, is_raw: bool, before: Option<&Subscribed>) {
        let subscribed = Subscribed::new(stored, before);
        self.subscriptions.insert(stored.id, Arc::new(subscribed));
        self.writing.put(stored, is_raw);
    }

    /// Ends a subscription, so that its worker stops. Returns it; `None` if it does not exist or was ended before.
    pub fn end_subscription(&mut self, id: SubscriptionId) -> Option<Arc<Subscribed>> {
        let ended = self.subscriptions.get(&id).filter(|_| !self.ended.ids.contains(&id))?.clone();
        ended.end();
        if let Some(oldest) = self.ended.push(id) {
            self.subscriptions.remove(&oldest);
            self.writing.forget(oldest);
        }
        Some(ended)
    }

    /// The subscriptions that no owner ended.
    pub fn declared(&self) -> impl Iterator<Item = (SubscriptionId, &Subscribed)> {
        let all = self.subscriptions.iter().map(|(id, one)| (*id, &**one));
        all.filter(|(id, _)| !self.ended.ids.contains(id))
    }

    /// The subscriptions of a topic.
    pub fn subscriptions_of(&self, topic: TopicId) -> Vec<SubscriptionId> {
        let of_topic = |(_, known): &(_, &Arc<Subscribed>)| known.topic() == topic;
        self.subscriptions.iter().filter(of_topic).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_too_many_ended_subscriptions_is_forgotten() {
        let (mut ended, most) = (Ended::default(), MAX_ENDED as i64);
        assert!((0..most).all(|number| ended.push(SubscriptionId(number)).is_none()));
        assert_eq!(ended.push(SubscriptionId(most)), Some(SubscriptionId(0)));
        assert_eq!(ended.ids.len(), MAX_ENDED);
    }
}
