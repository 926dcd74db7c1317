//! What is known of one name, and what to do when somebody asks for it. Pure: `now` is a parameter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Times, Unresolved};
use crate::addresses::Addresses;

/// How a lookup ended.
pub(super) type Outcome = Result<Arc<Addresses>, Unresolved>;
/// Where the end of a lookup is heard of.
pub(super) type Ending = watch::Receiver<Option<Outcome>>;

/// What is known of a name.
pub(super) struct Entry {
    answer: Option<Answer>,
    /// How the last lookup failed, and when; `None` if it did not.
    failed: Option<(Unresolved, Instant)>,
    /// The one under way: when it began, and where its end is heard of.
    lookup: Option<(Instant, Ending)>,
    /// When somebody last asked.
    used: Instant,
}

struct Answer {
    addresses: Arc<Addresses>,
    since: Instant,
}

/// What to do for somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The answer is fresh, or there is no point in asking again yet.
    Use(Arc<Addresses>),
    /// Use the answer, and see to it that a lookup is under way.
    UseAndLookUp(Arc<Addresses>),
    /// It has just failed, or has kept others waiting for too long.
    Refuse(Unresolved),
    /// Wait for a lookup, and do without it after `at_most`.
    Wait {
        /// What is used if the lookup takes longer, or fails: an old answer.
        instead: Option<Arc<Addresses>>,
        at_most: Duration,
    },
}

impl Entry {
    pub(super) fn new(now: Instant) -> Self {
        Self { answer: None, failed: None, lookup: None, used: now }
    }

    pub(super) fn used(&mut self, now: Instant) {
        self.used = now;
    }

    /// Whether it may be forgotten: nobody has asked for so long, and nobody waits.
    pub(super) fn is_unused(&self, now: Instant, times: &Times) -> bool {
        self.lookup.is_none() && now.saturating_duration_since(self.used) >= times.kept
    }

    pub(super) fn decide(&self, now: Instant, times: &Times) -> Decision {
        let age = |since: Instant| now.saturating_duration_since(since);
        let has_just_failed = self.failed.as_ref().is_some_and(|(_, at)| age(*at) < times.failed);
        let waiting_for = self.lookup.as_ref().map(|(began, _)| age(*began));
        let Some(answer) = self.answer.as_ref().filter(|answer| age(answer.since) < times.kept) else {
            return match (&self.failed, waiting_for) {
                (Some((error, _)), None) if has_just_failed => Decision::Refuse(error.clone()),
                (_, Some(waited)) if waited >= times.wait => Decision::Refuse(Unresolved::Silent(waited)),
                _ => Decision::Wait { instead: None, at_most: times.wait },
            };
        };
        let addresses = answer.addresses.clone();
        if age(answer.since) < times.fresh || has_just_failed {
            return Decision::Use(addresses);
        }
        let is_pointless =
            self.failed.is_some() || waiting_for.is_some_and(|waited| waited >= times.patience);
        if age(answer.since) < times.stale || is_pointless {
            return Decision::UseAndLookUp(addresses);
        }
        Decision::Wait { instead: Some(addresses), at_most: times.patience }
    }

    /// Where the end of the lookup under way is heard of.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.lookup.as_ref().map(|(_, ending)| ending.clone())
    }

    pub(super) fn begin(&mut self, now: Instant, ending: Ending) {
        self.lookup = Some((now, ending));
    }

    /// A name that does not exist any more is not called any more; every other failure leaves the answer that there was.
    pub(super) fn end(&mut self, now: Instant, outcome: &Outcome) {
        self.lookup = None;
        match outcome {
            Ok(addresses) => {
                self.answer = Some(Answer { addresses: addresses.clone(), since: now });
                self.failed = None;
            }
            Err(error) => {
                if *error == Unresolved::NoSuchName {
                    self.answer = None;
                }
                self.failed = Some((error.clone(), now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times::DEFAULT;

    fn addresses() -> Arc<Addresses> {
        Arc::new(Addresses::new(vec![[127, 0, 0, 1].into()]))
    }

    fn failure() -> Unresolved {
        Unresolved::Failed("server failure".into())
    }

    fn ending() -> Ending {
        watch::channel(None).1
    }

    #[test]
    fn an_answer_is_used_while_it_is_fresh_then_while_it_is_refreshed_then_as_a_way_out() {
        let began = Instant::now();
        let mut entry = Entry::new(began);
        assert_eq!(entry.decide(began, &TIMES), Decision::Wait { instead: None, at_most: TIMES.wait });
        entry.end(began, &Ok(addresses()));
        let at = |entry: &Entry, age: Duration| entry.decide(began + age, &TIMES);
        let moment = Duration::from_millis(1);
        assert_eq!(at(&entry, TIMES.fresh - moment), Decision::Use(addresses()));
        assert_eq!(at(&entry, TIMES.fresh), Decision::UseAndLookUp(addresses()));
        assert_eq!(at(&entry, TIMES.stale - moment), Decision::UseAndLookUp(addresses()));
        let wait = Decision::Wait { instead: Some(addresses()), at_most: TIMES.patience };
        assert_eq!(at(&entry, TIMES.stale), wait);
        assert_eq!(at(&entry, TIMES.kept), Decision::Wait { instead: None, at_most: TIMES.wait });

        // Nobody waits twice for a name server that hangs.
        entry.begin(began + TIMES.stale, ending());
        assert_eq!(at(&entry, TIMES.stale + TIMES.patience), Decision::UseAndLookUp(addresses()));
        entry.end(began + TIMES.stale, &Err(failure()));
        assert_eq!(at(&entry, TIMES.stale), Decision::Use(addresses()));
        assert_eq!(at(&entry, TIMES.stale + TIMES.failed), Decision::UseAndLookUp(addresses()));
    }

    #[test]
    fn what_failed_is_not_asked_for_again_at_once() {
        let began = Instant::now();
        let mut entry = Entry::new(began);
        entry.begin(began, ending());
        assert_eq!(
            entry.decide(began + TIMES.wait, &TIMES),
            Decision::Refuse(Unresolved::Silent(TIMES.wait)),
            "somebody has waited for it long enough"
        );
        entry.end(began, &Err(failure()));
        assert_eq!(entry.decide(began, &TIMES), Decision::Refuse(failure()));
        let wait = Decision::Wait { instead: None, at_most: TIMES.wait };
        assert_eq!(entry.decide(began + TIMES.failed, &TIMES), wait);
    }

    #[test]
    fn a_name_that_is_gone_is_not_called_any_more() {
        let began = Instant::now();
        let mut entry = Entry::new(began);
        entry.end(began, &Ok(addresses()));
        entry.end(began, &Err(Unresolved::NoSuchName));
        assert_eq!(entry.decide(began, &TIMES), Decision::Refuse(Unresolved::NoSuchName));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let began = Instant::now();
        let mut entry = Entry::new(began);
        assert!(!entry.is_unused(began, &TIMES) && entry.is_unused(began + TIMES.kept, &TIMES));
        entry.begin(began, ending());
        assert!(!entry.is_unused(began + TIMES.kept, &TIMES), "somebody may wait for it");
    }
}
