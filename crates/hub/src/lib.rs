//! Topics, subscriptions and queues as protocol-neutral commands and replies, over the ports of `storage`.
//!
//! * [`publish`]: publish to a topic, send straight to a queue.
//! * [`queue`]: find a queue, receive (with long polling), delete, change visibility.
//! * [`Hub::edit`]: make and end single topics, queues and subscriptions, in one commit with whatever else belongs to it.
//! * [`subscription`]: confirm, unsubscribe, enable.
//! * [`message`]: what a receiver gets for an event in a queue.
//! * [`receipt`], [`token`], [`names`]: the texts that travel: receipt handles, confirmation tokens, ARNs.
//!
//! Knows no HTTP, no JSON or XML of a protocol, and no status; `protocols` speaks those. Topics, queues and subscriptions come from the
//! configuration: [`Hub::declare`] makes them those of a new generation while everything goes on, and [`Hub::edit`] changes single ones.

use std::sync::{Arc, PoisonError, RwLock};

use delivery::drain::Drain;
use delivery::wire::cache::Messages;
use event::Timestamp;
use event::timestamp::Clock;
use storage::entities::{Desired, Entities};
use storage::{Feed, Reader, StoreError, Tx, Writer};
use tokio::sync::{Mutex, Semaphore};

mod edit;
pub mod error;
mod known;
pub mod message;
pub mod names;
pub mod publish;
pub mod queue;
pub mod receipt;
pub mod settings;
pub mod subscription;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod token;

pub use edit::Edit;
pub use error::{HubError, Result};
pub use names::Names;
pub use settings::{Config, QueueSettings, Settings};

use known::Known;
use message::SnsKeyReceiver;
use receipt::Receipts;

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
    hub_url: String,
    /// Replaced as a whole; never locked across a wait.
    known: RwLock<Arc<Known>>,
    /// Held by whoever changes entities in the store until [`Shared::known`] says the same.
    changing: Mutex<()>,
    receipts: Receipts,
    polls: Semaphore,
    max_polls: usize,
    deps: Deps,
}

impl Hub {
    /// Loads the key of the receipt handles; knows `entities`, which the store has, with what the configuration says of them.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn build(config: Config, settings: Settings, entities: &Entities, deps: Deps) -> Result<Self> {
        let receipts = Receipts::load(&deps.writer).await?;
        let Config { names, hub_url, max_long_polls } = config;
        let known = Known::new(&names, &hub_url, &settings, entities, None);
        let shared = Shared {
            names,
            hub_url,
            known: RwLock::new(Arc::new(known)),
            changing: Mutex::default(),
            receipts,
            polls: Semaphore::new(max_long_polls),
            max_polls: max_long_polls,
            deps,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Makes topics, queues and subscriptions those of a new generation: in the store ([`RegistryTx::sync_entities`](storage::ports::RegistryTx::sync_entities)),
    /// durably, and for every command that begins from now on. `settings` says what the configuration has of the entities that the store
    /// has then; `also` is part of the same commit, and may run more than once. What stays the same feels nothing: receives go on waiting, and who watches a subscription's state hears only of another
    /// state. To its end even if the caller goes away.
    ///
    /// # Errors
    /// If the store fails: then nothing has changed.
    pub async fn declare<S, A>(&self, desired: Desired, settings: S, mut also: A) -> Result<Entities>
    where
        S: FnOnce(&Entities) -> Settings + Send + 'static,
        A: FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static,
    {
        let hub = self.clone();
        let declaring = tokio::spawn(async move {
            let _one_at_a_time = hub.shared.changing.lock().await;
            let now = hub.shared.deps.clock.now();
            let change = move |tx: &mut dyn Tx| {
                also(tx)?;
                tx.sync_entities(&desired, now)
            };
            let entities = hub.shared.deps.writer.transact(change).await?;
            let before = hub.known();
            let settings = settings(&entities);
            let Shared { names, hub_url, known, .. } = &*hub.shared;
            let next = Known::new(names, hub_url, &settings, &entities, Some(&before));
            *known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
            Ok(entities)
        });
        declaring.await.unwrap_or(Err(StoreError::Closed)).map_err(HubError::store("declare the entities"))
    }

    /// What is served now.
    fn known(&self) -> Arc<Known> {
        self.shared.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.shared.deps.clock.now()
    }

    /// Account and region.
    pub fn names(&self) -> &Names {
        &self.shared.names
    }
}

#[cfg(test)]
mod tests;
