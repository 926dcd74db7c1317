//! The tables, and how a database of an older version becomes one of this.
//!
//! `user_version` is the number of migrations that a database has had, `application_id` says that it is ours. Each migration is one
//! transaction with both in it: a crash leaves the old version or the new one. Times are microseconds since 1970; stamps are microseconds
//! of the store's own clock (`storage::clock`), which began at the wall clock's time.

use std::time::{Duration, Instant};

use rusqlite::Connection;

/// "Retr", in the header of every database of ours.
pub(super) const APPLICATION_ID: i32 = 0x5265_7472;

/// The version that this program reads and writes.
pub(super) const VERSION: i32 = MIGRATIONS.len() as i32;

/// What each version adds to the one before. Never change one that was released: add one.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11];

/// Between two lines about a migration that takes long.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Instructions of SQLite's machine between two looks at the time: some tens of milliseconds.
const LOOK_EVERY: i32 = 1_000_000;

/// Brings the database to [`VERSION`]. One that is not new may be large: what is done is said, and that it goes on.
pub(super) fn migrate(database: &mut Connection, version: i32) -> rusqlite::Result<()> {
    if version == 0 || version == VERSION {
        return upgrade(database, version);
    }
    let began = Instant::now();
    let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    let bytes: i64 = database.query_row(sql, [], |row| row.get(0))?;
    tracing::info!(
        from = version,
        to = VERSION,
        bytes,
        "the database has the schema of an older version and is brought up to date before anything is served: do not stop it for that; \
         one that is stopped begins again, and nothing is lost"
    );
    let mut said = began;
    database.progress_handler(
        LOOK_EVERY,
        Some(move || {
            if said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                tracing::info!(
                    seconds = began.elapsed().as_secs(),
                    "the database is still being brought up to date"
                );
            }
            false
        }),
    )?;
    upgrade(database, version)?;
    database.progress_handler(0, None::<fn() -> bool>)?;
    tracing::info!(millis = began.elapsed().as_millis() as u64, "the database is up to date");
    Ok(())
}

fn upgrade(database: &Connection, version: i32) -> rusqlite::Result<()> {
    for (migration, to) in MIGRATIONS.iter().zip(1i32..).filter(|(_, to)| *to > version) {
        let whole = format!(
            "BEGIN IMMEDIATE; {migration} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {to}; COMMIT;"
        );
        database.execute_batch(&whole)?;
    }
    Ok(())
}

/// Version 1.
///
/// * `incarnations`: runs of the process; `ended_at` is missing for those that live or were killed. A row stays while it has intents.
/// * `intents`: the open ones. They come and go at the table's end; whoever noted one remembers its `seq`, so no index on `id` is
///   needed. `started_at` is when it was noted; older versions wrote when its request arrived.
/// * `events`: the log. AUTOINCREMENT: a position is never used twice, even when the table was emptied.
/// * `deliveries`: rows of deliveries that wait or are dead; `at` is when a retry is due, or when a dead one died.
/// * `attempts`: tries at deliveries, by `seq` in the order in which they were recorded.
/// * `messages`: one for each event and subscribed queue; the payload stands in `events` once. `visible_at` is 0 for one that can be
///   received (so the next to receive is the first in the index); a hidden one's time is turned to 0 by the first receive after it.
/// * `small_values`: signing key and the like.
const V1: &str = "
CREATE TABLE incarnations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  started_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT;

CREATE TABLE intents (
  seq INTEGER PRIMARY KEY,
  incarnation INTEGER NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  topic INTEGER NOT NULL,
  key TEXT NOT NULL,
  publish_unknown INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  request TEXT NOT NULL
) STRICT;

CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL CHECK (length(id) = 16),
  topic INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'unknown')),
  reason TEXT,
  overlapped INTEGER NOT NULL,
  key TEXT NOT NULL,
  request TEXT NOT NULL,
  answer TEXT
) STRICT;
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_topic ON events (topic, position);

CREATE TABLE topics (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE queues (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE subscriptions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid BLOB NOT NULL CHECK (length(uuid) = 16),
  topic INTEGER NOT NULL,
  protocol TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'disabled')),
  token TEXT,
  created_at INTEGER NOT NULL,
  removed_at INTEGER,
  dispatched_to INTEGER NOT NULL,
  done_to INTEGER NOT NULL,
  UNIQUE (topic, protocol, endpoint)
) STRICT;
CREATE INDEX subscriptions_token ON subscriptions (token) WHERE token IS NOT NULL;
CREATE INDEX subscriptions_removed ON subscriptions (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX subscriptions_unconfirmed ON subscriptions (id) WHERE state <> 'confirmed';

CREATE TABLE deliveries (
  subscription INTEGER NOT NULL,
  position INTEGER NOT NULL,
  key TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('retry', 'behind', 'dead')),
  at INTEGER,
  reason TEXT,
  attempts INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (subscription, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_position ON deliveries (position);
CREATE INDEX deliveries_due ON deliveries (subscription, at, position) WHERE state = 'retry';
CREATE INDEX deliveries_waiting ON deliveries (subscription, position) WHERE state <> 'dead';
CREATE INDEX deliveries_key ON deliveries (subscription, key, position) WHERE state <> 'dead';
CREATE INDEX deliveries_since ON deliveries (since) WHERE state <> 'dead';
CREATE INDEX deliveries_dead ON deliveries (at) WHERE state = 'dead';

CREATE TABLE attempts (
  seq INTEGER PRIMARY KEY,
  position INTEGER NOT NULL,
  subscription INTEGER NOT NULL,
  number INTEGER NOT NULL,
  event BLOB NOT NULL CHECK (length(event) = 16),
  at INTEGER NOT NULL,
  took_micros INTEGER NOT NULL,
  status INTEGER,
  error TEXT,
  answer BLOB NOT NULL,
  next_at INTEGER
) STRICT;
CREATE UNIQUE INDEX attempts_delivery ON attempts (position, subscription, number);

CREATE TABLE messages (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  queue INTEGER NOT NULL,
  position INTEGER NOT NULL,
  subscription INTEGER NOT NULL,
  sent_at INTEGER NOT NULL,
  visible_at INTEGER NOT NULL,
  first_received_at INTEGER,
  received_at INTEGER,
  receive_count INTEGER NOT NULL
) STRICT;
CREATE INDEX messages_visible ON messages (queue, visible_at, seq);
CREATE INDEX messages_position ON messages (position);

CREATE TABLE small_values (
  name TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Version 2: dead letters are found by subscription, and the token of a disabled subscription is the one that brings it back. Those
/// that were disabled before had the token of their first confirmation, which must not.
const V2: &str = "
CREATE INDEX deliveries_dead_of ON deliveries (subscription, at, position) WHERE state = 'dead';
UPDATE subscriptions SET token = NULL WHERE state = 'disabled';
";

/// Version 3: what was asked is written once.
///
/// * `intents`: one is open while no event has its id. One of which no event came is deleted when it is settled; one with an event stays,
///   because it has what was asked, and goes with its event.
/// * `events.intent`: the `seq` of that intent; only an event that had none has a `request` of its own.
/// * `incarnations.open_from`: all open intents of the run have at least this `seq`.
const V3: &str = "
ALTER TABLE incarnations ADD COLUMN open_from INTEGER NOT NULL DEFAULT 0;
CREATE TABLE events_of_v3 (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL CHECK (length(id) = 16),
  topic INTEGER NOT NULL,
  recorded_at INTEGER NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('succeeded', 'unknown')),
  reason TEXT,
  overlapped INTEGER NOT NULL,
  key TEXT NOT NULL,
  intent INTEGER,
  request TEXT,
  answer TEXT,
  CHECK ((intent IS NULL) <> (request IS NULL))
) STRICT;
INSERT INTO events_of_v3 SELECT position, id, topic, recorded_at, outcome, reason, overlapped, key, NULL, request, answer FROM events;
DELETE FROM sqlite_sequence WHERE name = 'events_of_v3';
INSERT INTO sqlite_sequence SELECT 'events_of_v3', seq FROM sqlite_sequence WHERE name = 'events';
DROP TABLE events;
ALTER TABLE events_of_v3 RENAME TO events;
CREATE UNIQUE INDEX events_id ON events (id);
CREATE INDEX events_topic ON events (topic, position);
";

/// Version 4: what ages carries a stamp of the store's own clock.
///
/// * `clock`: one row, what was kept of the clock. `began` is when it began: rows that are older have no stamp of their own. `assumed` has
///   the spans that starts added to it (`storage::clock::Assumed`).
/// * `events.stamp`, `messages.stamp`: when they came. Where it is missing, the row is older than the clock, and its wall time stands for
///   it, but never one after the clock began: whatever was stamped ahead counts as new. So a log of gigabytes is not written anew.
/// * `deliveries`: `at` and `since` are stamps from now on; `died_at` is the wall time of a death.
/// * `messages`: `visible_at` and `received_at` are stamps from now on.
/// * `subscriptions`: `created` and `removed` are stamps beside the wall times `created_at` and `removed_at`.
/// * `queues.retention`: how long the queue keeps a message, in microseconds; missing where it does not say so.
///
/// The columns of the three tables that may be large are written into the schema, as `ALTER TABLE` itself does it: that reads every row of
/// a STRICT table afterwards, although a column that is missing in a row is NULL, which no type forbids. The statements after it name each of
/// the columns, so that they fail, and all with them, should one not be there.
///
/// The clock begins at the wall clock's time, but no more than an hour after the last time that the store itself has, as at any start: a
/// wall clock that is wrong at this one costs no more than at another, and what lies between counts towards no limit. So a row's stamp, the
/// clock less its age, is its wall time; an age below zero counts as zero, and none is more than the limit that applies to it, nor a wait
/// longer than the longest that there is. Only rows that this changes are written.
const V4: &str = "
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'answer TEXT,', 'answer TEXT, stamp INTEGER,')
  WHERE type = 'table' AND name = 'events';
UPDATE sqlite_schema SET sql = replace(sql, 'receive_count INTEGER NOT NULL', 'receive_count INTEGER NOT NULL, stamp INTEGER')
  WHERE type = 'table' AND name = 'messages';
UPDATE sqlite_schema SET sql = replace(sql, 'since INTEGER NOT NULL,', 'since INTEGER NOT NULL, died_at INTEGER,')
  WHERE type = 'table' AND name = 'deliveries';
PRAGMA writable_schema = RESET;
CREATE TABLE clock (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  stamp INTEGER NOT NULL,
  wall INTEGER NOT NULL,
  advanced INTEGER NOT NULL,
  began INTEGER NOT NULL,
  assumed TEXT NOT NULL
) STRICT;
INSERT INTO clock SELECT 1, began, now, 0, began, CASE WHEN last < began THEN last || '-' || began ELSE '' END
FROM (SELECT now, last, min(now, ifnull(last + 3600000000, now)) AS began FROM (
  SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now, (SELECT max(at) FROM (
    SELECT max(started_at) AS at FROM incarnations UNION ALL SELECT max(ended_at) FROM incarnations
    UNION ALL SELECT at FROM (SELECT recorded_at AS at FROM events ORDER BY position DESC LIMIT 1)
    UNION ALL SELECT at FROM (SELECT at FROM attempts ORDER BY seq DESC LIMIT 1))) AS last));
ALTER TABLE subscriptions ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
ALTER TABLE subscriptions ADD COLUMN removed INTEGER;
ALTER TABLE queues ADD COLUMN retention INTEGER;
UPDATE events SET stamp = NULL WHERE position < 0;
UPDATE messages SET stamp = NULL WHERE seq < 0;
UPDATE deliveries SET
  died_at = CASE state WHEN 'dead' THEN at END,
  at = CASE state WHEN 'dead' THEN max(min(at, began), began - 1209600000000) WHEN 'retry' THEN min(at, began + 86400000000) END,
  since = max(min(since, began), began - 604800000000)
  FROM clock
  WHERE state = 'dead' OR at > began + 86400000000 OR since NOT BETWEEN began - 604800000000 AND began;
UPDATE messages SET visible_at = min(visible_at, (SELECT began FROM clock) + 43200000000),
  received_at = min(received_at, (SELECT began FROM clock))
  WHERE seq IN (SELECT m.seq FROM queues q CROSS JOIN messages m INDEXED BY messages_visible
                WHERE m.queue = q.id AND m.visible_at > 0);
UPDATE subscriptions SET created = min(created_at, (SELECT began FROM clock)),
  removed = max(min(removed_at, (SELECT began FROM clock)), (SELECT began FROM clock) - 86400000000);
";

/// Version 5: a subscription may have a name, and keeps what it is owed when its endpoint changes.
///
/// * `subscriptions.name`: unique in its topic. Topic, protocol and endpoint are unique no longer: one that is removed may have the endpoint
///   of one that is not.
/// * `subscriptions.reconfirms`: 1 for a pending one that was confirmed before its endpoint moved; what it is owed is kept as for a
///   confirmed one.
///
/// The table is written anew, because a constraint cannot be dropped; it is small, and no other table is read.
const V5: &str = "
CREATE TABLE subscriptions_of_v5 (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid BLOB NOT NULL CHECK (length(uuid) = 16),
  topic INTEGER NOT NULL,
  name TEXT,
  protocol TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'confirmed', 'disabled')),
  token TEXT,
  reconfirms INTEGER NOT NULL DEFAULT 0 CHECK (reconfirms = 0 OR state = 'pending'),
  created_at INTEGER NOT NULL,
  removed_at INTEGER,
  dispatched_to INTEGER NOT NULL,
  done_to INTEGER NOT NULL,
  created INTEGER NOT NULL DEFAULT 0,
  removed INTEGER
) STRICT;
INSERT INTO subscriptions_of_v5
  SELECT id, uuid, topic, NULL, protocol, endpoint, state, token, 0, created_at, removed_at, dispatched_to, done_to, created, removed
  FROM subscriptions;
DELETE FROM sqlite_sequence WHERE name = 'subscriptions_of_v5';
INSERT INTO sqlite_sequence SELECT 'subscriptions_of_v5', seq FROM sqlite_sequence WHERE name = 'subscriptions';
DROP TABLE subscriptions;
ALTER TABLE subscriptions_of_v5 RENAME TO subscriptions;
CREATE UNIQUE INDEX subscriptions_name ON subscriptions (topic, name) WHERE name IS NOT NULL;
CREATE INDEX subscriptions_endpoint ON subscriptions (topic, protocol, endpoint);
CREATE INDEX subscriptions_token ON subscriptions (token) WHERE token IS NOT NULL;
CREATE INDEX subscriptions_removed ON subscriptions (removed_at) WHERE removed_at IS NOT NULL;
CREATE INDEX subscriptions_unconfirmed ON subscriptions (id) WHERE state <> 'confirmed';
";

/// Version 6: the registry.
///
/// * `registry`: the entities of every kind, with who owns each; `body` is JSON that only whoever wrote it reads.
const V6: &str = "
CREATE TABLE registry (
  kind TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 16),
  origin TEXT NOT NULL CHECK (origin IN ('file', 'api')),
  body TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
";

/// Version 7: owners end topics, queues and subscriptions, and what that drops may be millions of rows.
///
/// * `topics.id`, `queues.id`: never given twice, because intents, events and workers may have the number of one that is gone.
/// * `queues.bin`: what `messages.queue` says of the messages that the queue has. It is the queue's number until the queue is purged, and
///   then one below zero that is nobody else's. Messages of a bin that no queue has are dropped.
/// * Rows of `deliveries` whose subscription is gone are dropped.
/// * `dropped`: the bins and subscriptions of which such rows are left to delete.
/// * `deleted_topics`: topics that are gone while an open intent or an event has their number.
///
/// `topics` and `queues` are written anew, because a column does not become AUTOINCREMENT; they are small, and no other table is read.
const V7: &str = "
CREATE TABLE topics_of_v7 (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO topics_of_v7 SELECT id, name FROM topics;
DROP TABLE topics;
ALTER TABLE topics_of_v7 RENAME TO topics;
CREATE TABLE queues_of_v7 (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  retention INTEGER,
  bin INTEGER NOT NULL UNIQUE
) STRICT;
INSERT INTO queues_of_v7 SELECT id, name, retention, id FROM queues;
DROP TABLE queues;
ALTER TABLE queues_of_v7 RENAME TO queues;
CREATE INDEX subscriptions_queue ON subscriptions (endpoint) WHERE protocol = 'sqs';
CREATE TABLE dropped (
  kind TEXT NOT NULL CHECK (kind IN ('bin', 'subscription')),
  id INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE deleted_topics (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL
) STRICT;
";

/// Version 8: an event may be a message that somebody sent, and no exchange.
///
/// * `events.outcome`: `published` says so. Then `request` has the message's text, and `answer` what stands beside it, as JSON, if anything
///   does. So nothing more is written or read of an exchange than before.
/// * `events.topic`: 0 for an event that went straight into a queue.
/// * `messages.subscription`: 0 for a message that was sent straight to its queue.
///
/// The constraint is widened in the schema alone, as in version 4: no row is read, because every one that met the old one meets the new one.
/// The statement after it has SQLite read the schema anew: it fails, and all with it, should that be wrong. A list of three after `IN` would
/// cost each event a third of what its commit costs: SQLite makes a table of such a list for every row.
const V8: &str = "
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '(''succeeded'', ''unknown'')', '(''succeeded'', ''unknown'') OR outcome = ''published''')
  WHERE type = 'table' AND name = 'events';
PRAGMA writable_schema = RESET;
UPDATE events SET outcome = 'published' WHERE position < 0;
";

/// Version 9: a queue may give messages up.
///
/// * `queues.dead_letters`, `queues.max_receives`: the name of the queue that gets them, and how often they are handed out before; missing where it
///   keeps them.
/// * `messages.given_up_by`, `messages.given_up_after`: the queue that gave it up, and what its `receive_count` was then; missing for one that is where
///   it was sent. They are written into the schema, as in version 4, because there may be many messages.
const V9: &str = "
ALTER TABLE queues ADD COLUMN dead_letters TEXT;
ALTER TABLE queues ADD COLUMN max_receives INTEGER;
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'stamp INTEGER', 'stamp INTEGER, given_up_by INTEGER, given_up_after INTEGER')
  WHERE type = 'table' AND name = 'messages';
PRAGMA writable_schema = RESET;
UPDATE messages SET given_up_by = NULL WHERE seq < 0;
";

/// Version 10: a delivery's waits may begin anew.
///
/// * `deliveries.anew_after`: how many of its attempts were begun before that; missing for none. It is written into the schema, as in version 4,
///   because there may be many rows.
const V10: &str = "
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'died_at INTEGER,', 'died_at INTEGER, anew_after INTEGER,')
  WHERE type = 'table' AND name = 'deliveries';
PRAGMA writable_schema = RESET;
UPDATE deliveries SET anew_after = NULL WHERE subscription < 0;
";

/// Version 11: `subscriptions.disabled_because`: why an operator disabled it. It means nothing for one that is not disabled.
const V11: &str = "
ALTER TABLE subscriptions ADD COLUMN disabled_because TEXT;
";
