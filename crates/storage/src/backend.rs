//! What a store implements: write transactions, commits and reads.

use std::collections::BTreeMap;
use std::time::Duration;

use event::{Position, Stamp, TopicId};

use crate::Result;
use crate::clock::Record;
use crate::entities::{Incarnation, QueueId, SubscriptionId, Whose};
use crate::ports::{
    DeliveriesReader, DeliveriesTx, JournalReader, JournalTx, LogReader, LogTx, QueuesReader, QueuesTx,
    RegistryReader, RegistryTx, UpkeepReader, UpkeepTx,
};
use crate::redrive::{MetByReceive, Policy, Way, Why};
use crate::retention::Room;

/// One open write transaction. Each call sees the writes of the calls before it; none of them is durable before
/// [`Backend::commit`] returned.
///
/// An error means that the store itself failed: the whole transaction is rolled back. Refusals that a caller must handle are values.
///
/// A transaction has one moment on the store's clock, given to [`Backend::begin`]: what it writes has that stamp, and what it judges by
/// age is judged by it. A `now` that a call takes is the wall clock, for times that are shown.
pub trait Tx: JournalTx + LogTx + QueuesTx + DeliveriesTx + RegistryTx + UpkeepTx {}

impl<T: JournalTx + LogTx + QueuesTx + DeliveriesTx + RegistryTx + UpkeepTx> Tx for T {}

/// A store. One thread at a time writes through it: [`writer`](crate::writer) sees to that.
pub trait Backend: Send + 'static {
    /// What was kept of the clock when the store was opened; its stamp is behind none that a commit of the last run gave the last event or
    /// the last message. `None` if nothing was kept yet.
    fn kept_clock(&self) -> Option<Record>;

    /// Opens a transaction at a moment on the store's clock, never before that of the last one.
    fn begin(&mut self, now: Stamp) -> Result<()>;

    /// The open transaction.
    fn tx(&mut self) -> &mut dyn Tx;

    /// Makes the open transaction durable: when this returns `Ok`, a power cut cannot take it back.
    ///
    /// `Full` leaves the transaction rolled back and the store usable. Any other error is final for this process.
    fn commit(&mut self) -> Result<Committed>;

    /// Drops the open transaction, if there is one.
    fn rollback(&mut self);

    /// What the store holds and what is left for it. May be a tenth of a second old, but never older than the last commit that made room.
    fn room(&mut self) -> Result<Room>;

    /// How log lines call a subscription; `None` if the store does not have it any more, or cannot read it just now. Called between commits.
    fn whose(&mut self, id: SubscriptionId) -> Option<Whose>;

    /// Called by the writer between commits: a place for upkeep that must not run inside one (checkpoints).
    fn between_commits(&mut self) {}

    /// The last call: leave everything as tidy as can be.
    fn close(&mut self) {}
}

/// What a commit brought.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The last new position of every topic that has one.
    pub topics: Vec<(TopicId, Position)>,
    /// Queues that have new messages which can be received.
    pub queues: Vec<QueueId>,
    /// Messages that went straight into a queue, without a topic.
    pub sends: u64,
    /// What housekeeping took from pending and disabled subscriptions: deliveries that they were owed and are owed no more.
    pub lapsed: BTreeMap<SubscriptionId, u64>,
    /// Waiting deliveries that housekeeping made dead letters.
    pub given_up: u64,
    /// Messages that housekeeping deleted because their queue's retention was over, by the queue's name.
    pub expired: BTreeMap<String, u64>,
    /// Messages that went to dead-letter queues, by their way.
    pub dead_lettered: BTreeMap<Way, u64>,
    /// Messages that were handed out once more because their queue's dead-letter queue is not there, by the names of both.
    pub kept: BTreeMap<(String, String), u64>,
    /// Damaged messages that a receive came upon and set aside, by queue.
    pub set_aside: BTreeMap<QueueId, u64>,
    /// Open intents of dead incarnations that recovery settled without an event, because their topic was deleted.
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

    /// Notes what a receive of a queue came upon. Those who wait for messages of the queue are woken if it stopped before it had seen all of them.
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

    /// Notes that a pending or disabled subscription is owed one delivery less.
    pub fn lapsed(&mut self, subscription: SubscriptionId) {
        *self.lapsed.entry(subscription).or_default() += 1;
    }
}

/// Reads beside the writer: each call is a short transaction of its own, never longer than a second. Blocking: call it off the
/// runtime.
///
/// What fails has been tried twice, the second time with nothing cached. [`StoreError::Io`](crate::StoreError::Io) says that the disk
/// did not give what was asked: it may the next time. [`StoreError::Damaged`](crate::StoreError::Damaged) says that it gave something
/// that the store cannot have written: it will every time. One event that is damaged spoils no other: it can be stepped over, because its
/// neighbours are read by their positions.
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
    /// For the writer.
    pub backend: B,
    /// For everybody else.
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
