//! Limits log lines about something that may happen for every request or event while something is broken: at most one line a second, with the count.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// The time between two lines, in microseconds.
const EVERY: u64 = 1_000_000;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Counts how often something happened, and says when a log line about it is due. Each log line has one of its own, in a `static`. Nothing but the
/// log line depends on it.
///
/// ```
/// static REFUSED: storage::throttle::Throttle = storage::throttle::Throttle::new();
/// if let Some(times) = REFUSED.happened() {
///     println!("a request was refused, times={times}");
/// }
/// ```
#[derive(Debug, Default)]
pub struct Throttle {
    /// When the last line was due, in microseconds since the first use of any throttle; 0 before the first line.
    said_at: AtomicU64,
    unsaid: AtomicU64,
}

impl Throttle {
    /// A throttle whose first line is due at once.
    pub const fn new() -> Self {
        Self { said_at: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Counts one more time. If a line is due now, returns how often it has happened since the last line, this time included.
    pub fn happened(&self) -> Option<u64> {
        self.happened_at(BEGAN.elapsed().as_micros() as u64)
    }

    fn happened_at(&self, now: u64) -> Option<u64> {
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let said_at = self.said_at.load(Ordering::Relaxed);
        if said_at != 0 && now < said_at.saturating_add(EVERY) {
            return None;
        }
        // Of several callers at the same time, one writes the line for all.
        let swapped =
            self.said_at.compare_exchange(said_at, now.max(1), Ordering::Relaxed, Ordering::Relaxed);
        swapped.ok().map(|_| self.unsaid.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_the_rest_once_a_second_with_their_number() {
        let throttle = Throttle::new();
        assert_eq!(throttle.happened_at(0), Some(1));
        assert_eq!([1, 500_000, 1_000_000].map(|now| throttle.happened_at(now)), [None; 3]);
        assert_eq!(throttle.happened_at(1_000_001), Some(4));
        assert_eq!(throttle.happened_at(2_000_000), None);
        assert_eq!(throttle.happened_at(9_000_000), Some(2));
        assert_eq!(throttle.happened_at(8_000_000), None, "another core's clock is a little behind");
        let other = Throttle::new();
        assert_eq!((other.happened(), other.happened()), (Some(1), None));
    }
}
