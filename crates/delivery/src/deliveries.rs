//! All workers of a process: started, found by their subscription, drained together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use storage::entities::SubscriptionId;
use storage::writer::STALLED_AFTER;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::drain::{Drain, DrainSignal, drain};
use crate::supervisor::Supervisor;
use crate::worker::{BuildError, Config, Deps, Handle, WorkerState};

/// The workers, each with its supervisor. Dropping it ends them at once, as a crash would.
pub struct Deliveries {
    deps: Deps,
    signal: DrainSignal,
    drain: Drain,
    workers: Mutex<Workers>,
    /// Set when what runs them has ended.
    lost: AtomicBool,
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
        Self { deps, signal, drain, workers: Mutex::default(), lost: AtomicBool::new(false) }
    }

    /// Starts a subscription's worker on the current runtime, and keeps it alive. One that already has a worker keeps it.
    ///
    /// # Errors
    /// If its endpoint cannot be called at all.
    pub fn start(&self, config: Config) -> Result<Handle, BuildError> {
        let mut workers = self.workers();
        if let Some(handle) = workers.handles.get(&config.subscription.id) {
            return Ok(handle.clone());
        }
        let (supervisor, handle) = Supervisor::build(config, self.deps.clone(), self.drain.clone())?;
        workers.handles.insert(handle.subscription(), handle.clone());
        workers.tasks.spawn(supervisor.run());
        Ok(handle)
    }

    /// What runs the workers has ended, and they with it: only a restart of the process helps.
    pub fn lose(&self, cause: &str) {
        self.lost.store(true, Ordering::Relaxed);
        for handle in self.handles() {
            handle.set_state(WorkerState::Failed(cause.into()));
        }
    }

    /// Whether what runs the workers has ended although the process goes on.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// What all attempts under way hold, in bytes, as the [budget](crate::budget) counts.
    pub fn bytes_held(&self) -> u64 {
        self.deps.budget.held()
    }

    /// How many attempts wait for a free connection.
    pub fn attempts_waiting(&self) -> usize {
        self.deps.sink.waiting()
    }

    /// How many workers may read nothing more before something of the budget is given back.
    pub fn workers_waiting(&self) -> u64 {
        self.deps.budget.waiting()
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
