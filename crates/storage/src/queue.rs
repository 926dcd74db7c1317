//! Messages of queues: what a receive hands out, and the limits of hiding one.

use std::time::Duration;

use event::{Event, EventId, Stamp, Timestamp};
use uuid::Uuid;

use crate::entities::{QueueId, SubscriptionId};
use crate::redrive::Redrive;

/// A message as a receive hands it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Identifies this receive of the message. The receipt handle is made of it.
    pub handle: MessageHandle,
    /// The SQS message id.
    pub message_id: Uuid,
    /// The event that it is a message of.
    pub event: Event,
    /// The subscription that brought it, for its ARN; `None` if it was sent straight to the queue.
    pub subscription: Option<SubscriptionId>,
    /// When it was sent, on the wall clock.
    pub sent_at: Timestamp,
    /// When it was first received, on the wall clock.
    pub first_received_at: Timestamp,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// The queue that gave it up, if this one is its dead-letter queue.
    pub given_up_by: Option<QueueId>,
}

/// The settings of a queue that a store itself follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long the queue keeps a message; `Retention::queue_message` if it is `None`.
    pub retention: Option<Duration>,
    /// When it gives a message up, and to which queue; `None` if it never does.
    pub redrive: Option<Redrive>,
}

/// Identifies one receive of one message. A receipt handle is this as a text that only this node can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageHandle {
    /// The number of the message in the store. No number is ever used twice.
    pub seq: i64,
    /// The number of the receive; 1 is the first.
    pub receive_count: u32,
}

/// The SQS message id of a message: made of the event's id and the message's number, so that it takes no space in the store. The messages of one
/// event in several queues have different ids. It is a UUID of version 8 (RFC 9562).
pub fn message_id(event: EventId, seq: i64) -> Uuid {
    // An odd factor spreads the number over all 64 bits.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = u128::from_be_bytes(*event.as_bytes()) ^ u128::from((seq as u64).wrapping_mul(SPREAD));
    uuid::Builder::from_custom_bytes(mixed.to_be_bytes()).into_uuid()
}

/// The result of a visibility change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisibilityChange {
    /// The message is hidden for the given time from now on, or is visible if that is zero.
    Changed,
    /// The queue does not have the message any more.
    Gone,
    /// Nothing was changed: the message would be hidden for longer than [`MAX_VISIBILITY`] after its last receive.
    BeyondLimit,
}

/// The longest time for which one receive may hide a message: 12 hours, SQS's limit.
pub const MAX_VISIBILITY: Duration = Duration::from_secs(43_200);

/// The longest delay of a message that is sent: 15 minutes, SQS's limit.
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// The most bytes that the events of one receive have in all, unless the first alone has more. A receive hands out ten messages at most, and the
/// largest message of SNS has 256 KiB, so no receive of such messages ends early.
pub const MAX_RECEIVED_BYTES: usize = 10 * (256 << 10);

/// How many messages a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages that were received, were not deleted, and are still hidden. Damaged ones that were set aside count here, too.
    pub in_flight: u64,
    /// Messages that were sent with a delay that is not over.
    pub delayed: u64,
    /// When the oldest message was sent, on the store's clock; `None` if the queue is empty.
    pub oldest: Option<Stamp>,
}

/// A message in a queue, as a read shows it without receiving it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedMessage {
    /// The queue that has it.
    pub queue: QueueId,
    /// The subscription that brought it; `None` if it was sent straight to the queue.
    pub subscription: Option<SubscriptionId>,
    /// How often it has been received.
    pub receive_count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::sample_id;

    #[test]
    fn message_ids_are_of_the_event_and_the_number_and_are_uuids_of_version_8() {
        let ids: Vec<Uuid> =
            [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(event, seq)| message_id(sample_id(event), seq)).into();
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), 4, "{ids:?}");
        assert_eq!(message_id(sample_id(1), 1), ids[0], "the same at each receive");
        assert!(ids.iter().all(|id| id.get_version_num() == 8));
        // Each bit of the event's id counts, whatever the number.
        let of_bit = |bit: u32| {
            let id = u128::from_be_bytes(*sample_id(1).as_bytes()) ^ (1 << bit);
            message_id(EventId::from_bytes(id.to_be_bytes()), 1)
        };
        let different: std::collections::HashSet<_> = (0..48).map(of_bit).collect();
        assert_eq!(different.len(), 48);
        // The first half is the event's, whatever the number: ids of one event are neighbours.
        let event = Uuid::from_bytes(*sample_id(1).as_bytes());
        assert_eq!(ids[0].as_bytes()[..6], event.as_bytes()[..6]);
        // Numbers that are neighbours do not make neighbours.
        let low = |id: &Uuid| id.as_u128() as u64;
        assert!((low(&ids[0]) ^ low(&ids[1])).count_ones() > 8);
    }
}
