//! What a store does for itself: its clock, its room, its health.

use event::Timestamp;

use crate::Result;
use crate::clock::{Record, Trace};
use crate::retention::{Housekept, Retention};

/// Upkeep, in an open transaction.
pub trait UpkeepTx {
    /// What the transaction has changed so far, as far as it concerns the clock. It may say more than it was, never less.
    fn trace(&self) -> Trace;

    /// Keeps the clock, for the next start.
    fn keep_clock(&mut self, record: &Record) -> Result<()>;

    /// Deletes what nobody is owed and what is past its time, at most `budget` rows a call.
    fn housekeep(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept>;

    /// Deletes what was dropped; then events that nobody is owed, whatever their age, the oldest first, with their attempts; then attempts at deliveries that are
    /// done. At most `budget` rows a call: when it says that there is no more, nothing is left to delete.
    fn make_room(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept>;
}

/// Reads about the store itself.
pub trait UpkeepReader {
    /// Sizes and counts for the metrics.
    fn stats(&self) -> Result<StoreStats>;

    /// Looks for damage: all of it, or only what a start can afford. One line a finding, none if all is well.
    fn check(&self, full: bool) -> Result<Vec<String>>;
}

/// Sizes and counts for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Open intents, those of dead incarnations too.
    pub open_intents: u64,
    /// The database, in bytes.
    pub bytes: u64,
    /// The write-ahead log, in bytes.
    pub wal_bytes: u64,
}
