//! Why the store refused or failed, in the words that its callers decide by.

use std::sync::Arc;
use std::time::Duration;

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Clonable, because one failed commit answers everybody whose change was in it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// No space: the disk, the size limit, or the reserve that `--min-free` keeps. Nothing of the change was kept; it may be tried
    /// again when there is space.
    #[error("the store has no space left: {0}")]
    Full(String),
    /// A commit failed with an I/O error, now or earlier in this process. Nobody knows what is on disk; only a restart, which reads
    /// it again, can tell. No later commit of this process is acknowledged.
    #[error("the store is latched after a failed commit ({0}); restart to recover")]
    Latched(Arc<str>),
    /// The writer's queue is full.
    #[error("the store's writer is overloaded: {limit} changes are waiting")]
    Overloaded {
        /// The limit that was reached.
        limit: usize,
    },
    /// A commit has been under way for so long: the disk hangs.
    #[error("the store has been waiting for its disk for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The writer has stopped.
    #[error("the store is closed")]
    Closed,
    /// Reading or writing failed; nothing of the change was kept.
    #[error("the store failed to {operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The store's own words.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Something is larger than the store takes; nothing of the change was kept.
    #[error("{what} has {bytes} bytes; the store takes no more than {limit}: make it smaller, or split it")]
    TooLarge {
        /// What it is, by its kind and its id.
        what: String,
        /// Its size, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// What is stored cannot be understood.
    #[error("the store is damaged: {0}")]
    Damaged(String),
}

impl StoreError {
    /// Wraps a store's own error with what was being done.
    pub fn io(operation: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Io { operation, source: Arc::new(source) }
    }
}
