//! Why the store refused or failed. Callers decide by the variant whether to try again.

use std::sync::Arc;
use std::time::Duration;

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store refused or failed. It can be cloned, because one failed commit is the answer to every change that was in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no space: on the disk, below the size limit, or beside the reserve that `--min-free` keeps. Nothing of the change was kept. It may
    /// be tried again when there is space.
    #[error("the store has no space left: {0}")]
    Full(String),
    /// A commit failed with an error that was not [`Full`](Self::Full), now or earlier in this process. Nobody knows what is on disk until a restart
    /// reads it. This process makes no further commit.
    #[error("the store is latched after a failed commit ({0}); restart to recover")]
    Latched(Arc<str>),
    /// The writer's queue is full. The change may be tried again.
    #[error("the store's writer is overloaded: {limit} changes are waiting")]
    Overloaded {
        /// The limit that was reached.
        limit: usize,
    },
    /// The commit under way has taken this long: the disk hangs. Nothing of the change was queued.
    #[error("the store has been waiting for its disk for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// Reading or writing failed. Nothing of the change was kept. It may succeed the next time.
    #[error("the store failed to {operation}")]
    Io {
        /// What was being done: a verb with its object, `read an event`.
        operation: &'static str,
        /// The error of the database or of the operating system.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Something is larger than the store accepts. Nothing of the change was kept.
    #[error("{what} has {bytes} bytes; the store takes no more than {limit}: make it smaller, or split it")]
    TooLarge {
        /// What it is, by its kind and its id.
        what: String,
        /// Its size, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// What is stored is not what the store wrote. Every further read of it fails in the same way.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Wraps a store's own error with what was being done.
    pub fn io(operation: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Io { operation, source: Arc::new(source) }
    }
}
