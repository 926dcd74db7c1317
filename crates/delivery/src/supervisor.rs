//! Keeps the worker of a subscription running: if it ends, that is noticed at once, and it is started again after a wait that grows.
//!
//! Nothing is lost when a worker ends, by a panic or otherwise: the next one reads cursor and rows from the store and begins as after a start of
//! the process ([`worker`](crate::worker)). It first waits for what the dead one had put into the writer's queue, so that it sees that, too.
//! Attempts under way end with their worker, and are repeated.

use std::sync::Arc;
use std::time::Duration;

use storage::StoreError;
use storage::entities::Subscription;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::Instrument;

use crate::backoff::Backoff;
use crate::drain::Drain;
use crate::sink::Target;
use crate::worker::{BuildError, Commands, Config, Deps, End, Handle, Shared, Worker, WorkerState};

/// The wait before the first restart.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two restarts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// If a worker ran this long, its end counts as the first one again.
const WELL_AFTER: Duration = Duration::from_secs(60);

/// One subscription's supervisor.
pub(crate) struct Supervisor {
    config: Config,
    target: Arc<dyn Target>,
    deps: Deps,
    drain: Drain,
    shared: Arc<Shared>,
    commands: Commands,
}

/// Why a wait has ended.
enum Waited {
    /// The time is over.
    Over,
    /// The process drains.
    Drain,
}

impl Supervisor {
    /// Builds it, with a handle that always leads to its present worker. Nothing runs before [`Supervisor::run`].
    ///
    /// # Errors
    /// If nothing could ever be sent to the subscription.
    pub(crate) fn build(config: Config, deps: Deps, drain: Drain) -> Result<(Self, Handle), BuildError> {
        let target = config.open(&deps.sinks)?;
        let (handle, shared, commands) = Handle::new(config.subscription.id);
        Ok((Self { config, target, deps, drain, shared, commands }, handle))
    }

    /// Runs workers, one after the other, until the process drains or the store takes no more changes.
    pub(crate) async fn run(self) {
        let whose = self.config.span();
        self.run_workers().instrument(whose).await;
    }

    async fn run_workers(mut self) {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let last = loop {
            let began = Instant::now();
            let cause = match self.run_one().await {
                Ok(End::Drained) => break WorkerState::Drained,
                Ok(End::Store(error)) => break WorkerState::Failed(error.to_string().into()),
                Err(cause) => cause,
            };
            if began.elapsed() >= WELL_AFTER {
                backoff.worked();
            }
            match self.restart(&cause, &mut backoff).await {
                Ok(Waited::Over) => {}
                Ok(Waited::Drain) => break WorkerState::Drained,
                Err(error) => break WorkerState::Failed(error.to_string().into()),
            }
        };
        self.shared.set_state(last);
    }

    /// Runs one worker to its end; the error is the cause if it did not end in order.
    async fn run_one(&self) -> Result<End, String> {
        let (config, target, deps) = (self.config.clone(), self.target.clone(), self.deps.clone());
        let commands = self.commands.clone().lock_owned().await;
        let worker = Worker::new(config, target, deps, self.drain.clone(), self.shared.clone(), commands);
        // A set with one task: dropping the supervisor also ends the task.
        let mut running = JoinSet::new();
        running.spawn(worker.run().in_current_span());
        match running.join_next().await {
            Some(Ok(end)) => Ok(end),
            Some(Err(error)) => Err(cause(error)),
            None => Err("it was not run".into()),
        }
    }

    /// Waits, and reads from the store the state with which the next worker begins.
    async fn restart(&mut self, cause: &str, backoff: &mut Backoff) -> Result<Waited, StoreError> {
        let wait = backoff.failed();
        self.shared.restarting(format!("its worker ended ({cause}) and is started again"));
        tracing::error!(
            cause,
            seconds = wait.as_secs(),
            "the worker ended: it is started again after a wait"
        );
        if let Waited::Drain = self.pause(wait).await {
            return Ok(Waited::Drain);
        }
        loop {
            match self.reread().await {
                Ok(subscription) => {
                    self.config.subscription = subscription;
                    return Ok(Waited::Over);
                }
                Err(error @ (StoreError::Latched(_) | StoreError::Closed)) => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the worker cannot be started again yet: the store does not answer");
                    if let Waited::Drain = self.pause(backoff.failed()).await {
                        return Ok(Waited::Drain);
                    }
                }
            }
        }
    }

    /// The subscription, read after everything is durable that the dead worker had passed to the writer.
    async fn reread(&self) -> Result<Subscription, StoreError> {
        self.deps.writer.transact(|_| Ok(())).await?;
        let (reader, id) = (self.deps.reader.clone(), self.config.subscription.id);
        let read = tokio::task::spawn_blocking(move || reader.subscriptions()).await;
        let all = read.map_err(|error| StoreError::io("read the subscriptions", error))??;
        let found = all.into_iter().find(|known| known.id == id);
        found.ok_or_else(|| StoreError::Damaged(format!("subscription {} is gone", id.0)))
    }

    /// Waits; commands that come meanwhile are refused.
    async fn pause(&mut self, wait: Duration) -> Waited {
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        let commands = self.commands.clone();
        let mut commands = commands.lock().await;
        loop {
            tokio::select! {
                biased;
                _ = self.drain.started() => return Waited::Drain,
                () = &mut over => return Waited::Over,
                Some(command) = commands.recv() => command.refuse(),
            }
        }
    }
}

/// Why a task died, as a text.
pub(crate) fn cause(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "cancelled".into() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "a panic".into(), |text| format!("a panic: {text}"))
}
