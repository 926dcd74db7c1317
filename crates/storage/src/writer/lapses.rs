//! The log lines about what was owed and was taken away: from removed, pending and disabled subscriptions, from queues at the end of their retention, and
//! from queues that gave it to their dead-letter queue. So nothing of it is lost without a log line.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::backend::Committed;
use crate::dropped::{Dropped, Ended};
use crate::entities::{SubscriptionId, Whose};
use crate::redrive::Way;

/// The time between two log lines of one kind. Where events come all the time, something lapses all the time.
const TELL_EVERY: Duration = Duration::from_secs(3_600);

/// Counts that no log line has reported yet.
#[derive(Debug, Default)]
pub(super) struct Untold {
    lapsed: Lapses<SubscriptionId>,
    expired: Lapses<String>,
    dead_lettered: Lapses<Way>,
    /// By the names of the queue and of the dead-letter queue that does not exist.
    kept: Lapses<(String, String)>,
}

impl Untold {
    pub(super) fn note(&mut self, committed: &Committed) {
        self.lapsed.note(&committed.lapsed);
        self.expired.note(&committed.expired);
        self.dead_lettered.note(&committed.dead_lettered);
        self.kept.note(&committed.kept);
    }

    pub(super) fn tell_due(&mut self, now: Instant, whose: impl FnMut(SubscriptionId) -> Option<Whose>) {
        tell_lapsed(self.lapsed.take_due(now), whose);
        tell_expired(self.expired.take_due(now));
        tell_dead_lettered(self.dead_lettered.take_due(now));
        tell_kept(self.kept.take_due(now));
    }

    /// Reports all of them, before the writer ends.
    pub(super) fn tell_all(&mut self, whose: impl FnMut(SubscriptionId) -> Option<Whose>) {
        tell_lapsed(self.lapsed.take_all(), whose);
        tell_expired(self.expired.take_all());
        tell_dead_lettered(self.dead_lettered.take_all());
        tell_kept(self.kept.take_all());
    }
}

/// Counts of one kind that no log line has reported yet, by what they were taken from.
#[derive(Debug)]
struct Lapses<K> {
    untold: BTreeMap<K, u64>,
    told_at: Option<Instant>,
}

impl<K> Default for Lapses<K> {
    fn default() -> Self {
        Self { untold: BTreeMap::new(), told_at: None }
    }
}

impl<K: Clone + Ord> Lapses<K> {
    fn note(&mut self, lapsed: &BTreeMap<K, u64>) {
        for (from, count) in lapsed {
            *self.untold.entry(from.clone()).or_default() += count;
        }
    }

    /// Takes the counts that are to be reported now: the first at once, later ones together once an hour.
    fn take_due(&mut self, now: Instant) -> BTreeMap<K, u64> {
        let waits = self.told_at.is_some_and(|told| now.duration_since(told) < TELL_EVERY);
        if self.untold.is_empty() || waits {
            return BTreeMap::new();
        }
        self.told_at = Some(now);
        self.take_all()
    }

    /// Takes all counts.
    fn take_all(&mut self) -> BTreeMap<K, u64> {
        std::mem::take(&mut self.untold)
    }
}

/// The line about a removed subscription whose grace is over. It comes once, at once; a warning if it was still owed anything.
pub(super) fn tell_ended(Ended { id, whose, owed }: &Ended) {
    let (subscription, name) = (id.0, whose.name.as_ref());
    let Whose { topic, endpoint, .. } = whose;
    if owed.is_nothing() {
        tracing::info!(
            subscription,
            name,
            topic,
            endpoint,
            "a subscription is forgotten a day after it left the configuration; it was owed nothing"
        );
        return;
    }
    let Dropped { unread, waiting, dead, .. } = *owed;
    tracing::warn!(
        subscription,
        name,
        topic,
        endpoint,
        unread,
        waiting,
        dead,
        "a subscription is forgotten a day after it left the configuration, and what it was still owed is dropped: {owed}"
    );
}

/// A line for each subscription.
fn tell_lapsed(
    lapsed: BTreeMap<SubscriptionId, u64>,
    mut whose: impl FnMut(SubscriptionId) -> Option<Whose>,
) {
    for (subscription, count) in lapsed {
        let whose = whose(subscription);
        tracing::warn!(
            subscription = subscription.0,
            name = whose.as_ref().and_then(|whose| whose.name.as_ref()),
            topic = whose.as_ref().map(|whose| &whose.topic),
            endpoint = whose.as_ref().map(|whose| &whose.endpoint),
            count,
            "events that a pending or disabled subscription was owed are gone for it: it was neither confirmed nor enabled in time"
        );
    }
}

/// A line for each queue.
fn tell_expired(expired: BTreeMap<String, u64>) {
    for (queue, count) in expired {
        tracing::warn!(
            queue,
            count,
            "messages were deleted that nobody had received and deleted within the queue's message_retention_period"
        );
    }
}

/// A line for each pair of queues and each reason.
fn tell_dead_lettered(dead_lettered: BTreeMap<Way, u64>) {
    for (Way { from, to, why }, count) in dead_lettered {
        let why = why.as_str();
        tracing::warn!(
            queue = from,
            dead_letter_queue = to,
            why,
            count,
            "messages went to the dead-letter queue: nobody had received and deleted them by the time that the queue's settings allow"
        );
    }
}

/// A line for each queue.
fn tell_kept(kept: BTreeMap<(String, String), u64>) {
    for ((queue, dead_letter_queue), count) in kept {
        tracing::warn!(
            queue,
            dead_letter_queue,
            count,
            "messages stay in their queue although they have been received as often as its redrive policy allows: the dead-letter queue does not exist; create it, or change the policy"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_rest_once_an_hour() {
        let (mut lapses, began) = (Lapses::default(), Instant::now());
        let of = |count| BTreeMap::from([(SubscriptionId(3), count)]);
        assert_eq!(lapses.take_due(began), BTreeMap::new());
        lapses.note(&of(2));
        assert_eq!(lapses.take_due(began), of(2));
        lapses.note(&of(5));
        lapses.note(&of(1));
        assert_eq!(lapses.take_due(began + TELL_EVERY / 2), BTreeMap::new());
        assert_eq!(lapses.take_due(began + TELL_EVERY), of(6));
        lapses.note(&of(1));
        assert_eq!((lapses.take_all(), lapses.take_all()), (of(1), BTreeMap::new()));
    }
}
