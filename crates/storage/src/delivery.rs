//! Deliveries that need a row of their own, and attempts.
//!
//! For a delivery that succeeds at once, only the cursor moves. A delivery has a row if it waits for a retry, takes longer than a second, waits
//! behind another of its key, or is dead.

use event::{EventId, Position, Stamp, Timestamp};

use crate::entities::SubscriptionId;

/// Identifies a delivery: one event for one subscription.
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
    /// How many attempts have begun so far.
    pub attempts: u32,
    /// The moment from which its delivery policy counts: when it was first attempted, or would have been, or when its waits began anew.
    pub since: Stamp,
    /// How many of `attempts` began before an operator had its waits begin anew. Its delivery policy does not count these.
    pub anew_after: u32,
}

/// What a delivery with a row waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// The next attempt, not before `at`. While an attempt is under way, `at` is the end of its lease (the timeout and a margin), so that it is
    /// repeated after a crash.
    Retry {
        /// When it is due, on the store's clock.
        at: Stamp,
    },
    /// An earlier delivery of the same key (only in FIFO subscriptions).
    Behind,
    /// Nothing, because it was given up.
    Dead {
        /// Why it was given up, as a sentence for people.
        reason: String,
        /// When it was given up, on the store's clock. [`Retention::dead_letter`](crate::retention::Retention::dead_letter) counts from here.
        at: Stamp,
        /// The same moment on the wall clock, for people.
        died_at: Timestamp,
    },
}

/// Which [`DeliveryState`] a row has, without its values.
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
    /// The state without its values.
    pub fn word(&self) -> RowState {
        match self {
            Self::Retry { .. } => RowState::Retry,
            Self::Behind => RowState::Behind,
            Self::Dead { .. } => RowState::Dead,
        }
    }
}

/// Where a dead letter is in the order of dead letters: by the moment of its death, then by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Death {
    /// When it died, on the store's clock.
    pub at: Stamp,
    /// Its id.
    pub id: DeliveryId,
}

impl Delivery {
    /// Whether it is dead and its reason contains `part`; `None` matches every reason.
    pub fn died_of(&self, part: Option<&str>) -> bool {
        match &self.state {
            DeliveryState::Dead { reason, .. } => part.is_none_or(|part| reason.contains(part)),
            DeliveryState::Retry { .. } | DeliveryState::Behind => false,
        }
    }

    /// The delivery in another state, with a delivery policy that begins anew at `now`. Its attempts keep their numbers.
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

/// One attempt at a delivery, as it is recorded when it has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The event's id.
    pub event: EventId,
    /// 1 for the first.
    pub number: u32,
    /// When it began, on the wall clock.
    pub at: Timestamp,
    /// How long it took, in microseconds.
    pub took_micros: u64,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed, for people; `None` for a success.
    pub error: Option<String>,
    /// The first bytes of the answer's body, raw, at most [`MAX_ANSWER`].
    pub answer: Vec<u8>,
    /// When the next attempt is due, on the wall clock; `None` if there will be none.
    pub next_at: Option<Timestamp>,
}

/// The most bytes of an answer's body that an attempt keeps.
pub const MAX_ANSWER: usize = 512;
