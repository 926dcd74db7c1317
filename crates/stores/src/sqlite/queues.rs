//! Messages of queues.
//!
//! A message that can be received has `visible_at` 0. So the index on (queue, visible_at, seq) finds the next one at once, however many messages
//! there are and however many are hidden. When the time of a hidden message is over, the next receive or housekeeping sets it to 0, and it is again
//! where it was in the order.

use std::time::Duration;

use event::{Event, Position, Stamp, Timestamp};
use rusqlite::{Connection, Row};
use storage::backend::Committed;
use storage::entities::{QueueId, SubscriptionId};
use storage::queue::{
    MAX_DELAY, MAX_RECEIVED_BYTES, MAX_VISIBILITY, MessageHandle, QueueDepth, QueuedMessage, Received,
    VisibilityChange, message_id,
};
use storage::redrive::{GivenUp, MetByReceive, Policy, Redrive, Verdict};
use storage::throttle::Throttle;
use storage::{Result, StoreError};

use super::rows::{self, EVENT, MESSAGE_STAMP, micros, ticks};
use super::statements::Statements;
use super::transaction::damaged;

/// The most hidden messages that one receive makes visible again. The others wait for the next receive.
const MAX_RETURNED: i64 = 10_000;

/// Identifies the messages of a queue: the value of the column `messages.queue`. A purge gives the queue another bin. See version 7 of the schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bin(pub(super) i64);

/// The bin of a queue; `None` if there is no such queue.
pub(super) fn bin(database: &Connection, queue: QueueId) -> Result<Option<Bin>> {
    let sql = "SELECT bin FROM queues WHERE id = ?1";
    database.find("find a queue", sql, [queue.0], |row| row.get(0).map(Bin))
}

/// A dead-letter queue.
#[derive(Clone, Copy)]
pub(super) struct DeadLetterQueue {
    id: QueueId,
    bin: Bin,
}

impl From<DeadLetterQueue> for QueueId {
    fn from(queue: DeadLetterQueue) -> Self {
        queue.id
    }
}

/// When a queue gives messages up, from five columns: its name, `dead_letters` and `max_receives`, and the dead-letter queue's id and bin. `None`
/// if it never does.
pub(super) fn policy(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Policy<DeadLetterQueue>>> {
    let Some(to) = row.get(first + 1)? else { return Ok(None) };
    let redrive = Redrive { to, max_receives: row.get(first + 2)? };
    let target = match row.get::<_, Option<i64>>(first + 3)? {
        Some(id) => Some(DeadLetterQueue { id: QueueId(id), bin: Bin(row.get(first + 4)?) }),
        None => None,
    };
    Ok(Some(Policy { from: row.get(first)?, redrive, target }))
}

/// A queue that is received from.
struct Source {
    id: QueueId,
    bin: Bin,
    policy: Option<Policy<DeadLetterQueue>>,
}

fn source(database: &Connection, queue: QueueId) -> Result<Option<Source>> {
    let sql = "SELECT q.bin, q.name, q.dead_letters, q.max_receives, d.id, d.bin
               FROM queues q LEFT JOIN queues d ON d.name = q.dead_letters WHERE q.id = ?1";
    database.find("find a queue", sql, [queue.0], |row| {
        Ok(Source { id: queue, bin: Bin(row.get(0)?), policy: policy(row, 1)? })
    })
}

/// Gives a queue an empty bin, which no queue and no mark of `dropped` has.
pub(super) fn give_fresh_bin(database: &Connection, queue: QueueId) -> Result<Bin> {
    let sql = "UPDATE queues SET bin = -1 + min(0, (SELECT min(bin) FROM queues),
                 ifnull((SELECT min(id) FROM dropped WHERE kind = 'bin'), 0))
               WHERE id = ?1 RETURNING bin";
    let given = database.list("give a queue a bin", sql, [queue.0], |row| row.get(0).map(Bin))?;
    given
        .into_iter()
        .next()
        .ok_or_else(|| damaged(format!("queue {} was found a moment ago, and cannot be found", queue.0)))
}

/// A message that can be received.
struct Candidate {
    seq: i64,
    subscription: Option<SubscriptionId>,
    sent_at: Timestamp,
    first_received_at: Option<Timestamp>,
    receive_count: u32,
    position: Position,
    given_up: Option<GivenUp>,
}

impl Candidate {
    /// How often the queue in which it is now has handed it out.
    fn receives(&self) -> u32 {
        self.receive_count - self.given_up.map_or(0, |given_up| given_up.after)
    }
}

/// The parameters of a receive.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    pub(super) max: usize,
    pub(super) visibility: Duration,
    pub(super) wall: Timestamp,
    pub(super) now: Stamp,
}

pub(super) fn receive(
    database: &Connection,
    queue: QueueId,
    ask: Ask,
    committed: &mut Committed,
) -> Result<Vec<Received>> {
    let Some(source) = source(database, queue)? else { return Ok(Vec::new()) };
    return_hidden(database, source.bin, ask.now, MAX_RETURNED)?;
    let mut taking = Taking {
        database,
        source: &source,
        ask,
        received: Vec::new(),
        bytes: 0,
        met: MetByReceive::default(),
    };
    taking.take()?;
    let Taking { received, met, .. } = taking;
    committed.met(queue, met, source.policy.as_ref());
    Ok(received)
}

/// A receive under way.
struct Taking<'d> {
    database: &'d Connection,
    source: &'d Source,
    ask: Ask,
    received: Vec<Received>,
    /// The size of the events of `received`, in bytes.
    bytes: usize,
    met: MetByReceive,
}

/// Whether a receive goes on.
enum Next {
    More,
    Enough,
}

impl Taking<'_> {
    /// Takes messages until there are enough. Messages that are given up do not count, so more candidates are read for them.
    fn take(&mut self) -> Result<()> {
        let mut after = i64::MIN;
        loop {
            let left = self.ask.max - self.received.len() - self.met.set_aside as usize;
            let candidates = candidates(self.database, self.source.bin, after, left)?;
            let (is_last, given_up) = (candidates.len() < left, self.met.given_up);
            for candidate in candidates {
                after = candidate.seq;
                if let Next::Enough = self.meet(candidate)? {
                    return Ok(());
                }
            }
            if is_last || self.met.given_up == given_up {
                return Ok(());
            }
        }
    }

    fn meet(&mut self, candidate: Candidate) -> Result<Next> {
        let policy = self.source.policy.as_ref();
        let verdict = policy.map_or(Verdict::HandOut, |policy| policy.judge(candidate.receives()));
        if let Verdict::GiveUp(to) = verdict {
            if !self.met.may_give_up() {
                return Ok(Next::Enough);
            }
            give_up(self.database, &candidate, self.source.id, to)?;
            self.met.given_up += 1;
            return Ok(Next::More);
        }
        let event = match event_of(self.database, &candidate) {
            Err(StoreError::Damaged(why)) => {
                set_aside(self.database, candidate.seq, &why, self.ask.now)?;
                self.met.set_aside += 1;
                return Ok(Next::More);
            }
            event => event?,
        };
        self.bytes += event.body.bytes();
        if self.bytes > MAX_RECEIVED_BYTES && !self.received.is_empty() {
            return Ok(Next::Enough);
        }
        self.met.kept += u64::from(matches!(verdict, Verdict::Keep));
        self.received.push(hand_out(self.database, candidate, event, self.ask)?);
        Ok(Next::More)
    }
}

/// Moves a message to the dead-letter queue, where it is visible at once. Its age stays.
fn give_up(database: &Connection, candidate: &Candidate, by: QueueId, to: DeadLetterQueue) -> Result<()> {
    let sql = "UPDATE messages SET queue = ?2, visible_at = 0, given_up_by = ?3, given_up_after = receive_count WHERE seq = ?1";
    database.run("give a message up", sql, [candidate.seq, to.bin.0, by.0]).map(drop)
}

/// The first messages after the number `after` that can be received.
fn candidates(database: &Connection, bin: Bin, after: i64, limit: usize) -> Result<Vec<Candidate>> {
    let sql = "SELECT seq, subscription, sent_at, first_received_at, receive_count, position, given_up_by, given_up_after
               FROM messages WHERE queue = ?1 AND visible_at = 0 AND seq > ?2 ORDER BY seq LIMIT ?3";
    database.list("receive messages", sql, [bin.0, after, limit as i64], |row| {
        Ok(Candidate {
            seq: row.get(0)?,
            subscription: rows::brought_by(row, 1)?,
            sent_at: rows::time(row, 2)?,
            first_received_at: rows::optional_time(row, 3)?,
            receive_count: row.get(4)?,
            position: rows::position(row, 5)?,
            given_up: match row.get::<_, Option<i64>>(6)? {
                Some(by) => Some(GivenUp { by: QueueId(by), after: row.get(7)? }),
                None => None,
            },
        })
    })
}

/// Hides a damaged message for as long as possible, so that it does not block its queue. Then it is tried again.
fn set_aside(database: &Connection, seq: i64, why: &str, now: Stamp) -> Result<()> {
    static DAMAGED: Throttle = Throttle::new();
    if let Some(times) = DAMAGED.happened() {
        let sql = "SELECT name FROM queues WHERE bin = (SELECT queue FROM messages WHERE seq = ?1)";
        let queue: Option<String> = database.find("name a message's queue", sql, [seq], |row| row.get(0))?;
        tracing::error!(
            queue = queue.unwrap_or_default(),
            message = seq,
            why,
            times,
            "a message is damaged and is not handed out; the others of its queue are"
        );
    }
    let sql = "UPDATE messages SET visible_at = ?2 WHERE seq = ?1";
    database.run("set a message aside", sql, [seq, hidden_until(MAX_VISIBILITY, now)]).map(drop)
}

/// Makes messages visible whose time is over, and those that are hidden for longer than any receive can hide one; at most `limit` of each. Returns
/// how many these were.
fn return_hidden(database: &Connection, bin: Bin, now: Stamp, limit: i64) -> Result<usize> {
    let sql = "UPDATE messages SET visible_at = 0 WHERE seq IN
               (SELECT seq FROM messages WHERE queue = ?1 AND visible_at > 0 AND visible_at <= ?2
                ORDER BY visible_at LIMIT ?3)";
    let over = database.run("show messages again", sql, [bin.0, ticks(now), limit])?;
    let sql = "UPDATE messages SET visible_at = 0 WHERE seq IN
               (SELECT seq FROM messages WHERE queue = ?1 AND visible_at > ?2 ORDER BY visible_at LIMIT ?3)";
    let beyond = [bin.0, ticks(now.plus(MAX_VISIBILITY)), limit];
    Ok(over + database.run("show messages that are hidden beyond the limit", sql, beyond)?)
}

/// The parameters of [`expire`].
pub(super) struct Expiring<'p> {
    pub(super) queue: QueueId,
    pub(super) bin: Bin,
    pub(super) now: Stamp,
    /// Messages with this stamp or an earlier one have expired.
    pub(super) until: Stamp,
    pub(super) limit: i64,
    /// The redrive policy, the dead-letter queue, and the stamp after which that queue keeps messages.
    pub(super) keeper: Option<(&'p Policy<DeadLetterQueue>, DeadLetterQueue, Stamp)>,
}

/// The result of [`expire`].
pub(super) struct Expired {
    /// The positions of the events of deleted messages.
    pub(super) gone: Vec<Position>,
    /// How many messages the dead-letter queue got.
    pub(super) given_up: usize,
    /// Whether more messages may have expired.
    pub(super) more: bool,
}

/// Moves expired messages to the dead-letter queue if it keeps them for longer, and deletes the others. Leaves hidden ones, because a worker may be
/// busy with them.
pub(super) fn expire(database: &Connection, expiring: &Expiring<'_>) -> Result<Expired> {
    let Expiring { queue, bin, now, until, limit, keeper } = expiring;
    let returned = return_hidden(database, *bin, *now, *limit)?;
    let given_up = match keeper {
        Some((_, to, since)) => {
            let sql = format!(
                "UPDATE messages SET queue = ?4, visible_at = 0, given_up_by = ?5, given_up_after = receive_count WHERE seq IN
                 (SELECT m.seq FROM (SELECT seq, stamp, sent_at FROM messages
                                     WHERE queue = ?1 AND visible_at = 0 ORDER BY seq LIMIT ?3) m
                  WHERE {MESSAGE_STAMP} <= ?2 AND {MESSAGE_STAMP} > ?6)"
            );
            let range = [bin.0, ticks(*until), *limit, to.bin.0, queue.0, ticks(*since)];
            database.run("give up messages past their time", &sql, range)?
        }
        None => 0,
    };
    let sql = format!(
        "DELETE FROM messages WHERE seq IN
         (SELECT m.seq FROM (SELECT seq, stamp, sent_at FROM messages
                             WHERE queue = ?1 AND visible_at = 0 ORDER BY seq LIMIT ?3) m
          WHERE {MESSAGE_STAMP} <= ?2)
         RETURNING position"
    );
    let left = limit - given_up as i64;
    let range = [bin.0, ticks(*until), left];
    let gone = database.list("delete messages past their time", &sql, range, |row| rows::position(row, 0))?;
    let more = returned as i64 >= *limit || gone.len() as i64 >= left;
    Ok(Expired { gone, given_up, more })
}

fn event_of(database: &Connection, candidate: &Candidate) -> Result<Event> {
    let Candidate { seq, position, .. } = candidate;
    event_at(database, *position)?
        .ok_or_else(|| damaged(format!("message {seq} points at no event ({position})")))
}

fn hand_out(
    database: &Connection,
    candidate: Candidate,
    event: Event,
    Ask { visibility, wall, now, .. }: Ask,
) -> Result<Received> {
    let seq = candidate.seq;
    let first_received_at = candidate.first_received_at.unwrap_or(wall);
    let receive_count = candidate.receive_count + 1;
    let sql =
        "UPDATE messages SET visible_at = ?2, first_received_at = ?3, received_at = ?4, receive_count = ?5
               WHERE seq = ?1";
    let row =
        [seq, hidden_until(visibility, now), micros(first_received_at), ticks(now), i64::from(receive_count)];
    database.run("hide a message", sql, row)?;
    Ok(Received {
        handle: MessageHandle { seq, receive_count },
        message_id: message_id(event.body.id, seq),
        event,
        subscription: candidate.subscription,
        sent_at: candidate.sent_at,
        first_received_at,
        receive_count,
        given_up_by: candidate.given_up.map(|given_up| given_up.by),
    })
}

/// The value of `visible_at` for a message that is hidden for this long; 0 if it is visible at once.
pub(super) fn hidden_until(visibility: Duration, now: Stamp) -> i64 {
    if visibility.is_zero() { 0 } else { ticks(now.plus(visibility)) }
}

pub(super) fn event_at(database: &Connection, position: Position) -> Result<Option<Event>> {
    let sql = format!("SELECT {EVENT} FROM events e WHERE e.position = ?1");
    database.find("read an event", &sql, [position.0], rows::event)
}

/// Deletes a message. Returns the position of its event; `None` if the queue does not have it.
pub(super) fn delete(
    database: &Connection,
    queue: QueueId,
    handle: MessageHandle,
) -> Result<Option<Position>> {
    let sql = "DELETE FROM messages WHERE seq = ?1 AND queue = (SELECT bin FROM queues WHERE id = ?2)
               RETURNING position";
    let deleted =
        database.list("delete a message", sql, [handle.seq, queue.0], |row| rows::position(row, 0))?;
    Ok(deleted.into_iter().next())
}

pub(super) fn change_visibility(
    database: &Connection,
    queue: QueueId,
    handle: MessageHandle,
    visibility: Duration,
    now: Stamp,
) -> Result<VisibilityChange> {
    let sql =
        "SELECT received_at FROM messages WHERE seq = ?1 AND queue = (SELECT bin FROM queues WHERE id = ?2)";
    let found =
        database.find("find a message", sql, [handle.seq, queue.0], |row| rows::optional_stamp(row, 0))?;
    let Some(received_at) = found else { return Ok(VisibilityChange::Gone) };
    if now.plus(visibility) > received_at.unwrap_or(now).plus(MAX_VISIBILITY) {
        return Ok(VisibilityChange::BeyondLimit);
    }
    let sql = "UPDATE messages SET visible_at = ?2 WHERE seq = ?1";
    database.run("hide a message", sql, [handle.seq, hidden_until(visibility, now)])?;
    Ok(VisibilityChange::Changed)
}

pub(super) fn messages_at(database: &Connection, position: Position) -> Result<Vec<QueuedMessage>> {
    let sql =
        "SELECT q.id, m.subscription, m.receive_count FROM messages m CROSS JOIN queues q ON q.bin = m.queue
               WHERE m.position = ?1 ORDER BY m.subscription";
    database.list("read an event's messages", sql, [position.0], |row| {
        Ok(QueuedMessage {
            queue: QueueId(row.get(0)?),
            subscription: rows::brought_by(row, 1)?,
            receive_count: row.get(2)?,
        })
    })
}

pub(super) fn depth(database: &Connection, queue: QueueId, now: Stamp) -> Result<QueueDepth> {
    let Some(bin) = bin(database, queue)? else { return Ok(QueueDepth::default()) };
    // Only rows of messages that may be delayed are read; everything else is counted in the index. One that was set aside is hidden for longer.
    let sql = "SELECT count(*), count(*) FILTER (WHERE visible_at <= ?2 OR visible_at > ?3), min(seq),
               (SELECT count(*) FROM messages WHERE queue = ?1 AND visible_at > ?2 AND visible_at <= ?2 + ?4
                AND receive_count = 0 AND visible_at <= stamp + ?4)
               FROM messages WHERE queue = ?1";
    let range = [bin.0, ticks(now), ticks(now.plus(MAX_VISIBILITY)), MAX_DELAY.as_micros() as i64];
    let counted = database.find("count messages", sql, range, |row| {
        let first = row.get::<_, Option<i64>>(2)?;
        Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?, first, row.get::<_, u64>(3)?))
    })?;
    let Some((all, visible, Some(first), delayed)) = counted else { return Ok(QueueDepth::default()) };
    let sql = format!("SELECT {MESSAGE_STAMP} FROM messages m WHERE m.seq = ?1");
    let oldest = database.find("read the oldest message", &sql, [first], |row| rows::stamp(row, 0))?;
    Ok(QueueDepth { visible, in_flight: all - visible - delayed, delayed, oldest })
}
