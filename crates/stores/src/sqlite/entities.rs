//! Topics, queues and subscriptions: rows of their own, found by name or by identity.

use std::collections::HashSet;

use event::{Position, Stamp, Timestamp, TopicId};
use rusqlite::{Connection, params};
use storage::Result;
use storage::entities::{
    Cursor, Desired, DesiredSubscription, Entities, Protocol, Queue, QueueId, Subscription, SubscriptionId,
    Topic,
};

use super::gaps;
use super::rows::{self, SUBSCRIPTION, micros, ticks};
use super::statements::Statements;
use super::transaction::{Routes, damaged};

/// Which queues each topic's events are sent to.
pub(super) fn routes(database: &Connection) -> Result<Routes> {
    let sql = "SELECT s.topic, s.id, q.id FROM subscriptions s JOIN queues q ON q.name = s.endpoint
               WHERE s.protocol = 'sqs' AND s.removed_at IS NULL AND s.state <> 'disabled' ORDER BY s.id";
    let all = database.list("read the subscribed queues", sql, [], |row| {
        Ok((TopicId(row.get(0)?), SubscriptionId(row.get(1)?), QueueId(row.get(2)?)))
    })?;
    let mut routes = Routes::new();
    for (topic, subscription, queue) in all {
        routes.entry(topic).or_default().push((subscription, queue));
    }
    Ok(routes)
}

pub(super) fn sync(
    database: &Connection,
    desired: &Desired,
    (wall, now): (Timestamp, Stamp),
) -> Result<Entities> {
    let mut entities = Entities::default();
    for name in desired.topic_names() {
        entities.topics.push(Topic { id: ensure_topic(database, name)?, name: name.to_owned() });
    }
    for name in desired.queue_names() {
        let id = QueueId(ensure_name(database, &QUEUES, name)?);
        let retention = desired.message_retention.get(name).map(|kept| kept.as_micros() as i64);
        let sql = "UPDATE queues SET retention = ?2 WHERE id = ?1 AND retention IS NOT ?2";
        database.run("set a queue's retention", sql, (id.0, retention))?;
        entities.queues.push(Queue { id, name: name.to_owned() });
    }
    let head = head(database)?;
    let mut wanted = HashSet::new();
    for subscription in &desired.subscriptions {
        let kept = ensure_subscription(database, subscription, head, (wall, now))?;
        if wanted.insert(kept.id) {
            entities.subscriptions.push(kept);
        }
    }
    for mut subscription in all(database)?.into_iter().filter(|known| !wanted.contains(&known.id)) {
        if subscription.removed_at.is_none() {
            mark_removed(database, subscription.id, Some((wall, now)))?;
            if subscription.protocol == Protocol::Sqs && !subscription.state.is_disabled() {
                gaps::begin(database, &mut subscription, head)?;
            }
            subscription.removed_at = Some(wall);
        }
        entities.removed.push(subscription);
    }
    Ok(entities)
}

/// The last position that was ever given.
pub(super) fn head(database: &Connection) -> Result<Position> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let last = database.find("read the log's head", sql, [], |row| rows::position(row, 0))?;
    Ok(last.unwrap_or_default())
}

/// How a table of names is read and written.
struct Names {
    find: &'static str,
    insert: &'static str,
}

const TOPICS: Names =
    Names { find: "SELECT id FROM topics WHERE name = ?1", insert: "INSERT INTO topics (name) VALUES (?1)" };

const QUEUES: Names =
    Names { find: "SELECT id FROM queues WHERE name = ?1", insert: "INSERT INTO queues (name) VALUES (?1)" };

fn ensure_topic(database: &Connection, name: &str) -> Result<TopicId> {
    ensure_name(database, &TOPICS, name).map(TopicId)
}

fn ensure_name(database: &Connection, table: &Names, name: &str) -> Result<i64> {
    if let Some(id) = database.find("find a name", table.find, [name], |row| row.get(0))? {
        return Ok(id);
    }
    database.run("add a name", table.insert, [name])?;
    Ok(database.last_insert_rowid())
}

fn ensure_subscription(
    database: &Connection,
    wanted: &DesiredSubscription,
    head: Position,
    (wall, now): (Timestamp, Stamp),
) -> Result<Subscription> {
    let topic = ensure_topic(database, &wanted.topic)?;
    let protocol = wanted.protocol.as_str();
    let sql = "SELECT id, removed_at IS NOT NULL FROM subscriptions
               WHERE topic = ?1 AND protocol = ?2 AND endpoint = ?3";
    let identity = params![topic.0, protocol, wanted.endpoint];
    let known = database.find("find a subscription", sql, identity, |row| {
        Ok((SubscriptionId(row.get(0)?), row.get::<_, bool>(1)?))
    })?;
    let id = match known {
        Some((id, removed)) => {
            if removed {
                mark_removed(database, id, None)?;
                if declare_anew(database, id, wanted)? {
                    gaps::close(database, id)?;
                }
                gaps::end(database, id, head)?;
            }
            if wanted.confirm_with.is_none() {
                confirm_pending(database, id)?;
            }
            id
        }
        None => {
            let sql = "INSERT INTO subscriptions
                       (uuid, topic, protocol, endpoint, state, token, created_at, created, dispatched_to, done_to)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9)";
            let row = params![
                wanted.uuid.as_bytes(),
                topic.0,
                protocol,
                wanted.endpoint,
                first_state(wanted),
                wanted.confirm_with,
                micros(wall),
                ticks(now),
                head.0,
            ];
            database.run("add a subscription", sql, row)?;
            SubscriptionId(database.last_insert_rowid())
        }
    };
    find(database, id)?.ok_or_else(|| damaged(format!("subscription {} is there and is not", id.0)))
}

/// The state in which a declaration begins.
fn first_state(wanted: &DesiredSubscription) -> &'static str {
    if wanted.confirm_with.is_some() { "pending" } else { "confirmed" }
}

/// A subscription that ended and was taken out of the configuration is back: whoever wrote it there again wants it to begin again.
/// Whether it had ended.
fn declare_anew(database: &Connection, id: SubscriptionId, wanted: &DesiredSubscription) -> Result<bool> {
    let sql =
        "UPDATE subscriptions SET state = ?2, token = ?3, uuid = ?4 WHERE id = ?1 AND state = 'disabled'";
    let row = params![id.0, first_state(wanted), wanted.confirm_with, wanted.uuid.as_bytes()];
    Ok(database.run("declare a subscription anew", sql, row)? > 0)
}

/// The configuration vouches for the endpoint now. The token stays: a late visit of its link is no error.
fn confirm_pending(database: &Connection, id: SubscriptionId) -> Result<()> {
    let sql = "UPDATE subscriptions SET state = 'confirmed' WHERE id = ?1 AND state = 'pending'";
    database.run("confirm a pending subscription", sql, [id.0]).map(drop)
}

fn mark_removed(database: &Connection, id: SubscriptionId, at: Option<(Timestamp, Stamp)>) -> Result<()> {
    let sql = "UPDATE subscriptions SET removed_at = ?2, removed = ?3 WHERE id = ?1";
    let (wall, now) = at.unzip();
    database.run("mark a subscription", sql, (id.0, wall.map(micros), now.map(ticks))).map(drop)
}

/// All subscriptions, by number.
pub(super) fn all(database: &Connection) -> Result<Vec<Subscription>> {
    let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions ORDER BY id");
    database.list("read the subscriptions", &sql, [], rows::subscription)
}

pub(super) fn find(database: &Connection, id: SubscriptionId) -> Result<Option<Subscription>> {
    let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions WHERE id = ?1");
    database.find("read a subscription", &sql, [id.0], rows::subscription)
}

pub(super) fn confirm(database: &Connection, token: &str) -> Result<Option<Subscription>> {
    let sql = "SELECT id FROM subscriptions WHERE token = ?1 ORDER BY id LIMIT 1";
    let found = database.find("find a token", sql, [token], |row| row.get(0).map(SubscriptionId))?;
    let Some(id) = found else { return Ok(None) };
    let sql = "UPDATE subscriptions SET state = 'confirmed' WHERE id = ?1";
    database.run("confirm a subscription", sql, [id.0])?;
    find(database, id)
}

/// Whether it was not disabled before.
pub(super) fn disable(database: &Connection, id: SubscriptionId, token: Option<&str>) -> Result<bool> {
    let sql = "UPDATE subscriptions SET state = 'disabled', token = ?2 WHERE id = ?1 AND state <> 'disabled'";
    Ok(database.run("disable a subscription", sql, (id.0, token))? > 0)
}

pub(super) fn enable(database: &Connection, id: SubscriptionId) -> Result<()> {
    let sql = "UPDATE subscriptions SET state = 'confirmed' WHERE id = ?1";
    database.run("enable a subscription", sql, [id.0]).map(drop)
}

pub(super) fn advance(database: &Connection, id: SubscriptionId, to: Cursor) -> Result<()> {
    let sql = "UPDATE subscriptions SET dispatched_to = max(dispatched_to, ?2), done_to = max(done_to, ?3)
               WHERE id = ?1";
    database.run("advance a cursor", sql, [id.0, to.dispatched_to.0, to.done_to.0]).map(drop)
}
