//! Rows of deliveries, and attempts. Both are written only for events that are in the log, so that none ever refers to an event that is not there.

use event::{Position, Stamp, TopicId};
use rusqlite::{Connection, params};
use storage::Result;
use storage::delivery::{Attempt, Delivery, DeliveryId, DeliveryState, RowState};
use storage::entities::SubscriptionId;
use storage::ports::{BlockedKey, Lag, Rows, Waiting};

use super::entities;
use super::rows::{self, ATTEMPT, DELIVERY, EVENT_STAMP, micros, ticks};
use super::statements::Statements;

pub(super) fn put(database: &Connection, delivery: &Delivery) -> Result<()> {
    let (at, reason, died_at) = match &delivery.state {
        DeliveryState::Retry { at } => (Some(ticks(*at)), None, None),
        DeliveryState::Behind => (None, None, None),
        DeliveryState::Dead { reason, at, died_at } => {
            (Some(ticks(*at)), Some(reason), Some(micros(*died_at)))
        }
    };
    let state = word(delivery.state.word());
    let sql = "INSERT OR REPLACE INTO deliveries
               (subscription, position, key, state, at, reason, attempts, since, died_at, anew_after)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
               WHERE EXISTS (SELECT 1 FROM events WHERE position = ?2)
                 AND EXISTS (SELECT 1 FROM subscriptions WHERE id = ?1)";
    let row = params![
        delivery.id.subscription.0,
        delivery.id.position.0,
        delivery.key,
        state,
        at,
        reason,
        delivery.attempts,
        ticks(delivery.since),
        died_at,
        (delivery.anew_after > 0).then_some(delivery.anew_after),
    ];
    database.run("write a delivery", sql, row).map(drop)
}

/// The word of a state in the column `state`.
pub(super) fn word(state: RowState) -> &'static str {
    match state {
        RowState::Retry => "retry",
        RowState::Behind => "behind",
        RowState::Dead => "dead",
    }
}

/// Removes a row. Returns `false` if there was none.
pub(super) fn remove(database: &Connection, id: DeliveryId) -> Result<bool> {
    let sql = "DELETE FROM deliveries WHERE subscription = ?1 AND position = ?2";
    Ok(database.run("remove a delivery", sql, [id.subscription.0, id.position.0])? > 0)
}

pub(super) fn record_attempt(database: &Connection, attempt: &Attempt) -> Result<()> {
    let sql = "INSERT INTO attempts
               (position, subscription, number, event, at, took_micros, status, error, answer, next_at)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
               WHERE EXISTS (SELECT 1 FROM events WHERE position = ?1)
               ON CONFLICT (position, subscription, number) DO UPDATE SET
               event = ?4, at = ?5, took_micros = ?6, status = ?7, error = ?8, answer = ?9, next_at = ?10";
    let row = params![
        attempt.delivery.position.0,
        attempt.delivery.subscription.0,
        attempt.number,
        attempt.event.as_bytes(),
        micros(attempt.at),
        i64::try_from(attempt.took_micros).unwrap_or(i64::MAX),
        attempt.status,
        attempt.error,
        attempt.answer,
        attempt.next_at.map(micros),
    ];
    database.run("record an attempt", sql, row).map(drop)
}

pub(super) fn due(
    database: &Connection,
    subscription: SubscriptionId,
    now: Stamp,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let sql = format!(
        "SELECT {DELIVERY} FROM deliveries WHERE subscription = ?1 AND state = 'retry' AND at <= ?2
         ORDER BY at, position LIMIT ?3"
    );
    let range = [subscription.0, ticks(now), limit as i64];
    database.list("read due deliveries", &sql, range, rows::delivery)
}

pub(super) fn next_due(database: &Connection, subscription: SubscriptionId) -> Result<Option<Stamp>> {
    let sql = "SELECT min(at) FROM deliveries WHERE subscription = ?1 AND state = 'retry'";
    let next =
        database.find("read what is due next", sql, [subscription.0], |row| rows::optional_stamp(row, 0))?;
    Ok(next.flatten())
}

pub(super) fn waiting(
    database: &Connection,
    subscription: SubscriptionId,
    after: Position,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let sql = format!(
        "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_waiting
         WHERE subscription = ?1 AND position > ?2 AND state <> 'dead' ORDER BY position LIMIT ?3"
    );
    let range = [subscription.0, after.0, limit as i64];
    database.list("read waiting deliveries", &sql, range, rows::delivery)
}

pub(super) fn of_key(
    database: &Connection,
    subscription: SubscriptionId,
    key: &str,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let sql = format!(
        "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_key
         WHERE subscription = ?1 AND key = ?2 AND state <> 'dead' ORDER BY position LIMIT ?3"
    );
    let range = params![subscription.0, key, limit as i64];
    database.list("read a key's deliveries", &sql, range, rows::delivery)
}

/// Reads only indexes, as far as SQLite allows it, so that a damaged row is found, too.
pub(super) fn positions(
    database: &Connection,
    subscription: SubscriptionId,
    which: Waiting<'_>,
    limit: usize,
) -> Result<Vec<Position>> {
    let (id, limit) = (subscription.0, limit as i64);
    let list = |rest: &str, params: &[&dyn rusqlite::ToSql]| {
        let sql = format!("SELECT position FROM deliveries {rest} LIMIT ?3");
        database.list("find the deliveries that wait", &sql, params, |row| rows::position(row, 0))
    };
    match which {
        Waiting::Due(now) => list(
            "INDEXED BY deliveries_due WHERE subscription = ?1 AND state = 'retry' AND at <= ?2 ORDER BY at, position",
            params![id, ticks(now), limit],
        ),
        Waiting::After(after) => list(
            "INDEXED BY deliveries_waiting WHERE subscription = ?1 AND position > ?2 AND state <> 'dead' ORDER BY position",
            params![id, after.0, limit],
        ),
        Waiting::OfKey(key) => list(
            "INDEXED BY deliveries_key WHERE subscription = ?1 AND key = ?2 AND state <> 'dead' ORDER BY position",
            params![id, key, limit],
        ),
    }
}

/// The query reads subscriptions first, so that it does not touch rows of deleted subscriptions, of which there may be many.
pub(super) fn after(
    database: &Connection,
    of: Option<SubscriptionId>,
    after: Option<DeliveryId>,
    which: Rows,
    limit: usize,
) -> Result<Vec<Delivery>> {
    let (first, last) = of.map_or((i64::MIN, i64::MAX), |of| (of.0, of.0));
    let (subscription, position) =
        after.map_or((i64::MIN, i64::MIN), |after| (after.subscription.0, after.position.0));
    let range = [first, last, subscription, position, limit as i64];
    database.list("read deliveries", &after_sql(which), range, rows::delivery)
}

fn after_sql(which: Rows) -> String {
    let (index, waits) = match which {
        Rows::All => ("", ""),
        Rows::Waiting => ("INDEXED BY deliveries_waiting", "AND deliveries.state <> 'dead'"),
    };
    format!(
        "SELECT {DELIVERY} FROM subscriptions s CROSS JOIN deliveries {index}
         WHERE s.id BETWEEN max(?1, ?3) AND ?2 AND deliveries.subscription = s.id {waits}
           AND deliveries.position > CASE s.id WHEN ?3 THEN ?4 ELSE -1 END
         ORDER BY s.id, deliveries.position LIMIT ?5"
    )
}

pub(super) fn last_attempt(database: &Connection, id: DeliveryId) -> Result<Option<Attempt>> {
    let name = [id.position.0, id.subscription.0];
    database.find("read a delivery's last attempt", &last_attempt_sql(), name, rows::attempt)
}

fn last_attempt_sql() -> String {
    format!(
        "SELECT {ATTEMPT} FROM attempts WHERE position = ?1 AND subscription = ?2 ORDER BY number DESC LIMIT 1"
    )
}

pub(super) fn at(database: &Connection, position: Position) -> Result<Vec<Delivery>> {
    let sql = format!(
        "SELECT {DELIVERY} FROM deliveries WHERE position = ?1
         AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = deliveries.subscription) ORDER BY subscription"
    );
    database.list("read an event's deliveries", &sql, [position.0], rows::delivery)
}

pub(super) fn find(database: &Connection, id: DeliveryId) -> Result<Option<Delivery>> {
    let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE subscription = ?1 AND position = ?2");
    database.find("read a delivery", &sql, [id.subscription.0, id.position.0], rows::delivery)
}

pub(super) fn attempts_at(database: &Connection, position: Position) -> Result<Vec<Attempt>> {
    let sql = format!("SELECT {ATTEMPT} FROM attempts WHERE position = ?1 ORDER BY subscription, number");
    database.list("read an event's attempts", &sql, [position.0], rows::attempt)
}

/// Three queries: the first waiting row of the keys from one on; the same of the keys after one; and how many rows of a key wait.
pub(super) fn blocked_keys_sql() -> [String; 3] {
    let first = |key: &str| {
        format!(
            "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_key
             WHERE subscription = ?1 AND {key} AND state <> 'dead' ORDER BY key, position LIMIT 1"
        )
    };
    let count = "SELECT count(*) FROM (SELECT 1 FROM deliveries INDEXED BY deliveries_key
                 WHERE subscription = ?1 AND key = ?2 AND state <> 'dead' LIMIT ?3)";
    [first("key >= ?2"), first("key > ?2"), count.into()]
}

/// Goes from key to key: one seek finds the first delivery of a key, and a scan of the index counts its others.
pub(super) fn blocked_keys(
    database: &Connection,
    subscription: SubscriptionId,
    after: Option<&str>,
    limit: usize,
    at_most: u64,
) -> Result<Vec<BlockedKey>> {
    let [from, later, count] = blocked_keys_sql();
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX).saturating_add(1);
    let operation = "read the blocked keys";
    let mut keys: Vec<BlockedKey> = Vec::new();
    while keys.len() < limit {
        let last = keys.last().map(|known| &*known.head.key).or(after);
        // The empty key is the least one.
        let sql = if last.is_some() { &later } else { &from };
        let at = params![subscription.0, last.unwrap_or_default()];
        let Some(head) = database.find(operation, sql, at, rows::delivery)? else { break };
        let all = params![subscription.0, head.key, at_most];
        let all: Option<u64> = database.find(operation, &count, all, |row| row.get(0))?;
        keys.push(BlockedKey { head, behind: all.unwrap_or(0).saturating_sub(1) });
    }
    Ok(keys)
}

/// All zero for the subscription of a queue, which has a depth instead.
pub(super) fn lag(database: &Connection, id: SubscriptionId, at_most: u64) -> Result<Lag> {
    let subscription = entities::find(database, id)?.filter(|known| known.protocol.is_push());
    let Some(subscription) = subscription else { return Ok(Lag::default()) };
    let TopicId(topic) = subscription.topic;
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    // The ranges are read in the order of positions, so the first row is the oldest, wherever counting ends.
    let sql = "SELECT count(*), min(position), 0 FROM
               (SELECT position FROM events INDEXED BY events_topic
                WHERE topic = ?1 AND position > ?2 ORDER BY position LIMIT ?3)";
    let unread = counted(database, sql, [topic, subscription.cursor.done_to.0, at_most])?;
    let sql = "SELECT count(*), min(position), count(*) FILTER (WHERE state = 'behind') FROM
               (SELECT position, state FROM deliveries INDEXED BY deliveries_waiting
                WHERE subscription = ?1 AND state <> 'dead' ORDER BY position LIMIT ?2)";
    let waiting = counted(database, sql, [id.0, at_most])?;
    let sql = "SELECT count(*), NULL, 0 FROM
               (SELECT 1 FROM deliveries INDEXED BY deliveries_dead_of
                WHERE subscription = ?1 AND state = 'dead' LIMIT ?2)";
    let dead = counted(database, sql, [id.0, at_most])?;
    let oldest = match unread.first.into_iter().chain(waiting.first).min() {
        Some(position) => stamp_of(database, position)?,
        None => None,
    };
    Ok(Lag { unread: unread.all, waiting: waiting.all, behind: waiting.behind, dead: dead.all, oldest })
}

/// One part of a lag.
#[derive(Default)]
struct Counted {
    all: u64,
    first: Option<i64>,
    behind: u64,
}

fn counted(database: &Connection, sql: &str, range: impl rusqlite::Params) -> Result<Counted> {
    let found = database.find("read a lag", sql, range, |row| {
        Ok(Counted { all: row.get(0)?, first: row.get(1)?, behind: row.get(2)? })
    })?;
    Ok(found.unwrap_or_default())
}

fn stamp_of(database: &Connection, position: i64) -> Result<Option<Stamp>> {
    let sql = format!("SELECT {EVENT_STAMP} FROM events e WHERE e.position = ?1");
    database.find("read an event's stamp", &sql, [position], |row| rows::stamp(row, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema;

    /// A page costs what it holds: no table is read from its beginning, and nothing is sorted.
    #[test]
    fn lists_go_by_indexes() {
        let mut database = Connection::open_in_memory().unwrap();
        schema::migrate(&mut database, 0).unwrap();
        for sql in [after_sql(Rows::All), after_sql(Rows::Waiting), last_attempt_sql()] {
            let mut plan = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let numbers = rusqlite::params_from_iter(vec![1; plan.parameter_count()]);
            let steps = plan.query_map(numbers, |row| row.get("detail")).unwrap();
            let steps: Vec<String> = steps.map(Result::unwrap).collect();
            assert!(!steps.is_empty());
            let is_quick = |step: &String| step.starts_with("SEARCH ") && !step.contains("TEMP B-TREE");
            assert!(steps.iter().all(is_quick), "{sql}: {steps:#?}");
            let by_position = |step: &String| step.contains("subscription=? AND position>?");
            assert!(sql.contains("attempts") || steps.iter().any(by_position), "{sql}: {steps:#?}");
        }
    }
}
