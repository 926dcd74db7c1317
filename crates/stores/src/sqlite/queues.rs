//! Messages of queues.
//!
//! The index on (queue, visible_at, seq) has those that can be received at 0, so the next one is found at once however many there are
//! and however many are hidden. A hidden message whose time is over is turned to 0 by the next receive and so stands in its old place.

use std::time::Duration;

use event::{Event, Position, Stamp, Timestamp};
use rusqlite::Connection;
use storage::entities::{QueueId, SubscriptionId};
use storage::queue::{
    MAX_DELAY, MAX_RECEIVED_BYTES, MAX_VISIBILITY, MessageHandle, QueueDepth, QueuedMessage, Received,
    VisibilityChange, message_id,
};
use storage::throttle::Throttle;
use storage::{Result, StoreError};

use super::rows::{self, EVENT, MESSAGE_STAMP, micros, ticks};
use super::statements::Statements;
use super::transaction::damaged;

/// Hidden messages that one receive makes visible again; more wait for the next receive.
const MAX_RETURNED: i64 = 10_000;

/// Where a queue's messages are: what the column `messages.queue` says. See version 7 of the schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Bin(pub(super) i64);

/// The bin of a queue; `None` if there is no such queue.
pub(super) fn bin(database: &Connection, queue: QueueId) -> Result<Option<Bin>> {
    let sql = "SELECT bin FROM queues WHERE id = ?1";
    database.find("find a queue", sql, [queue.0], |row| row.get(0).map(Bin))
}

/// A bin in which there is nothing.
pub(super) fn give_fresh_bin(database: &Connection, queue: QueueId) -> Result<Bin> {
    let sql = "UPDATE queues SET bin = -1 + min(0, (SELECT min(bin) FROM queues),
                 ifnull((SELECT min(id) FROM dropped WHERE kind = 'bin'), 0))
               WHERE id = ?1 RETURNING bin";
    let given = database.list("give a queue a bin", sql, [queue.0], |row| row.get(0).map(Bin))?;
    given.into_iter().next().ok_or_else(|| damaged(format!("queue {} is there and is not", queue.0)))
}

/// A message that can be received.
struct Candidate {
    seq: i64,
    subscription: Option<SubscriptionId>,
    sent_at: Timestamp,
    first_received_at: Option<Timestamp>,
    receive_count: u32,
    position: Position,
}

/// The messages, and how many were set aside.
pub(super) fn receive(
    database: &Connection,
    queue: QueueId,
    max: usize,
    visibility: Duration,
    (wall, now): (Timestamp, Stamp),
) -> Result<(Vec<Received>, u64)> {
    let Some(bin) = bin(database, queue)? else { return Ok((Vec::new(), 0)) };
    return_hidden(database, bin, now, MAX_RETURNED)?;
    let sql = "SELECT seq, subscription, sent_at, first_received_at, receive_count, position FROM messages
               WHERE queue = ?1 AND visible_at = 0 ORDER BY seq LIMIT ?2";
    let candidates = database.list("receive messages", sql, [bin.0, max as i64], |row| {
        Ok(Candidate {
            seq: row.get(0)?,
            subscription: rows::brought_by(row, 1)?,
            sent_at: rows::time(row, 2)?,
            first_received_at: rows::optional_time(row, 3)?,
            receive_count: row.get(4)?,
            position: rows::position(row, 5)?,
        })
    })?;
    let (mut received, mut bytes, mut aside) = (Vec::new(), 0, 0);
    for candidate in candidates {
        let event = match event_of(database, &candidate) {
            Err(StoreError::Damaged(why)) => {
                set_aside(database, candidate.seq, &why, now)?;
                aside += 1;
                continue;
            }
            event => event?,
        };
        bytes += event.body.bytes();
        if bytes > MAX_RECEIVED_BYTES && !received.is_empty() {
            break;
        }
        received.push(hand_out(database, candidate, event, visibility, (wall, now))?);
    }
    Ok((received, aside))
}

/// One message that is damaged must not keep its queue from all others. It is hidden for as long as can be, and tried again then.
fn set_aside(database: &Connection, seq: i64, why: &str, now: Stamp) -> Result<()> {
    static DAMAGED: Throttle = Throttle::new();
    if let Some(times) = DAMAGED.happened() {
        tracing::error!(
            message = seq,
            why,
            times,
            "a message is damaged and is not handed out; the others of its queue are"
        );
    }
    let sql = "UPDATE messages SET visible_at = ?2 WHERE seq = ?1";
    database.run("set a message aside", sql, [seq, hidden_until(MAX_VISIBILITY, now)]).map(drop)
}

/// Shows what was hidden for long enough, or for longer than anything can be: at most `limit` messages of each. How many there were.
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

/// Deletes up to `limit` messages of a bin that are at least as old as `until` and that no worker has in hand. Their positions, and
/// whether there may be more.
pub(super) fn expire(
    database: &Connection,
    bin: Bin,
    now: Stamp,
    until: Stamp,
    limit: i64,
) -> Result<(Vec<Position>, bool)> {
    let returned = return_hidden(database, bin, now, limit)?;
    let sql = format!(
        "DELETE FROM messages WHERE seq IN
         (SELECT m.seq FROM (SELECT seq, stamp, sent_at FROM messages
                             WHERE queue = ?1 AND visible_at = 0 ORDER BY seq LIMIT ?3) m
          WHERE {MESSAGE_STAMP} <= ?2)
         RETURNING position"
    );
    let range = [bin.0, ticks(until), limit];
    let gone = database.list("delete messages past their time", &sql, range, |row| rows::position(row, 0))?;
    let more = returned as i64 >= limit || gone.len() as i64 >= limit;
    Ok((gone, more))
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
    visibility: Duration,
    (wall, now): (Timestamp, Stamp),
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
    })
}

/// As the column holds it: 0 is visible at once.
pub(super) fn hidden_until(visibility: Duration, now: Stamp) -> i64 {
    if visibility.is_zero() { 0 } else { ticks(now.plus(visibility)) }
}

pub(super) fn event_at(database: &Connection, position: Position) -> Result<Option<Event>> {
    let sql = format!("SELECT {EVENT} FROM events e WHERE e.position = ?1");
    database.find("read an event", &sql, [position.0], rows::event)
}

/// The position of its event; `None` if it was gone.
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
    // The rows are read only of messages that may be delayed; one that was set aside is hidden for longer.
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
