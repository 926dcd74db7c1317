//! `SendMessage`: a message straight into a queue. It is durable when the call is answered.

use serde::Deserialize;

use super::{Context, Error, send};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    #[serde(flatten)]
    message: send::Input,
}

pub(super) async fn call(context: &Context<'_>, input: &Input) -> Result<send::Output, Error> {
    let queue = context.queue(input.queue_url.as_deref())?;
    let (message, digests) = input.message.read(send::Place::Alone, context.trace)?;
    let mut ids = context.hub.send(&queue, vec![message]).await?;
    Ok(digests.output(ids.pop().ok_or_else(Error::internal)?))
}
