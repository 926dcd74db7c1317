//! How far each push subscription has come, and the rows of its deliveries: retries, dead letters, attempts.

use event::{Position, Stamp};

use crate::Result;
use crate::delivery::{Attempt, Death, Delivery, DeliveryId};
use crate::entities::{Cursor, SubscriptionId};

/// Deliveries, in an open transaction.
pub trait DeliveriesTx {
    /// Moves a cursor forward: each of its two positions becomes the greater of the stored and the given one.
    fn advance_cursor(&mut self, id: SubscriptionId, to: Cursor) -> Result<()>;

    /// Inserts or replaces a delivery's row. Does nothing if its event or its subscription is no longer in the store.
    fn put_delivery(&mut self, delivery: &Delivery) -> Result<()>;

    /// Removes a delivery's row, if there is one.
    fn remove_delivery(&mut self, id: DeliveryId) -> Result<()>;

    /// Records an attempt, or replaces the recorded one of the same delivery and number. Does nothing if its event is no longer in the store.
    fn record_attempt(&mut self, attempt: &Attempt) -> Result<()>;
}

/// Reads of deliveries.
pub trait DeliveriesReader {
    /// The `Retry` rows of a subscription that are due at `now`: the earliest first, and of one time by position.
    fn due_deliveries(&self, subscription: SubscriptionId, now: Stamp, limit: usize)
    -> Result<Vec<Delivery>>;

    /// When the earliest `Retry` row of a subscription is due; `None` if it has none.
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

    /// The positions of the rows that one of the three reads above finds, in the same order. The rest of the rows is not read, so this works also if
    /// it is damaged.
    fn waiting_positions(
        &self,
        subscription: SubscriptionId,
        which: Waiting<'_>,
        limit: usize,
    ) -> Result<Vec<Position>>;

    /// Dead letters of one subscription or of all: the last that died first, and of one time by id, the greatest first. `before` is the [`Death`] of
    /// the last one on the previous page.
    fn dead_letters(
        &self,
        of: Option<SubscriptionId>,
        before: Option<Death>,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// Dead letters of a subscription that died at `until` or earlier: the first that died first, and of one time by position. `after` is the
    /// [`Death`] of the last one on the previous page.
    fn dead_letters_until(
        &self,
        of: SubscriptionId,
        after: Option<Death>,
        until: Stamp,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// Rows of one subscription or of all, by subscription and position, after the row with the id `after`.
    fn deliveries_after(
        &self,
        of: Option<SubscriptionId>,
        after: Option<DeliveryId>,
        which: Rows,
        limit: usize,
    ) -> Result<Vec<Delivery>>;

    /// The keys of a subscription that have waiting deliveries, in the order of their bytes, each with the first of these deliveries. `after` is the
    /// last key on the previous page. The others of a key are counted up to `at_most` and no further.
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

    /// The last recorded attempt at a delivery, if there is one.
    fn last_attempt(&self, id: DeliveryId) -> Result<Option<Attempt>>;

    /// How much a push subscription has not received yet; nothing for one of a queue. Each number is counted up to `at_most` and no further, so that
    /// the read is short whatever is in the store.
    fn lag(&self, subscription: SubscriptionId, at_most: u64) -> Result<Lag>;
}

/// Which waiting rows of a subscription [`DeliveriesReader::waiting_positions`] reads.
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

/// A key with waiting deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockedKey {
    /// The first delivery that waits. The key is in it.
    pub head: Delivery,
    /// How many more of the key wait. If this is the `at_most` of the read, it means that many or more.
    pub behind: u64,
}

/// How much a push subscription has not received yet. A number that is the `at_most` of the read means that many or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Events after its cursor.
    pub unread: u64,
    /// Rows that are not dead.
    pub waiting: u64,
    /// How many of the counted `waiting` rows wait for an earlier delivery of their key.
    pub behind: u64,
    /// Dead letters.
    pub dead: u64,
    /// When the oldest event that is unread or has a waiting row entered the log, on the store's clock.
    pub oldest: Option<Stamp>,
}
