//! How long the writer has been at one commit: a disk that hangs tells nobody.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A commit that takes longer than this may take for ever: until it is over, no new promise waits behind it.
pub const STALLED_AFTER: Duration = Duration::from_secs(5);

/// The commit under way; written by the writer's thread alone, read by anybody.
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
        let since = self.since.load(Ordering::Relaxed);
        if since == 0 {
            return None;
        }
        let taken = Duration::from_micros(self.now().saturating_sub(since));
        (taken > limit).then_some(taken)
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }
}
