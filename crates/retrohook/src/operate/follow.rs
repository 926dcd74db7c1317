//! `--follow`: the last rows of a list, and each that comes to it.
//!
//! A list is asked once a second, the newest first, until a row comes that was seen. A node that does not answer is said once and asked again:
//! it may be restarting.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;

use super::args::Shared;
use super::call::{Call, Failed};
use super::listings::Listing;
use super::{say, table};
use crate::report;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rows of a page while following.
const PAGE: usize = 500;
/// Pages that are looked at for what is new, so that a look ends.
const MAX_PAGES: usize = 200;
/// How many of the last rows are known by name: rows with the same time are told apart by it.
const KNOWN: usize = 10_000;

pub async fn run(listing: &Listing, call: &Call, shared: &Shared) -> Result<(), Failed> {
    let mut seen = Seen::default();
    let mut is_away = false;
    // The first look prints what there is, and fails if there is no node.
    let first = call.ask(&shared.admin).await?;
    let mut rows = rows_of(listing, first);
    rows.reverse();
    let mut has_title = shared.json;
    loop {
        seen.note(&rows);
        print(listing, &rows, shared, &mut has_title)?;
        tokio::time::sleep(LOOK_EVERY).await;
        rows = match newer(listing, call, shared, &seen).await {
            Ok(rows) => {
                if std::mem::take(&mut is_away) {
                    report::problem("retrohook: the node answers again");
                }
                rows
            }
            Err(Failed::NoAnswer(why)) => {
                if !std::mem::replace(&mut is_away, true) {
                    report::problem(&format!("retrohook: {why}\n  it is asked again until it answers"));
                }
                Vec::new()
            }
            Err(other) => return Err(other),
        };
    }
}

/// What came since, the oldest first.
async fn newer(listing: &Listing, call: &Call, shared: &Shared, seen: &Seen) -> Result<Vec<Value>, Failed> {
    let mut call = call.clone().with("limit", Some(PAGE)).with("after", seen.sequence(listing));
    let mut new = Vec::new();
    for _ in 0..MAX_PAGES {
        let answer = call.ask(&shared.admin).await?;
        let next = match &answer[listing.next.0] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        let rows = rows_of(listing, answer);
        let count = rows.len();
        let some: Vec<Value> = rows.into_iter().take_while(|row| !seen.is_past(row)).collect();
        let was_last = some.len() < count || next.is_none();
        new.extend(some.into_iter().filter(|row| !seen.has(row)));
        if was_last {
            break;
        }
        call = call.with("before", next);
    }
    new.reverse();
    Ok(new)
}

fn rows_of(listing: &Listing, mut answer: Value) -> Vec<Value> {
    match answer[listing.rows].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

fn print(listing: &Listing, rows: &[Value], shared: &Shared, has_title: &mut bool) -> Result<(), Failed> {
    if shared.json {
        return say(rows.iter().map(Value::to_string));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let lines = table::lines(listing.columns, rows, shared.width());
    say(lines.into_iter().skip(usize::from(std::mem::replace(has_title, true))))
}

/// What was printed, as far as it is needed to know what is new.
#[derive(Default)]
struct Seen {
    /// The newest one's.
    sequence: Option<i64>,
    died_at: Option<String>,
    names: HashSet<String>,
}

impl Seen {
    fn note(&mut self, rows: &[Value]) {
        if self.names.len() > KNOWN {
            self.names.clear();
        }
        self.names.extend(rows.iter().map(name));
        let Some(last) = rows.last() else { return };
        self.sequence = last["sequence"].as_i64();
        self.died_at = last["died_at"].as_str().map(str::to_owned).max(self.died_at.take());
    }

    /// After which event to look; a dead letter's sequence says nothing of when it died.
    fn sequence(&self, listing: &Listing) -> Option<i64> {
        self.sequence.filter(|_| listing.rows == "events")
    }

    /// Whether a dead letter, and so each after it, is older than one that was printed. Times are those of the wall clock, in milliseconds.
    fn is_past(&self, row: &Value) -> bool {
        row["died_at"].as_str().zip(self.died_at.as_deref()).is_some_and(|(died_at, last)| died_at < last)
    }

    fn has(&self, row: &Value) -> bool {
        self.names.contains(&name(row))
    }
}

fn name(row: &Value) -> String {
    format!("{} {} {}", row["subscription"], row["sequence"], row["died_at"])
}
