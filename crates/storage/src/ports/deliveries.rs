//! How far each push subscription got, and what of it needs a row: retries, dead letters, attempts.

use event::{Position, Stamp};

use crate::Result;
use crate::delivery::{Attempt, Death, Delivery, DeliveryId};
use crate::entities::{Cursor, SubscriptionId};

/// Deliveries, in an open transaction.
pub trait DeliveriesTx {
    /// Moves a cursor forward. Neither part ever moves back: the greater of stored and given stays.
    fn advance_cursor(&mut self, id: SubscriptionId, to: Cursor) -> Result<()>;

    /// Inserts or replaces a delivery's row. Does nothing if its event or its subscription is no longer in the store.
    fn put_delivery(&mut self, delivery: &Delivery) -> Result<()>;

    /// Removes a delivery's row, if there is one.
    fn remove_delivery(&mut self, id: DeliveryId) -> Result<()>;

    /// Records an attempt, in the place of one of the same delivery and number. Does nothing if its event is no longer in the store.
    fn record_attempt(&mut self, attempt: &Attempt) -> Result<()>;
}

/// Reads of deliveries.
pub trait DeliveriesReader {
    /// Rows in state `Retry` of a subscription that are due at `now`, the earliest first, equals by position.
    fn due_deliveries(&self, subscription: SubscriptionId, now: Stamp, limit: usize)
    -> Result<Vec<Delivery>>;

    /// When the earliest `Retry` row of a subscription is due.
    fn next_due(&self, subscription: SubscriptionId) -> Result<Option<Stamp>>;

    /// Rows of a subscription after a position that are not dead, by position.
    fn waiting_deliveries(
        &self,
        subscription: SubscriptionId,
        after: Position,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// Rows of a subscription that are not dead and whose key is `key`, by position.
    fn deliveries_of_key(
        &self,
        subscription: SubscriptionId,
        key: &str,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// The positions of such rows, in the order in which the reads of the rows themselves have them; read without what else the rows say,
    /// which may be damaged.
    fn waiting_positions(
        &self,
        subscription: SubscriptionId,
        which: Waiting<'_>,
        limit: usize,
    ) -> Result<Vec<Position>>;

    /// Dead letters, of one subscription or of all: the last that died first, equals by delivery, both downwards. `before` is that of
    /// the last one of the page before.
    fn dead_letters(
        &self,
        of: Option<SubscriptionId>,
        before: Option<Death>,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// Dead letters of a subscription that died up to `until`, the first that died first, equals by position. `after` is that of the
    /// last one of the page before.
    fn dead_letters_until(
        &self,
        of: SubscriptionId,
        after: Option<Death>,
        until: Stamp,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// Rows of one subscription or of all, by subscription and position, after the one of this id.
    fn deliveries_after(
        &self,
        of: Option<SubscriptionId>,
        after: Option<DeliveryId>,
        which: Rows,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// The keys of a subscription of which a delivery waits, in the order of their bytes, each with the first of these deliveries. `after` is the
    /// last key of the page before. Each key's deliveries are counted up to `at_most` and no further.
    fn blocked_keys(
        &self,
        subscription: SubscriptionId,
        after: Option<&str>,
        limit: usize,
        at_most: u64,
    ) -> Result<Vec<BlockedKey>>;

    /// All rows of an event, by subscription.
    fn deliveries_at(&self, position: Position) -> Result<Vec<Delivery>>;

    /// A delivery's row, if it has one.
    fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>>;

    /// The attempts at an event's deliveries, by subscription and number.
    fn attempts_at(&self, position: Position) -> Result<Vec<Attempt>>;

    /// The last attempt at a delivery that is recorded.
    fn last_attempt(&self, id: DeliveryId) -> Result<Option<Attempt>>;

    /// What a subscription is behind by. Each number is counted up to `at_most` and no further, so that the read is short whatever stands
    /// in the store.
    fn lag(&self, subscription: SubscriptionId, at_most: u64) -> Result<Lag>;
}

/// Rows of a subscription that are not dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting<'k> {
    /// Those of [`DeliveriesReader::due_deliveries`].
    Due(Stamp),
    /// Those of [`DeliveriesReader::waiting_deliveries`].
    After(Position),
    /// Those of [`DeliveriesReader::deliveries_of_key`].
    OfKey(&'k str),
}

/// Rows that [`DeliveriesReader::deliveries_after`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All.
    All,
    /// Those that are not dead.
    Waiting,
}

/// A key of which a delivery waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedKey {
    /// The first that waits; it has the key.
    pub head: Delivery,
    /// How many wait after it; that many or more, if it is as large as was counted.
    pub behind: u64,
}

/// What a push subscription is behind by; each number stands for that many or more if it is as large as was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Events after its cursor.
    pub unread: u64,
    /// Rows that wait for an attempt.
    pub waiting: u64,
    /// Of these, of as many as were counted, rows that wait for an earlier one of their key.
    pub behind: u64,
    /// Rows that are dead.
    pub dead: u64,
    /// When the oldest event that is unread or waits entered the log.
    pub oldest: Option<Stamp>,
}
