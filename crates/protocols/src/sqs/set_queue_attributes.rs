//! `SetQueueAttributes`: of a queue that an API made.

use std::collections::BTreeMap;

use control::Edit;
use entities::{Entity, Queue};
use serde::Deserialize;

use super::redrive_policy::{self, REDRIVE};
use super::{Context, Error, Void, queue_attributes};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
}

pub(super) async fn call(context: &Context<'_>, input: Input) -> Result<Void, Error> {
    let control = context.control()?;
    let name = context.queue(input.queue_url.as_deref())?.name().to_owned();
    let given = input.attributes.ok_or_else(|| Error::missing("Attributes"))?;
    let (now, names) = (context.hub.now(), context.hub.names().clone());
    let changed = control.change(move |changes| {
        let there = changes.whole().all().queues.iter().find(|one| one.name == name);
        let Some(there) = there else { return Ok(Err(Error::no_such_queue())) };
        let mut queue = Queue::clone(there);
        let mut read = queue_attributes::set(&mut queue, &given, &names);
        // One that is not set now stays what it is, though its target may be gone.
        if read.is_ok() && given.contains_key(REDRIVE) {
            read = redrive_policy::check_target(&queue, changes.whole().all(), &names);
        }
        if let Err(error) = read {
            return Ok(Err(error));
        }
        if queue != **there {
            queue.updated_at = now;
            changes.apply(Edit { put: vec![Entity::Queue(queue.into())], ..Edit::default() })?;
        }
        Ok(Ok(()))
    });
    changed.await??;
    Ok(Void {})
}
