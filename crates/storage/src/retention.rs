//! How long events, deliveries and messages are kept, and when the store is full. What is owed is not deleted, with the counted exceptions below.
//!
//! An event is *owed* while
//! * a push subscription of its topic, also a removed one, has not read it yet (`done_to` is before it). For a pending or disabled one this lasts
//!   only for [`Retention::pending_pin`] after the event was recorded, unless it [`reconfirms`](crate::entities::Subscription::reconfirms);
//! * a queue has not been sent it yet, because its subscription was removed when the event was recorded;
//! * a delivery has a row for it, also a dead one;
//! * a queue has a message of it.
//!
//! [`UpkeepTx::housekeep`](crate::ports::UpkeepTx::housekeep) has these rules, in this order:
//! 0. Delete what an owner [dropped](crate::dropped). Until then it pins its events, but none of the other rules looks at it.
//! 1. Delete subscriptions that were removed longer ago than `removed_grace`. What they were owed is dropped as by an owner. Messages in queues stay.
//! 2. Delete messages that are older than their queue's retention (`queue_message` if it has none), or move them to the queue's
//!    [dead-letter queue](crate::redrive) if that one keeps messages for longer. A hidden message waits, because a worker may be busy with it.
//! 3. Delete rows that have been dead for `dead_letter`.
//! 4. Delete rows of pending and disabled subscriptions whose event is older than `pending_pin`, unless they are dead or the subscription
//!    reconfirms.
//! 5. Make rows that have waited for longer than `max_age` dead letters, with [`TOO_OLD`] as their reason.
//! 6. Delete events older than `history` that nobody is owed, the oldest first, with their attempts.
//! 7. Delete the oldest attempts beyond `max_attempts`.
//! 8. Forget deleted topics that no open intent and no event has.
//!
//! [`UpkeepTx::make_room`](crate::ports::UpkeepTx::make_room) is for a store that is nearly full ([`Retention::is_tight`]). It deletes what was
//! dropped; then events that nobody is owed, whatever their age, the oldest first, with their attempts; then attempts at deliveries that are done.
//!
//! Ages are measured with the [store's clock](crate::clock), without the time that starts [assumed](Retention::assumed). A row with a stamp in the
//! future counts as new.
//!
//! Some of what is owed may be lost by age. Rule 2 takes messages from queues; each is counted
//! ([`Committed::expired`](crate::backend::Committed::expired), [`Committed::dead_lettered`](crate::backend::Committed::dead_lettered)). Rules 1, 4
//! and 6 take deliveries from subscriptions that are removed, pending or disabled, and count them
//! ([`Committed::ended`](crate::backend::Committed::ended), [`Committed::lapsed`](crate::backend::Committed::lapsed)). The writer says in log lines
//! what was counted. Everything else that is given up
//! becomes a dead letter.

use std::time::Duration;

use event::Stamp;
use event::size::Size;

use crate::clock::Assumed;
use crate::{Result, StoreError};

const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1 << 20;

/// The reason of a delivery that housekeeping gave up.
pub const TOO_OLD: &str = "not delivered within the age limit";

/// The limits of the store. [`Retention::default`] has the documented defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long a delivery may wait, counted from [`Delivery::since`](crate::delivery::Delivery::since), before it becomes a dead letter.
    pub max_age: Duration,
    /// How long a dead letter is kept, with its event.
    pub dead_letter: Duration,
    /// How long an event that nobody is owed is kept, so that people can look at it.
    pub history: Duration,
    /// How many attempts are kept at most, over all deliveries.
    pub max_attempts: u64,
    /// How long the backlog of a removed subscription is kept.
    pub removed_grace: Duration,
    /// How long an event is kept for a pending or disabled subscription.
    pub pending_pin: Duration,
    /// How long a message is kept in a queue without a retention of its own. The default is the longest that SQS allows, because messages are owed.
    pub queue_message: Duration,
    /// How many bytes the store may hold. From there on, intents are refused.
    pub max_bytes: u64,
    /// Intents are refused if the disk has less free space than this, in bytes.
    pub min_free_bytes: u64,
    /// Time that counts towards none of these limits, because no process was running. The writer sets it.
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

/// How much a store holds, and how much is left for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What the store holds, in bytes, without the unused part of its file.
    pub used: u64,
    /// The unused part of its file, in bytes. It is used before the file grows.
    pub unused: u64,
    /// What the disk has left for it, in bytes; `u64::MAX` for a store without a disk.
    pub disk_free: u64,
}

impl Room {
    /// How many bytes it can write before the disk is full.
    fn free(self) -> u64 {
        self.disk_free.saturating_add(self.unused)
    }
}

impl Retention {
    /// The latest stamp of a row that has reached the age `limit` at `now`.
    pub fn past(&self, limit: Duration, now: Stamp) -> Stamp {
        self.assumed.before(now, limit)
    }

    /// Says whether the store may accept an intent, or anything else that adds to what it must keep.
    ///
    /// # Errors
    /// [`Full`](StoreError::Full) if not. Its text names the limit that is reached.
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

    /// Whether room is short: the store has reached nine tenths of `max_bytes`, or less than twice `min_free_bytes` is free.
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
