//! Time of the store's clock during which no process was running: starts added it because it passed by the wall clock.
//!
//! It does not count towards any limit of what is owed. So a wall clock that is wrong at a boot, however often, does not drop anything, and a
//! worker always has its queue's whole retention to fetch a message. The price is that what is owed is kept longer, by the time that the node
//! was off.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use event::Stamp;

/// The most spans that are stored. With one more, the two nearest ones become one span, together with the time between them.
const MAX_SPANS: usize = 32;
/// A span that ended longer ago than this is dropped: nothing that is owed is kept for so long.
const REMEMBERED: Duration = Duration::from_secs(60 * 86_400);

/// The spans of the store's clock during which no process was running, disjoint, the oldest first. Clones share them. As text:
/// `FROM-TO FROM-TO`, stamps in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assumed(Arc<[Span]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: Stamp,
    to: Stamp,
}

impl Assumed {
    /// The same, with one more span that a start added, from the old to the new value of the clock.
    #[must_use]
    pub fn and(&self, from: Stamp, to: Stamp) -> Self {
        if to <= from {
            return self.clone();
        }
        let known = self.0.iter().copied().filter(|span| to.since(span.to) <= REMEMBERED);
        let mut spans: Vec<Span> = known.chain([Span { from, to }]).collect();
        if let Some(nearest) = nearest(&spans).filter(|_| spans.len() > MAX_SPANS) {
            let second = spans.remove(nearest + 1);
            spans[nearest].to = second.to;
        }
        Self(spans.into())
    }

    /// The moment since which processes were running for `lived` in total, at `now`.
    pub fn before(&self, now: Stamp, lived: Duration) -> Stamp {
        let (mut from, mut left) = (now, lived);
        for span in self.0.iter().rev() {
            let since = from.since(span.to);
            if left <= since {
                break;
            }
            left -= since;
            from = span.from.min(from);
        }
        from.minus(left)
    }

    /// How much of the time between two moments a process was running.
    pub fn lived(&self, since: Stamp, now: Stamp) -> Duration {
        let assumed = self.0.iter().map(|span| span.to.min(now).since(span.from.max(since)));
        now.since(since).saturating_sub(assumed.sum())
    }
}

/// The index of the span with the least time between it and the next one; among equals the oldest. `None` if there are fewer than two.
fn nearest(spans: &[Span]) -> Option<usize> {
    let between = |first: &usize| spans[first + 1].from.since(spans[*first].to);
    (0..spans.len().saturating_sub(1)).min_by_key(between)
}

impl fmt::Display for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, span) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { " " };
            write!(f, "{gap}{}-{}", span.from.as_micros(), span.to.as_micros())?;
        }
        Ok(())
    }
}

/// Why a text is not a list of spans.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A span does not have two ends.
    #[error("`{0}` is not a span of the clock")]
    Span(String),
    /// One of its ends is not a number.
    #[error("a span of the clock begins or ends with what is not a number")]
    Number(#[from] ParseIntError),
}

impl FromStr for Assumed {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let span = |text: &str| {
            let (from, to) = text.split_once('-').ok_or_else(|| Unreadable::Span(text.to_owned()))?;
            Ok(Span { from: Stamp::from_micros(from.parse()?), to: Stamp::from_micros(to.parse()?) })
        };
        text.split_ascii_whitespace().map(span).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(hours: u64) -> Stamp {
        Stamp::from_micros(9_000_000_000_000_000).plus(hours as u32 * HOUR)
    }

    fn of(spans: &[(u64, u64)]) -> Assumed {
        spans.iter().fold(Assumed::default(), |assumed, (from, to)| assumed.and(at(*from), at(*to)))
    }

    #[test]
    fn what_was_assumed_is_no_age() {
        let assumed = of(&[(10, 11), (20, 23)]);
        for (since, now, lived) in [
            (0, 10, 10),
            (0, 11, 10),
            (0, 12, 11),
            (10, 12, 1),
            (11, 12, 1),
            (12, 20, 8),
            (0, 30, 26),
            (20, 30, 7),
            (21, 22, 0),
            (23, 30, 7),
            (30, 20, 0),
        ] {
            assert_eq!(assumed.lived(at(since), at(now)), lived * HOUR, "{since} to {now}");
        }
    }

    #[test]
    fn a_limit_reaches_back_over_what_was_assumed() {
        let assumed = of(&[(10, 11), (20, 23)]);
        for (now, limit, before) in [
            (30, 0, 30),
            (30, 6, 24),
            (30, 7, 23),
            (30, 8, 19),
            (30, 16, 11),
            (30, 17, 9),
            (30, 26, 0),
            (23, 0, 23),
            (23, 1, 19),
            (9, 2, 7),
        ] {
            assert_eq!(assumed.before(at(now), limit * HOUR), at(before), "{limit} before {now}");
        }
        assert_eq!(Assumed::default().before(at(5), 2 * HOUR), at(3));
        assert_eq!(assumed.before(at(30), Duration::MAX), Stamp::default());
        // What lies before a moment that is found has lived for the limit, and nothing after it has.
        for limit in 0..26 {
            let before = assumed.before(at(30), limit * HOUR);
            let moment = Duration::from_micros(1);
            assert!(assumed.lived(before, at(30)) >= limit * HOUR);
            assert!(assumed.lived(before.plus(moment), at(30)) < limit.max(1) * HOUR, "{limit}");
        }
    }

    #[test]
    fn starts_that_add_nothing_are_not_remembered() {
        assert_eq!(of(&[(5, 5), (7, 6)]), Assumed::default());
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let days = 24;
        assert_eq!(of(&[(0, 1), (60 * days, 60 * days + 1)]).0.len(), 2);
        assert_eq!(of(&[(0, 1), (60 * days, 60 * days + 2)]).0.len(), 1);
    }

    #[test]
    fn of_many_starts_the_nearest_are_taken_together() {
        // Two of them an hour apart, the rest two.
        let mut spans: Vec<(u64, u64)> = (0..MAX_SPANS as u64).map(|n| (3 * n, 3 * n + 1)).collect();
        spans[7].1 += 1;
        let all = of(&spans);
        assert_eq!(all.0.len(), MAX_SPANS);
        spans.push((1_000, 1_001));
        let fewer = of(&spans);
        assert_eq!(fewer.0.len(), MAX_SPANS);
        assert_eq!((fewer.0[7], fewer.0[8]), (Span { from: at(21), to: at(25) }, all.0[9]));
        // What is owed is kept for longer by it, never for less.
        assert!((0..90).all(|since| fewer.lived(at(since), at(95)) <= all.lived(at(since), at(95))));
    }

    #[test]
    fn is_read_as_it_was_written() {
        for spans in [&[][..], &[(10, 11)], &[(10, 11), (20, 23)]] {
            assert_eq!(of(spans).to_string().parse(), Ok(of(spans)));
        }
        let text = Assumed::default().and(Stamp::from_micros(1), Stamp::from_micros(20));
        let text = text.and(Stamp::from_micros(300), Stamp::from_micros(4_000)).to_string();
        assert_eq!(text, "1-20 300-4000");
        assert_eq!("12".parse::<Assumed>(), Err(Unreadable::Span("12".to_owned())));
        assert!(matches!("1-x".parse::<Assumed>(), Err(Unreadable::Number(_))));
    }
}
