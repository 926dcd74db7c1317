//! What housekeeping took of what was owed: from pending and disabled subscriptions, and from queues whose retention was over. The log
//! lines say it, so that nothing that was owed goes unseen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::entities::SubscriptionId;

/// Between two tellings: where events come all the time, something lapses all the time.
const TELL_EVERY: Duration = Duration::from_secs(3_600);

/// What was taken and is not told yet, by who it was taken from.
#[derive(Debug)]
pub(super) struct Lapses<K> {
    untold: BTreeMap<K, u64>,
    told_at: Option<Instant>,
}

impl<K> Default for Lapses<K> {
    fn default() -> Self {
        Self { untold: BTreeMap::new(), told_at: None }
    }
}

impl<K: Clone + Ord> Lapses<K> {
    pub(super) fn note(&mut self, lapsed: &BTreeMap<K, u64>) {
        for (from, count) in lapsed {
            *self.untold.entry(from.clone()).or_default() += count;
        }
    }

    /// What is to be told now: the first at once, then what has come together in an hour.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeMap<K, u64> {
        let waits = self.told_at.is_some_and(|told| now.duration_since(told) < TELL_EVERY);
        if self.untold.is_empty() || waits {
            return BTreeMap::new();
        }
        self.told_at = Some(now);
        self.take_all()
    }

    /// What is to be told before the end.
    pub(super) fn take_all(&mut self) -> BTreeMap<K, u64> {
        std::mem::take(&mut self.untold)
    }
}

/// A line for each subscription.
pub(super) fn tell(lapsed: BTreeMap<SubscriptionId, u64>) {
    for (subscription, count) in lapsed {
        tracing::warn!(
            subscription = subscription.0,
            count,
            "events that a pending or disabled subscription was owed are gone for it: it was neither confirmed nor enabled in time"
        );
    }
}

/// A line for each queue.
pub(super) fn tell_expired(expired: BTreeMap<String, u64>) {
    for (queue, count) in expired {
        tracing::warn!(
            queue,
            count,
            "messages were deleted that nobody had received and deleted within the queue's message_retention_period"
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
