//! Reads that fail on purpose, for tests: the next ones, or all reads of an event or of a row.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use event::Position;

use crate::delivery::Delivery;
use crate::{Result, StoreError};

/// Which reads fail; none at first.
#[derive(Debug, Default)]
pub struct ReadFaults {
    next: Mutex<VecDeque<StoreError>>,
    damaged: Mutex<BTreeSet<Position>>,
    damaged_rows: Mutex<BTreeSet<Position>>,
}

impl ReadFaults {
    /// Makes one of the next reads fail: the first call the next one, the second call the one after it, and so on.
    pub fn fail_next(&self, error: StoreError) {
        lock(&self.next).push_back(error);
    }

    /// How many reads are still to fail.
    pub fn left(&self) -> usize {
        lock(&self.next).len()
    }

    /// Makes every read of an event fail.
    pub fn damage(&self, position: Position) {
        lock(&self.damaged).insert(position);
    }

    /// Makes every read of the rows of an event fail, except for rows of dead letters: a row that becomes a dead letter is written anew, and so is
    /// readable again.
    pub fn damage_row(&self, position: Position) {
        lock(&self.damaged_rows).insert(position);
    }

    /// Makes rows readable again.
    pub fn mend_rows(&self) {
        lock(&self.damaged_rows).clear();
    }

    pub(super) fn pass(&self) -> Result<()> {
        lock(&self.next).pop_front().map_or(Ok(()), Err)
    }

    pub(super) fn touch(&self, position: Position) -> Result<()> {
        if lock(&self.damaged).contains(&position) {
            return Err(StoreError::Damaged(format!("a test damaged event {position}")));
        }
        Ok(())
    }

    pub(super) fn touch_row(&self, row: &Delivery) -> Result<()> {
        let position = row.id.position;
        if row.death().is_none() && lock(&self.damaged_rows).contains(&position) {
            return Err(StoreError::Damaged(format!("a test damaged the row of event {position}")));
        }
        Ok(())
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
