//! How long things are kept, and when the store is full. What is owed is never deleted.
//!
//! An event is *owed* while
//! * a push subscription of its topic, removed ones too, has not yet read it (`done_to` is before it); if the subscription is pending
//!   or disabled, only for [`Retention::pending_pin`] after the event was recorded;
//! * a delivery has a row for it, dead ones too;
//! * a queue has a message of it.
//!
//! [`Tx::housekeep`](crate::Tx::housekeep) does this, in this order:
//! 1. a subscription removed longer ago than `removed_grace` goes, its deliveries' rows first (messages in queues stay);
//! 2. messages older than `queue_message` go;
//! 3. rows that have been dead for `dead_letter` go;
//! 4. rows of pending and disabled subscriptions go when their event is older than `pending_pin`, unless they are dead;
//! 5. rows that wait since longer ago than `max_age` become dead, with [`TOO_OLD`] as their reason;
//! 6. events older than `history` that nobody is owed go, oldest first, and their attempts with them;
//! 7. of the attempts the oldest go, beyond `max_attempts`.
//!
//! Rules 4 and 6 may take from pending and disabled subscriptions what they were owed. That is the one way in which something owed goes
//! without a dead letter, so each is counted ([`Committed::lapsed`](crate::backend::Committed::lapsed)) and the writer tells of it.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1 << 20;

/// Why housekeeping gave a delivery up.
pub const TOO_OLD: &str = "not delivered within the age limit";

/// The limits of the store; [`Retention::default`] has the documented ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A delivery older than this becomes a dead letter.
    pub max_age: Duration,
    /// A dead letter pins its event for this long after it died.
    pub dead_letter: Duration,
    /// Events that nobody is owed are kept this long to be looked at.
    pub history: Duration,
    /// At most this many attempts are kept for the record.
    pub max_attempts: u64,
    /// The backlog of a subscription that was removed is kept this long.
    pub removed_grace: Duration,
    /// A pending or disabled subscription pins events no longer than this.
    pub pending_pin: Duration,
    /// Messages in queues are kept this long (the longest that SQS allows: they are owed).
    pub queue_message: Duration,
    /// The database's size, in bytes, at which intents are refused.
    pub max_bytes: u64,
    /// The free space on the disk, in bytes, below which intents are refused.
    pub min_free_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_age: 7 * DAY,
            dead_letter: 14 * DAY,
            history: DAY,
            max_attempts: 1_000_000,
            removed_grace: DAY,
            pending_pin: 3 * DAY,
            queue_message: 14 * DAY,
            max_bytes: 10_240 * MIB,
            min_free_bytes: 256 * MIB,
        }
    }
}

/// What one slice of housekeeping did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Housekept {
    /// Rows that it deleted or changed.
    pub rows: u64,
    /// Whether it stopped at its budget with more left to do.
    pub more: bool,
}
