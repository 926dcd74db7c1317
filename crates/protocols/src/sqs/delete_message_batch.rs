//! `DeleteMessageBatch`: up to ten deletions in one commit.

use serde::Deserialize;

use super::{Context, Error, batch};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    entries: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: Option<String>,
    receipt_handle: Option<String>,
}

pub(super) async fn call(context: &Context<'_>, input: &Input) -> Result<batch::Output, Error> {
    let queue = context.queue(input.queue_url.as_deref())?;
    let entries = input.entries.as_deref().unwrap_or_default();
    let ids =
        batch::check("DeleteMessageBatchRequestEntry", entries.iter().map(|entry| entry.id.as_deref()))?;
    // A handle that is not there is not valid either.
    let handles: Vec<&str> = entries.iter().map(Entry::receipt_handle).collect();
    let deleted = context.hub.delete(&queue, &handles).await?;
    let results = handles
        .iter()
        .zip(deleted)
        .map(|(handle, deleted)| deleted.map_err(|_| Error::handle_in_batch(handle)));
    Ok(batch::Output::of(ids.into_iter().zip(results)))
}

impl Entry {
    fn receipt_handle(&self) -> &str {
        self.receipt_handle.as_deref().unwrap_or_default()
    }
}
