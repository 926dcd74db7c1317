//! Restarts the small tasks of the deliveries' thread, and notices the end of the thread itself.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use delivery::Deliveries;
use delivery::backoff::Backoff;

/// The wait before the first restart of a task.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two restarts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Runs a task until it returns; one that panics is started again after a wait that grows.
pub(super) async fn keep<F>(name: &'static str, task: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    while let Err(error) = tokio::spawn(task()).await {
        if error.is_cancelled() {
            return;
        }
        let wait = backoff.failed();
        tracing::error!(task = name, %error, seconds = wait.as_secs(), "a task ended: it is started again after a wait");
        tokio::time::sleep(wait).await;
    }
}

/// Reports that deliveries have stopped if their thread ends before it was asked to.
pub(super) struct Watched(Option<Arc<Deliveries>>);

impl Watched {
    pub(super) fn new(deliveries: Arc<Deliveries>) -> Self {
        Self(Some(deliveries))
    }

    /// From now on the thread may end.
    pub(super) fn told_to_end(&mut self) {
        self.0 = None;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(deliveries) = self.0.take() {
            deliveries.lose("the thread of the deliveries has ended");
            tracing::error!(
                "the thread of the deliveries has ended: nothing more is delivered until this process is restarted; \
                 events are still recorded, and nothing is lost"
            );
        }
    }
}
