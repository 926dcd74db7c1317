//! Waiting for the store with a deadline, because a disk may hang without ever reporting an error.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pipeline::{Hold, NotKept};
use smallvec::SmallVec;
use tokio::time::Sleep;

use crate::permit::ExchangePermit;

/// Why a change did not become durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unkept {
    /// The store refused it.
    #[error(transparent)]
    Refused(NotKept),
    /// The store did not answer in this time.
    #[error("the store has said nothing for {0:?}")]
    TimedOut(Duration),
}

/// What the watches of one exchange wait for, in their order; `None` for one that does not wait.
pub(crate) type Holds = SmallVec<[Option<Hold>; 1]>;

/// [`Holds`] with a time limit, which runs from the first poll that has to wait.
pub(crate) struct Held {
    holds: Holds,
    /// The indexes of those that were refused.
    refused: SmallVec<[usize; 1]>,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// An exchange that waits for the store keeps its permit. Otherwise exchanges would pile up without limit while a disk hangs.
    permit: Option<ExchangePermit>,
}

impl Held {
    /// `None` if there is nothing to wait for.
    pub fn new(holds: Holds, limit: Duration, permit: Option<ExchangePermit>) -> Option<Self> {
        let waits = holds.iter().any(Option::is_some);
        waits.then(|| Self { holds, refused: SmallVec::new(), limit, timer: None, permit })
    }

    /// Gives the permit back: nobody waits for the store yet, because the answer is still being sent.
    pub fn give_place_back(&mut self) {
        self.permit = None;
    }

    /// The indexes of the holds that the store refused.
    pub fn refused(&self) -> &[usize] {
        &self.refused
    }

    /// Polls each hold that has not resolved yet, even if another one has already failed.
    fn poll_holds(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Unkept>> {
        let (mut waits, mut refusal) = (false, None);
        for (place, hold) in self.holds.iter_mut().enumerate() {
            let Some(waiting) = hold else { continue };
            match waiting.as_mut().poll(cx) {
                Poll::Pending => waits = true,
                Poll::Ready(Ok(())) => *hold = None,
                Poll::Ready(Err(error)) => {
                    *hold = None;
                    self.refused.push(place);
                    refusal.get_or_insert(error);
                }
            }
        }
        match refusal {
            Some(refusal) => Poll::Ready(Err(Unkept::Refused(refusal))),
            None if waits => Poll::Pending,
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Future for Held {
    type Output = Result<(), Unkept>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(kept) = self.poll_holds(cx) {
            return Poll::Ready(kept);
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
            let holds = Holds::from([Some(hold)]);
            let held = Held::new(holds, Duration::from_millis(30), ExchangePermit::take(&open, 1)).unwrap();
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
