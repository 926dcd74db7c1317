//! `ListQueues`: the URLs of the configured queues, by name.

use serde::{Deserialize, Serialize};

use super::{Context, Error};

const MAX_RESULTS: usize = 1_000;

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
    let page = match input.max_results {
        None => MAX_RESULTS,
        Some(number) => {
            usize::try_from(number).ok().filter(|number| (1..=MAX_RESULTS).contains(number)).ok_or_else(
                || Error::invalid(number, "MaxResults", "MaxResults must be an integer between 1 and 1000."),
            )?
        }
    };
    let prefix = input.queue_name_prefix.as_deref().unwrap_or_default();
    let after = input.next_token.as_deref().unwrap_or_default();
    let queues = context.hub.queues();
    let mut names = queues
        .iter()
        .map(|queue| queue.name())
        .filter(|name| name.starts_with(prefix) && (after.is_empty() || *name > after));
    let listed: Vec<&str> = names.by_ref().take(page).collect();
    let more = input.max_results.is_some() && names.next().is_some();
    Ok(Output {
        next_token: listed.last().filter(|_| more).map(|name| (*name).to_owned()),
        queue_urls: listed.into_iter().map(|name| context.url_of(name)).collect(),
    })
}
