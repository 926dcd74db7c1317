//! `ChangeMessageVisibilityBatch`: up to ten changes in one commit.

use hub::queue::{ChangeVisibility, VisibilityError};
use serde::Deserialize;

use super::{Context, Error, batch, range};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    id: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

pub(super) async fn call(context: &Context<'_>, input: &batch::Input<Entry>) -> Result<batch::Output, Error> {
    let (queue, entries) =
        input.read(context, "ChangeMessageVisibilityBatchRequestEntry", |entry| entry.id.as_deref())?;
    let asked: Vec<Result<ChangeVisibility<'_>, Error>> =
        entries.iter().map(|(_, entry)| entry.change()).collect();
    let changes: Vec<_> = asked.iter().flatten().copied().collect();
    let mut changed = context.hub.change_visibility(&queue, &changes).await?.into_iter();
    let results = asked.into_iter().zip(&entries).map(|(asked, (_, entry))| {
        let asked = asked?;
        // One result for each change, in their order.
        changed.next().unwrap_or(Err(VisibilityError::Gone)).map_err(|error| match error {
            VisibilityError::Handle(_) => Error::handle_in_batch(asked.handle),
            other => Error::visibility(asked.handle, entry.visibility_timeout.unwrap_or_default(), other),
        })
    });
    Ok(batch::Output::of(entries.iter().map(|(id, _)| *id).zip(results)))
}

impl Entry {
    /// What the entry asks for. A handle that is not there is not valid either.
    fn change(&self) -> Result<ChangeVisibility<'_>, Error> {
        let seconds = self.visibility_timeout.ok_or_else(|| Error::missing("VisibilityTimeout"))?;
        let handle = self.receipt_handle.as_deref().unwrap_or_default();
        Ok(ChangeVisibility { handle, visibility: range::visibility(seconds)? })
    }
}
