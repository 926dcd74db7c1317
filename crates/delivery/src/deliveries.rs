//! All workers of a process: started, found by their subscription, drained together.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use storage::entities::SubscriptionId;
use storage::writer::STALLED_AFTER;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::drain::{DrainSignal, drain};
use crate::supervisor::Supervisor;
use crate::worker::{BuildError, Config, Counts, Deps, Handle, WorkerState};

/// The workers, each with its supervisor. Dropping it ends them at once, as a crash would.
pub struct Deliveries {
    deps: Deps,
    workers: Mutex<Workers>,
    /// Whether the thread that runs them has ended.
    lost: AtomicBool,
}

#[derive(Default)]
struct Workers {
    running: BTreeMap<SubscriptionId, Running>,
    tasks: JoinSet<()>,
    /// The counts of stopped workers, with which the next ones go on.
    counted: HashMap<SubscriptionId, Counts>,
    /// Whether the process drains: then no worker is started any more.
    drains: bool,
}

struct Running {
    handle: Handle,
    /// Names the subscription in log lines.
    whose: tracing::Span,
    signal: DrainSignal,
    task: AbortHandle,
}

/// Why a worker was not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The process stops.
    #[error("the deliveries are being stopped")]
    Draining,
}

impl Deliveries {
    /// None yet.
    pub fn new(deps: Deps) -> Self {
        Self { deps, workers: Mutex::default(), lost: AtomicBool::new(false) }
    }

    /// Starts a subscription's worker on the current runtime, and keeps it alive. One that already has a worker keeps it.
    ///
    /// # Errors
    /// If its endpoint cannot be called at all, or the process drains.
    pub fn start(&self, config: Config) -> Result<Handle, StartError> {
        let mut workers = self.workers();
        if workers.drains {
            return Err(StartError::Draining);
        }
        if let Some(running) = workers.running.get(&config.subscription.id) {
            return Ok(running.handle.clone());
        }
        // Drop the tasks of stopped workers.
        while workers.tasks.try_join_next().is_some() {}
        let (signal, drain) = drain();
        let whose = config.span();
        let (supervisor, handle) = Supervisor::build(config, self.deps.clone(), drain)?;
        if let Some(counted) = workers.counted.remove(&handle.subscription()) {
            handle.count_on(&counted);
        }
        let task = workers.tasks.spawn(supervisor.run());
        workers
            .running
            .insert(handle.subscription(), Running { handle: handle.clone(), whose, signal, task });
        Ok(handle)
    }

    /// Stops the workers of these subscriptions: they start no attempt any more, and those under way may take until `deadline`. Results are
    /// noted; attempts that are cut off are repeated by the next worker. When this returns, none of these workers does anything any more.
    pub async fn stop(&self, ids: &[SubscriptionId], deadline: Instant) {
        let stopped: Vec<Running> = {
            let mut workers = self.workers();
            ids.iter().filter_map(|id| workers.running.remove(id)).collect()
        };
        stopped.iter().for_each(|running| running.signal.start(deadline));
        for Running { handle, whose, task, .. } in stopped {
            let mut state = handle.watch_state();
            let ended = state.wait_for(WorkerState::is_final);
            if tokio::time::timeout_at(deadline + STALLED_AFTER, ended).await.is_err() {
                task.abort();
                // An aborted task ends at its next await, and it does nothing but wait.
                while !task.is_finished() {
                    tokio::task::yield_now().await;
                }
                tracing::error!(
                    parent: &whose,
                    "the store does not answer: the results of a worker's last deliveries could not be stored; they will be repeated"
                );
            }
            drop(state);
            self.workers().counted.insert(handle.subscription(), handle.counts());
        }
    }

    /// Stops the workers of subscriptions that have ended. Attempts under way are cut off, because nobody is owed their events any more. Their
    /// counts are dropped.
    pub async fn end(&self, ids: &[SubscriptionId]) {
        self.stop(ids, Instant::now()).await;
        let mut workers = self.workers();
        for id in ids {
            workers.counted.remove(id);
        }
    }

    /// Notes that the thread of the workers has ended, and the workers with it: only a restart of the process helps.
    pub fn lose(&self, cause: &str) {
        self.lost.store(true, Ordering::Relaxed);
        for handle in self.handles() {
            handle.set_state(WorkerState::Failed(cause.into()));
        }
    }

    /// Whether the thread of the workers has ended although the process goes on.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// What all attempts under way hold, in bytes, as the [budget](crate::budget) counts.
    pub fn bytes_held(&self) -> u64 {
        self.deps.budget.held()
    }

    /// How many attempts wait for a free connection.
    pub fn attempts_waiting(&self) -> usize {
        self.deps.sinks.waiting()
    }

    /// How many workers cannot read more events until a part of the budget is given back.
    pub fn workers_waiting(&self) -> u64 {
        self.deps.budget.waiting()
    }

    /// A subscription's worker.
    pub fn handle(&self, id: SubscriptionId) -> Option<Handle> {
        self.workers().running.get(&id).map(|running| running.handle.clone())
    }

    /// All workers, by subscription.
    pub fn handles(&self) -> Vec<Handle> {
        self.workers().running.values().map(|running| running.handle.clone()).collect()
    }

    /// Starts no attempt any more, waits until `deadline` for those under way, and notes their results. If a hanging store has not taken results
    /// [`STALLED_AFTER`] later, they are dropped and those deliveries are repeated.
    pub async fn drain(&self, deadline: Instant) {
        let mut tasks = {
            let mut workers = self.workers();
            workers.drains = true;
            workers.running.values().for_each(|running| running.signal.start(deadline));
            std::mem::take(&mut workers.tasks)
        };
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout_at(deadline + STALLED_AFTER, all_ended).await.is_err() {
            tracing::error!(
                workers = tasks.len(),
                "the store does not answer: the results of the last deliveries could not be stored; they will be repeated"
            );
        }
    }

    fn workers(&self) -> std::sync::MutexGuard<'_, Workers> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
