//! Waits that grow, between two tries at something internal that failed: a worker, or a read of the store.
//!
//! They are measured by the monotonic clock only. For deliveries to endpoints see [`policy`](crate::policy).

use std::time::Duration;

/// The waits after one failure and the next: each twice as long as the one before, up to the longest.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// Without any failure yet.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// Notes one more failure. Returns how long to wait after it.
    pub fn failed(&mut self) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        doubled.min(self.longest)
    }

    /// Failures since the last success.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Notes a success: the next failure counts as the first one again.
    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_and_begins_again_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 5 * second);
        assert_eq!(backoff.failures(), 0);
        let waits: Vec<_> = (0..5).map(|_| backoff.failed().as_secs()).collect();
        assert_eq!((waits, backoff.failures()), (vec![1, 2, 4, 5, 5], 5));
        backoff.worked();
        assert_eq!((backoff.failures(), backoff.failed()), (0, second));
        let waits: Vec<_> = (0..100).map(|_| backoff.failed().as_secs()).collect();
        assert_eq!(waits[..4], [2, 4, 5, 5]);
        assert!(waits[4..].iter().all(|wait| *wait == 5), "no shift overflows: {waits:?}");
    }
}
