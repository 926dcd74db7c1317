//! What differs between two configurations: whether a reload has something to do, and whether it may do it while the node runs.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use storage::entities::Protocol;

use crate::entities::{Config, Subscription};

/// A topic, queue or subscription that two configurations do not have alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubChange {
    /// Which one.
    pub what: HubEntity,
    /// What became of it.
    pub how: How,
}

/// What the hub has of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEntity {
    /// A topic, by its bare name.
    Topic(String),
    /// A queue, by its bare name.
    Queue(String),
    /// Who hears of a topic.
    Subscription {
        /// The topic's bare name.
        topic: String,
        /// Its own name, if it has one.
        name: Option<String>,
        /// How it is reached.
        protocol: Protocol,
        /// The URL as written, or the queue's bare name.
        endpoint: String,
    },
}

/// What became of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Only the newer configuration has it.
    Added,
    /// Only the older configuration has it.
    Removed,
    /// Both have it, with different settings.
    Changed,
}

impl Config {
    /// Whether requests fare alike under both: the same services, routes and plug-ins in the same order.
    pub fn serves_as(&self, other: &Self) -> bool {
        self.services == other.services
    }

    /// What a newer configuration has different of the hub. Their order, and where in a file they stand, does not matter.
    pub fn hub_changes(&self, newer: &Self) -> Vec<HubChange> {
        let topics = |config: &Self| {
            let topics = config.topics.iter();
            topics.map(|name| (name.clone(), HubEntity::Topic(name.clone()), ())).collect()
        };
        let queues = |config: &Self| {
            let queues = config.queues.iter();
            queues
                .map(|queue| (queue.name.clone(), HubEntity::Queue(queue.name.clone()), queue.clone()))
                .collect()
        };
        let subscriptions = |config: &Self| {
            let subscriptions = config.subscriptions.iter();
            subscriptions.map(|one| (Identity::of(one), entity(one), without_place(one))).collect()
        };
        let topics = changes(topics(self), topics(newer));
        let queues = changes(queues(self), queues(newer));
        let subscriptions = changes(subscriptions(self), subscriptions(newer));
        [topics, queues, subscriptions].concat()
    }
}

/// What makes a subscription the same one: its name if it has one, else how and where it is reached.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Identity {
    Name { topic: String, name: String },
    Endpoint { topic: String, protocol: Protocol, endpoint: String },
}

impl Identity {
    fn of(subscription: &Subscription) -> Self {
        let Subscription { topic, name, protocol, endpoint, .. } = subscription;
        match name {
            Some(name) => Self::Name { topic: topic.clone(), name: name.clone() },
            None => Self::Endpoint { topic: topic.clone(), protocol: *protocol, endpoint: endpoint.clone() },
        }
    }
}

fn entity(subscription: &Subscription) -> HubEntity {
    let Subscription { topic, name, protocol, endpoint, .. } = subscription;
    HubEntity::Subscription {
        topic: topic.clone(),
        name: name.clone(),
        protocol: *protocol,
        endpoint: endpoint.clone(),
    }
}

fn without_place(subscription: &Subscription) -> Subscription {
    Subscription { place: String::new(), ..subscription.clone() }
}

/// An entity with what makes it the same one in two configurations, and with its settings.
type Entry<K, V> = (K, HubEntity, V);

/// In the order of the newer configuration; what is gone follows.
fn changes<K: Clone + Eq + Hash, V: PartialEq>(
    older: Vec<Entry<K, V>>,
    newer: Vec<Entry<K, V>>,
) -> Vec<HubChange> {
    let kept: HashSet<K> = newer.iter().map(|(key, ..)| key.clone()).collect();
    let known: HashMap<K, &V> = older.iter().map(|(key, _, settings)| (key.clone(), settings)).collect();
    let mut changes = Vec::new();
    for (key, what, settings) in newer {
        let how = match known.get(&key) {
            None => How::Added,
            Some(known) if **known != settings => How::Changed,
            Some(_) => continue,
        };
        changes.push(HubChange { what, how });
    }
    let gone = older.iter().filter(|(key, ..)| !kept.contains(key));
    changes.extend(gone.map(|(_, what, _)| HubChange { what: what.clone(), how: How::Removed }));
    changes
}

#[cfg(test)]
mod tests;
