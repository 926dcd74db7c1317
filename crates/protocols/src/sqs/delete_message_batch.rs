//! `DeleteMessageBatch`: up to ten deletions in one commit.

use serde::Deserialize;

use super::{Context, Error, batch};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    id: Option<String>,
    receipt_handle: Option<String>,
}

pub(super) async fn call(context: &Context<'_>, input: &batch::Input<Entry>) -> Result<batch::Output, Error> {
    let (queue, entries) =
        input.read(context, "DeleteMessageBatchRequestEntry", |entry| entry.id.as_deref())?;
    // A handle that is not there is not valid either.
    let handles: Vec<&str> = entries.iter().map(|(_, entry)| entry.receipt_handle()).collect();
    let deleted = context.hub.delete(&queue, &handles).await?;
    let results = handles
        .iter()
        .zip(deleted)
        .map(|(handle, deleted)| deleted.map_err(|_| Error::handle_in_batch(handle)));
    Ok(batch::Output::of(entries.iter().map(|(id, _)| *id).zip(results)))
}

impl Entry {
    fn receipt_handle(&self) -> &str {
        self.receipt_handle.as_deref().unwrap_or_default()
    }
}
