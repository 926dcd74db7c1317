//! What owners' commands dropped: counted, marked, and deleted a slice at a time.
//!
//! A command does not touch the dropped rows: no read finds the rows of a subscription that no longer exists, nor the messages of a bin that no
//! queue has. A row of the table `dropped` says that there are some, and stays until [`delete_some`] has deleted the last one.

use event::{Position, TopicId};
use rusqlite::{Connection, Params};
use storage::Result;
use storage::dropped::{Dropped, MAX_COUNTED};
use storage::entities::SubscriptionId;

use super::gaps::HAS_GAP;
use super::queues::Bin;
use super::rows;
use super::statements::Statements;

/// A row of the table `dropped`: whose rows are dropped.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// The messages of a bin.
    Bin(i64),
    /// The deliveries of a subscription.
    Subscription(i64),
}

/// Which subscriptions a command concerns.
#[derive(Clone, Copy)]
pub(super) enum Of<'n> {
    One(SubscriptionId),
    Topic(TopicId),
    /// The subscriptions of a queue, by its name.
    Queue(&'n str),
}

impl Of<'_> {
    /// The condition on `subscriptions`, with its value as parameter 1.
    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::One(_) => "subscriptions.id = ?1",
            Self::Topic(_) => "subscriptions.topic = ?1",
            Self::Queue(_) => "subscriptions.endpoint = ?1 AND subscriptions.protocol = 'sqs'",
        }
    }

    fn with<T>(self, run: impl FnOnce(&dyn rusqlite::ToSql) -> T) -> T {
        match self {
            Self::One(SubscriptionId(id)) | Self::Topic(TopicId(id)) => run(&id),
            Self::Queue(name) => run(&name),
        }
    }
}

/// How much subscriptions are owed.
pub(super) fn owed(database: &Connection, of: Of<'_>) -> Result<Dropped> {
    let which = of.condition();
    let sql = format!(
        "SELECT count(*), count(*) FILTER (WHERE state = 'dead') FROM
         (SELECT d.state FROM subscriptions CROSS JOIN deliveries d
          WHERE {which} AND d.subscription = subscriptions.id LIMIT ?2)"
    );
    let rows = of.with(|of| {
        database.find("count what is owed", &sql, (of, MAX_COUNTED), |row| Ok((row.get(0)?, row.get(1)?)))
    })?;
    let (all, dead): (u64, u64) = rows.unwrap_or_default();
    let sql = format!("SELECT count(*) FROM subscriptions WHERE {which}");
    let subscriptions = of.with(|of| count(database, &sql, [of]))?;
    let unread = unread(database, of)?;
    Ok(Dropped { subscriptions, unread, waiting: all - dead, dead, messages: 0 })
}

/// How many events subscriptions have not read yet, or their queues have not been sent yet.
pub(super) fn unread(database: &Connection, of: Of<'_>) -> Result<u64> {
    let which = of.condition();
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM subscriptions CROSS JOIN events e INDEXED BY events_topic
         WHERE {which} AND (protocol <> 'sqs' OR {HAS_GAP}) AND e.topic = subscriptions.topic AND e.position > done_to
           AND (protocol <> 'sqs' OR removed_at IS NOT NULL OR e.position <= dispatched_to) LIMIT ?2)"
    );
    of.with(|of| count(database, &sql, (of, MAX_COUNTED)))
}

/// How many messages a bin has.
pub(super) fn messages(database: &Connection, bin: Bin) -> Result<u64> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM messages WHERE queue = ?1 LIMIT ?2)";
    count(database, sql, (bin.0, MAX_COUNTED))
}

fn count(database: &Connection, sql: &str, params: impl Params) -> Result<u64> {
    Ok(database.find("count what is owed", sql, params, |row| row.get(0))?.unwrap_or(0))
}

/// Deletes subscriptions. Their rows, and the messages that their queues missed, are dropped.
pub(super) fn end(database: &Connection, of: Of<'_>) -> Result<()> {
    let which = of.condition();
    close_gaps(database, of)?;
    let sql = format!(
        "INSERT INTO dropped (kind, id) SELECT 'subscription', id FROM subscriptions
         WHERE {which} AND EXISTS (SELECT 1 FROM deliveries d WHERE d.subscription = subscriptions.id)"
    );
    of.with(|of| database.run("drop what subscriptions are owed", &sql, [of]))?;
    let sql = format!("DELETE FROM subscriptions WHERE {which}");
    of.with(|of| database.run("end subscriptions", &sql, [of])).map(drop)
}

/// Forgets what queues missed of these subscriptions: it will not be sent.
pub(super) fn close_gaps(database: &Connection, of: Of<'_>) -> Result<()> {
    let which = of.condition();
    let sql = format!(
        "DELETE FROM small_values WHERE name IN (SELECT 'queue-gap-' || id FROM subscriptions WHERE {which})"
    );
    of.with(|of| database.run("close gaps", &sql, [of])).map(drop)
}

/// Marks the messages of a bin as dropped. No queue may have the bin any more.
pub(super) fn drop_bin(database: &Connection, bin: Bin) -> Result<()> {
    let sql = "INSERT INTO dropped (kind, id) SELECT 'bin', ?1 WHERE EXISTS (SELECT 1 FROM messages WHERE queue = ?1)";
    database.run("drop a queue's messages", sql, [bin.0]).map(drop)
}

/// The first mark, if there is one.
pub(super) fn first(database: &Connection) -> Result<Option<Mark>> {
    let sql = "SELECT kind, id FROM dropped LIMIT 1";
    database.find("find what was dropped", sql, [], |row| {
        let id = row.get(1)?;
        Ok(if row.get_ref(0)?.as_str()? == "bin" { Mark::Bin(id) } else { Mark::Subscription(id) })
    })
}

/// Deletes up to `limit` rows. Returns the position of each. If there were fewer, the mark is deleted, too.
pub(super) fn delete_some(database: &Connection, mark: Mark, limit: i64) -> Result<Vec<Position>> {
    let (kind, id, sql) = match mark {
        Mark::Bin(id) => (
            "bin",
            id,
            "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE queue = ?1 LIMIT ?2)
             RETURNING position",
        ),
        Mark::Subscription(id) => (
            "subscription",
            id,
            "DELETE FROM deliveries WHERE subscription = ?1 AND position IN
             (SELECT position FROM deliveries WHERE subscription = ?1 ORDER BY position LIMIT ?2)
             RETURNING position",
        ),
    };
    let gone = database.list("delete what was dropped", sql, [id, limit], |row| rows::position(row, 0))?;
    if (gone.len() as i64) < limit {
        let sql = "DELETE FROM dropped WHERE kind = ?1 AND id = ?2";
        database.run("forget what was dropped", sql, (kind, id))?;
    }
    Ok(gone)
}
