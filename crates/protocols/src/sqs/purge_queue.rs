//! `PurgeQueue`: drops all messages of a queue, including hidden ones. It may be called at any time, without SQS's wait of a minute.

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
    let purged = control.change(move |changes| changes.purge(&name));
    purged.await?.map(|_| Void {}).ok_or_else(Error::no_such_queue)
}
