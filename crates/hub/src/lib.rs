//! Topics, subscriptions and queues as protocol-neutral commands and replies, over the ports of `storage`.
//!
//! * [`queue`]: find a queue, receive (with long polling), delete, change visibility.
//! * [`subscription`]: confirm, unsubscribe, enable.
//! * [`message`]: what a receiver gets for an event in a queue.
//! * [`receipt`], [`token`], [`names`]: the texts that travel: receipt handles, confirmation tokens, ARNs.
//!
//! Knows no HTTP, no JSON or XML of a protocol, and no status; `protocols` speaks those. Creates nothing: topics, queues and
//! subscriptions come from the configuration, and what the hub knows of them is fixed when it is built.

use std::collections::BTreeMap;
use std::sync::Arc;

use delivery::drain::Drain;
use delivery::wire::cache::Messages;
use event::timestamp::Clock;
use storage::entities::Entities;
use storage::{Feed, Reader, Writer};
use tokio::sync::Semaphore;

pub mod error;
pub mod message;
pub mod names;
pub mod queue;
pub mod receipt;
pub mod settings;
pub mod subscription;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;

pub use error::{HubError, Result};
pub use names::Names;
pub use settings::{Config, QueueSettings};

use message::{SnsKeyReceiver, Writing};
use queue::Queue;
use receipt::Receipts;
use subscription::Subscriptions;

/// What the hub works with.
#[derive(Clone)]
pub struct Deps {
    /// Every change goes through it.
    pub writer: Writer,
    /// Reads beside it.
    pub reader: Arc<dyn Reader>,
    /// Wakes long polls.
    pub feed: Feed,
    /// The time now.
    pub clock: Arc<dyn Clock>,
    /// Rendered and signed messages; those of the deliveries, so that each is made once.
    pub messages: Messages,
    /// The key that signs notifications, as soon as there is one.
    pub sns_key: SnsKeyReceiver,
    /// Ends long polls.
    pub drain: Drain,
}

/// The hub; clones share it.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    names: Names,
    writing: Writing,
    queues: BTreeMap<String, Queue>,
    subscriptions: Subscriptions,
    receipts: Receipts,
    polls: Semaphore,
    max_polls: usize,
    deps: Deps,
}

impl Hub {
    /// Loads the key of the receipt handles; knows of `entities` what the configuration said when the store was opened.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn build(config: Config, entities: Entities, deps: Deps) -> Result<Self> {
        let receipts = Receipts::load(&deps.writer).await?;
        let subscriptions = Subscriptions::new(&entities);
        let writing = Writing::new(config.names.clone(), config.hub_url, config.raw, &entities);
        let queues = entities.queues.into_iter().map(|stored| {
            let settings = config.queues.get(&stored.name).copied().unwrap_or_default();
            (stored.name.clone(), Queue::new(stored, settings))
        });
        let shared = Shared {
            names: config.names,
            writing,
            queues: queues.collect(),
            subscriptions,
            receipts,
            polls: Semaphore::new(config.max_long_polls),
            max_polls: config.max_long_polls,
            deps,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Account and region.
    pub fn names(&self) -> &Names {
        &self.shared.names
    }
}

#[cfg(test)]
mod tests;
