//! Deliveries that need a row of their own, and attempts.
//!
//! For a delivery that succeeds at once, only the cursor moves. A delivery has a row if it waits for a retry, takes long, waits behind another
//! of its key, or is dead.

use event::{EventId, Position, Stamp, Timestamp};

use crate::entities::SubscriptionId;

/// The name of a delivery: an event for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The event's position.
    pub position: Position,
}

/// A delivery's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The event's ordering key, for FIFO subscriptions.
    pub key: String,
    /// What it waits for.
    pub state: DeliveryState,
    /// Attempts begun so far.
    pub attempts: u32,
    /// When it was first attempted, or would have been, or when its waits began anew: delivery policies count from here.
    pub since: Stamp,
    /// How many of the attempts were begun before its waits began anew, because somebody asked for that: delivery policies do not count
    /// these.
    pub anew_after: u32,
}

/// What a delivery with a row waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// The next attempt, not before `at`. A slow attempt under way is a retry at the end of its deadline: so a crash repeats it.
    Retry {
        /// The time.
        at: Stamp,
    },
    /// An earlier delivery of the same key (FIFO): a pointer row.
    Behind,
    /// Nothing, because it was given up.
    Dead {
        /// The reason, for people.
        reason: String,
        /// When it died, on the store's clock; how long it is kept counts from here.
        at: Stamp,
        /// The wall time of that, for people.
        died_at: Timestamp,
    },
}

/// A delivery's state, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// [`DeliveryState::Retry`].
    Retry,
    /// [`DeliveryState::Behind`].
    Behind,
    /// [`DeliveryState::Dead`].
    Dead,
}

impl RowState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Behind, Self::Dead];
}

impl DeliveryState {
    /// In a word.
    pub fn word(&self) -> RowState {
        match self {
            Self::Retry { .. } => RowState::Retry,
            Self::Behind => RowState::Behind,
            Self::Dead { .. } => RowState::Dead,
        }
    }
}

/// The position of a dead letter among all of them: when it died, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Death {
    /// The time.
    pub at: Stamp,
    /// Its id.
    pub id: DeliveryId,
}

impl Delivery {
    /// Whether it is dead, for a reason that has this in it, or for any.
    pub fn died_of(&self, part: Option<&str>) -> bool {
        match &self.state {
            DeliveryState::Dead { reason, .. } => part.is_none_or(|part| reason.contains(part)),
            DeliveryState::Retry { .. } | DeliveryState::Behind => false,
        }
    }

    /// The delivery in another state, from `now` on as if nobody had attempted it yet: its attempts keep their numbers, and its delivery policy
    /// begins anew.
    #[must_use]
    pub fn begun_anew(self, state: DeliveryState, now: Stamp) -> Self {
        Self { state, since: now, anew_after: self.attempts, ..self }
    }

    /// Its position among dead letters, if it is one.
    pub fn death(&self) -> Option<Death> {
        match self.state {
            DeliveryState::Dead { at, .. } => Some(Death { at, id: self.id }),
            DeliveryState::Retry { .. } | DeliveryState::Behind => None,
        }
    }
}

/// One try at a delivery, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The delivery.
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
    /// Why it failed, for people; `None` for a success.
    pub error: Option<String>,
    /// The first bytes of the answer's body, raw, at most [`MAX_ANSWER`].
    pub answer: Vec<u8>,
    /// When the next attempt is due, if there is one.
    pub next_at: Option<Timestamp>,
}

/// How many bytes of an endpoint's answer an attempt keeps.
pub const MAX_ANSWER: usize = 512;
