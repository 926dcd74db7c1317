//! Retries that the last run left: all of them are due at a start.
//!
//! Nobody knows how long the process was gone, and an operator who starts it again wants to see what works now. Nothing is written to make them
//! due: the rows up to where the last run had dispatched are read once, by position, and each is tried whatever its time is. The first page of
//! them is spread over a few seconds. Until all are read, retries of this run wait: they became due later.
//!
//! If the last attempt of a row is not recorded, the dead process had the lease. The row is tried at once, and its next attempt has the number
//! of the lost one, because an attempt that ended with the process says nothing about the endpoint. If it counted, one refusal after some
//! crashes would be followed by a wait of hours. This, too, is found when the row is read, so it does not matter how long the process was down.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Duration;

use event::{Position, Stamp};
use storage::delivery::{Delivery, DeliveryState};
use storage::entities::SubscriptionId;
use storage::ports::Waiting;
use storage::{Reader, StoreError};

use super::damage::{Damage, Unreadable, attempts_at, row_at, rows};
use super::due::{Found, Lookup};
use super::recovery::ROWS_AT_ONCE;
use super::source::MAX_READ_BYTES;
use super::under_way::Dispatch;
use super::{Order, Stop, Worker};

/// Retries that waited when the process ended are spread over this time.
const RESUME_WITHIN: Duration = Duration::from_secs(5);

/// The rows that the last run left and that are not begun yet; none by default.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// When reading them began.
    since: Stamp,
    /// Rows up to here have been read.
    read_to: Position,
    /// The last row that the last run can have left.
    until: Position,
    /// Rows that were read and not begun, the earliest first.
    next: VecDeque<Left>,
}

/// A row that the last run left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    /// When it may go.
    at: Stamp,
    position: Position,
    last: Last,
}

/// The last attempt that a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Recorded,
    /// It was under way when the process died.
    Lost,
}

impl Leftover {
    pub(super) fn new(until: Position, since: Stamp) -> Self {
        Self { since, until, ..Self::default() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.next.is_empty() && self.read_to >= self.until
    }

    /// When the next of them may go; `None` if none is left.
    pub(super) fn look_at(&self) -> Option<Stamp> {
        (!self.is_over()).then(|| self.next.front().map_or(self.since, |left| left.at))
    }

    fn wants_page(&self) -> bool {
        self.next.is_empty() && !self.is_over()
    }

    /// Adds the rows up to `read_to`. `spread` gives a number from 0 to 1 for each that waited for its time.
    fn read(&mut self, read_to: Position, rows: Vec<(Position, Last)>, mut spread: impl FnMut() -> f64) {
        self.read_to = read_to;
        let left = rows.into_iter().map(|(position, last)| {
            let wait = match last {
                Last::Recorded => RESUME_WITHIN.mul_f64(spread()),
                Last::Lost => Duration::ZERO,
            };
            Left { at: self.since.plus(wait), position, last }
        });
        self.next = left.collect();
        self.next.make_contiguous().sort_by_key(|left| (left.at, left.position));
    }

    /// Up to `room` rows that may go.
    fn take(&mut self, now: Stamp, room: usize) -> Vec<Left> {
        let count = self.next.iter().take(room).take_while(|left| left.at <= now).count();
        self.next.drain(..count).collect()
    }

    fn put_back(&mut self, taken: impl DoubleEndedIterator<Item = Left>) {
        taken.rev().for_each(|left| self.next.push_front(left));
    }
}

/// A page of rows: where it ends, the waiting rows, and those that cannot be read.
struct Page {
    read_to: Position,
    left: Vec<(Position, Last)>,
    unreadable: Vec<Unreadable>,
}

impl Worker {
    /// Up to `room` of what the last run left.
    pub(super) async fn left_over(&mut self, room: usize, now: Stamp) -> Result<Vec<Dispatch>, Stop> {
        if self.due.left.wants_page() {
            self.read_page(now).await?;
        }
        let mut taken = self.due.left.take(now, room);
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let Some(allowance) = self.share.reserve(MAX_READ_BYTES) else {
            self.due.left.put_back(taken.into_iter());
            return Ok(Vec::new());
        };
        // The rows in `changes` must be in the store before it is asked for them.
        self.commit().await?;
        taken.retain(|left| !self.attempts.contains(left.position));
        let (id, order, asked, affordable) = (self.id, self.settings.order, taken.clone(), allowance.facts());
        let events = self.deps.events.clone();
        let found = self
            .read_around(move |reader, damage| {
                let mut lookup = Lookup::new(&events, affordable, damage);
                let mut found = Vec::new();
                for left in &asked {
                    // It may have been delivered, given up or requested again since the page was read.
                    let row = row_at(reader, id, left.position, damage)?;
                    let row = row.filter(|row| row.as_ref().map_or(true, |row| may_go(row, order)));
                    let Some(row) = row else {
                        found.push(None);
                        continue;
                    };
                    let Some(row) = lookup.find(reader, row)? else { break };
                    found.push(Some(row));
                }
                Ok(found)
            })
            .await?;
        drop(allowance);
        self.due.left.put_back(taken.drain(found.len()..));
        let counted = taken.iter().zip(found).filter_map(|(left, found)| Some(left.counted(found?)));
        self.begin_rows(counted.collect()).await
    }

    /// Reads the next page.
    async fn read_page(&mut self, now: Stamp) -> Result<(), Stop> {
        let (id, order, after, until) =
            (self.id, self.settings.order, self.due.left.read_to, self.due.left.until);
        let goes_around = self.due.goes_around();
        let page = self
            .read_around(move |reader, damage| {
                let damage = goes_around.unwrap_or(damage);
                match page(reader, id, after..=until, order, damage) {
                    Err(StoreError::Damaged(why)) if damage == Damage::IsSetAside => Ok(Err(why)),
                    page => page.map(Ok),
                }
            })
            .await?;
        let mut page = match page {
            Ok(page) => page,
            Err(why) => {
                self.due_rows_are_damaged(why, now);
                self.due.left.since = now.plus(super::LOOK_EVERY);
                return Ok(());
            }
        };
        self.due_rows_are_whole();
        self.due.left.read(page.read_to, page.left, fastrand::f64);
        page.unreadable.retain(|row| !self.due.leaves_alone(row));
        self.set_rows_aside(page.unreadable).await
    }
}

impl Left {
    /// The row, without the attempt that was lost.
    fn counted(&self, found: Found) -> Found {
        found.map(|(mut row, event)| {
            if self.last == Last::Lost {
                // The time in the row is the end of the dead process's lease.
                if let DeliveryState::Retry { at } = &mut row.state {
                    *at = self.at;
                }
                // If the endpoint may have seen a first attempt, this is a second one.
                if row.attempts > 1 {
                    row.attempts -= 1;
                    row.anew_after = row.anew_after.min(row.attempts);
                }
            }
            (row, event)
        })
    }
}

/// Whether a row may be begun: followers of a subscription that was FIFO before this start do not wait any more.
fn may_go(row: &Delivery, order: Order) -> bool {
    match row.state {
        DeliveryState::Retry { .. } => true,
        DeliveryState::Behind => order == Order::Any,
        DeliveryState::Dead { .. } => false,
    }
}

/// The next rows after the beginning of a range.
fn page(
    reader: &dyn Reader,
    id: SubscriptionId,
    range: RangeInclusive<Position>,
    order: Order,
    damage: Damage,
) -> storage::Result<Page> {
    let (after, until) = range.into_inner();
    let mut page = Page { read_to: until, left: Vec::new(), unreadable: Vec::new() };
    let found = rows(reader, id, Waiting::After(after), ROWS_AT_ONCE, damage)?;
    if let Some(last) = found.last() {
        page.read_to = last.as_ref().map_or_else(|last| last.position, |last| last.id.position).min(until);
    }
    for row in found {
        match row {
            Err(unreadable) => page.unreadable.push(unreadable),
            Ok(row) if row.id.position <= until && may_go(&row, order) => {
                page.left.push((row.id.position, last_of(reader, &row, damage)?));
            }
            Ok(_) => {}
        }
    }
    Ok(page)
}

/// The last attempt of a row. The first attempt may have been lost before it had a row; then the row counts it and the next one.
fn last_of(reader: &dyn Reader, row: &Delivery, damage: Damage) -> storage::Result<Last> {
    let attempts = attempts_at(reader, row.id.position, damage)?;
    let of_row = attempts.iter().filter(|attempt| attempt.delivery == row.id);
    let recorded = of_row.map(|attempt| attempt.number).max().unwrap_or(0);
    let is_lost = row.attempts <= 1 && recorded == 0 || row.attempts == recorded.max(1) + 1;
    Ok(if is_lost { Last::Lost } else { Last::Recorded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Stamp {
        Stamp::from_micros(micros)
    }

    fn rows(of: std::ops::RangeInclusive<i64>, last: Last) -> Vec<(Position, Last)> {
        of.map(|position| (Position(position), last)).collect()
    }

    fn positions(taken: &[Left]) -> Vec<i64> {
        taken.iter().map(|left| left.position.0).collect()
    }

    #[test]
    fn nothing_is_left_where_nothing_was_dispatched() {
        for left in [Leftover::default(), Leftover::new(Position(0), at(7))] {
            assert!(left.is_over() && !left.wants_page());
            assert_eq!(left.look_at(), None);
        }
    }

    #[test]
    fn a_page_is_spread_and_what_was_lost_goes_at_once() {
        let second = 1_000_000;
        let mut left = Leftover::new(Position(9), at(second));
        assert!(left.wants_page() && !left.is_over());
        assert_eq!(left.look_at(), Some(at(second)), "the page is to be read");
        let mut all = rows(1..=3, Last::Recorded);
        all.extend(rows(4..=4, Last::Lost));
        let mut spread = [1.0, 0.5, 0.2].into_iter();
        left.read(Position(4), all, || spread.next().unwrap());
        assert!(!left.wants_page() && !left.is_over());
        assert_eq!(left.look_at(), Some(at(second)));
        assert_eq!(positions(&left.take(at(second), 9)), [4]);
        assert_eq!(left.look_at(), Some(at(2 * second)));
        assert_eq!(positions(&left.take(at(2 * second - 1), 9)), [0; 0]);
        assert_eq!(positions(&left.take(at(6 * second), 1)), [3], "no more than there is room for");
        let taken = left.take(at(6 * second), 9);
        assert_eq!(positions(&taken), [2, 1]);
        assert!(left.wants_page(), "the next page");
        left.put_back(taken.into_iter());
        assert_eq!(positions(&left.take(at(6 * second), 9)), [2, 1]);
        left.read(Position(9), Vec::new(), || 0.0);
        assert!(left.is_over() && !left.wants_page());
        assert_eq!(left.look_at(), None);
    }
}
