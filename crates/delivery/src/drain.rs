//! One signal to stop in order, with one deadline.

use tokio::sync::watch;
use tokio::time::Instant;

/// Hears the signal; clones hear the same one.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<Option<Instant>>);

/// Gives the signal.
#[derive(Debug)]
pub struct DrainSignal(watch::Sender<Option<Instant>>);

/// A signal and who hears it.
pub fn drain() -> (DrainSignal, Drain) {
    let (sender, receiver) = watch::channel(None);
    (DrainSignal(sender), Drain(receiver))
}

impl DrainSignal {
    /// Everybody stops starting; what is under way may take until `deadline`. A later call can only shorten it.
    pub fn start(&self, deadline: Instant) {
        self.0.send_modify(|current| {
            *current = Some(current.map_or(deadline, |current| current.min(deadline)))
        });
    }
}

impl Drain {
    /// Resolves when the drain has begun, with its deadline. A signal that is gone has been given: there is nothing left to serve.
    pub async fn started(&mut self) -> Instant {
        match self.0.wait_for(Option::is_some).await {
            Ok(deadline) => deadline.unwrap_or_else(Instant::now),
            Err(_) => Instant::now(),
        }
    }
}
