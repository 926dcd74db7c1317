//! What queues missed while the configuration did not name their subscriptions.
//!
//! A queue's subscription does not read by its cursor: each event is sent to the queue in the event's own commit. When the subscription is removed,
//! a small value `queue-gap-ID` says that it has a gap: the events after `done_to` were not sent. When it is wanted again, `dispatched_to` says
//! where the gap ends, because from then on events are sent as usual. [`Transaction::copy_missed`] sends the events of the gap, a slice at a time,
//! and moves `done_to` in the same commit, so that a crash neither loses a message nor sends one twice. Until the gap is closed, `done_to` keeps
//! its events as the cursor of a webhook does.

use std::time::Duration;

use event::{Position, Timestamp, TopicId};
use rusqlite::Connection;
use storage::Result;
use storage::clock::Trace;
use storage::entities::{QueueId, SubscriptionId};

use super::queues::Bin;
use super::rows;
use super::statements::Statements;
use super::transaction::Transaction;

/// A condition in SQL: whether the row of `subscriptions` has a gap.
pub(super) const HAS_GAP: &str =
    "EXISTS (SELECT 1 FROM small_values v WHERE v.name = 'queue-gap-' || subscriptions.id)";

struct Gap {
    subscription: SubscriptionId,
    topic: TopicId,
    queue: QueueId,
    bin: Bin,
    after: Position,
    until: Position,
}

fn name(id: SubscriptionId) -> String {
    format!("queue-gap-{}", id.0)
}

/// Begins the gap of a subscription whose queue was sent everything up to `head`. One that still has a gap keeps it as it is.
pub(super) fn begin(database: &Connection, id: SubscriptionId, head: Position) -> Result<()> {
    let sql = "INSERT INTO small_values (name, value) VALUES (?1, x'') ON CONFLICT DO NOTHING";
    if database.run("note a gap", sql, [name(id)])? > 0 {
        let sql = "UPDATE subscriptions SET dispatched_to = ?2, done_to = ?2 WHERE id = ?1";
        database.run("begin a gap", sql, [id.0, head.0])?;
    }
    Ok(())
}

/// Ends the gap of a subscription at `head`: its queue is sent everything after it. There is no gap if a version that kept none removed it.
pub(super) fn end(database: &Connection, id: SubscriptionId, head: Position) -> Result<()> {
    let sql = format!("UPDATE subscriptions SET dispatched_to = ?2 WHERE id = ?1 AND {HAS_GAP}");
    database.run("end a gap", &sql, [id.0, head.0]).map(drop)
}

/// Closes a gap, because all of it was sent, or because the queue is not owed it any more.
pub(super) fn close(database: &Connection, id: SubscriptionId) -> Result<()> {
    database.run("close a gap", "DELETE FROM small_values WHERE name = ?1", [name(id)]).map(drop)
}

fn ended(database: &Connection) -> Result<Vec<Gap>> {
    let sql = format!(
        "SELECT subscriptions.id, topic, q.id, done_to, dispatched_to, q.bin
         FROM subscriptions JOIN queues q ON q.name = endpoint WHERE protocol = 'sqs' AND removed_at IS NULL AND state <> 'disabled' AND {HAS_GAP} ORDER BY subscriptions.id"
    );
    database.list("read the gaps", &sql, [], |row| {
        Ok(Gap {
            subscription: SubscriptionId(row.get(0)?),
            topic: TopicId(row.get(1)?),
            queue: QueueId(row.get(2)?),
            after: rows::position(row, 3)?,
            until: rows::position(row, 4)?,
            bin: Bin(row.get(5)?),
        })
    })
}

impl Transaction {
    pub(super) fn copy_missed(&mut self, limit: usize) -> Result<usize> {
        let mut copied = 0;
        for gap in ended(&self.database)? {
            let left = limit - copied;
            if left == 0 {
                break;
            }
            let missed = missed(&self.database, &gap, left)?;
            for (position, recorded_at) in &missed {
                self.put_message(gap.bin, Some(gap.subscription), *position, *recorded_at, Duration::ZERO)?;
            }
            copied += missed.len();
            if !missed.is_empty() {
                self.stamped.note(Trace::Appended);
                self.committed.sent(gap.queue);
            }
            match missed.last() {
                Some((last, _)) if missed.len() == left => {
                    let sql = "UPDATE subscriptions SET done_to = ?2 WHERE id = ?1";
                    self.database.run("move a gap", sql, [gap.subscription.0, last.0])?;
                }
                _ => close(&self.database, gap.subscription)?,
            }
        }
        // Housekeeping may delete what the gaps kept.
        self.sweep.entities_changed();
        Ok(copied)
    }
}

fn missed(database: &Connection, gap: &Gap, limit: usize) -> Result<Vec<(Position, Timestamp)>> {
    let sql = "SELECT position, recorded_at FROM events WHERE topic = ?1 AND position > ?2 AND position <= ?3
               ORDER BY position LIMIT ?4";
    let range = [gap.topic.0, gap.after.0, gap.until.0, limit as i64];
    database.list("read what a queue missed", sql, range, |row| {
        Ok((rows::position(row, 0)?, rows::time(row, 1)?))
    })
}
