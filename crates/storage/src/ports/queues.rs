//! Queues of ours: their messages, and which of them is hidden.
//!
//! A message is a reference to an event in the log. The queues themselves, as something that has a name, are of [`registry`](super::registry).

use std::time::Duration;

use event::{NewEvent, Position, Stamp, Timestamp};
use uuid::Uuid;

use crate::Result;
use crate::dropped::Dropped;
use crate::entities::QueueId;
use crate::queue::{MessageHandle, QueueDepth, QueuedMessage, Received, VisibilityChange};

/// Messages of queues, in an open transaction.
pub trait QueuesTx {
    /// Appends an event that has no topic, and puts it as a message into one queue, where nobody receives it before `delay` has passed.
    /// Returns the message's SQS id; `None` if there is no such queue. The event's id is new: one that is in the log must not be given.
    fn send(&mut self, event: &NewEvent, queue: QueueId, delay: Duration) -> Result<Option<Uuid>>;

    /// Sends queues what they missed while their subscriptions were out of the configuration, the oldest first: each event that came
    /// meanwhile, once. Sends at most `limit` messages a call: call it until it returns 0. Until then those events are kept, and what is
    /// published is sent besides.
    fn copy_missed(&mut self, limit: usize) -> Result<usize>;

    /// Hands out up to `max` visible messages in the order in which they were sent and hides them for `visibility`: one, or as many as
    /// have no more than [`MAX_RECEIVED_BYTES`](crate::queue::MAX_RECEIVED_BYTES) in all. A message that is
    /// hidden for longer than [`MAX_VISIBILITY`](crate::queue::MAX_VISIBILITY) from now on is visible: no receive hides one for so long. One whose
    /// event is damaged is not handed out and is hidden for that long.
    ///
    /// One that this queue handed out as often as its [`Redrive`](crate::redrive::Redrive) allows goes to the dead-letter queue instead, in the same
    /// transaction, with its number, its age, what it carries and its `receive_count`: up to [`MAX_GIVEN_UP`](crate::redrive::MAX_GIVEN_UP) a call. Where
    /// there is no dead-letter queue of that name, it is handed out once more.
    fn receive(
        &mut self,
        queue: QueueId,
        max: usize,
        visibility: Duration,
        now: Timestamp,
    ) -> Result<Vec<Received>>;

    /// Deletes a message, whichever receive of it the handle names (SQS's standard queues). `false` if it was gone.
    fn delete_message(&mut self, queue: QueueId, handle: MessageHandle) -> Result<bool>;

    /// Hides a message for `visibility` from now on, whichever receive of it the handle names; zero makes it visible at once. The
    /// limit counts from its last receive.
    fn change_visibility(
        &mut self,
        queue: QueueId,
        handle: MessageHandle,
        visibility: Duration,
    ) -> Result<VisibilityChange>;

    /// Drops a queue's messages, hidden ones too: their handles name nothing any more.
    fn purge_queue(&mut self, id: QueueId) -> Result<Dropped>;
}

/// Reads of queues.
pub trait QueuesReader {
    /// The messages of an event that are still in queues, by subscription.
    fn messages_at(&self, position: Position) -> Result<Vec<QueuedMessage>>;

    /// How full a queue is.
    fn queue_depth(&self, queue: QueueId, now: Stamp) -> Result<QueueDepth>;
}
