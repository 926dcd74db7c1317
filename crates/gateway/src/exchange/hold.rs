//! Waiting for the store, with a deadline: a disk may hang without ever reporting an error.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pipeline::Hold;
use storage::StoreError;
use tokio::time::Sleep;

use crate::core::ExchangePermit;

/// Why nothing durable came of a wait.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unkept {
    /// The store said no.
    #[error(transparent)]
    Refused(StoreError),
    /// The store said nothing.
    #[error("the store has said nothing for {0:?}")]
    TimedOut(Duration),
}

/// A [`Hold`] that is given up when it takes too long. The time runs from its first poll that has to wait.
pub(crate) struct Held {
    hold: Hold,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// Who waits for the store has a place among the open exchanges: else a disk that hangs would gather them without a limit.
    permit: Option<ExchangePermit>,
}

impl Held {
    pub fn new(hold: Hold, limit: Duration, permit: Option<ExchangePermit>) -> Self {
        Self { hold, limit, timer: None, permit }
    }

    /// Nobody waits for it yet: an answer streams on.
    pub fn give_place_back(&mut self) {
        self.permit = None;
    }
}

impl Future for Held {
    type Output = Result<(), Unkept>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(kept) = self.hold.as_mut().poll(cx) {
            return Poll::Ready(kept.map_err(Unkept::Refused));
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(cx).map(|()| Err(Unkept::TimedOut(limit)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn who_waits_for_the_store_has_a_place_until_the_wait_is_over() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let open = Arc::new(AtomicUsize::new(0));
        let wait = |hold: Hold| {
            let held = Held::new(hold, Duration::from_millis(30), ExchangePermit::take(&open, 1));
            assert_eq!(open.load(Ordering::Relaxed), 1);
            held
        };
        runtime.unwrap().block_on(async {
            wait(Box::pin(async { Ok(()) })).await.unwrap();
            assert_eq!(open.load(Ordering::Relaxed), 0, "it is durable");
            let late = wait(Box::pin(std::future::pending())).await.unwrap_err();
            assert_eq!(late.to_string(), "the store has said nothing for 30ms");
            assert_eq!(open.load(Ordering::Relaxed), 0, "it was given up");
            let mut streaming = wait(Box::pin(std::future::pending()));
            streaming.give_place_back();
            assert_eq!(open.load(Ordering::Relaxed), 0, "nobody waits for it yet");
        });
    }
}
