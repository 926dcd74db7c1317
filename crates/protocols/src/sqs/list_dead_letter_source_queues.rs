//! `ListDeadLetterSourceQueues`: the URLs of the queues that give their messages to one, by name.

use serde::{Deserialize, Serialize};

use super::page::{self, Page};
use super::{Context, Error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    max_results: Option<i64>,
    /// The name of the last queue of the page before.
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    /// In lower case, as SQS has it; empty rather than absent.
    #[serde(rename = "queueUrls")]
    queue_urls: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

pub(super) fn call(context: &Context<'_>, input: &Input) -> Result<Output, Error> {
    let size = page::size(input.max_results)?;
    let queue = context.queue(input.queue_url.as_deref())?;
    let whole = context.control.map(|control| control.whole());
    let all = whole.iter().flat_map(|whole| &whole.all().queues);
    let sources =
        all.filter(|one| one.redrive.as_ref().is_some_and(|policy| policy.dead_letter_queue == queue.name()));
    let mut names: Vec<&str> = sources.map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    let Page { names, next_token } = page::of(names, size, input.max_results, input.next_token.as_deref());
    Ok(Output { queue_urls: names.into_iter().map(|name| context.url_of(name)).collect(), next_token })
}
