//! Counts for the metrics: what was committed, and what became of it. The writer's thread writes them, except for [`WriterStats::dropped`], which
//! senders count, too. Any thread may read them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use event::{Content, Outcome};

use super::dropped::DroppedEvents;
use crate::backend::Committed;
use crate::entities::{QueueId, SubscriptionId};
use crate::redrive::Way;

/// Counts since this process started.
#[derive(Default)]
pub struct WriterStats {
    /// Commits that are durable.
    pub commits: AtomicU64,
    /// Commits that failed.
    pub failures: AtomicU64,
    /// Durable events of outcome `succeeded`.
    pub succeeded: AtomicU64,
    /// Durable events of outcome `unknown`, without those that recovery made.
    pub unknown: AtomicU64,
    /// Durable messages that were published to a topic.
    pub published: AtomicU64,
    /// Durable messages that were sent straight to a queue.
    pub sent: AtomicU64,
    /// Events that are never in the log, by reason.
    pub dropped: DroppedEvents,
    /// Open intents of dead incarnations that recovery settled without an event, because their topic was deleted.
    pub of_deleted_topics: AtomicU64,
    /// Deliveries that removed subscriptions were still owed when their grace was over, and that were dropped; counted up to
    /// [`MAX_COUNTED`](crate::dropped::MAX_COUNTED) a subscription and kind.
    pub dropped_after_grace: AtomicU64,
    /// Deliveries and messages that commands of owners dropped; counted up to the same number a command and kind.
    pub dropped_by_owners: AtomicU64,
    /// See [`WriterStats::lapsed_deliveries`].
    lapsed: Mutex<BTreeMap<SubscriptionId, u64>>,
    /// See [`WriterStats::expired_messages`].
    expired: Mutex<BTreeMap<String, u64>>,
    /// See [`WriterStats::dead_lettered_messages`].
    dead_lettered: Mutex<BTreeMap<Way, u64>>,
    /// See [`WriterStats::set_aside_messages`].
    set_aside: Mutex<BTreeMap<QueueId, u64>>,
    /// How many changes a commit has.
    pub batch: Histogram,
    /// How long a commit takes from its begin until it is durable, in microseconds.
    pub micros: Histogram,
}

impl WriterStats {
    pub(super) fn committed(&self, changes: usize, took: Duration) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.batch.observe(changes as u64);
        self.micros.observe(took.as_micros() as u64);
    }

    pub(super) fn published(&self, content: &Content) {
        let count = match content {
            Content::Exchange(exchange) => match exchange.outcome {
                Outcome::Succeeded => &self.succeeded,
                Outcome::Unknown(_) => &self.unknown,
            },
            Content::Message(_) => &self.published,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, messages: u64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
    }

    pub(super) fn owed_dropped(&self, committed: &Committed) {
        let of_removed = committed.ended.iter().map(|ended| ended.owed.deliveries()).sum();
        count(&self.dropped_after_grace, of_removed);
        count(&self.dropped_by_owners, committed.dropped_by_owners);
    }

    pub(super) fn lapsed(&self, more: &BTreeMap<SubscriptionId, u64>) {
        if more.is_empty() {
            return;
        }
        let mut lapsed = self.lapsed.lock().unwrap_or_else(PoisonError::into_inner);
        for (subscription, count) in more {
            *lapsed.entry(*subscription).or_default() += count;
        }
    }

    /// How many deliveries lapsed, by subscription: pending and disabled ones were owed them and are not any more.
    pub fn lapsed_deliveries(&self) -> BTreeMap<SubscriptionId, u64> {
        self.lapsed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn expired(&self, more: &BTreeMap<String, u64>) {
        if more.is_empty() {
            return;
        }
        let mut expired = self.expired.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, count) in more {
            *expired.entry(queue.clone()).or_default() += count;
        }
    }

    /// How many messages were deleted because they were older than their queue's retention, by the queue's name.
    pub fn expired_messages(&self) -> BTreeMap<String, u64> {
        self.expired.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn dead_lettered(&self, more: &BTreeMap<Way, u64>) {
        if more.is_empty() {
            return;
        }
        let mut dead_lettered = self.dead_lettered.lock().unwrap_or_else(PoisonError::into_inner);
        for (way, count) in more {
            *dead_lettered.entry(way.clone()).or_default() += count;
        }
    }

    /// How many messages went to dead-letter queues, by the two queues and the reason.
    pub fn dead_lettered_messages(&self) -> BTreeMap<Way, u64> {
        self.dead_lettered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_aside(&self, more: &BTreeMap<QueueId, u64>) {
        if more.is_empty() {
            return;
        }
        let mut set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner);
        for (queue, count) in more {
            *set_aside.entry(*queue).or_default() += count;
        }
    }

    /// How many damaged messages receives set aside, by queue. A message that is still damaged 12 hours later counts again.
    pub fn set_aside_messages(&self) -> BTreeMap<QueueId, u64> {
        self.set_aside.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

/// Adds to a count that only one thread writes: a load and a store, without a locked instruction.
#[inline]
pub fn count(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// The number of buckets. Bucket `i` counts the values up to and including `2^i` that no lower bucket counts; the last one counts all others.
pub const BUCKETS: usize = 24;

/// A histogram with buckets at powers of two, which only one thread writes.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Histogram {
    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let bucket = (u64::BITS - value.saturating_sub(1).leading_zeros()) as usize;
        count(&self.buckets[bucket.min(BUCKETS - 1)], 1);
        count(&self.sum, value);
    }

    /// The sum of all values.
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// Pairs of an upper bound (inclusive; `None` for the last) and the count of values in that bucket alone.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> + '_ {
        self.buckets.iter().enumerate().map(|(i, count)| {
            let bound = (i < BUCKETS - 1).then(|| 1u64 << i);
            (bound, count.load(Ordering::Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use event::message::Details;

    use super::*;
    use crate::memory::{sample_event, sample_exchange, sample_message};
    use crate::redrive::Why;

    #[test]
    fn counts_what_became_of_commits() {
        let stats = WriterStats::default();
        stats.committed(3, Duration::from_micros(70));
        stats.committed(5, Duration::from_micros(30));
        stats.failed();
        stats.published(&sample_event(1).content);
        let unknown = Outcome::Unknown(event::UnknownReason::GatewayRestarted);
        stats.published(&sample_exchange(1, |exchange| exchange.outcome = unknown).content);
        stats.published(&sample_message(1, "text", &Details::default()).content);
        stats.sent(3);
        let counts = [&stats.commits, &stats.failures, &stats.succeeded, &stats.unknown];
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [2, 1, 1, 1]);
        assert_eq!([&stats.published, &stats.sent].map(|count| count.load(Ordering::Relaxed)), [1, 3]);
        assert_eq!((stats.batch.sum(), stats.micros.sum()), (8, 100));
        assert_eq!(stats.lapsed_deliveries(), BTreeMap::new());
        for _ in 0..2 {
            stats.lapsed(&BTreeMap::from([(SubscriptionId(1), 2), (SubscriptionId(2), 3)]));
        }
        let lapsed = BTreeMap::from([(SubscriptionId(1), 4), (SubscriptionId(2), 6)]);
        assert_eq!(stats.lapsed_deliveries(), lapsed);
        for _ in 0..2 {
            stats.expired(&BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 3)]));
        }
        let expired = BTreeMap::from([("a".to_owned(), 4), ("b".to_owned(), 6)]);
        assert_eq!(stats.expired_messages(), expired);
        let ways = Why::ALL.map(|why| Way { from: "a".into(), to: "b".into(), why });
        for _ in 0..2 {
            stats.dead_lettered(&ways.iter().cloned().zip([1, 2]).collect());
        }
        assert_eq!(stats.dead_lettered_messages(), ways.into_iter().zip([2, 4]).collect());
        for _ in 0..2 {
            stats.set_aside(&BTreeMap::from([(QueueId(1), 2), (QueueId(2), 3)]));
        }
        let set_aside = BTreeMap::from([(QueueId(1), 4), (QueueId(2), 6)]);
        assert_eq!(stats.set_aside_messages(), set_aside);
    }

    #[test]
    fn the_last_bucket_has_no_bound() {
        let histogram = Histogram::default();
        let last = 1u64 << (BUCKETS - 2);
        histogram.observe(last);
        histogram.observe(last + 1);
        let filled: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!((filled, histogram.buckets().count()), (vec![(Some(last), 1), (None, 1)], BUCKETS));
    }

    #[test]
    fn puts_values_into_their_power_of_two() {
        let histogram = Histogram::default();
        for value in [0, 1, 2, 3, 4, 5, 1 << 40] {
            histogram.observe(value);
        }
        let filled: Vec<_> = histogram.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(Some(1), 2), (Some(2), 1), (Some(4), 2), (Some(8), 1), (None, 1)]);
        assert_eq!(histogram.sum(), 15 + (1 << 40));
    }
}
