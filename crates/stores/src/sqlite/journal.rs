//! Intents and events. An intent costs one insert, its event another, and one more for each subscribed queue.
//!
//! The request is written once: an event that had an intent refers to it and leaves its own `request` empty. So the database grows by less, and no
//! row is deleted while requests wait. An intent is open as long as no event has its id. To find the open intents of a dead incarnation without
//! reading all intents, each incarnation writes from time to time the number from which on its open ones are (`incarnations.open_from`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use event::{
    Content, EventId, Exchange, Intent, Message, NewEvent, Position, Timestamp, TopicId, UnknownReason,
};
use rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE;
use rusqlite::{Connection, Error, Row, params};
use storage::Result;
use storage::clock::Trace;
use storage::entities::{Incarnation, QueueId, SubscriptionId};
use storage::ports;
use storage::queue::message_id;
use uuid::Uuid;

use super::queues::{Bin, bin, hidden_until};
use super::rows::{PUBLISHED, bringer, micros, position, text, ticks, time};
use super::statements::{Statements, failed};
use super::transaction::{Transaction, damaged};

/// How many commits are between two updates of `open_from`; few in tests, so that random tests reach them.
const COMMITS_A_NOTE: u32 = if cfg!(test) { 2 } else { 256 };

/// A condition in SQL: the intent `i` is an open one of the incarnation `n`.
pub(super) const LEFT_OPEN: &str = "i.incarnation = n.id AND i.seq >= n.open_from
    AND NOT EXISTS (SELECT 1 FROM events e WHERE e.id = i.id)";

/// The open intents of this incarnation, in memory. That is cheaper than an index on their ids, which every intent would have to be added to.
pub(super) struct OpenIntents {
    open: HashMap<EventId, OpenIntent>,
    /// What the open transaction changed, with the value before.
    changed: Vec<(EventId, Option<OpenIntent>)>,
    /// The `seq` of the next intent. This incarnation never uses one twice, even if its row was deleted, because `open_from` says that all intents
    /// below it are settled.
    next_seq: i64,
    commits: u32,
}

#[derive(Clone)]
struct OpenIntent {
    seq: i64,
    topic: TopicId,
    request: Arc<str>,
}

impl OpenIntents {
    /// Those of an incarnation that begins.
    pub(super) fn read(database: &Connection) -> Result<Self> {
        let next_seq = database.find("find the last intent", NEXT_SEQ, [], |row| row.get(0))?;
        Ok(Self { open: HashMap::new(), changed: Vec::new(), next_seq: next_seq.unwrap_or(1), commits: 0 })
    }

    fn insert(&mut self, intent: &Intent) {
        let id = intent.id;
        let open = OpenIntent { seq: self.next_seq, topic: intent.topic, request: intent.request.clone() };
        let before = self.open.insert(id, open);
        self.next_seq += 1;
        self.changed.push((id, before));
    }

    fn remove(&mut self, id: EventId) -> Option<OpenIntent> {
        let before = self.open.remove(&id)?;
        self.changed.push((id, Some(before.clone())));
        Some(before)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether one of them has this topic.
    pub(super) fn have_topic(&self, topic: TopicId) -> bool {
        self.open.values().any(|intent| intent.topic == topic)
    }

    /// The least `seq` of an open intent.
    fn from(&self) -> i64 {
        self.open.values().map(|intent| intent.seq).min().unwrap_or(self.next_seq)
    }

    /// The transaction was committed.
    pub(super) fn keep(&mut self) {
        self.commits += u32::from(!self.changed.is_empty());
        self.changed.clear();
    }

    /// The transaction was rolled back.
    pub(super) fn undo(&mut self) {
        for (id, before) in self.changed.drain(..).rev() {
            match before {
                Some(intent) => self.open.insert(id, intent),
                None => self.open.remove(&id),
            };
        }
    }
}

/// The `seq` of the next intent, in a database that nobody else writes to.
pub(super) const NEXT_SEQ: &str = "SELECT ifnull(max(seq), 0) + 1 FROM intents";

impl Transaction {
    pub(super) fn note_intent(&mut self, intent: &Intent) -> Result<()> {
        if self.intents.open.contains_key(&intent.id) {
            return Ok(());
        }
        let sql =
            "INSERT INTO intents (seq, incarnation, id, topic, key, publish_unknown, started_at, request)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let row = params![
            self.intents.next_seq,
            self.incarnation.0,
            intent.id.as_bytes(),
            intent.topic.0,
            intent.key,
            intent.publish_unknown,
            micros(intent.noted_at),
            intent.request,
        ];
        self.database.run("note an intent", sql, row)?;
        self.intents.insert(intent);
        Ok(())
    }

    /// Settles an intent without an event. Returns `false` if there is no open one with this id.
    pub(super) fn settle_intent(&mut self, id: EventId) -> Result<bool> {
        let Some(intent) = self.intents.remove(id) else { return Ok(false) };
        self.remove_intent_at(intent.seq)?;
        Ok(true)
    }

    fn remove_intent_at(&self, seq: i64) -> Result<()> {
        self.database.run("remove an intent", "DELETE FROM intents WHERE seq = ?1", [seq]).map(drop)
    }

    /// Updates `open_from`, if it is time. Called before a commit.
    pub(super) fn note_open_intents(&mut self) -> Result<()> {
        if self.intents.commits < COMMITS_A_NOTE {
            return Ok(());
        }
        self.intents.commits = 0;
        self.note_open_from(self.incarnation, self.intents.from())
    }

    pub(super) fn note_open_from(&self, incarnation: Incarnation, seq: i64) -> Result<()> {
        let sql = "UPDATE incarnations SET open_from = ?2 WHERE id = ?1";
        self.database.run("note the open intents", sql, [incarnation.0, seq]).map(drop)
    }

    pub(super) fn append_event(&mut self, event: &NewEvent) -> Result<Position> {
        let asked = match self.intents.remove(event.id) {
            None => Asked::Inline,
            Some(intent) if is_of(event, &intent.request) => Asked::At(intent.seq),
            Some(intent) => {
                self.remove_intent_at(intent.seq)?;
                Asked::Inline
            }
        };
        self.append_asked(event, asked)
    }

    fn append_asked(&mut self, event: &NewEvent, asked: Asked) -> Result<Position> {
        let Some(position) = self.insert_event(event, asked)? else {
            if let Asked::At(seq) = asked {
                self.remove_intent_at(seq)?;
            }
            return self.known_position(event.id);
        };
        let routes = self.routes.get(&event.topic).map_or(&[][..], Vec::as_slice);
        for route in routes {
            let brought_by = Some(route.subscription);
            self.put_message(route.bin, brought_by, position, event.recorded_at, Duration::ZERO)?;
        }
        self.stamped.note(Trace::Appended);
        let queues = routes.iter().map(|route| route.queue);
        self.committed.appended(event.topic, position, queues);
        Ok(position)
    }

    /// Puts a message straight into a queue.
    pub(super) fn send_event(
        &mut self,
        event: &NewEvent,
        queue: QueueId,
        delay: Duration,
    ) -> Result<Option<Uuid>> {
        let Some(bin) = bin(&self.database, queue)? else { return Ok(None) };
        let Some(position) = self.insert_event(event, Asked::Inline)? else {
            return Err(damaged(format!("event {} is in the log already", event.id)));
        };
        self.put_message(bin, None, position, event.recorded_at, delay)?;
        let seq = self.database.last_insert_rowid();
        self.stamped.note(Trace::Appended);
        self.committed.sent_straight(queue, delay);
        Ok(Some(message_id(event.id, seq)))
    }

    /// Puts a message into a queue's bin.
    pub(super) fn put_message(
        &self,
        bin: Bin,
        subscription: Option<SubscriptionId>,
        position: Position,
        sent_at: Timestamp,
        delay: Duration,
    ) -> Result<()> {
        let sql =
            "INSERT INTO messages (queue, position, subscription, sent_at, visible_at, receive_count, stamp)
                   VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)";
        let visible_at = hidden_until(delay, self.now);
        let row = [bin.0, position.0, bringer(subscription), micros(sent_at), visible_at, ticks(self.now)];
        self.database.run("send a message", sql, row).map(drop)
    }

    /// Inserts an event and returns its position; `None` if its id is in the log already. The insert itself finds that out, so that the usual case
    /// is one statement. A refused insert uses no position.
    fn insert_event(&self, event: &NewEvent, asked: Asked) -> Result<Option<Position>> {
        let sql =
            "INSERT INTO events (id, topic, recorded_at, outcome, reason, overlapped, key, intent, request, answer, stamp)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
        let (outcome, reason, overlapped, text, answer) = columns(&event.content);
        let (intent, request) = match asked {
            Asked::At(seq) => (Some(seq), None),
            Asked::Inline => (None, Some(text)),
        };
        let row = params![
            event.id.as_bytes(),
            event.topic.0,
            micros(event.recorded_at),
            outcome,
            reason,
            overlapped,
            event.key,
            intent,
            request,
            answer,
            ticks(self.now),
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
        known.ok_or_else(|| {
            damaged(format!("event {id} is in the log by one index, and cannot be found by another"))
        })
    }

    pub(super) fn recover_dead(&mut self, now: Timestamp, limit: usize) -> Result<usize> {
        let mut recovered = 0;
        for incarnation in self.dead_incarnations()? {
            let left = limit - recovered;
            let intents = self.intents_of(incarnation, left)?;
            for (seq, intent) in &intents {
                self.publish_unknown(*seq, intent, now)?;
            }
            recovered += intents.len();
            if intents.len() == left {
                if let Some((last, _)) = intents.last() {
                    self.note_open_from(incarnation, last + 1)?;
                }
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
        let sql = format!(
            "SELECT i.seq, i.id, i.topic, i.key, i.publish_unknown, i.started_at, i.request
             FROM incarnations n CROSS JOIN intents i WHERE n.id = ?1 AND {LEFT_OPEN} ORDER BY i.seq LIMIT ?2"
        );
        self.database.list("read open intents", &sql, (incarnation.0, limit as i64), open_intent)
    }

    fn publish_unknown(&mut self, seq: i64, intent: &Intent, now: Timestamp) -> Result<()> {
        let sql = "SELECT 1 FROM deleted_topics WHERE id = ?1";
        if self.database.find("look for a deleted topic", sql, [intent.topic.0], |_| Ok(()))?.is_some() {
            self.committed.of_deleted_topics += 1;
            return self.remove_intent_at(seq);
        }
        if intent.publish_unknown {
            return self.append_asked(&intent.left_open(now), Asked::At(seq)).map(drop);
        }
        self.remove_intent_at(seq)
    }
}

/// The columns `outcome`, `reason`, `overlapped`, `request` and `answer` of an event; see version 8 of the schema.
fn columns(content: &Content) -> (&str, Option<&str>, bool, &str, Option<&str>) {
    match content {
        Content::Exchange(Exchange { outcome, overlapped, request, answer }) => {
            let reason = outcome.reason().map(UnknownReason::as_str);
            (outcome.as_str(), reason, *overlapped, request, answer.as_deref())
        }
        Content::Message(Message { text, details }) => (PUBLISHED, None, false, text, details.as_deref()),
    }
}

/// Whether an event is an exchange with the same request as its intent.
fn is_of(event: &NewEvent, request: &str) -> bool {
    event.exchange().is_some_and(|exchange| *exchange.request == *request)
}

/// Where the request of an event is stored.
#[derive(Clone, Copy)]
enum Asked {
    /// In the intent with this `seq`.
    At(i64),
    /// In the event's own row.
    Inline,
}

/// The first intents after a number, settled ones included: the number of each, and whether the intent is open (the condition of [`LEFT_OPEN`]).
pub(super) const OPEN_AFTER: &str = "SELECT i.seq, EXISTS (SELECT 1 FROM incarnations n WHERE n.id = i.incarnation AND i.seq >= n.open_from)
         AND NOT EXISTS (SELECT 1 FROM events e WHERE e.id = i.id)
     FROM intents i WHERE i.seq > ?1 AND i.seq >= (SELECT min(open_from) FROM incarnations) ORDER BY i.seq LIMIT ?2";

/// Open intents after a number. Requests are read only of open ones, because they may be large.
pub(super) fn open_after(
    database: &Connection,
    after: i64,
    rows: usize,
    max_bytes: usize,
) -> Result<ports::OpenIntents> {
    let range = [after, i64::try_from(rows).unwrap_or(i64::MAX)];
    let looked_at = database
        .list("look for open intents", OPEN_AFTER, range, |row| Ok((row.get(0)?, row.get::<_, bool>(1)?)))?;
    let sql = "SELECT i.seq, i.id, i.topic, i.key, i.publish_unknown, i.started_at, i.request
               FROM intents i WHERE i.seq = ?1";
    let (mut open, mut bytes, may_have_more) = (ports::OpenIntents::default(), 0, looked_at.len() >= rows);
    for (seq, is_open) in looked_at {
        if is_open
            && let Some((seq, intent)) = database.find("read an open intent", sql, [seq], open_intent)?
        {
            bytes += intent.request.len();
            if bytes > max_bytes && !open.intents.is_empty() {
                return Ok(open);
            }
            open.intents.push(ports::OpenIntent { seq, intent });
        }
        open.next = Some(seq);
    }
    open.next = open.next.filter(|_| may_have_more);
    Ok(open)
}

pub(super) const NOTED_AT: &str =
    "SELECT i.started_at FROM events e CROSS JOIN intents i ON i.seq = e.intent WHERE e.position = ?1";

pub(super) fn noted_at(database: &Connection, position: Position) -> Result<Option<Timestamp>> {
    database.find("read when an intent was noted", NOTED_AT, [position.0], |row| time(row, 0))
}

fn open_intent(row: &Row<'_>) -> rusqlite::Result<(i64, Intent)> {
    let intent = Intent {
        id: EventId::from_bytes(row.get(1)?),
        topic: TopicId(row.get(2)?),
        key: text(row, 3)?,
        publish_unknown: row.get(4)?,
        noted_at: time(row, 5)?,
        request: text(row, 6)?,
    };
    Ok((row.get(0)?, intent))
}
