//! Making room: history is deleted whatever its age, the oldest first, over all topics.
//!
//! A round begins with the first event after each topic's frontier, and always takes the oldest of these, until there is none left that nobody is
//! owed. It may take many slices. A topic leaves the round when a cursor has not passed its next event yet. At the end of the round, attempts at
//! deliveries that are done are deleted, which are of events that somebody else is still owed.

use std::collections::BTreeSet;

use event::{Position, Stamp, Timestamp, TopicId};
use rusqlite::Connection;
use storage::Result;
use storage::backend::Committed;
use storage::retention::{Housekept, Retention};

use super::{Slice, Step, Sweep};
use crate::sqlite::rows::{self, EVENT_STAMP};
use crate::sqlite::statements::Statements;

/// How far a round has come.
#[derive(Default)]
pub(super) struct Round {
    /// The last topic whose first event was looked for.
    passed: Option<TopicId>,
    /// Whether the first event of every topic was looked for.
    is_filled: bool,
    /// The next event of each topic that may have something to delete.
    next: BTreeSet<(Position, TopicId)>,
    /// The `seq` up to which attempts were looked at.
    attempts: i64,
}

impl Sweep {
    pub(in crate::sqlite) fn make_room(
        &mut self,
        database: &Connection,
        retention: &Retention,
        (wall, now): (Timestamp, Stamp),
        budget: usize,
        committed: &mut Committed,
    ) -> Result<Housekept> {
        let all = Stamp::from_micros(u64::MAX);
        let mut slice = Slice::new(database, retention, (wall, now), all, budget, committed);
        slice.done.more = matches!(self.clear(&mut slice)?, Step::Spent);
        Ok(slice.done)
    }

    fn clear(&mut self, slice: &mut Slice<'_>) -> Result<Step> {
        const STEPS: [fn(&mut Sweep, &mut Slice<'_>) -> Result<Step>; 5] = [
            Sweep::drop_dropped,
            Sweep::look_at_released,
            Sweep::fill,
            Sweep::clear_events,
            Sweep::clear_attempts,
        ];
        for step in STEPS {
            if let Step::Spent = step(self, slice)? {
                return Ok(Step::Spent);
            }
        }
        self.round = Round::default();
        self.floors.clear();
        Ok(Step::Done)
    }

    fn fill(&mut self, slice: &mut Slice<'_>) -> Result<Step> {
        while !self.round.is_filled {
            if let Step::Spent = slice.look() {
                return Ok(Step::Spent);
            }
            match super::topic_after(slice.database, self.round.passed)? {
                Some(topic) => {
                    self.line_up(slice.database, topic)?;
                    self.round.passed = Some(topic);
                }
                None => self.round.is_filled = true,
            }
        }
        Ok(Step::Done)
    }

    fn line_up(&mut self, database: &Connection, topic: TopicId) -> Result<()> {
        let frontier = self.frontiers.get(&topic).copied().unwrap_or_default();
        let next = super::event_after(database, topic, frontier)?;
        self.round.next.extend(next.map(|(position, _)| (position, topic)));
        Ok(())
    }

    fn clear_events(&mut self, slice: &mut Slice<'_>) -> Result<Step> {
        while let Some((position, topic)) = self.round.next.first().copied() {
            if let Step::Spent = slice.look() {
                return Ok(Step::Spent);
            }
            let sql = format!("SELECT {EVENT_STAMP} FROM events e WHERE e.position = ?1");
            let found =
                slice.database.find("look at an event", &sql, [position.0], |row| rows::stamp(row, 0))?;
            if let Some(stamp) = found {
                if self.must_wait(slice, topic, position, stamp)? {
                    self.round.next.remove(&(position, topic));
                    continue;
                }
                if let Step::Spent = self.drop_unless_pinned(slice, topic, position)? {
                    return Ok(Step::Spent);
                }
            }
            self.passed_by(topic, position);
            self.round.next.remove(&(position, topic));
            self.line_up(slice.database, topic)?;
        }
        Ok(Step::Done)
    }

    fn clear_attempts(&mut self, slice: &mut Slice<'_>) -> Result<Step> {
        while slice.looks_left > 0 && slice.rows_left > 0 {
            let looks = slice.looks_left.min(slice.rows_left) as i64;
            let sql = "SELECT max(seq) FROM (SELECT seq FROM attempts WHERE seq > ?1 ORDER BY seq LIMIT ?2)";
            let after = self.round.attempts;
            let until = slice
                .database
                .find("look at attempts", sql, [after, looks], |row| row.get::<_, Option<i64>>(0))?;
            let Some(until) = until.flatten() else { return Ok(Step::Done) };
            // If there is a row, more attempts will follow. If the cursor has not passed the event, the attempt may be the only record of a success.
            let sql = "DELETE FROM attempts WHERE seq > ?1 AND seq <= ?2
                       AND NOT EXISTS (SELECT 1 FROM deliveries d
                         WHERE d.subscription = attempts.subscription AND d.position = attempts.position)
                       AND position <= ifnull(
                         (SELECT done_to FROM subscriptions s WHERE s.id = attempts.subscription), position)
                       RETURNING position";
            slice.take("drop attempts of what is done", sql, [after, until])?;
            self.round.attempts = until;
            slice.looks_left = slice.looks_left.saturating_sub(looks as usize);
        }
        Ok(Step::Spent)
    }
}
