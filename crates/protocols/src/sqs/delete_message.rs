//! `DeleteMessage`: it is not an error if the handle is from an earlier receive, or if the message is gone.

use serde::Deserialize;

use super::{Context, Error, Void};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    receipt_handle: Option<String>,
}

pub(super) async fn call(context: &Context<'_>, input: &Input) -> Result<Void, Error> {
    let queue = context.queue(input.queue_url.as_deref())?;
    let handle = input.receipt_handle.as_deref().ok_or_else(|| Error::missing("ReceiptHandle"))?;
    for deleted in context.hub.delete(&queue, &[handle]).await? {
        deleted.map_err(|error| Error::handle(handle, error))?;
    }
    Ok(Void {})
}
