//! Looking for damage: SQLite's own checks, and what must hold between the tables.

use rusqlite::Connection;
use storage::Result;
use storage::entities::SubscriptionId;

use super::entities;
use super::statements::Statements;

/// The most findings of one kind that are listed.
const MAX_FINDINGS: i64 = 20;

/// The size in bytes below which a start after an unclean end has SQLite check the whole database, which takes about 0.1 s at most.
pub(super) const SMALL: i64 = 64 << 20;

/// What must hold between the tables. The query `broken` finds the rows that break it; `sentence` says so, with `{}` for the number that the row
/// has.
struct Invariant {
    sentence: &'static str,
    broken: &'static str,
}

/// Cheap, whatever the size. The number is a subscription's.
const AHEAD: Invariant = Invariant {
    sentence: "subscription {} has read past the log's end",
    broken: "SELECT id FROM subscriptions WHERE max(dispatched_to, done_to) >
             ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) LIMIT ?1",
};

/// Cheap, whatever the size.
const BOUNDED: &[Invariant] = &[Invariant {
    sentence: "the log's head is behind its last position, {}",
    broken: "SELECT last FROM (SELECT max(position) AS last FROM events) WHERE last >
                 ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) LIMIT ?1",
}];

/// Queries that read a whole table each.
const WHOLE_TABLES: &[Invariant] = &[
    Invariant {
        sentence: "message {} points at no event",
        broken: "SELECT seq FROM messages m WHERE NOT EXISTS
                 (SELECT 1 FROM events e WHERE e.position = m.position) LIMIT ?1",
    },
    Invariant {
        sentence: "a delivery points at no event ({})",
        broken: "SELECT position FROM deliveries d WHERE NOT EXISTS
                 (SELECT 1 FROM events e WHERE e.position = d.position) LIMIT ?1",
    },
    Invariant {
        sentence: "a delivery belongs to no subscription ({})",
        broken: "SELECT subscription FROM deliveries d WHERE NOT EXISTS
                 (SELECT 1 FROM subscriptions s WHERE s.id = d.subscription) AND NOT EXISTS
                 (SELECT 1 FROM dropped x WHERE x.kind = 'subscription' AND x.id = d.subscription) LIMIT ?1",
    },
    Invariant {
        sentence: "message {} is in no queue",
        broken: "SELECT seq FROM messages m WHERE NOT EXISTS (SELECT 1 FROM queues q WHERE q.bin = m.queue)
                 AND NOT EXISTS (SELECT 1 FROM dropped x WHERE x.kind = 'bin' AND x.id = m.queue) LIMIT ?1",
    },
    Invariant {
        sentence: "an attempt points at no event ({})",
        broken: "SELECT position FROM attempts a WHERE NOT EXISTS
                 (SELECT 1 FROM events e WHERE e.position = a.position) LIMIT ?1",
    },
    Invariant {
        sentence: "an open intent belongs to no run ({})",
        broken: "SELECT incarnation FROM intents i WHERE NOT EXISTS
                 (SELECT 1 FROM incarnations n WHERE n.id = i.incarnation AND n.open_from <= i.seq)
                 AND NOT EXISTS (SELECT 1 FROM events e WHERE e.id = i.id) LIMIT ?1",
    },
    Invariant {
        sentence: "event {} points at no intent of its id",
        broken: "SELECT position FROM events e WHERE intent IS NOT NULL AND NOT EXISTS
                 (SELECT 1 FROM intents i WHERE i.seq = e.intent AND i.id = e.id) LIMIT ?1",
    },
];

/// One line for each finding; none if all is well.
pub(super) fn findings(database: &Connection, full: bool) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    if full {
        findings.extend(damage(database)?);
    } else if size(database)? < SMALL {
        findings.extend(told(database, "PRAGMA quick_check(1)")?);
    }
    findings.extend(AHEAD.findings(database, |id| subscription(database, id))?);
    let whole_tables = if full { WHOLE_TABLES } else { &[] };
    for invariant in BOUNDED.iter().chain(whole_tables) {
        findings.extend(invariant.findings(database, |number| number.to_string())?);
    }
    Ok(findings)
}

impl Invariant {
    /// A sentence for each row of the query, with what its number stands for.
    fn findings(&self, database: &Connection, named: impl Fn(i64) -> String) -> Result<Vec<String>> {
        let broken =
            database.list("check the tables", self.broken, [MAX_FINDINGS], |row| row.get::<_, i64>(0))?;
        Ok(broken.into_iter().map(|number| self.sentence.replace("{}", &named(number))).collect())
    }
}

/// A subscription's number, and how people know it unless its row cannot be read.
fn subscription(database: &Connection, id: i64) -> String {
    match entities::whose(database, SubscriptionId(id)) {
        Ok(Some(whose)) => format!("{id} ({whose})"),
        Ok(None) | Err(_) => id.to_string(),
    }
}

/// What SQLite itself finds in the whole database, whatever its version.
pub(super) fn damage(database: &Connection) -> Result<Vec<String>> {
    told(database, "PRAGMA integrity_check")
}

/// The lines of a checking pragma, without `ok`.
fn told(database: &Connection, pragma: &str) -> Result<Vec<String>> {
    let lines = database.list("check the database", pragma, [], |row| row.get::<_, String>(0))?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// The size of the database in bytes.
fn size(database: &Connection) -> Result<i64> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    Ok(database.find("read the size", sql, [], |row| row.get(0))?.unwrap_or(0))
}
