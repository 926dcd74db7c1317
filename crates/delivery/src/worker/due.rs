//! Deliveries with a row: those that are due, and the next one of a key whose head is done.
//!
//! Each gets a lease before its attempt: its row counts the attempt, and is due again when the attempt must have ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event::{Position, Stamp};
use foldhash::HashSet;
use storage::delivery::{Delivery, DeliveryState};
use storage::ports::Waiting;
use storage::{Reader, StoreError};

use super::damage::{Damage, Readable, ReadableRow, Unreadable, event_at, rows};
use super::leftover::Leftover;
use super::source::MAX_READ_BYTES;
use super::under_way::{Dispatch, Row};
use super::{LEASE_MARGIN, LOOK_EVERY, Order, Stop, Worker};
use crate::budget::facts;
use crate::events::Events;
use crate::policy::in_words;

/// The wait after a look that found nothing to begin.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What the worker knows about waiting rows.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// When the earliest row may be due; `None` if no row waits.
    look_at: Option<Stamp>,
    /// Keys whose head is done, by changes that are not committed yet.
    releasing: Vec<Arc<str>>,
    /// Keys whose first row may go.
    promotable: VecDeque<Arc<str>>,
    /// Retries that the last run left; they come before other due rows.
    pub(super) left: Leftover,
    /// Whether the due rows cannot be read.
    is_damaged: bool,
    /// Rows that can neither be read nor written.
    left_alone: HashSet<Position>,
}

impl Due {
    pub(super) fn look_at(&self) -> Option<Stamp> {
        self.left.look_at().or(self.look_at)
    }

    /// Whether a row can neither be read nor written.
    pub(super) fn leaves_alone(&self, row: &Unreadable) -> bool {
        self.left_alone.contains(&row.position)
    }

    /// Notes a row that can neither be read nor written.
    pub(super) fn leave_alone(&mut self, position: Position) {
        self.left_alone.insert(position);
    }

    /// How reads treat damage: if it is known already, they need not try for long.
    pub(super) fn goes_around(&self) -> Option<Damage> {
        (!self.left_alone.is_empty()).then_some(Damage::IsSetAside)
    }

    pub(super) fn look_no_later_than(&mut self, at: Stamp) {
        self.look_at = Some(self.look_at.map_or(at, |look| look.min(at)));
    }

    pub(super) fn release(&mut self, key: Arc<str>) {
        self.releasing.push(key);
    }

    /// Keys that will be asked for their first row.
    pub(super) fn asked(&self) -> impl Iterator<Item = &Arc<str>> {
        self.releasing.iter().chain(&self.promotable)
    }

    pub(super) fn has_releasing(&self) -> bool {
        !self.releasing.is_empty()
    }

    pub(super) fn has_promotable(&self) -> bool {
        !self.promotable.is_empty()
    }

    /// Keys that could not be asked yet are asked first.
    fn ask_again(&mut self, keys: impl DoubleEndedIterator<Item = Arc<str>>) {
        keys.rev().for_each(|key| self.promotable.push_front(key));
    }

    /// Called when a commit has made the ends of the heads durable.
    pub(super) fn promote_released(&mut self) {
        self.promotable.extend(self.releasing.drain(..));
    }
}

/// A row and its event. A row pins its event, so the event can be missing only by damage.
pub(super) type Found = Result<(Delivery, Option<Readable>), Unreadable>;

/// Looks up the events of rows until the byte limit is reached; at least one event.
pub(super) struct Lookup<'e> {
    events: &'e Events,
    bytes: usize,
    affordable: usize,
    damage: Damage,
}

impl<'e> Lookup<'e> {
    pub(super) fn new(events: &'e Events, affordable: usize, damage: Damage) -> Self {
        Self { events, bytes: 0, affordable, damage }
    }

    /// `None` if it is one too many.
    pub(super) fn find(&mut self, reader: &dyn Reader, row: ReadableRow) -> storage::Result<Option<Found>> {
        if self.bytes >= self.affordable {
            return Ok(None);
        }
        let row = match row {
            Ok(row) => row,
            Err(unreadable) => return Ok(Some(Err(unreadable))),
        };
        let event = event_at(self.events, reader, row.id.position, self.damage)?;
        let size = event.as_ref().and_then(|event| event.as_ref().ok()).map_or(0, |event| facts(event));
        self.bytes += size.max(1);
        Ok(Some(Ok((row, event))))
    }
}

impl Worker {
    /// The next rows of keys whose head is done, up to `room`.
    pub(super) async fn promoted(&mut self, room: usize) -> Result<Vec<Dispatch>, Stop> {
        if !self.due.has_promotable() || room == 0 {
            return Ok(Vec::new());
        }
        // New followers must be in the store before it is asked for them.
        self.commit().await?;
        let Some(allowance) = self.share.reserve(MAX_READ_BYTES) else { return Ok(Vec::new()) };
        let affordable = allowance.facts();
        let count = room.min(self.due.promotable.len());
        // One that is under way is asked again when it has ended; one that was released twice is asked once.
        let mut seen = self.attempts.keys();
        let mut keys: Vec<Arc<str>> = self.due.promotable.drain(..count).collect();
        keys.retain(|key| seen.insert(key.clone()));
        let (id, asked, events) = (self.id, keys.clone(), self.deps.events.clone());
        let goes_around = self.due.goes_around();
        let firsts = self
            .read_around(move |reader, damage| {
                let mut lookup = Lookup::new(&events, affordable, damage);
                let mut firsts = Vec::new();
                for key in &asked {
                    let damage = goes_around.unwrap_or(damage);
                    let Some(row) = rows(reader, id, Waiting::OfKey(key), 1, damage)?.pop() else {
                        firsts.push(None);
                        continue;
                    };
                    let Some(found) = lookup.find(reader, row)? else { break };
                    firsts.push(Some(found));
                }
                Ok(firsts)
            })
            .await?;
        drop(allowance);
        self.due.ask_again(keys.drain(firsts.len()..));
        let mut found = Vec::new();
        for (key, first) in keys.iter().zip(firsts) {
            match first {
                None => self.keys.free(key),
                Some(Ok((row, event))) if row.state == DeliveryState::Behind => found.push(Ok((row, event))),
                // The first is a retry: it is the head and comes by its time.
                Some(Ok(_)) => {}
                // A row that is left alone blocks its own key only.
                Some(Err(unreadable)) if self.due.leaves_alone(&unreadable) => {}
                Some(Err(unreadable)) => found.push(Err(unreadable)),
            }
        }
        self.begin_rows(found).await
    }

    /// Begins attempts at rows; sets those aside that cannot be read.
    pub(super) async fn begin_rows(&mut self, found: Vec<Found>) -> Result<Vec<Dispatch>, Stop> {
        let (mut dispatches, mut unreadable) = (Vec::new(), Vec::new());
        for one in found {
            match one {
                Ok((row, event)) => dispatches.extend(self.lease(row, event)),
                Err(row) => unreadable.push(row),
            }
        }
        self.set_rows_aside(unreadable).await?;
        Ok(dispatches)
    }

    /// Called when housekeeping has made waiting deliveries dead letters: the head of any key may be among them, unless it is under way. Each
    /// key is treated as if its head had ended.
    pub(super) fn release_idle_keys(&mut self) {
        if self.settings.order == Order::Any {
            return;
        }
        // Keys that will be asked anyway are left out, so that many deliveries that are given up add each key only once.
        let mut known = self.attempts.keys();
        known.extend(self.due.asked().cloned());
        for key in self.keys.busy().filter(|key| !known.contains(*key)) {
            self.due.release(key.clone());
        }
    }

    /// Up to `room` rows that are due.
    pub(super) async fn due(&mut self, room: usize) -> Result<Vec<Dispatch>, Stop> {
        let now = self.now();
        if room == 0 || self.due.look_at().is_none_or(|at| at > now) {
            return Ok(Vec::new());
        }
        if !self.due.left.is_over() {
            return self.left_over(room, now).await;
        }
        // The rows in `changes` must be in the store before it is asked for them.
        self.commit().await?;
        let Some(allowance) = self.share.reserve(MAX_READ_BYTES) else { return Ok(Vec::new()) };
        let affordable = allowance.facts();
        let mut apart = self.attempts.positions();
        apart.extend(&self.due.left_alone);
        let (id, limit) = (self.id, room + self.attempts.rows() + self.due.left_alone.len());
        let (events, goes_around) = (self.deps.events.clone(), self.due.goes_around());
        let looked = self
            .read_around(move |reader, damage| {
                let look = || {
                    let rows = rows(reader, id, Waiting::Due(now), limit, goes_around.unwrap_or(damage))?;
                    Ok((rows, reader.next_due(id)?))
                };
                let (rows, next_due) = match look() {
                    Err(StoreError::Damaged(why)) if damage == Damage::IsSetAside => return Ok(Err(why)),
                    looked => looked?,
                };
                let mut lookup = Lookup::new(&events, affordable, damage);
                let mut found = Vec::new();
                for row in rows.into_iter().filter(|row| !apart.contains(&position(row))).take(room) {
                    let Some(row) = lookup.find(reader, row)? else { break };
                    found.push(row);
                }
                Ok(Ok((found, next_due)))
            })
            .await?;
        drop(allowance);
        let (waiting, next_due) = match looked {
            Ok(looked) => looked,
            Err(why) => {
                self.due_rows_are_damaged(why, now);
                return Ok(Vec::new());
            }
        };
        self.due_rows_are_whole();
        let none = waiting.is_empty();
        self.due.look_at = next_due.map(|at| if none { at.max(now.plus(LOOK_AGAIN)) } else { at });
        self.begin_rows(waiting).await
    }

    pub(super) fn due_rows_are_whole(&mut self) {
        if std::mem::take(&mut self.due.is_damaged) {
            self.shared.set_trouble(None);
        }
    }

    /// Called when due rows are damaged: new events go on, and the rows are tried again later.
    pub(super) fn due_rows_are_damaged(&mut self, why: String, now: Stamp) {
        if !std::mem::replace(&mut self.due.is_damaged, true) {
            tracing::error!(
                why,
                "the store cannot read the deliveries that wait for a retry: they wait; `retrohook check --data` says more"
            );
        }
        self.shared.set_trouble(Some(format!("its retries wait, because the store cannot read them: {why}")));
        self.due.look_at = Some(now.plus(LOOK_EVERY));
    }

    /// Gives a row a lease for its next attempt; or makes it a dead letter if an attempt is pointless.
    fn lease(&mut self, mut row: Delivery, event: Option<Readable>) -> Option<Dispatch> {
        let now = self.now();
        let reason = match &event {
            None => {
                self.drop_row(&row);
                return None;
            }
            Some(Err(unreadable)) => {
                self.shared.count_set_aside();
                Some(unreadable.reason())
            }
            // The age of the delivery counts, not the event's: a delivery that was requested again is young.
            Some(_) if self.age(row.since) > self.deps.max_age => Some(format!(
                "older than {} before attempt {}",
                in_words(self.deps.max_age),
                row.attempts + 1
            )),
            Some(_) => None,
        };
        if let Some(reason) = reason {
            let key = row.key.clone();
            row.state = DeliveryState::Dead { reason, at: now, died_at: self.wall() };
            self.bury(row);
            self.head_done(&key);
            return None;
        }
        let event = event?.ok()?;
        let charge = self.share.charge(&event);
        let at = now.plus(self.settings.timeout + LEASE_MARGIN);
        row.attempts += 1;
        let due = match row.state {
            DeliveryState::Retry { at } if at > now => Some(at),
            DeliveryState::Retry { .. } | DeliveryState::Behind | DeliveryState::Dead { .. } => None,
        };
        row.state = DeliveryState::Retry { at };
        let (number, since, anew_after) = (row.attempts, row.since, row.anew_after);
        self.changes.put(row);
        self.due.look_no_later_than(at);
        let began_at = self.wall();
        let row = Row::Stored;
        Some(Dispatch { event, charge, number, since, anew_after, began: now, began_at, due, row })
    }

    /// Removes a row whose event is missing from the log: nothing can be sent, and a dead letter needs its event.
    fn drop_row(&mut self, row: &Delivery) {
        if let Some(times) = self.lines.set_aside.happened() {
            tracing::error!(
                position = %row.id.position,
                times,
                "the event of a delivery is missing from the log: the delivery is dropped; `retrohook check --data` says more"
            );
        }
        self.shared.count_set_aside();
        self.changes.remove(row.id);
        self.head_done(&row.key);
    }
}

/// Where a row is.
pub(super) fn position(row: &ReadableRow) -> Position {
    row.as_ref().map_or_else(|unreadable| unreadable.position, |row| row.id.position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_look_counts() {
        let at = Stamp::from_micros;
        let mut due = Due::default();
        assert_eq!(due.look_at(), None);
        for (wanted, expected) in [(50, 50), (70, 50), (30, 30), (30, 30)] {
            due.look_no_later_than(at(wanted));
            assert_eq!(due.look_at(), Some(at(expected)));
        }
    }

    #[test]
    fn keys_go_from_releasing_to_promotable_in_order() {
        let mut due = Due::default();
        assert!(!due.has_releasing() && !due.has_promotable());
        for key in ["a", "b", "c"] {
            due.release(key.into());
        }
        assert!(due.has_releasing() && !due.has_promotable());
        due.promote_released();
        assert!(!due.has_releasing() && due.has_promotable());
        due.release("d".into());
        let taken: Vec<_> = due.promotable.drain(..2).collect();
        due.ask_again(taken.into_iter());
        let asked: Vec<&str> = due.asked().map(|key| &**key).collect();
        assert_eq!(asked, ["d", "a", "b", "c"]);
    }
}
