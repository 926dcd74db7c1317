//! What a store does for itself: its clock, housekeeping, sizes and checks.

use event::Timestamp;

use crate::Result;
use crate::clock::{Record, Trace};
use crate::retention::{Housekept, Retention};

/// Upkeep, in an open transaction.
pub trait UpkeepTx {
    /// What the transaction has changed so far, as far as it concerns the clock. It may be greater than what was really changed, but never less.
    fn trace(&self) -> Trace;

    /// Stores the clock's record, for the next start.
    fn keep_clock(&mut self, record: &Record) -> Result<()>;

    /// Deletes what nobody is owed and what is older than its limit, by the rules of [`retention`](crate::retention). Deletes or changes at most
    /// `budget` rows.
    fn housekeep(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept>;

    /// Deletes history before its time: what was dropped; then events that nobody is owed, whatever their age, the oldest first, with their attempts;
    /// then attempts at deliveries that are done. Deletes at most `budget` rows. Nothing is left to delete when [`Housekept::more`] is false.
    fn make_room(&mut self, retention: &Retention, now: Timestamp, budget: usize) -> Result<Housekept>;
}

/// Reads about the store itself.
pub trait UpkeepReader {
    /// Sizes and counts for the metrics.
    fn stats(&self) -> Result<StoreStats>;

    /// Looks for damage, and returns one line for each finding; none if all is well. `full` looks at everything and may take minutes; otherwise it
    /// looks only at what takes a fraction of a second.
    fn check(&self, full: bool) -> Result<Vec<String>>;
}

/// Sizes and counts for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// How many intents are open, those of dead incarnations included.
    pub open_intents: u64,
    /// The size of the database in bytes, with its unused pages.
    pub bytes: u64,
    /// The size of the write-ahead log's file in bytes; 0 for a store that has none.
    pub wal_bytes: u64,
}
