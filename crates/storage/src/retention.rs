//! How long things are kept, and when the store is full. What is owed is never deleted.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1 << 20;

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
    /// Messages in queues are kept this long (SQS's default).
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
            queue_message: 4 * DAY,
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
