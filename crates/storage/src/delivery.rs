//! Deliveries that need a row of their own, and attempts.
//!
//! A delivery that succeeds at once is nothing but the cursor moving over it. A row exists for one that waits for a retry, takes long,
//! waits behind another of its key, or is dead.

use event::{EventId, Position, Stamp, Timestamp};

use crate::entities::SubscriptionId;

/// The name of a delivery: an event for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// To whom.
    pub subscription: SubscriptionId,
    /// What.
    pub position: Position,
}

/// A delivery's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Which.
    pub id: DeliveryId,
    /// The event's ordering key, for FIFO subscriptions.
    pub key: String,
    /// What it waits for.
    pub state: DeliveryState,
    /// Attempts begun so far.
    pub attempts: u32,
    /// When it was first attempted, or would have been: delivery policies count from here.
    pub since: Stamp,
}

/// What a delivery with a row waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// The next attempt, not before `at`. A slow attempt under way is a retry at the end of its deadline: so a crash repeats it.
    Retry {
        /// When.
        at: Stamp,
    },
    /// An earlier delivery of the same key (FIFO): a pointer row.
    Behind,
    /// Nothing: it was given up.
    Dead {
        /// Why, in words for people.
        reason: String,
        /// Since when, on the store's clock: it is kept for so long from here.
        at: Stamp,
        /// When that was, for people.
        died_at: Timestamp,
    },
}

/// When a dead letter died, and which: its place among dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Death {
    /// When.
    pub at: Stamp,
    /// Which.
    pub id: DeliveryId,
}

impl Delivery {
    /// Its place among dead letters, if it is one.
    pub fn death(&self) -> Option<Death> {
        match self.state {
            DeliveryState::Dead { at, .. } => Some(Death { at, id: self.id }),
            DeliveryState::Retry { .. } | DeliveryState::Behind => None,
        }
    }
}

/// One try at a delivery, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Of which delivery.
    pub delivery: DeliveryId,
    /// The event's id.
    pub event: EventId,
    /// 1 for the first.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in microseconds.
    pub took_micros: u64,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, in words for people; `None` for a success.
    pub error: Option<String>,
    /// The first bytes of the answer's body, raw, at most [`MAX_ANSWER`].
    pub answer: Vec<u8>,
    /// When the next attempt is due, if there is one.
    pub next_at: Option<Timestamp>,
}

/// The bytes of an endpoint's answer that an attempt keeps.
pub const MAX_ANSWER: usize = 512;
