//! Reads of the store for the admin API: outside of the runtime, only a few at once, each with a deadline.
//!
//! The store has few connections for reads, and deliveries and the hub need them, too. So at most [`AT_ONCE`] reads of this API run at once. Others
//! wait, and if [`WAITING`] are waiting, a further one is refused. `/status` has a permit of its own, so that it answers whatever the other reads do,
//! and even if the disk does not answer at all.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use storage::ports::StoreStats;
use storage::{Reader, StoreError};
use tokio::sync::Semaphore;

use crate::{Error, Node};

/// How many reads run at once.
const AT_ONCE: usize = 2;
/// How many reads may wait for their turn. A further one is refused.
const WAITING: usize = 64;
/// How long a read may take, including its wait.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long `/status` waits for the store's sizes.
const PATIENCE_OF_STATUS: Duration = Duration::from_secs(1);

/// The permits for reads of one node's API.
#[derive(Debug)]
pub struct Reads {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    of_status: Arc<Semaphore>,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(AT_ONCE + WAITING),
            of_status: Arc::new(Semaphore::new(1)),
        }
    }
}

/// Runs a read of the store.
///
/// # Errors
/// 503 if too many reads are waiting, if this one takes longer than [`PATIENCE`], or if it fails.
pub(crate) async fn read<T, F>(node: &Node, read: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&dyn Reader) -> storage::Result<T> + Send + 'static,
{
    let _waiting = node.reads.waiting.try_acquire().map_err(|_| too_many())?;
    match tokio::time::timeout(PATIENCE, on_its_own(node, &node.reads.running, read)).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(too_slow(PATIENCE)),
    }
}

/// The store's sizes, for `/status`.
///
/// # Errors
/// If the store does not answer within [`PATIENCE_OF_STATUS`], or the read fails.
pub(crate) async fn sizes(node: &Node) -> Result<StoreStats, Error> {
    let reading = on_its_own(node, &node.reads.of_status, |reader| reader.stats());
    match tokio::time::timeout(PATIENCE_OF_STATUS, reading).await {
        Ok(sizes) => Ok(sizes?),
        Err(_) => Err(too_slow(PATIENCE_OF_STATUS)),
    }
}

/// Runs a read on a thread for blocking work, with one of the permits. The read keeps its permit until it ends, even if nobody waits for it any
/// more, so that a hung disk blocks no more threads than there are permits.
async fn on_its_own<T, F>(node: &Node, permits: &Arc<Semaphore>, read: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&dyn Reader) -> storage::Result<T> + Send + 'static,
{
    let permit = permits.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
    let reader = node.reader.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let done = read(&*reader);
        drop(permit);
        done
    });
    reading.await.map_err(|_| StoreError::Closed)?
}

fn too_many() -> Error {
    Error {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: format!("{} reads of the store are waiting already", AT_ONCE + WAITING),
        hint: "ask again in a moment, with fewer clients at once".into(),
    }
}

fn too_slow(patience: Duration) -> Error {
    Error {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: format!("the store has not answered for {} s", patience.as_secs()),
        hint: "look at /status and at the disk of the data directory".into(),
    }
}
