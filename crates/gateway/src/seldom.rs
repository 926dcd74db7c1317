//! Log lines about what may happen thousands of times a second.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// At most one line in so long.
const EVERY: Duration = Duration::from_secs(1);

/// Lets one line a second through and counts the others.
#[derive(Default)]
pub(crate) struct Seldom {
    last: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Seldom {
    /// It happened: how often since the last line, this time included, if it is time for a line.
    pub fn happened(&self, now: Instant) -> Option<u64> {
        self.left_out.set(self.left_out.get() + 1);
        self.due(now)
    }

    /// How often it happened since the last line, if it did and it is time for a line.
    pub fn due(&self, now: Instant) -> Option<u64> {
        if self.left_out.get() == 0 || self.last.get().is_some_and(|last| now.duration_since(last) < EVERY) {
            return None;
        }
        self.last.set(Some(now));
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_often() {
        let seldom = Seldom::default();
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(seldom.due(start), None, "it never happened");
        assert_eq!(seldom.happened(start), Some(1));
        assert_eq!([1, 2, 999].map(|millis| seldom.happened(after(millis))), [None; 3]);
        assert_eq!(seldom.due(after(999)), None);
        assert_eq!(seldom.due(after(1_000)), Some(3), "those left out are said even if it is over");
        assert_eq!(seldom.due(after(5_000)), None);
        assert_eq!(seldom.happened(after(5_000)), Some(1));
    }
}
