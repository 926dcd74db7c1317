//! All workers of a process: started, found by their subscription, drained together.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use storage::entities::SubscriptionId;
use storage::writer::STALLED_AFTER;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::drain::{Drain, DrainSignal, drain};
use crate::worker::{BuildError, Config, Deps, Handle, Worker};

/// The workers. Dropping it ends them at once, as a crash would.
pub struct Deliveries {
    deps: Deps,
    signal: DrainSignal,
    drain: Drain,
    workers: Mutex<Workers>,
}

#[derive(Default)]
struct Workers {
    handles: BTreeMap<SubscriptionId, Handle>,
    tasks: JoinSet<()>,
}

impl Deliveries {
    /// None yet.
    pub fn new(deps: Deps) -> Self {
        let (signal, drain) = drain();
        Self { deps, signal, drain, workers: Mutex::default() }
    }

    /// Starts a subscription's worker on the current runtime. One that already has a worker keeps it.
    ///
    /// # Errors
    /// If its endpoint cannot be called at all.
    pub fn start(&self, config: Config) -> Result<Handle, BuildError> {
        let mut workers = self.workers();
        if let Some(handle) = workers.handles.get(&config.subscription.id) {
            return Ok(handle.clone());
        }
        let (worker, handle) = Worker::build(config, self.deps.clone(), self.drain.clone())?;
        workers.handles.insert(handle.subscription(), handle.clone());
        workers.tasks.spawn(worker.run());
        Ok(handle)
    }

    /// A subscription's worker.
    pub fn handle(&self, id: SubscriptionId) -> Option<Handle> {
        self.workers().handles.get(&id).cloned()
    }

    /// All workers, by subscription.
    pub fn handles(&self) -> Vec<Handle> {
        self.workers().handles.values().cloned().collect()
    }

    /// Begins nothing more, waits for what is under way up to `deadline` and notes what came of it. What a store that hangs has not
    /// taken [`STALLED_AFTER`] later is dropped: those deliveries are repeated.
    pub async fn drain(&self, deadline: Instant) {
        self.signal.start(deadline);
        let mut tasks = std::mem::take(&mut self.workers().tasks);
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline + STALLED_AFTER, all_ended).await.is_err() {
            tracing::error!(
                workers = tasks.len(),
                "the store does not answer: the last deliveries could not be noted; they will be repeated"
            );
        }
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
