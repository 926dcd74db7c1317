//! Reading heads of events from the newest to the oldest: by position, by topic, or by the rows of deliveries. Each has an index in that order.

use event::{Position, TopicId};
use rusqlite::{Connection, params};
use storage::Result;
use storage::delivery::RowState;
use storage::ports::{EventHead, LookBack, Looked};

use super::deliveries::word;
use super::rows::{self, HEAD};
use super::statements::Statements;

pub(super) fn look_back(database: &Connection, over: LookBack) -> Result<Looked> {
    let before = over.before.unwrap_or(Position(i64::MAX));
    match over.row {
        Some(state) => by_rows(database, over, state, before),
        None => by_events(database, over, before),
    }
}

/// The end of the query for events of any topic, and of that for events of one topic.
pub(super) const BY_EVENTS: [&str; 2] = [
    "FROM events e WHERE e.position < ?1 ORDER BY e.position DESC LIMIT ?2",
    "FROM events e INDEXED BY events_topic WHERE e.position < ?1 AND e.topic = ?3 ORDER BY e.position DESC LIMIT ?2",
];

fn by_events(database: &Connection, over: LookBack, before: Position) -> Result<Looked> {
    let rows = i64::try_from(over.rows).unwrap_or(i64::MAX);
    let read = |row: &rusqlite::Row<'_>| Ok((rows::position(row, 0)?, rows::head(row).ok()));
    let found = match over.topic {
        None => {
            let sql = format!("SELECT {HEAD} {}", BY_EVENTS[0]);
            database.list("look back over events", &sql, params![before.0, rows], read)?
        }
        Some(TopicId(topic)) => {
            let sql = format!("SELECT {HEAD} {}", BY_EVENTS[1]);
            database.list("look back over a topic's events", &sql, params![before.0, rows, topic], read)?
        }
    };
    let last = found.last().map(|(position, _)| *position);
    let next = last.filter(|_| found.len() >= over.rows);
    Ok(Looked { heads: found.into_iter().filter_map(|(_, head)| head).collect(), next })
}

/// The last position before another one that has rows of deliveries.
pub(super) const NEXT_WITH_ROWS: &str = "SELECT position FROM deliveries INDEXED BY deliveries_position
     WHERE position < ?1 ORDER BY position DESC LIMIT 1";

/// How many rows of deliveries a position has, and whether one of them is in a state and of a subscription that still exists.
pub(super) const ROWS_AT: &str = "SELECT count(*), ifnull(max(state = ?2
         AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = deliveries.subscription)), 0)
     FROM deliveries INDEXED BY deliveries_position WHERE position = ?1";

fn by_rows(database: &Connection, over: LookBack, state: RowState, before: Position) -> Result<Looked> {
    let mut looked = Looked { heads: Vec::new(), next: Some(before) };
    let mut left = over.rows;
    while let Some(next) = looked.next {
        let operation = "look back over deliveries";
        looked.next = database.find(operation, NEXT_WITH_ROWS, [next.0], |row| rows::position(row, 0))?;
        let Some(position) = looked.next else { break };
        let (count, has) = database
            .find(operation, ROWS_AT, params![position.0, word(state)], |row| Ok((row.get(0)?, row.get(1)?)))?
            .unwrap_or((0, false));
        if has {
            let head = head_at(database, position)?;
            looked.heads.extend(head.filter(|head| over.topic.is_none_or(|topic| head.topic == topic)));
        }
        left = left.saturating_sub(1 + count);
        if left == 0 {
            break;
        }
    }
    Ok(looked)
}

/// The head of the event at a position; `None` if there is none, or if it is damaged.
fn head_at(database: &Connection, position: Position) -> Result<Option<EventHead>> {
    let sql = format!("SELECT {HEAD} FROM events e WHERE e.position = ?1");
    let head = database.find("read an event's head", &sql, [position.0], |row| Ok(rows::head(row).ok()))?;
    Ok(head.flatten())
}
