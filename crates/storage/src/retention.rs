//! How long things are kept, and when the store is full. What is owed is never deleted.
//!
//! An event is *owed* while
//! * a push subscription of its topic, removed ones too, has not yet read it (`done_to` is before it); if the subscription is pending
//!   or disabled, only for [`Retention::pending_pin`] after the event was recorded;
//! * a delivery has a row for it, dead ones too;
//! * a queue has a message of it.
//!
//! [`UpkeepTx::housekeep`](crate::ports::UpkeepTx::housekeep) does this, in this order:
//! 0. what was [dropped](crate::dropped) by the word of its owner goes; until then it pins its events, and nothing of what follows sees it;
//! 1. a subscription removed longer ago than `removed_grace` goes, its deliveries' rows first (messages in queues stay);
//! 2. messages older than their queue's retention go (`queue_message` where it has none), unless they are hidden: a worker has those in
//!    hand, and they go when it gives them back. They go to the queue's [dead-letter queue](crate::redrive) if that one keeps messages for longer;
//! 3. rows that have been dead for `dead_letter` go;
//! 4. rows of pending and disabled subscriptions go when their event is older than `pending_pin`, unless they are dead;
//! 5. rows that wait since longer ago than `max_age` become dead, with [`TOO_OLD`] as their reason;
//! 6. events older than `history` that nobody is owed go, oldest first, and their attempts with them;
//! 7. of the attempts the oldest go, beyond `max_attempts`;
//! 8. deleted topics that no open intent and no event has are forgotten.
//!
//! [`UpkeepTx::make_room`](crate::ports::UpkeepTx::make_room) is for a store that is nearly full ([`Retention::is_tight`]): it deletes what was dropped, then events that nobody is owed
//! whatever their age, the oldest first, with their attempts; then attempts at deliveries that are done.
//!
//! Ages are those of the [store's clock](crate::clock), without the time that starts [assumed](Retention::assumed): a row that is stamped
//! ahead of it counts as new.
//!
//! Rule 2 takes what a queue was owed; each message is counted ([`Committed::expired`](crate::backend::Committed::expired),
//! [`Committed::dead_lettered`](crate::backend::Committed::dead_lettered)). Rules 4 and 6
//! may take from pending and disabled subscriptions what they were owed; each delivery is counted
//! ([`Committed::lapsed`](crate::backend::Committed::lapsed)). Nothing else that is owed goes without a dead letter, and the writer says
//! what went.

use std::time::Duration;

use event::Stamp;
use event::size::Size;

use crate::clock::Assumed;
use crate::{Result, StoreError};

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
    /// Messages are kept this long in queues that do not say otherwise (the longest that SQS allows: they are owed).
    pub queue_message: Duration,
    /// What the store may hold, in bytes: then intents are refused.
    pub max_bytes: u64,
    /// The free space on the disk, in bytes, below which intents are refused.
    pub min_free_bytes: u64,
    /// Time that counts towards none of these limits. The writer sets it.
    pub assumed: Assumed,
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
            assumed: Assumed::default(),
        }
    }
}

/// What a store holds, and what is left for it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What it holds. What of its file is free to be used again does not count.
    pub used: u64,
    /// What of its file is free to be used again.
    pub unused: u64,
    /// What the disk has left for it; as large as can be for a store without a disk.
    pub disk_free: u64,
}

impl Room {
    /// What it can write before the disk is full.
    fn free(self) -> u64 {
        self.disk_free.saturating_add(self.unused)
    }
}

impl Retention {
    /// The last stamp that is past a limit at `now`.
    pub fn past(&self, limit: Duration, now: Stamp) -> Stamp {
        self.assumed.before(now, limit)
    }

    /// Whether new promises may be made.
    ///
    /// # Errors
    /// `Full`, which names the limit that is reached.
    pub fn admit(&self, room: Room) -> Result<()> {
        let (used, limit) = (room.used, self.max_bytes);
        if used >= limit {
            return Err(StoreError::Full(format!(
                "it holds {}, its limit (--max-store) is {}",
                Size(used),
                Size(limit)
            )));
        }
        let (free, reserve) = (room.free(), self.min_free_bytes);
        if free < reserve {
            return Err(StoreError::Full(format!(
                "the disk has {} left for it, {} are kept free (--min-free)",
                Size(free),
                Size(reserve)
            )));
        }
        Ok(())
    }

    /// Whether room is short: from nine tenths of the size limit on, and below twice what is kept free on the disk.
    pub fn is_tight(&self, room: Room) -> bool {
        room.used >= self.max_bytes - self.max_bytes / 10
            || room.free() < self.min_free_bytes.saturating_mul(2)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn room(used: u64, unused: u64, disk_free: u64) -> Room {
        Room { used, unused, disk_free }
    }

    #[test]
    fn room_is_short_before_it_ends() {
        let limits = Retention { max_bytes: 1_000, min_free_bytes: 100, ..Retention::default() };
        for (room, is_tight, is_full) in [
            (room(0, 0, 1_000), false, false),
            (room(899, 0, 200), false, false),
            (room(900, 0, 1_000), true, false),
            (room(999, 0, 1_000), true, false),
            (room(1_000, 0, 1_000), true, true),
            (room(0, 0, 199), true, false),
            (room(0, 0, 100), true, false),
            (room(0, 0, 99), true, true),
            // What its file has to spare is room, too.
            (room(0, 150, 50), false, false),
            (room(0, 50, 50), true, false),
            (room(0, 49, 50), true, true),
            (room(0, u64::MAX, u64::MAX), false, false),
        ] {
            assert_eq!((limits.is_tight(room), limits.admit(room).is_err()), (is_tight, is_full), "{room:?}");
        }
        let unlimited = Retention { max_bytes: u64::MAX, min_free_bytes: 0, ..Retention::default() };
        assert!(!unlimited.is_tight(room(1 << 60, 0, 0)) && unlimited.admit(room(1 << 60, 0, 0)).is_ok());
        let said = |room| limits.admit(room).unwrap_err().to_string();
        assert_eq!(
            said(room(1_000, 0, 0)),
            "the store has no space left: it holds 1000 bytes, its limit (--max-store) is 1000 bytes"
        );
        assert_eq!(
            said(room(0, 9, 90)),
            "the store has no space left: the disk has 99 bytes left for it, 100 bytes are kept free (--min-free)"
        );
    }
}
