//! The topics, queues and subscriptions of one generation of the configuration, as the hub serves them.

use std::collections::{BTreeMap, HashMap};

use storage::entities::{Entities, SubscriptionId};

use crate::message::Writing;
use crate::queue::Queue;
use crate::subscription::Subscribed;
use crate::{Names, Settings};

/// One generation. What it has in common with the one before it shares with it: who waits for news of a queue or of a subscription's state
/// goes on waiting.
pub(crate) struct Known {
    pub writing: Writing,
    /// By bare name.
    pub queues: BTreeMap<String, Queue>,
    /// Those of the configuration, and those that it no longer names: their ARNs still stand in messages.
    pub subscriptions: HashMap<SubscriptionId, Subscribed>,
}

impl Known {
    pub fn new(
        names: &Names,
        hub_url: &str,
        settings: Settings,
        entities: &Entities,
        before: Option<&Self>,
    ) -> Self {
        let queues = entities.queues.iter().map(|stored| {
            let settings = settings.queues.get(&stored.name).copied().unwrap_or_default();
            let before = before.and_then(|before| before.queues.get(&stored.name));
            let same = before.filter(|before| before.is(stored, settings));
            let queue = same.cloned().unwrap_or_else(|| Queue::new(stored.clone(), settings));
            (stored.name.clone(), queue)
        });
        let subscriptions = entities.subscriptions.iter().chain(&entities.removed).map(|stored| {
            let before = before.and_then(|before| before.subscriptions.get(&stored.id));
            (stored.id, Subscribed::new(stored, before))
        });
        Self {
            queues: queues.collect(),
            subscriptions: subscriptions.collect(),
            writing: Writing::new(names.clone(), hub_url.to_owned(), settings.raw, entities),
        }
    }
}
