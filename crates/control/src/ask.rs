//! Asking for a change: an API passes a job to the one thread that changes a node's configuration.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use storage::dropped::Dropped;
use storage::entities::Subscription;
use tokio::sync::oneshot;

use crate::{Edit, Refusal, Whole};

/// The place where the configuration changes, as a job sees it. Jobs run one after the other, so nothing else changes meanwhile.
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
    /// If it was not made: the reason.
    fn apply(&mut self, edit: Edit) -> Result<Applied, NotApplied>;

    /// Drops a queue's messages; `None` if there is no such queue.
    ///
    /// # Errors
    /// If it was not done: the reason.
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
    /// It is refused, for these reasons.
    #[error("the change is refused")]
    Refused(Vec<Refusal>),
    /// It would delete a topic that a rule names.
    #[error("topic `{topic}` is named by {by}")]
    NamedByRule {
        /// The topic's bare name.
        topic: String,
        /// The plug-in and its owner.
        by: String,
    },
    /// The store refuses it now, or this node stops.
    #[error("{0}")]
    Unavailable(String),
    /// A bug in Retrohook.
    #[error("{0}; this is a bug in Retrohook; see the log lines")]
    Broken(String),
}

/// A job for the thread that changes the configuration.
pub type Job = Box<dyn FnOnce(&mut dyn Changes) + Send>;

/// Passes a job on. Fails if nobody takes it.
type Hand = dyn Fn(Job) -> Result<(), NotApplied> + Send + Sync;

/// Asks for changes; clones ask the same node.
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
    /// With a function that passes jobs to the thread that changes the configuration.
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

    /// Replaces what is served; only for the thread that changes it.
    pub fn publish(&self, whole: Whole) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(whole);
    }

    /// Runs a job on the thread that changes the configuration, and waits for its result. The job is completed even if the caller goes away.
    ///
    /// # Errors
    /// If nobody runs it, because this node stops.
    pub async fn change<T, F>(&self, job: F) -> Result<T, NotApplied>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Changes) -> Result<T, NotApplied> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let api = self.api;
        (self.hand)(Box::new(move |changes| {
            changes.asked_by(api);
            // The caller may be gone.
            let _ = done.send(job(changes));
        }))?;
        let gone =
            || NotApplied::Unavailable("the configuration does not change any more: this node stops".into());
        result.await.map_err(|_| gone())?
    }
}
