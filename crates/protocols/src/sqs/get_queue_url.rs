//! `GetQueueUrl`: the URL under which this request's client reaches a queue.

use serde::{Deserialize, Serialize};

use super::{Context, Error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_name: Option<String>,
    #[serde(rename = "QueueOwnerAWSAccountId")]
    owner: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    queue_url: String,
}

pub(super) fn call(context: &Context<'_>, input: &Input) -> Result<Output, Error> {
    let name = input.queue_name.as_deref().ok_or_else(|| Error::missing("QueueName"))?;
    let ours = input.owner.as_ref().is_none_or(|owner| *owner == context.hub.names().account);
    let queue = ours.then(|| context.hub.queue(name)).flatten().ok_or_else(Error::no_such_queue)?;
    Ok(Output { queue_url: context.url_of(queue.name()) })
}
