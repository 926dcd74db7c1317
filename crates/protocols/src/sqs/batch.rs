//! What batches have in common: the bounds of their entries, and an answer for each.

use serde::Serialize;

use super::Error;
use super::error::Kind;

const MAX_ENTRIES: usize = 10;
const MAX_ID: usize = 80;

/// Checks the ids of a batch's entries; `entry` is the entry's type as SQS names it. Returns them as they came.
pub(super) fn check<'a>(
    entry: &str,
    ids: impl Iterator<Item = Option<&'a str>>,
) -> Result<Vec<&'a str>, Error> {
    let ids: Vec<Option<&str>> = ids.collect();
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
