//! One signal for an orderly stop, with one deadline.

use tokio::sync::watch;
use tokio::time::Instant;

/// Receives the signal; clones receive the same one.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<Option<Instant>>);

/// Sends the signal.
#[derive(Debug)]
pub struct DrainSignal(watch::Sender<Option<Instant>>);

/// A signal and its receiver.
pub fn drain() -> (DrainSignal, Drain) {
    let (sender, receiver) = watch::channel(None);
    (DrainSignal(sender), Drain(receiver))
}

impl DrainSignal {
    /// Begins the drain: nothing new is started, and what is under way may take until `deadline`. A later call can only bring the deadline
    /// forward.
    pub fn start(&self, deadline: Instant) {
        self.0.send_modify(|current| {
            *current = Some(current.map_or(deadline, |current| current.min(deadline)))
        });
    }
}

impl Drain {
    /// Resolves when the drain has begun, with its deadline. If the sender is gone, that counts as the signal.
    pub async fn started(&mut self) -> Instant {
        match self.0.wait_for(Option::is_some).await {
            Ok(deadline) => deadline.unwrap_or_else(Instant::now),
            Err(_) => Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_later_signal_can_only_shorten_the_deadline() {
        let (signal, mut drain) = drain();
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        for (asked, deadline) in [(20, 20), (30, 20), (10, 10)] {
            signal.start(at(asked));
            assert_eq!(drain.started().await, at(deadline), "{asked}");
            assert_eq!(drain.clone().started().await, at(deadline), "every clone hears it");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_that_is_gone_has_been_given() {
        let (signal, mut drain) = drain();
        drop(signal);
        assert_eq!(drain.started().await, Instant::now());
    }
}
