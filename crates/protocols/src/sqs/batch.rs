//! What the three batch actions have in common: their input, the bounds of their entries, and an answer for each.

use hub::queue::Queue;
use serde::{Deserialize, Serialize};

use super::error::Kind;
use super::{Context, Error};

const MAX_ENTRIES: usize = 10;
const MAX_ID: usize = 80;

/// The input of a batch, with entries of one kind.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input<E> {
    queue_url: Option<String>,
    entries: Option<Vec<E>>,
}

/// Entries, each with its id.
type Entries<'i, E> = Vec<(&'i str, &'i E)>;

impl<E> Input<E> {
    /// The queue, and the entries with their ids, which are checked. `entry` is the entry's type as SQS names it.
    pub(super) fn read(
        &self,
        context: &Context<'_>,
        entry: &str,
        id: impl Fn(&E) -> Option<&str>,
    ) -> Result<(Queue, Entries<'_, E>), Error> {
        let queue = context.queue(self.queue_url.as_deref())?;
        let entries = self.entries.as_deref().unwrap_or_default();
        let ids = check(entry, entries.iter().map(id).collect())?;
        Ok((queue, ids.into_iter().zip(entries).collect()))
    }
}

/// Checks the ids of a batch's entries, and returns them as they came.
fn check<'a>(entry: &str, ids: Vec<Option<&'a str>>) -> Result<Vec<&'a str>, Error> {
    if ids.is_empty() {
        let text = format!("There should be at least one {entry} in the request.");
        return Err(Error::new(Kind::EmptyBatch, text));
    }
    if ids.len() > MAX_ENTRIES {
        let sent = ids.len();
        let text = format!("Maximum number of entries per request are {MAX_ENTRIES}. You have sent {sent}.");
        return Err(Error::new(Kind::TooManyEntries, text));
    }
    let mut checked: Vec<&str> = Vec::with_capacity(ids.len());
    for id in ids {
        let id = id.ok_or_else(|| Error::missing(&format!("{entry}.{}.Id", checked.len() + 1)))?;
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !plain || !(1..=MAX_ID).contains(&id.len()) {
            let text = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                        It can be at most 80 letters long.";
            return Err(Error::new(Kind::BadEntryId, text));
        }
        if checked.contains(&id) {
            return Err(Error::new(Kind::EntryIdsNotDistinct, format!("Id {id} repeated.")));
        }
        checked.push(id);
    }
    Ok(checked)
}

/// The answer: both lists are there even when they are empty.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    successful: Vec<Successful>,
    failed: Vec<Failed>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Successful {
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Failed {
    id: String,
    code: &'static str,
    message: String,
    sender_fault: bool,
}

impl Failed {
    /// From why an entry failed.
    pub(super) fn of(id: &str, error: Error) -> Self {
        let (code, side) = error.code_and_side();
        Self { id: id.to_owned(), code, message: error.message, sender_fault: side == "Sender" }
    }
}

impl Output {
    /// From what came of each entry.
    pub(super) fn of<'a>(results: impl Iterator<Item = (&'a str, Result<(), Error>)>) -> Self {
        let mut output = Self::default();
        for (id, result) in results {
            match result {
                Ok(()) => output.successful.push(Successful { id: id.to_owned() }),
                Err(error) => output.failed.push(Failed::of(id, error)),
            }
        }
        output
    }
}
