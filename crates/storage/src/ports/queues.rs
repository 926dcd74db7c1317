//! The messages of queues, and which of them are hidden.
//!
//! A message is a reference to an event in the log. The names and settings of queues belong to the [`registry`](super::registry).

use std::time::Duration;

use event::{NewEvent, Position, Stamp, Timestamp};
use uuid::Uuid;

use crate::Result;
use crate::dropped::Dropped;
use crate::entities::QueueId;
use crate::queue::{MessageHandle, QueueDepth, QueuedMessage, Received, VisibilityChange};

/// Messages of queues, in an open transaction.
pub trait QueuesTx {
    /// Appends an event that has no topic, and sends a message of it to one queue, where it stays hidden until `delay` has passed. Returns the SQS id
    /// of the message; `None` if there is no such queue.
    ///
    /// # Errors
    /// [`Damaged`](crate::StoreError::Damaged) if an event with this id is in the log already.
    fn send(&mut self, event: &NewEvent, queue: QueueId, delay: Duration) -> Result<Option<Uuid>>;

    /// Sends queues what they missed while the configuration did not name their subscriptions: each event of that time once, subscription by
    /// subscription, and for each the oldest first. Sends at most `limit` messages and returns how many: call it until it returns 0. Until then these
    /// events are kept, and new events are sent as usual.
    fn copy_missed(&mut self, limit: usize) -> Result<usize>;

    /// Hands out up to `max` visible messages in the order in which they were sent, and hides them for `visibility`. Their events have at most
    /// [`MAX_RECEIVED_BYTES`](crate::queue::MAX_RECEIVED_BYTES) in all, but the first one is always handed out.
    ///
    /// A message that is hidden for longer than [`MAX_VISIBILITY`](crate::queue::MAX_VISIBILITY) from now on counts as visible, because no receive
    /// hides one for so long. A message whose event is damaged is not handed out, and is hidden for `MAX_VISIBILITY`.
    ///
    /// A message that this queue has handed out as often as its [`Redrive`](crate::redrive::Redrive) allows moves to the dead-letter queue instead,
    /// in the same transaction. It keeps its number, its age, its event and its `receive_count`. At most
    /// [`MAX_GIVEN_UP`](crate::redrive::MAX_GIVEN_UP) messages move in one call. If there is no dead-letter queue of that name, the message is
    /// handed out once more.
    fn receive(
        &mut self,
        queue: QueueId,
        max: usize,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<Vec<Received>>;

    /// Deletes a message. The handle of any of its receives will do, as in SQS's standard queues. Returns `false` if the queue does not have it.
    fn delete_message(&mut self, queue: QueueId, handle: MessageHandle) -> Result<bool>;

    /// Hides a message for `visibility` from now on; zero makes it visible at once. The handle of any of its receives will do. The limit
    /// ([`MAX_VISIBILITY`](crate::queue::MAX_VISIBILITY)) counts from its last receive.
    fn change_visibility(
        &mut self,
        queue: QueueId,
        handle: MessageHandle,
        visibility: Duration,
    ) -> Result<VisibilityChange>;

    /// Drops all messages of a queue, hidden ones too. Handles of them are valid no longer.
    fn purge_queue(&mut self, id: QueueId) -> Result<Dropped>;
}

/// Reads of queues.
pub trait QueuesReader {
    /// The messages of an event that are still in queues, by subscription.
    fn messages_at(&self, position: Position) -> Result<Vec<QueuedMessage>>;

    /// How many messages a queue has at `now`; none if there is no such queue.
    fn queue_depth(&self, queue: QueueId, now: Stamp) -> Result<QueueDepth>;
}
