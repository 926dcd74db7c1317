//! What differs between two configurations in topics, queues and subscriptions, so that a reload changes only that.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use entities::{Protocol, Queue, Set, Subscription};

/// A topic, queue or subscription that differs between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubChange {
    /// The entity.
    pub what: HubEntity,
    /// How it differs.
    pub how: How,
}

/// An entity of the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEntity {
    /// A topic, by its bare name.
    Topic(String),
    /// A queue, by its bare name.
    Queue(String),
    /// A subscription to a topic.
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

/// How an entity differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Only the newer configuration has it.
    Added,
    /// Only the older configuration has it.
    Removed,
    /// Both have it, with different settings.
    Changed,
}

/// The topics, queues and subscriptions that differ in a newer configuration. Their order does not count, nor when and by whom they were made.
pub fn hub_changes(older: &Set, newer: &Set) -> Vec<HubChange> {
    let topics = |set: &Set| {
        set.topics
            .iter()
            .map(|topic| (topic.name.clone(), HubEntity::Topic(topic.name.clone()), ()))
            .collect()
    };
    let queues = |set: &Set| {
        let queue =
            |one: &Arc<Queue>| (one.name.clone(), HubEntity::Queue(one.name.clone()), Treated(one.clone()));
        set.queues.iter().map(queue).collect()
    };
    let subscriptions = |set: &Set| {
        let subscription = |one: &Subscription| (one.identity(), entity(one), Delivered(one.clone()));
        set.subscriptions.iter().map(|one| subscription(one)).collect()
    };
    let topics = changes(topics(older), topics(newer));
    let queues = changes(queues(older), queues(newer));
    let subscriptions = changes(subscriptions(older), subscriptions(newer));
    [topics, queues, subscriptions].concat()
}

/// Two are the same if they do the same with messages.
struct Treated(Arc<Queue>);

impl PartialEq for Treated {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_as(&other.0)
    }
}

/// A subscription; two are equal if they deliver in the same way.
struct Delivered(Subscription);

impl PartialEq for Delivered {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_as(&other.0)
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

/// An entity with its identity across configurations, and with its settings.
type Entry<K, V> = (K, HubEntity, V);

/// The changes, in the order of the newer configuration; removed entities follow.
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
