//! What is known about when an upstream closes kept connections.
//!
//! A request that is sent just when the upstream closes the connection is lost, and if it matched a rule its outcome is unknown. So what was
//! seen twice is expected again: an idle time after which the upstream closes connections, or a number of answers after which it closes one.
//! What an upstream says itself, by `Keep-Alive: timeout=`, is heeded from its first answer on.

use std::time::{Duration, Instant};

/// A connection that is closed within this time of its last answer was closed because of that answer, not because it was idle.
const AT_ONCE: Duration = Duration::from_millis(10);
/// A connection that is still open this long after an answer was not closed because of it.
const STAYS: Duration = Duration::from_millis(500);
/// What is not seen again for this long is forgotten: the upstream may have another configuration by now.
const REMEMBERED: Duration = Duration::from_secs(60);

/// An idle connection older than this is not used again if its upstream has not said how long it keeps one: many servers close theirs after
/// five seconds, and a request that is sent just then has an unknown outcome.
pub(super) const UNSAID: Duration = Duration::from_secs(4);

/// What is known about one upstream.
#[derive(Debug, Default)]
pub(crate) struct Habits {
    last: Option<Closed>,
    idle: Option<Shown<Duration>>,
    answers: Option<Shown<u32>>,
}

/// How the upstream closed one connection.
#[derive(Clone, Copy, Debug)]
struct Closed {
    idle: Duration,
    answers: u32,
}

/// A limit, and when it was last seen.
#[derive(Clone, Copy, Debug)]
struct Shown<T> {
    limit: T,
    seen: Instant,
}

impl<T: Copy> Shown<T> {
    fn still(shown: Option<Self>, now: Instant) -> Option<T> {
        shown.filter(|shown| now.duration_since(shown.seen) < REMEMBERED).map(|shown| shown.limit)
    }
}

impl Habits {
    /// Notes that the upstream closed a connection after this number of answers and this idle time.
    pub fn closed(&mut self, now: Instant, idle: Duration, answers: u32) {
        let Some(last) = self.last.replace(Closed { idle, answers }) else { return };
        if idle < AT_ONCE {
            if last.idle < AT_ONCE && last.answers == answers {
                self.answers = Some(Shown { limit: answers, seen: now });
            }
        } else if last.idle >= AT_ONCE && alike(last.idle, idle) {
            // A restart of the upstream closes connections of every age at once, so two equal ages by chance must not raise a known limit.
            let known = Shown::still(self.idle, now).unwrap_or(idle);
            self.idle = Some(Shown { limit: known.min(idle).min(last.idle), seen: now });
        }
    }

    /// Notes that a connection is still open after this number of answers and this idle time: lower limits are wrong.
    pub fn stayed(&mut self, idle: Duration, answers: u32) {
        if self.answers.is_some_and(|shown| answers >= shown.limit && idle >= STAYS) {
            self.answers = None;
        }
        if self.idle.is_some_and(|shown| idle > shown.limit / 4 * 5) {
            self.idle = None;
        }
    }

    /// Whether any close was noted.
    #[cfg(test)]
    pub fn has_seen_a_close(&self) -> bool {
        self.last.is_some()
    }

    /// Whether a connection that has given so many answers and been idle for so long is likely to be there still.
    pub fn allow(&self, now: Instant, idle: Duration, answers: u32) -> bool {
        let too_many = Shown::still(self.answers, now).is_some_and(|limit| answers >= limit);
        let too_old = Shown::still(self.idle, now).is_some_and(|limit| idle >= limit / 4 * 3);
        !too_many && !too_old
    }
}

fn alike(one: Duration, other: Duration) -> bool {
    let (less, more) = if one < other { (one, other) } else { (other, one) };
    more - less <= more / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn an_age_that_was_seen_twice_is_a_limit() {
        let (now, mut habits) = (Instant::now(), Habits::default());
        habits.closed(now, millis(1_000), 5);
        assert!(habits.allow(now, millis(3_000), 5), "once is chance");
        habits.closed(now, millis(1_050), 9);
        assert!(habits.allow(now, millis(749), 100));
        assert!(!habits.allow(now, millis(751), 1));
        habits.closed(now, millis(3_000), 1);
        habits.closed(now, millis(3_000), 1);
        assert!(!habits.allow(now, millis(751), 1), "the shortest age counts");
        assert!(habits.allow(now + REMEMBERED, millis(3_500), 1), "it was not seen again");
    }

    #[test]
    fn a_restart_shows_nothing() {
        let (now, mut habits) = (Instant::now(), Habits::default());
        for idle in [20, 70, 300, 1_200, 40] {
            habits.closed(now, millis(idle), 3);
        }
        assert!(habits.allow(now, millis(3_900), 3));
    }

    #[test]
    fn a_number_of_answers_that_was_seen_twice_is_a_limit() {
        let (now, mut habits) = (Instant::now(), Habits::default());
        habits.closed(now, millis(0), 3);
        habits.closed(now, millis(1), 3);
        assert!(habits.allow(now, millis(0), 2));
        assert!(!habits.allow(now, millis(0), 3));
        assert!(habits.allow(now, millis(500), 2), "it says nothing about ages");
        assert!(habits.allow(now + REMEMBERED, millis(0), 3));
    }
    #[test]
    fn a_connection_that_stays_open_disproves_what_was_learnt() {
        let (now, mut habits) = (Instant::now(), Habits::default());
        for _ in 0..2 {
            habits.closed(now, millis(0), 1);
        }
        habits.stayed(millis(5), 1);
        assert!(!habits.allow(now, millis(0), 1), "it may be closed yet");
        habits.stayed(STAYS, 1);
        assert!(habits.allow(now, millis(0), 1));

        for _ in 0..2 {
            habits.closed(now, millis(1_000), 1);
        }
        habits.stayed(millis(1_200), 1);
        assert!(!habits.allow(now, millis(800), 1), "that is not long enough to be sure");
        habits.stayed(millis(1_300), 1);
        assert!(habits.allow(now, millis(800), 1));
    }
}
