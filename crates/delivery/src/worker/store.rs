//! The worker's way to the store: what is full is asked again, what is broken ends the worker.

use std::sync::Arc;

use storage::entities::Cursor;
use storage::{Reader, StoreError};

use super::{STORE_RETRY, Stop, Worker, WorkerState};

impl Worker {
    /// Commits what has gathered, with the cursor. Returns when it is durable.
    pub(super) async fn commit(&mut self) -> Result<(), Stop> {
        let cursor = self.window.cursor();
        self.gather_until = None;
        if self.changes.is_empty() && cursor == self.subscription.cursor {
            self.due.promote_released();
            return Ok(());
        }
        let changes = Arc::new(std::mem::take(&mut self.changes));
        loop {
            let change = changes.clone().into_change(self.id, cursor);
            match self.deps.writer.transact(change).await {
                Ok(()) => break,
                Err(error) => self.outwait(error).await?,
            }
        }
        self.committed(cursor);
        Ok(())
    }

    fn committed(&mut self, cursor: Cursor) {
        self.subscription.cursor = cursor;
        self.due.promote_released();
        if self.shared.state() == WorkerState::WaitingForStore {
            self.shared.set_state(WorkerState::Running);
        }
    }

    /// Reads off the runtime, until it works.
    pub(super) async fn read<T, F>(&mut self, what: F) -> Result<T, Stop>
    where
        T: Send + 'static,
        F: Fn(&dyn Reader) -> storage::Result<T> + Send + Sync + 'static,
    {
        let what = Arc::new(what);
        loop {
            let (reader, what) = (self.deps.reader.clone(), what.clone());
            let read = tokio::task::spawn_blocking(move || what(&*reader)).await;
            match read.unwrap_or(Err(StoreError::Closed)) {
                Ok(value) => {
                    return Ok(value);
                }
                Err(error) => self.outwait(error).await?,
            }
        }
    }

    /// Waits a while if the error may pass. A drain that has begun is waited out too, up to its deadline.
    async fn outwait(&mut self, error: StoreError) -> Result<(), Stop> {
        match error {
            StoreError::Full(_)
            | StoreError::Overloaded { .. }
            | StoreError::Stalled(_)
            | StoreError::Io { .. } => {}
            StoreError::Latched(_) | StoreError::Closed | StoreError::Damaged(_) => {
                return Err(Stop::Store(error));
            }
        }
        tracing::warn!(%error, "deliveries wait for the store");
        if self.shared.state() == WorkerState::Running {
            self.shared.set_state(WorkerState::WaitingForStore);
        }
        let drained = async {
            let deadline = self.drain.started().await;
            tokio::time::sleep_until(deadline).await;
        };
        tokio::select! {
            () = drained => Err(Stop::Store(error)),
            () = tokio::time::sleep(STORE_RETRY) => Ok(()),
        }
    }
}
