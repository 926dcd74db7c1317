//! The tables of topics, queues and subscriptions.

use std::collections::HashSet;
use std::time::Duration;

use event::{Position, Stamp, Timestamp, TopicId};
use rusqlite::{Connection, params};
use storage::Result;
use storage::entities::{
    Cursor, Desired, DesiredSubscription, Entities, Queue, QueueId, Subscription, SubscriptionId, Topic,
    Whose,
};
use storage::identity::{self, Assignment, Change, Match};
use storage::queue::Limits;
use storage::redrive::Redrive;

use super::gaps;
use super::queues::{self, Bin};
use super::rows::{self, SUBSCRIPTION, micros, ticks};
use super::statements::Statements;
use super::transaction::{Route, Routes, damaged};

/// Which queues each topic's events are sent to.
pub(super) fn routes(database: &Connection) -> Result<Routes> {
    let sql = "SELECT s.topic, s.id, q.id, q.bin FROM subscriptions s JOIN queues q ON q.name = s.endpoint
               WHERE s.protocol = 'sqs' AND s.removed_at IS NULL AND s.state <> 'disabled' ORDER BY s.id";
    let all = database.list("read the subscribed queues", sql, [], |row| {
        let (subscription, queue) = (SubscriptionId(row.get(1)?), QueueId(row.get(2)?));
        Ok((TopicId(row.get(0)?), Route { subscription, queue, bin: Bin(row.get(3)?) }))
    })?;
    let mut routes = Routes::new();
    for (topic, route) in all {
        routes.entry(topic).or_default().push(route);
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
        entities.topics.push(Topic { id: ensure_topic(database, name)?.0, name: name.to_owned() });
    }
    for name in desired.queue_names() {
        let (id, _) = ensure_queue(database, name)?;
        set_limits(database, id, &desired.limits(name))?;
        entities.queues.push(Queue { id, name: name.to_owned() });
    }
    sync_subscriptions(database, &mut entities, &desired.subscriptions, (wall, now))?;
    Ok(entities)
}

fn sync_subscriptions(
    database: &Connection,
    entities: &mut Entities,
    wanted: &[DesiredSubscription],
    (wall, now): (Timestamp, Stamp),
) -> Result<()> {
    let (head, known) = (head(database)?, all(database)?);
    let wanted = identity::of_topics(&entities.topics, wanted);
    let Assignment { matches, unnamed } = identity::assign(&known, &wanted);
    take_names(database, unnamed)?;
    let mut kept = HashSet::new();
    for (found, (topic, wanted)) in matches.into_iter().zip(wanted) {
        let id = match found {
            Match::Known(known) => keep_subscription(database, known, wanted, head)?,
            Match::New => add_subscription(database, (topic, wanted), head, (wall, now))?,
            Match::Repeated => continue,
        };
        kept.insert(id);
        entities.subscriptions.push(there(database, id)?);
    }
    for known in known.iter().filter(|known| !kept.contains(&known.id)) {
        remove(database, known, head, (wall, now))?;
        entities.removed.push(there(database, known.id)?);
    }
    Ok(())
}

/// Marks a subscription as removed. If it is that of a queue, a gap begins after `head`.
pub(super) fn remove(
    database: &Connection,
    known: &Subscription,
    head: Position,
    moment: (Timestamp, Stamp),
) -> Result<()> {
    if known.removed_at.is_some() {
        return Ok(());
    }
    mark_removed(database, known.id, Some(moment))?;
    if known.protocol.is_pull() && !known.state.is_disabled() {
        gaps::begin(database, known.id, head)?;
    }
    Ok(())
}

/// All topics, by number.
pub(super) fn topics(database: &Connection) -> Result<Vec<Topic>> {
    let sql = "SELECT id, name FROM topics ORDER BY id";
    database.list("read the topics", sql, [], |row| Ok(Topic { id: TopicId(row.get(0)?), name: row.get(1)? }))
}

/// All queues, by number, with their limits.
pub(super) fn queues(database: &Connection) -> Result<Vec<(Queue, Limits)>> {
    let sql = "SELECT id, name, retention, dead_letters, max_receives FROM queues ORDER BY id";
    database.list("read the queues", sql, [], |row| {
        let retention: Option<i64> = row.get(2)?;
        let retention =
            retention.map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or_default()));
        let redrive = match row.get(3)? {
            Some(to) => Some(Redrive { to, max_receives: row.get(4)? }),
            None => None,
        };
        Ok((Queue { id: QueueId(row.get(0)?), name: row.get(1)? }, Limits { retention, redrive }))
    })
}

/// The last position that an event was ever appended at.
pub(super) fn head(database: &Connection) -> Result<Position> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'events'";
    let last = database.find("read the log's head", sql, [], |row| rows::position(row, 0))?;
    Ok(last.unwrap_or_default())
}

/// Makes a topic of this name, if there is none. Returns it, and whether it is new.
pub(super) fn ensure_topic(database: &Connection, name: &str) -> Result<(TopicId, bool)> {
    let sql = "SELECT id FROM topics WHERE name = ?1";
    if let Some(id) = database.find("find a topic", sql, [name], |row| row.get(0))? {
        return Ok((TopicId(id), false));
    }
    database.run("add a topic", "INSERT INTO topics (name) VALUES (?1)", [name])?;
    Ok((TopicId(database.last_insert_rowid()), true))
}

/// Makes a queue of this name, if there is none. Returns it, and whether it is new.
pub(super) fn ensure_queue(database: &Connection, name: &str) -> Result<(QueueId, bool)> {
    let sql = "SELECT id FROM queues WHERE name = ?1";
    if let Some(id) = database.find("find a queue", sql, [name], |row| row.get(0))? {
        return Ok((QueueId(id), false));
    }
    let sql = "INSERT INTO queues (id, name, bin) SELECT next, ?1, next FROM
               (SELECT 1 + ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'queues'), 0) AS next)";
    database.run("add a queue", sql, [name])?;
    Ok((QueueId(database.last_insert_rowid()), true))
}

/// Sets how long a queue keeps a message, and when it gives one up. The queue must exist.
pub(super) fn set_limits(database: &Connection, id: QueueId, limits: &Limits) -> Result<()> {
    set_retention(database, id, limits.retention)?;
    set_redrive(database, id, limits.redrive.as_ref()).map(drop)
}

/// Sets how long a queue keeps a message. Returns `false` if there is no such queue.
pub(super) fn set_retention(database: &Connection, id: QueueId, retention: Option<Duration>) -> Result<bool> {
    let retention = retention.map(|kept| i64::try_from(kept.as_micros()).unwrap_or(i64::MAX));
    let sql = "UPDATE queues SET retention = ?2 WHERE id = ?1 AND retention IS NOT ?2";
    let changed = database.run("set a queue's retention", sql, (id.0, retention))?;
    Ok(changed > 0 || queues::bin(database, id)?.is_some())
}

/// Sets when a queue gives a message up. Returns `false` if there is no such queue.
pub(super) fn set_redrive(database: &Connection, id: QueueId, redrive: Option<&Redrive>) -> Result<bool> {
    let (to, most) = redrive.map(|redrive| (&redrive.to, redrive.max_receives)).unzip();
    let sql = "UPDATE queues SET dead_letters = ?2, max_receives = ?3
               WHERE id = ?1 AND (dead_letters IS NOT ?2 OR max_receives IS NOT ?3)";
    let changed = database.run("set a queue's redrive policy", sql, (id.0, to, most))?;
    Ok(changed > 0 || queues::bin(database, id)?.is_some())
}

pub(super) fn take_names(database: &Connection, unnamed: Vec<SubscriptionId>) -> Result<()> {
    for id in unnamed {
        let sql = "UPDATE subscriptions SET name = NULL WHERE id = ?1";
        database.run("take a subscription's name away", sql, [id.0])?;
    }
    Ok(())
}

pub(super) fn keep_subscription(
    database: &Connection,
    known: &Subscription,
    wanted: &DesiredSubscription,
    head: Position,
) -> Result<SubscriptionId> {
    let (id, was_removed) = (known.id, known.removed_at.is_some());
    if was_removed {
        mark_removed(database, id, None)?;
    }
    let is_same = known.protocol == wanted.protocol && known.endpoint == wanted.endpoint;
    if !is_same || known.name != wanted.name {
        let sql = "UPDATE subscriptions SET name = ?2, protocol = ?3, endpoint = ?4 WHERE id = ?1";
        let row = params![id.0, wanted.name, wanted.protocol.as_str(), wanted.endpoint];
        database.run("give a subscription its name and endpoint", sql, row)?;
    }
    change(database, id, wanted, identity::change(known, wanted))?;
    if was_removed {
        gaps::end(database, id, head)?;
    }
    Ok(id)
}

/// Changes a subscription's state.
pub(super) fn change(
    database: &Connection,
    id: SubscriptionId,
    wanted: &DesiredSubscription,
    change: Change,
) -> Result<()> {
    match change {
        Change::None => Ok(()),
        Change::Vouched => confirm_pending(database, id),
        Change::DeclaredAnew => {
            begin_again(database, id, wanted, false)?;
            let sql = "UPDATE subscriptions SET uuid = ?2 WHERE id = ?1";
            database.run("give a subscription its uuid", sql, params![id.0, wanted.uuid.as_bytes()])?;
            gaps::close(database, id)
        }
        Change::Moved { reconfirms } => begin_again(database, id, wanted, reconfirms),
    }
}

pub(super) fn add_subscription(
    database: &Connection,
    (topic, wanted): (TopicId, &DesiredSubscription),
    head: Position,
    (wall, now): (Timestamp, Stamp),
) -> Result<SubscriptionId> {
    let sql = "INSERT INTO subscriptions
               (uuid, topic, name, protocol, endpoint, state, token, created_at, created, dispatched_to, done_to)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)";
    let row = params![
        wanted.uuid.as_bytes(),
        topic.0,
        wanted.name,
        wanted.protocol.as_str(),
        wanted.endpoint,
        first_state(wanted),
        wanted.confirm_with,
        micros(wall),
        ticks(now),
        head.0,
    ];
    database.run("add a subscription", sql, row)?;
    Ok(SubscriptionId(database.last_insert_rowid()))
}

/// The state of a new subscription.
fn first_state(wanted: &DesiredSubscription) -> &'static str {
    if wanted.confirm_with.is_some() { "pending" } else { "confirmed" }
}

/// Gives a subscription the state and the token of a new one.
fn begin_again(
    database: &Connection,
    id: SubscriptionId,
    wanted: &DesiredSubscription,
    reconfirms: bool,
) -> Result<()> {
    let sql = "UPDATE subscriptions SET state = ?2, token = ?3, reconfirms = ?4 WHERE id = ?1";
    let row = params![id.0, first_state(wanted), wanted.confirm_with, reconfirms];
    database.run("declare a subscription anew", sql, row).map(drop)
}

/// The configuration asks for no confirmation now. The token stays, so that a late visit of the link with it is no error.
fn confirm_pending(database: &Connection, id: SubscriptionId) -> Result<()> {
    let sql =
        "UPDATE subscriptions SET state = 'confirmed', reconfirms = 0 WHERE id = ?1 AND state = 'pending'";
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

/// What log lines say of a subscription; `None` if there is none of this number.
pub(super) fn whose(database: &Connection, id: SubscriptionId) -> Result<Option<Whose>> {
    let Some(known) = find(database, id)? else { return Ok(None) };
    let sql = "SELECT name FROM topics WHERE id = ?1";
    let topic = database.find("read a topic's name", sql, [known.topic.0], |row| row.get::<_, String>(0))?;
    Ok(Some(known.whose(topic.as_deref())))
}

pub(super) fn exists(database: &Connection, id: SubscriptionId) -> Result<bool> {
    let sql = "SELECT 1 FROM subscriptions WHERE id = ?1";
    Ok(database.find("look for a subscription", sql, [id.0], |_| Ok(()))?.is_some())
}

/// A subscription that was read or written a moment ago.
pub(super) fn there(database: &Connection, id: SubscriptionId) -> Result<Subscription> {
    find(database, id)?
        .ok_or_else(|| damaged(format!("subscription {} was found a moment ago, and cannot be found", id.0)))
}

pub(super) fn confirm(database: &Connection, token: &str) -> Result<Option<Subscription>> {
    let sql = "SELECT id FROM subscriptions WHERE token = ?1 ORDER BY id LIMIT 1";
    let found = database.find("find a token", sql, [token], |row| row.get(0).map(SubscriptionId))?;
    let Some(id) = found else { return Ok(None) };
    let sql = "UPDATE subscriptions SET state = 'confirmed', reconfirms = 0 WHERE id = ?1";
    database.run("confirm a subscription", sql, [id.0])?;
    find(database, id)
}

/// Disables a subscription. Returns whether it was not disabled before.
pub(super) fn disable(database: &Connection, id: SubscriptionId, token: Option<&str>) -> Result<bool> {
    let sql =
        "UPDATE subscriptions SET state = 'disabled', token = ?2, reconfirms = 0, disabled_because = NULL
               WHERE id = ?1 AND state <> 'disabled'";
    Ok(database.run("disable a subscription", sql, (id.0, token))? > 0)
}

pub(super) fn note_why_disabled(database: &Connection, id: SubscriptionId, why: &str) -> Result<()> {
    let sql = "UPDATE subscriptions SET disabled_because = ?2 WHERE id = ?1 AND state = 'disabled'";
    database.run("note why a subscription is disabled", sql, (id.0, why)).map(drop)
}

pub(super) fn enable(database: &Connection, id: SubscriptionId) -> Result<()> {
    let sql = "UPDATE subscriptions SET state = 'confirmed', reconfirms = 0 WHERE id = ?1";
    database.run("enable a subscription", sql, [id.0]).map(drop)
}

pub(super) fn advance(database: &Connection, id: SubscriptionId, to: Cursor) -> Result<()> {
    let sql = "UPDATE subscriptions SET dispatched_to = max(dispatched_to, ?2), done_to = max(done_to, ?3)
               WHERE id = ?1";
    database.run("advance a cursor", sql, [id.0, to.dispatched_to.0, to.done_to.0]).map(drop)
}
