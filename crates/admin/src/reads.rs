//! Reads of the store for the admin API: off the runtime, few at once, each with a deadline.
//!
//! The store has a small number of connections for reads, which deliveries and the hub need, too. So at most [`AT_ONCE`] reads of this API
//! run at once; more wait, and beyond [`WAITING`] they are refused. `/status` has a place of its own: it answers whatever the others do,
//! and also when the disk does not answer at all.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use storage::ports::StoreStats;
use storage::{Reader, StoreError};
use tokio::sync::Semaphore;

use crate::{Error, Node};

/// Reads at once.
const AT_ONCE: usize = 2;
/// Reads that wait for their turn; one more is refused.
const WAITING: usize = 64;
/// How long a read may take, its wait included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long `/status` waits for the store's sizes.
const PATIENCE_OF_STATUS: Duration = Duration::from_secs(1);

/// The reads of one node's API.
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

/// The store's sizes, unless it does not give them at once.
pub(crate) async fn sizes(node: &Node) -> Result<StoreStats, Error> {
    let reading = on_its_own(node, &node.reads.of_status, |reader| reader.stats());
    match tokio::time::timeout(PATIENCE_OF_STATUS, reading).await {
        Ok(sizes) => Ok(sizes?),
        Err(_) => Err(too_slow(PATIENCE_OF_STATUS)),
    }
}

/// A read that nobody waits for any more keeps its place until it ends: a hung disk takes no more threads than there are places.
async fn on_its_own<T, F>(node: &Node, places: &Arc<Semaphore>, read: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce(&dyn Reader) -> storage::Result<T> + Send + 'static,
{
    let place = places.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
    let reader = node.reader.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let done = read(&*reader);
        drop(place);
        done
    });
    reading.await.map_err(|_| StoreError::Closed)?
}

fn too_many() -> Error {
    Error {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: format!("{} reads of the store wait already", AT_ONCE + WAITING),
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
