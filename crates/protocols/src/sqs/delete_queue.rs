//! `DeleteQueue`: ends a queue that an API made; its messages are dropped. The name is free at once, without SQS's wait of a minute.

use control::Edit;
use entities::Kind;
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
        let queue = changes.whole().all().queues.iter().find(|one| one.name == name);
        let Some(id) = queue.map(|one| one.id) else { return Ok(false) };
        changes.apply(Edit { end: vec![(Kind::Queue, id)], ..Edit::default() })?;
        Ok(true)
    });
    if ended.await? { Ok(Void {}) } else { Err(Error::no_such_queue()) }
}
