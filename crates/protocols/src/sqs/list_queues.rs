//! `ListQueues`: the URLs of the configured queues, by name.

use serde::{Deserialize, Serialize};

use super::page::{self, Page};
use super::{Context, Error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_name_prefix: Option<String>,
    max_results: Option<i64>,
    /// The name of the last queue of the page before.
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn call(context: &Context<'_>, input: &Input) -> Result<Output, Error> {
    let size = page::size(input.max_results)?;
    let prefix = input.queue_name_prefix.as_deref().unwrap_or_default();
    let queues = context.hub.queues();
    let names = queues.iter().map(|queue| queue.name()).filter(|name| name.starts_with(prefix));
    let Page { names, next_token } = page::of(names, size, input.max_results, input.next_token.as_deref());
    Ok(Output { queue_urls: names.into_iter().map(|name| context.url_of(name)).collect(), next_token })
}
