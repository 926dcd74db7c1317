//! Asking for a change: whoever serves an API hands a job to the one thread that changes a node's configuration.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use storage::dropped::Dropped;
use storage::entities::Subscription;
use tokio::sync::oneshot;

use crate::{Edit, Refusal, Whole};

/// What changes a configuration: a job sees one after the other, and nothing changes meanwhile.
pub trait Changes {
    /// Through which API the changes come that follow: for log lines.
    fn asked_by(&mut self, api: &'static str) {
        let _ = api;
    }

    /// What is served.
    fn whole(&self) -> &Whole;

    /// Makes a change: validated, stored, served, in this order.
    ///
    /// # Errors
    /// Why it was not made.
    fn apply(&mut self, edit: Edit) -> Result<Applied, NotApplied>;

    /// Drops a queue's messages; `None` if there is no such queue.
    ///
    /// # Errors
    /// Why it was not done.
    fn purge(&mut self, queue: &str) -> Result<Option<Dropped>, NotApplied>;
}

/// A change that was made.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The subscriptions that were put or asked for again, as the store has them.
    pub subscriptions: Vec<Subscription>,
}

/// Why a change was not made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotApplied {
    /// It cannot be.
    #[error("the change is refused")]
    Refused(Vec<Refusal>),
    /// A rule names a topic that it would end.
    #[error("topic `{topic}` is named by {by}")]
    NamedByRule {
        /// The topic's bare name.
        topic: String,
        /// Plug-in and owner.
        by: String,
    },
    /// The store does not take it now, or this node stops.
    #[error("{0}")]
    Unavailable(String),
    /// A bug in Retrohook.
    #[error("{0}; this is a bug in Retrohook, see the log")]
    Broken(String),
}

/// Something to be done where the configuration changes.
pub type Job = Box<dyn FnOnce(&mut dyn Changes) + Send>;

/// Hands a job over; gives it back if nobody takes it.
type Hand = dyn Fn(Job) -> Result<(), NotApplied> + Send + Sync;

/// Asks for changes; clones ask the same one.
#[derive(Clone)]
pub struct Control {
    served: Arc<RwLock<Arc<Whole>>>,
    hand: Arc<Hand>,
    /// Which API asks.
    api: &'static str,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Control")
    }
}

impl Control {
    /// Over what hands jobs to whoever changes the configuration.
    pub fn new(whole: Whole, hand: impl Fn(Job) -> Result<(), NotApplied> + Send + Sync + 'static) -> Self {
        Self { served: Arc::new(RwLock::new(Arc::new(whole))), hand: Arc::new(hand), api: "an API" }
    }

    /// The same, for an API: log lines name it beside each change.
    #[must_use]
    pub fn of(&self, api: &'static str) -> Self {
        Self { api, ..self.clone() }
    }

    /// What is served now.
    pub fn whole(&self) -> Arc<Whole> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another one is served from now on; for whoever changes it.
    pub fn publish(&self, whole: Whole) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(whole);
    }

    /// Does something where the configuration changes, and waits for it. It is done to its end even if the caller goes away.
    ///
    /// # Errors
    /// If nobody does it: this node stops.
    pub async fn change<T, F>(&self, job: F) -> Result<T, NotApplied>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Changes) -> Result<T, NotApplied> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let api = self.api;
        (self.hand)(Box::new(move |changes| {
            changes.asked_by(api);
            // Whoever asked may have gone.
            let _ = done.send(job(changes));
        }))?;
        let gone =
            || NotApplied::Unavailable("the configuration does not change any more: this node stops".into());
        result.await.map_err(|_| gone())?
    }
}
