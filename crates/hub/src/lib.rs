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

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use delivery::drain::Drain;
use delivery::wire::cache::Messages;
use event::Timestamp;
use event::timestamp::Clock;
use storage::entities::{Desired, Entities};
use storage::steps::{self, Step, Steps};
use storage::{Feed, Reader, StoreError, Tx, Writer, failpoint};
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

/// What one commit changes of topics, queues and subscriptions at a declaration: less than a millisecond of it.
pub const STEPS_AT_ONCE: usize = 64;

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

    /// Makes topics, queues and subscriptions those of a new generation: in the store, durably, and for every command that begins after that.
    /// `settings` says what the configuration has of the entities that the store
    /// has then; `also` is part of the first commit, and may run more than once. What stays the same feels nothing: receives go on waiting, and who watches a subscription's state hears only of another
    /// state. To its end even if the caller goes away.
    ///
    /// Only what is different is written ([`Steps`]). Up to [`STEPS_AT_ONCE`] steps are one commit. More of them are several, between those of the
    /// requests: `also` decides that it is to be done, and whoever begins again with the same `desired` does what is left.
    ///
    /// # Errors
    /// If the store fails. [`HubError::Unfinished`] says that the first commit stands and not all others; after any other error nothing has
    /// changed.
    pub async fn declare<S, A>(&self, desired: Desired, settings: S, also: A) -> Result<Entities>
    where
        S: FnOnce(&Entities) -> Settings + Send + 'static,
        A: FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static,
    {
        let hub = self.clone();
        let declaring = tokio::spawn(async move {
            let _one_at_a_time = hub.shared.changing.lock().await;
            let entities = hub.take_steps(desired, also).await?;
            let before = hub.known();
            let settings = settings(&entities);
            let Shared { names, hub_url, known, .. } = &*hub.shared;
            let next = Known::new(names, hub_url, &settings, &entities, Some(&before));
            *known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
            Ok(entities)
        });
        let broke_off = HubError::store("declare the entities");
        declaring.await.unwrap_or_else(|_| Err(broke_off(StoreError::Closed)))
    }

    /// Changes what is different in the store; what it has then.
    async fn take_steps<A>(&self, desired: Desired, mut also: A) -> Result<Entities>
    where
        A: FnMut(&mut dyn Tx) -> storage::Result<()> + Send + 'static,
    {
        let Deps { writer, .. } = &self.shared.deps;
        let refused = || HubError::store("declare the entities");
        let desired = Arc::new(desired);
        let steps = {
            let desired = desired.clone();
            self.read(move |known| Steps::between(known, &desired)).await.map_err(refused())?
        };
        let Steps { together, rest } = steps;
        let (mut first, mut rest) = (together, VecDeque::from(rest));
        let room = STEPS_AT_ONCE.saturating_sub(first.len());
        first.extend(rest.drain(..room.min(rest.len())));
        let now = self.now();
        let change = move |tx: &mut dyn Tx| {
            also(tx)?;
            first.iter().try_for_each(|step| tx.take_step(step, now))
        };
        writer.transact(change).await.map_err(refused())?;
        while !rest.is_empty() {
            failpoint::hit(failpoint::DECLARING);
            let some: Vec<Step> = rest.drain(..STEPS_AT_ONCE.min(rest.len())).collect();
            let now = self.now();
            let change = move |tx: &mut dyn Tx| some.iter().try_for_each(|step| tx.take_step(step, now));
            writer.transact(change).await.map_err(|source| HubError::Unfinished { source })?;
        }
        let entities = self.read(move |known| known.entities(&desired)).await;
        entities.map_err(|source| HubError::Unfinished { source })
    }

    /// Looks at what the store has of topics, queues and subscriptions, on a thread that may wait.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&steps::Known) -> T + Send + 'static,
    ) -> storage::Result<T> {
        let reader = self.shared.deps.reader.clone();
        let reading = move || Ok(look(&steps::Known::read(&*reader)?));
        tokio::task::spawn_blocking(reading).await.unwrap_or(Err(StoreError::Closed))
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
