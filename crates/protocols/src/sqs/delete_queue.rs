//! `DeleteQueue`: deletes a queue that was made through an API, with its messages. The name is free at once, without SQS's wait of a minute.
//!
//! Its subscriptions are deleted with it. On AWS they stay, and would send to a later queue of the same name. Queues whose dead-letter
//! queue it is stay, as on AWS, with their policy: until there is a queue of that name again, they give nothing up.

use std::sync::Arc;

use control::Edit;
use entities::{Kind, Queue, Subscription};
use serde::Deserialize;

use super::{Context, Error, Void};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
}

pub(super) async fn call(context: &Context<'_>, input: &Input) -> Result<Void, Error> {
    let control = context.control()?;
    let name = context.queue(input.queue_url.as_deref())?.name().to_owned();
    let ended = control.change(move |changes| {
        let all = changes.whole().all();
        let queue = all.queues.iter().find(|one| one.name == name);
        let Some(id) = queue.map(|one| one.id) else { return Ok(None) };
        let gives_up_to_it = |one: &&Arc<Queue>| {
            one.name != name && one.redrive.as_ref().is_some_and(|policy| policy.dead_letter_queue == name)
        };
        let sources: Vec<_> = all.queues.iter().filter(gives_up_to_it).map(|one| one.name.clone()).collect();
        let leads_there = |one: &&Arc<Subscription>| one.protocol.is_pull() && one.endpoint == name;
        let subscriptions = all.subscriptions.iter().filter(leads_there);
        let mut end: Vec<_> = subscriptions.map(|one| (Kind::Subscription, one.id)).collect();
        end.push((Kind::Queue, id));
        changes.apply(Edit { end, ..Edit::default() })?;
        Ok(Some((name.clone(), sources)))
    });
    let (queue, sources) = ended.await?.ok_or_else(Error::no_such_queue)?;
    if !sources.is_empty() {
        let sources = sources.join(", ");
        tracing::warn!(
            queue,
            sources,
            "a dead-letter queue was deleted: its source queues keep their messages until there is a queue of this name again or they have another policy"
        );
    }
    Ok(Void {})
}
