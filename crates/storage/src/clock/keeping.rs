//! When a commit writes the clock's [`Record`](super::Record).

use event::Stamp;

use super::{KEEP_EVERY, KEEP_WITHIN};

/// What a transaction has changed so far, as far as it concerns the clock. The variants are in order: a transaction has the greatest that applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trace {
    /// Nothing.
    #[default]
    Nothing,
    /// Only rows without a stamp.
    Unstamped,
    /// Rows with stamps that a start does not look at (deliveries, hidden messages, subscriptions), or it deleted some that a start looks at.
    Stamped,
    /// An event or a message was added. A start reads the stamp of the last of each, so no record is needed.
    Appended,
}

impl Trace {
    /// Notes one more change.
    pub fn note(&mut self, done: Self) {
        *self = done.max(*self);
    }
}

/// When this process last stored the clock, in order to decide whether the next commit must.
#[derive(Clone, Copy, Debug, Default)]
pub struct Keeping {
    /// When the record was last written, and when the clock was last stored by a record or by the stamp of an event or a message. `None` before the
    /// first record.
    last: Option<(Stamp, Stamp)>,
}

impl Keeping {
    /// Whether a commit at `now` is to write the record.
    pub fn is_due(&self, trace: Trace, now: Stamp) -> bool {
        let Some((written, kept)) = self.last else { return true };
        let is_due = match trace {
            Trace::Nothing | Trace::Appended => false,
            Trace::Unstamped => now.since(kept) >= KEEP_WITHIN,
            Trace::Stamped => true,
        };
        is_due || now.since(written) >= KEEP_EVERY
    }

    /// A commit at `now` is durable, and the record with it.
    pub fn wrote(&mut self, now: Stamp) {
        self.last = Some((now, now));
    }

    /// A commit at `now` is durable that did not write the record.
    pub fn passed(&mut self, trace: Trace, now: Stamp) {
        if let (Some((_, kept)), Trace::Appended) = (&mut self.last, trace) {
            *kept = now;
        }
    }

    /// The wall clock was set, so the time in the stored record is wrong: the next commit writes the record.
    pub fn begin_anew(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Stamp {
        Stamp::from_micros(1_000_000_000).plus(Duration::from_millis(millis))
    }

    #[test]
    fn what_leaves_a_stamp_keeps_the_clock_and_the_rest_does_once_a_second() {
        use Trace::{Appended, Nothing, Stamped, Unstamped};
        let mut keeping = Keeping::default();
        assert!([Nothing, Unstamped, Stamped, Appended].iter().all(|trace| keeping.is_due(*trace, at(0))));
        keeping.passed(Appended, at(0));
        assert!(keeping.is_due(Nothing, at(0)), "an event has no record's wall time");
        keeping.wrote(at(0));
        assert_eq!(
            [Nothing, Unstamped, Stamped, Appended].map(|trace| keeping.is_due(trace, at(999))),
            [false, false, true, false]
        );
        assert_eq!(
            [Nothing, Unstamped, Stamped, Appended].map(|trace| keeping.is_due(trace, at(1_000))),
            [false, true, true, false]
        );
        // An event keeps it as well as a record does, and nothing else does.
        keeping.passed(Unstamped, at(900));
        assert!(keeping.is_due(Unstamped, at(1_000)));
        keeping.passed(Appended, at(900));
        assert!(!keeping.is_due(Unstamped, at(1_899)) && keeping.is_due(Unstamped, at(1_900)));
        // The record itself is written once a minute.
        keeping.passed(Appended, at(59_999));
        assert_eq!([Nothing, Unstamped, Appended].map(|trace| keeping.is_due(trace, at(59_999))), [false; 3]);
        assert_eq!([Nothing, Unstamped, Appended].map(|trace| keeping.is_due(trace, at(60_000))), [true; 3]);
        keeping.wrote(at(60_000));
        assert!(!keeping.is_due(Nothing, at(60_000)));
        keeping.begin_anew();
        assert!(keeping.is_due(Nothing, at(60_000)));
    }

    #[test]
    fn a_trace_only_grows() {
        let mut trace = Trace::default();
        for (done, then) in [
            (Trace::Nothing, Trace::Nothing),
            (Trace::Stamped, Trace::Stamped),
            (Trace::Unstamped, Trace::Stamped),
            (Trace::Appended, Trace::Appended),
            (Trace::Nothing, Trace::Appended),
        ] {
            trace.note(done);
            assert_eq!(trace, then);
        }
    }
}
