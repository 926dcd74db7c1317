//! A timer for a side that makes no progress. It runs only while that side is waited for.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

/// Fires when one side has been waited for without progress for as long as the limit. Time spent waiting for the other side does not count. It
/// costs nothing until something has to be waited for.
pub(crate) struct Stall {
    limit: Duration,
    since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    pub fn new(limit: Duration) -> Self {
        Self { limit, since: None, timer: None }
    }

    /// How long the side may make no progress.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Changes how long the side may make no progress. The next wait starts from zero.
    pub fn set_limit(&mut self, limit: Duration) {
        self.since = None;
        if self.limit != limit {
            // The timer of a longer limit would fire too late.
            *self = Self::new(limit);
        }
    }

    /// The side made progress: the next wait starts from zero.
    pub fn moved(&mut self) {
        self.since = None;
    }

    /// Waits for the side; ready when that has taken too long.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        let due = *self.since.get_or_insert_with(Instant::now) + limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due.into())));
        loop {
            // The timer may still be that of an earlier wait. It is adjusted when it fires, not at every piece.
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= due {
                return Poll::Ready(());
            }
            timer.as_mut().reset(due.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn only_the_time_of_one_wait_counts() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let limit = Duration::from_millis(60);
            let mut stall = Stall::new(limit);
            let started = Instant::now();
            for _ in 0..3 {
                let wait = poll_fn(|cx| stall.poll(cx));
                assert!(
                    tokio::time::timeout(limit / 2, wait).await.is_err(),
                    "no single wait was long enough"
                );
                stall.moved();
                // Nobody waits for this side now.
                tokio::time::sleep(limit).await;
            }
            poll_fn(|cx| stall.poll(cx)).await;
            assert!(started.elapsed() >= limit * 11 / 2, "{:?}", started.elapsed());
        });
    }
    #[test]
    fn a_shorter_limit_counts_for_the_next_wait() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut stall = Stall::new(Duration::from_secs(600));
            let short = Duration::from_millis(10);
            let wait = poll_fn(|cx| stall.poll(cx));
            assert!(tokio::time::timeout(short, wait).await.is_err());
            stall.set_limit(short);
            let wait = poll_fn(|cx| stall.poll(cx));
            assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok());
        });
    }
}
