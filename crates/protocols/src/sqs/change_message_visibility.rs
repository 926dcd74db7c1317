//! `ChangeMessageVisibility`: changes how long a message stays hidden; 0 makes it visible at once.

use hub::queue::ChangeVisibility;
use serde::Deserialize;

use super::{Context, Error, Void, range};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
    visibility_timeout: Option<i64>,
}

pub(super) async fn call(context: &Context<'_>, input: &Input) -> Result<Void, Error> {
    let queue = context.queue(input.queue_url.as_deref())?;
    let handle = input.receipt_handle.as_deref().ok_or_else(|| Error::missing("ReceiptHandle"))?;
    let seconds = input.visibility_timeout.ok_or_else(|| Error::missing("VisibilityTimeout"))?;
    let change = ChangeVisibility { handle, visibility: range::visibility(seconds)? };
    for changed in context.hub.change_visibility(&queue, &[change]).await? {
        changed.map_err(|error| Error::visibility(handle, seconds, error))?;
    }
    Ok(Void {})
}
