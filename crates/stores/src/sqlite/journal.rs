//! Intents and events. An intent that succeeds costs one insert, one delete and one insert, and one more for each subscribed queue.

use std::collections::HashMap;

use event::{EventId, Intent, NewEvent, Position, Timestamp, TopicId, UnknownReason};
use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::{Error, Row, params};
use storage::Result;
use storage::entities::{Incarnation, QueueId};

use super::rows::{micros, position, text, time};
use super::statements::{Statements, failed};
use super::transaction::{Transaction, damaged};

/// Where the open intents of this incarnation stand: cheaper than an index on their ids, which would be written twice for each.
#[derive(Default)]
pub(super) struct OpenIntents {
    seqs: HashMap<EventId, i64>,
    /// What the open transaction changed, with what was there before.
    changed: Vec<(EventId, Option<i64>)>,
}

impl OpenIntents {
    fn insert(&mut self, id: EventId, seq: i64) {
        let before = self.seqs.insert(id, seq);
        self.changed.push((id, before));
    }

    fn remove(&mut self, id: EventId) -> Option<i64> {
        let before = self.seqs.remove(&id)?;
        self.changed.push((id, Some(before)));
        Some(before)
    }

    /// The transaction was committed.
    pub(super) fn keep(&mut self) {
        self.changed.clear();
    }

    /// The transaction was rolled back.
    pub(super) fn undo(&mut self) {
        for (id, before) in self.changed.drain(..).rev() {
            match before {
                Some(seq) => self.seqs.insert(id, seq),
                None => self.seqs.remove(&id),
            };
        }
    }
}

impl Transaction {
    pub(super) fn note_intent(&mut self, intent: &Intent) -> Result<()> {
        if self.intents.seqs.contains_key(&intent.id) {
            return Ok(());
        }
        let sql = "INSERT INTO intents (incarnation, id, topic, key, publish_unknown, started_at, request)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let row = params![
            self.incarnation.0,
            intent.id.as_bytes(),
            intent.topic.0,
            intent.key,
            intent.publish_unknown,
            micros(intent.started_at),
            intent.request,
        ];
        self.database.run("note an intent", sql, row)?;
        self.intents.insert(intent.id, self.database.last_insert_rowid());
        Ok(())
    }

    pub(super) fn settle_intent(&mut self, id: EventId) -> Result<bool> {
        let Some(seq) = self.intents.remove(id) else { return Ok(false) };
        self.remove_intent_at(seq)?;
        Ok(true)
    }

    fn remove_intent_at(&self, seq: i64) -> Result<()> {
        self.database.run("remove an intent", "DELETE FROM intents WHERE seq = ?1", [seq]).map(drop)
    }

    pub(super) fn append_event(&mut self, event: &NewEvent) -> Result<Position> {
        let Some(position) = self.insert_event(event)? else { return self.known_position(event.id) };
        let routes = self.routes.get(&event.topic).map_or(&[][..], Vec::as_slice);
        for (subscription, queue) in routes {
            let sql =
                "INSERT INTO messages (queue, position, subscription, sent_at, visible_at, receive_count)
                       VALUES (?1, ?2, ?3, ?4, 0, 0)";
            let row = [queue.0, position.0, subscription.0, micros(event.recorded_at)];
            self.database.run("send a message", sql, row)?;
        }
        let queues = routes.iter().map(|(_, queue): &(_, QueueId)| *queue);
        self.committed.appended(event.topic, position, queues);
        Ok(position)
    }

    /// `None` if its id is in the log already. Found out by the insert itself, so that the usual case is one statement; a refused
    /// insert uses up no position.
    fn insert_event(&self, event: &NewEvent) -> Result<Option<Position>> {
        let sql =
            "INSERT INTO events (id, topic, recorded_at, outcome, reason, overlapped, key, request, answer)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
        let row = params![
            event.id.as_bytes(),
            event.topic.0,
            micros(event.recorded_at),
            event.outcome.as_str(),
            event.outcome.reason().map(UnknownReason::as_str),
            event.overlapped,
            event.key,
            event.request,
            event.answer,
        ];
        match self.database.prepare_cached(sql).and_then(|mut statement| statement.execute(row)) {
            Ok(_) => Ok(Some(Position(self.database.last_insert_rowid()))),
            Err(Error::SqliteFailure(refused, _)) if refused.extended_code == SQLITE_CONSTRAINT_UNIQUE => {
                Ok(None)
            }
            Err(error) => Err(failed("append an event")(error)),
        }
    }

    fn known_position(&self, id: EventId) -> Result<Position> {
        let sql = "SELECT position FROM events WHERE id = ?1";
        let known = self.database.find("find an event", sql, [id.as_bytes()], |row| position(row, 0))?;
        known.ok_or_else(|| damaged(format!("event {id} is in the log and is not")))
    }

    pub(super) fn recover_dead(&mut self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut recovered = 0;
        for incarnation in self.dead_incarnations()? {
            let left = limit - recovered;
            let intents = self.intents_of(incarnation, left)?;
            for (seq, intent) in &intents {
                self.remove_intent_at(*seq)?;
                self.publish_unknown(intent, now)?;
            }
            recovered += intents.len();
            if intents.len() == left {
                break;
            }
            self.database.run("forget a run", "DELETE FROM incarnations WHERE id = ?1", [incarnation.0])?;
            self.forgotten.push(incarnation);
        }
        Ok(recovered)
    }

    fn dead_incarnations(&self) -> Result<Vec<Incarnation>> {
        let sql = "SELECT id FROM incarnations WHERE id <> ?1 ORDER BY id";
        let others = self
            .database
            .list("list the runs", sql, [self.incarnation.0], |row| row.get(0).map(Incarnation))?;
        Ok(others.into_iter().filter(|other| self.data_dir.is_dead(*other)).collect())
    }

    fn intents_of(&self, incarnation: Incarnation, limit: usize) -> Result<Vec<(i64, Intent)>> {
        let sql = "SELECT seq, id, topic, key, publish_unknown, started_at, request FROM intents
                   WHERE incarnation = ?1 ORDER BY seq LIMIT ?2";
        self.database.list("read open intents", sql, (incarnation.0, limit as i64), open_intent)
    }

    fn publish_unknown(&mut self, intent: &Intent, now: Timestamp) -> Result<()> {
        if !intent.publish_unknown {
            return Ok(());
        }
        self.append_event(&intent.left_open(now)).map(drop)
    }
}

fn open_intent(row: &Row<'_>) -> rusqlite::Result<(i64, Intent)> {
    let intent = Intent {
        id: EventId::from_bytes(row.get(1)?),
        topic: TopicId(row.get(2)?),
        key: text(row, 3)?,
        publish_unknown: row.get(4)?,
        started_at: time(row, 5)?,
        request: text(row, 6)?,
    };
    Ok((row.get(0)?, intent))
}
