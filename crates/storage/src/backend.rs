//! What a store implements: write transactions, commits and reads.

use std::collections::BTreeMap;
use std::time::Duration;

use event::{Position, Stamp, TopicId};

use crate::Result;
use crate::clock::Record;
use crate::dropped::{Dropped, Ended};
use crate::entities::{Incarnation, QueueId, SubscriptionId, Whose};
use crate::ports::{
    DeliveriesReader, DeliveriesTx, JournalReader, JournalTx, LogReader, LogTx, QueuesReader, QueuesTx,
    RegistryReader, RegistryTx, UpkeepReader, UpkeepTx,
};
use crate::redrive::{MetByReceive, Policy, Way, Why};
use crate::retention::Room;

/// One open write transaction. Each call sees the writes of the calls before it. None of them is durable before
/// [`Backend::commit`] has returned.
///
/// An error means that the store itself failed, and that the whole transaction must be rolled back. A refusal that the caller must handle is a
/// value, not an error.
///
/// A transaction has one moment on the store's clock, which [`Backend::begin`] was given: its rows get that stamp, and ages are measured up to
/// it. A parameter `now` of type [`Timestamp`](event::Timestamp) is the wall clock, for times that people see.
pub trait Tx: JournalTx + LogTx + QueuesTx + DeliveriesTx + RegistryTx + UpkeepTx {}

impl<T: JournalTx + LogTx + QueuesTx + DeliveriesTx + RegistryTx + UpkeepTx> Tx for T {}

/// A store, as its one writing thread has it ([`writer`](crate::writer)).
pub trait Backend: Send + 'static {
    /// The clock's record as it was when the store was opened. Its stamp is not earlier than those of the last event and of the last message.
    /// `None` if there was no record yet.
    fn kept_clock(&self) -> Option<Record>;

    /// Opens a transaction at a moment on the store's clock, which must not be earlier than that of the last transaction.
    ///
    /// # Errors
    /// If the store cannot be written to now, for example because another process holds its lock. Nothing has changed then.
    fn begin(&mut self, now: Stamp) -> Result<()>;

    /// The transaction that [`Backend::begin`] opened.
    fn tx(&mut self) -> &mut dyn Tx;

    /// Makes the open transaction durable: when this returns `Ok`, a power cut cannot undo it.
    ///
    /// # Errors
    /// [`Full`](crate::StoreError::Full) if there is no space: the transaction is rolled back, and the store can still be used. After any other
    /// error nobody knows what is on disk, and this process must not commit again.
    fn commit(&mut self) -> Result<Committed>;

    /// Undoes the open transaction, if there is one.
    fn rollback(&mut self);

    /// How many bytes the store holds and how many are left for it. The answer may be up to 100 ms old, but is never older than the last commit
    /// that deleted history to make room.
    fn room(&mut self) -> Result<Room>;

    /// Name, topic and endpoint of a subscription, for log lines. `None` if the store no longer has it, or cannot read it now. Called only between
    /// commits.
    fn whose(&mut self, id: SubscriptionId) -> Option<Whose>;

    /// Called by the writer after each try at a commit, for upkeep that must not run inside a transaction (SQLite: checkpoints).
    fn between_commits(&mut self) {}

    /// The last call. A store that is dropped without it counts as having ended uncleanly ([`Opened::unclean`]).
    fn close(&mut self) {}
}

/// What a commit changed, for the counts, log lines and wake-ups of the writer.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The topics that got events, each with the position of its last one.
    pub topics: Vec<(TopicId, Position)>,
    /// Queues whose receivers must be woken, because messages can be received.
    pub queues: Vec<QueueId>,
    /// How many messages were sent straight to a queue, without a topic.
    pub sends: u64,
    /// How many deliveries lapsed, by subscription: pending and disabled ones were owed them and are not any more.
    pub lapsed: BTreeMap<SubscriptionId, u64>,
    /// The removed subscriptions whose grace is over, with what they were owed.
    pub ended: Vec<Ended>,
    /// How many deliveries and messages commands of owners dropped, counted up to [`MAX_COUNTED`](crate::dropped::MAX_COUNTED) a command and kind.
    pub dropped_by_owners: u64,
    /// How many waiting deliveries housekeeping made dead letters.
    pub given_up: u64,
    /// How many messages housekeeping deleted because they were older than their queue's retention, by the queue's name.
    pub expired: BTreeMap<String, u64>,
    /// How many messages went to dead-letter queues, by the two queues and the reason.
    pub dead_lettered: BTreeMap<Way, u64>,
    /// How many messages were handed out once more because their queue's dead-letter queue does not exist, by the names of queue and dead-letter
    /// queue.
    pub kept: BTreeMap<(String, String), u64>,
    /// How many damaged messages receives found and set aside, by queue.
    pub set_aside: BTreeMap<QueueId, u64>,
    /// How many open intents of dead incarnations recovery settled without an event, because their topic was deleted.
    pub of_deleted_topics: u64,
}

impl Committed {
    /// Notes a new event and the queues that got a message of it. Positions only grow.
    pub fn appended(&mut self, topic: TopicId, position: Position, queues: impl Iterator<Item = QueueId>) {
        match self.topics.iter_mut().find(|(known, _)| *known == topic) {
            Some((_, last)) => *last = position,
            None => self.topics.push((topic, position)),
        }
        queues.for_each(|queue| self.sent(queue));
    }

    /// Notes that a queue got a message.
    pub fn sent(&mut self, queue: QueueId) {
        if !self.queues.contains(&queue) {
            self.queues.push(queue);
        }
    }

    /// Notes that a queue got a message without a topic. Nobody is woken for one that is delayed.
    pub fn sent_straight(&mut self, queue: QueueId, delay: Duration) {
        self.sends += 1;
        if delay.is_zero() {
            self.sent(queue);
        }
    }

    /// Notes what a receive met besides the messages that it handed out. Receivers that wait for the queue are woken if it stopped at
    /// [`MAX_GIVEN_UP`](crate::redrive::MAX_GIVEN_UP), because it did not see all messages.
    pub fn met<P: Copy + Into<QueueId>>(
        &mut self,
        queue: QueueId,
        met: MetByReceive,
        policy: Option<&Policy<P>>,
    ) {
        if met.set_aside > 0 {
            *self.set_aside.entry(queue).or_default() += met.set_aside;
        }
        let Some(policy) = policy else { return };
        if let Some(target) = policy.target.filter(|_| met.given_up > 0) {
            self.dead_lettered(policy.way(Why::Receives), target.into(), met.given_up);
        }
        if met.kept > 0 {
            let names = (policy.from.clone(), policy.redrive.to.clone());
            *self.kept.entry(names).or_default() += met.kept;
        }
        if met.is_cut_short() {
            self.sent(queue);
        }
    }

    /// Notes that messages went to a dead-letter queue.
    pub fn dead_lettered(&mut self, way: Way, to: QueueId, messages: u64) {
        *self.dead_lettered.entry(way).or_default() += messages;
        self.sent(to);
    }

    /// Notes what a command of an owner dropped, and returns it.
    pub fn dropped(&mut self, dropped: Dropped) -> Dropped {
        self.dropped_by_owners += dropped.deliveries();
        dropped
    }

    /// Notes that a pending or disabled subscription is owed one delivery less.
    pub fn lapsed(&mut self, subscription: SubscriptionId) {
        *self.lapsed.entry(subscription).or_default() += 1;
    }
}

/// Reads beside the writer. Each call is a short transaction of its own and takes less than a second, except for the full check
/// ([`UpkeepReader::check`]). It blocks, so do not call it on a runtime's threads.
///
/// A read that fails has been tried twice, the second time without any cache. [`StoreError::Io`](crate::StoreError::Io) means that the disk
/// did not answer: the next read may succeed. [`StoreError::Damaged`](crate::StoreError::Damaged) means that it returned something that the store
/// cannot have written: every read will return it. A damaged event does not affect its neighbours, which can be read by their positions.
pub trait Reader:
    JournalReader
    + LogReader
    + QueuesReader
    + DeliveriesReader
    + RegistryReader
    + UpkeepReader
    + Send
    + Sync
    + 'static
{
}

impl<
    T: JournalReader
        + LogReader
        + QueuesReader
        + DeliveriesReader
        + RegistryReader
        + UpkeepReader
        + Send
        + Sync
        + 'static,
> Reader for T
{
}

/// The parts of an opened store.
pub struct Opened<B> {
    /// The write side, for the writer alone.
    pub backend: B,
    /// The read side, for everything else.
    pub reader: std::sync::Arc<dyn Reader>,
    /// This run of the process.
    pub incarnation: Incarnation,
    /// Whether the last run ended without closing the store.
    pub unclean: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_has_the_last_position_of_each_topic_and_each_queue_once() {
        let mut committed = Committed::default();
        for (topic, position, queues) in [(1, 5, &[7, 8][..]), (2, 6, &[7]), (1, 9, &[])] {
            let queues = queues.iter().map(|queue| QueueId(*queue));
            committed.appended(TopicId(topic), Position(position), queues);
        }
        assert_eq!(committed.topics, [(TopicId(1), Position(9)), (TopicId(2), Position(6))]);
        assert_eq!(committed.queues, [QueueId(7), QueueId(8)]);
    }
}
