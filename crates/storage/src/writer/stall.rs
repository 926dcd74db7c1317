//! How long the commit under way has taken. A disk that hangs reports no error, so only the time shows it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A commit that takes longer than this may never end. Until it does, new intents are refused at once.
pub const STALLED_AFTER: Duration = Duration::from_secs(5);

/// When the commit under way began. Only the writer's thread writes this; any thread may read it.
pub(super) struct UnderWay {
    origin: Instant,
    /// When it began, in microseconds after the origin; 0 if there is none.
    since: AtomicU64,
}

impl Default for UnderWay {
    fn default() -> Self {
        Self { origin: Instant::now(), since: AtomicU64::new(0) }
    }
}

impl UnderWay {
    pub(super) fn begin(&self) {
        self.since.store(self.now().max(1), Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// How long it has taken so far, if that is longer than `limit`.
    pub(super) fn longer_than(&self, limit: Duration) -> Option<Duration> {
        longer_than(limit, self.since.load(Ordering::Relaxed), self.now())
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }
}

fn longer_than(limit: Duration, since: u64, now: u64) -> Option<Duration> {
    if since == 0 {
        return None;
    }
    let taken = Duration::from_micros(now.saturating_sub(since));
    (taken > limit).then_some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_commit_under_way_takes_long() {
        let micros = Duration::from_micros;
        assert_eq!(longer_than(micros(2), 0, 1_000), None, "none is under way");
        assert_eq!(longer_than(micros(2), 5, 7), None, "as long as the limit");
        assert_eq!(longer_than(micros(2), 5, 8), Some(micros(3)));
        assert_eq!(longer_than(micros(0), 5, 4), None);
        let under_way = UnderWay::default();
        assert_eq!(under_way.longer_than(Duration::ZERO), None);
        under_way.begin();
        while under_way.longer_than(micros(1)).is_none() {
            std::hint::spin_loop();
        }
        assert_eq!(under_way.longer_than(Duration::from_secs(3_600)), None);
        under_way.end();
        assert_eq!(under_way.longer_than(Duration::ZERO), None);
    }
}
