//! Completion out of order, and order within a key: pure bookkeeping.

mod keys;

use std::collections::VecDeque;

use event::Position;
use storage::entities::Cursor;

pub use keys::{Admit, Keys, Release};

/// The most deliveries of a subscription that are in flight at once.
pub const MAX_IN_FLIGHT: usize = 256;

/// Which events of a subscription are settled: delivered, or covered by a row.
///
/// Events are begun in order of position and settled in any order; the cursor follows the first that is not settled.
#[derive(Clone, Debug, Default)]
pub struct Window {
    cursor: Cursor,
    /// Events that were begun and that `done_to` has not passed yet, in order.
    begun: VecDeque<(Position, Progress)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Open,
    Settled,
}

impl Window {
    /// A window after a cursor without a gap, because recovery has settled everything in it.
    pub fn new(at: Position) -> Self {
        Self { cursor: Cursor { dispatched_to: at, done_to: at }, begun: VecDeque::new() }
    }

    /// A window that leaves a cursor as it is: for a worker that ends before it begins.
    pub fn resume(cursor: Cursor) -> Self {
        Self { cursor, begun: VecDeque::new() }
    }

    /// Begins the event at `position`, which is after all that were begun before.
    pub fn begin(&mut self, position: Position) {
        debug_assert!(position > self.cursor.dispatched_to, "events are begun in order");
        self.cursor.dispatched_to = position;
        self.begun.push_back((position, Progress::Open));
    }

    /// Settles an event. Settling it again, or one that was never begun, changes nothing.
    pub fn settle(&mut self, position: Position) {
        if let Ok(index) = self.begun.binary_search_by_key(&position, |(begun, _)| *begun) {
            self.begun[index].1 = Progress::Settled;
        }
        while let Some((position, Progress::Settled)) = self.begun.front() {
            self.cursor.done_to = *position;
            self.begun.pop_front();
        }
    }

    /// The subscription's cursor.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// How many events the window spans, including settled ones after an open one.
    pub fn span(&self) -> usize {
        self.begun.len()
    }
}

#[cfg(test)]
mod tests;
