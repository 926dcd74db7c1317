//! `DeleteQueue`: ends a queue that an API made; its messages are dropped. The name is free at once, without SQS's wait of a minute.
//!
//! Subscriptions to it end with it. On AWS they stay, and send to a queue that gets the name later what nobody meant for it.

use std::sync::Arc;

use control::Edit;
use entities::{Kind, Subscription};
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
        let Some(id) = queue.map(|one| one.id) else { return Ok(false) };
        let leads_there = |one: &&Arc<Subscription>| one.protocol.is_pull() && one.endpoint == name;
        let subscriptions = all.subscriptions.iter().filter(leads_there);
        let mut end: Vec<_> = subscriptions.map(|one| (Kind::Subscription, one.id)).collect();
        end.push((Kind::Queue, id));
        changes.apply(Edit { end, ..Edit::default() })?;
        Ok(true)
    });
    if ended.await? { Ok(Void {}) } else { Err(Error::no_such_queue()) }
}
