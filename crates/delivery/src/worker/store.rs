//! The worker's access to the store: what fails is tried again, after waits that grow; what can never work again ends the worker.

use std::sync::Arc;
use std::time::Duration;

use storage::{Reader, StoreError};

use super::damage::{Damage, TRIES};
use super::{Stop, Worker, WorkerState};
use crate::backoff::Backoff;

/// The first wait between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Of this many failures in a row, one is logged.
const TOLD_ONCE_IN: u32 = 32;

/// The waits for a store that fails.
pub(super) fn backoff() -> Backoff {
    Backoff::new(FIRST_WAIT, LONGEST_WAIT)
}

impl Worker {
    /// Commits all changes so far, with the cursor. Returns when they are durable.
    pub(super) async fn commit(&mut self) -> Result<(), Stop> {
        let cursor = self.window.cursor();
        self.gather_until = None;
        if self.changes.is_empty() && cursor == self.subscription.cursor {
            self.due.promote_released();
            return Ok(());
        }
        let changes = Arc::new(std::mem::take(&mut self.changes));
        let mut backoff = backoff();
        loop {
            let change = changes.clone().into_change(self.id, cursor);
            match self.deps.writer.transact(change).await {
                Ok(()) => break,
                Err(error) => self.outwait(error, &mut backoff).await?,
            }
        }
        self.subscription.cursor = cursor;
        self.due.promote_released();
        self.works(&backoff);
        Ok(())
    }

    /// Reads on a blocking thread until it works. `what` sets aside what stays damaged.
    pub(super) async fn read_around<T, F>(&mut self, what: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: Fn(&dyn Reader, Damage) -> storage::Result<T> + Send + Sync + 'static,
    {
        let what = Arc::new(what);
        let (mut backoff, mut damaged) = (backoff(), 0);
        loop {
            let (reader, what) = (self.deps.reader.clone(), what.clone());
            let damage = if damaged < TRIES { Damage::Fails } else { Damage::IsSetAside };
            let error = match tokio::task::spawn_blocking(move || what(&*reader, damage)).await {
                Ok(Ok(value)) => {
                    self.works(&backoff);
                    return Ok(value);
                }
                Ok(Err(error)) => error,
                // The runtime ends.
                Err(ended) if ended.is_cancelled() => StoreError::Closed,
                Err(panicked) => StoreError::io("read", panicked),
            };
            damaged += u32::from(matches!(error, StoreError::Damaged(_)));
            self.outwait(error, &mut backoff).await?;
        }
    }

    /// Notes that the store works.
    fn works(&self, backoff: &Backoff) {
        if self.shared.state() == WorkerState::WaitingForStore {
            self.shared.set_state(WorkerState::Running);
        }
        if backoff.failures() > 0 {
            self.shared.set_trouble(None);
            tracing::info!(failures = backoff.failures(), "the store works again: deliveries go on");
        }
    }

    /// Waits if the error may pass; during a drain, up to its deadline. Commands that come meanwhile are refused.
    pub(super) async fn outwait(&mut self, error: StoreError, backoff: &mut Backoff) -> Result<(), Stop> {
        if let StoreError::Latched(_) | StoreError::Closed = error {
            return Err(Stop::Store(error));
        }
        let failures = backoff.failures();
        let wait = tokio::time::sleep(backoff.failed());
        if failures.is_multiple_of(TOLD_ONCE_IN) {
            tracing::warn!(%error, failures, "deliveries wait for the store");
        }
        self.shared.waits_for_store(format!("it waits for the store and asks again: {error}"));
        let mut drain = self.drain.clone();
        let drained = async {
            let deadline = drain.started().await;
            tokio::time::sleep_until(deadline).await;
        };
        tokio::pin!(wait, drained);
        loop {
            tokio::select! {
                () = &mut drained => return Err(Stop::Store(error)),
                () = &mut wait => return Ok(()),
                Some(command) = self.commands.recv() => command.refuse(),
            }
        }
    }
}
