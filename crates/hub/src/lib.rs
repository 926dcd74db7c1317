//! Topics, subscriptions and queues as protocol-neutral commands and replies, over the ports of `storage`.
//!
//! * [`publish`]: publish to a topic, send straight to a queue.
//! * [`queue`]: find a queue, receive (with long polling), delete, change visibility.
//! * [`Hub::edit`]: make and end single topics, queues and subscriptions, in one commit with whatever else belongs to it.
//! * [`subscription`]: confirm, unsubscribe, enable.
//! * [`message`]: what a worker gets for an event in a queue.
//! * [`receipt`], [`token`], [`names`]: the texts that travel: receipt handles, confirmation tokens, ARNs.
//!
//! The hub knows no HTTP, no JSON or XML of a protocol, and no status; that is for `protocols`. Topics, queues and subscriptions come from the
//! configuration: [`Hub::declare`] makes them those of a new generation while the hub runs, and [`Hub::edit`] changes single ones.

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

/// How many topics, queues and subscriptions one commit of a declaration changes: less than a millisecond of work.
pub const STEPS_AT_ONCE: usize = 64;

/// What the hub needs.
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
    /// Rendered and signed messages, shared with the deliveries so that each is made once.
    pub messages: Messages,
    /// The key that signs notifications, once there is one.
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
    /// It is replaced as a whole, and never locked across an await.
    known: RwLock<Arc<Known>>,
    /// Held during a change of entities, from the store until [`Shared::known`] has it, too.
    changing: Mutex<()>,
    receipts: Receipts,
    polls: Semaphore,
    max_polls: usize,
    deps: Deps,
}

impl Hub {
    /// Loads the key of the receipt handles, and begins with `entities`, which the store has, and their settings in the configuration.
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
    /// `settings` gives the configuration's settings for the entities that the store has then; `also` is part of the first commit, and may run
    /// more than once. What stays the same is not disturbed: receives go on waiting, and watchers of a subscription's state see only real
    /// changes. It is completed even if the caller goes away.
    ///
    /// Only differences are written ([`Steps`]). Up to [`STEPS_AT_ONCE`] steps are one commit; more steps are several commits, between those of
    /// requests. The first one, with `also`, makes the change final; another call with the same `desired` does what is left.
    ///
    /// # Errors
    /// If the store fails. [`HubError::Unfinished`] says that the first commit was made and not all of the others; after any other error nothing
    /// has changed.
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

    /// Changes the differences in the store. Returns what it has then.
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

    /// Reads topics, queues and subscriptions from the store, on a blocking thread.
    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&steps::Known) -> T + Send + 'static,
    ) -> storage::Result<T> {
        let reader = self.shared.deps.reader.clone();
        let reading = move || Ok(look(&steps::Known::read(&*reader)?));
        tokio::task::spawn_blocking(reading).await.unwrap_or(Err(StoreError::Closed))
    }

    /// The current generation.
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
