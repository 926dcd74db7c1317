//! `CreateQueue`: makes a queue, or returns the one that has the name, also one that a file declares. Without a `MessageRetentionPeriod`, a
//! queue keeps messages for 14 days (SQS: 4), because they are owed.

use std::collections::BTreeMap;

use control::Edit;
use entities::{Entity, Origin, Queue, ids, plain_name};
use event::arn::MAX_QUEUE_NAME;
use hub::{Names, QueueSettings};
use serde::{Deserialize, Serialize};

use super::error::Kind;
use super::{Context, Error, queue_attributes, redrive_policy};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_name: Option<String>,
    attributes: Option<BTreeMap<String, String>>,
    /// In lower case, as SQS has it.
    #[serde(rename = "tags")]
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    queue_url: String,
}

pub(super) async fn call(context: &Context<'_>, input: Input) -> Result<Output, Error> {
    let control = context.control()?;
    let Input { queue_name, attributes, tags } = input;
    let (attributes, tags) = (attributes.unwrap_or_default(), tags.unwrap_or_default());
    let name = queue_name.ok_or_else(|| Error::missing("QueueName"))?;
    if plain_name(&name, MAX_QUEUE_NAME).is_err() {
        let text = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length";
        return Err(Error::new(Kind::InvalidParameterValue, text));
    }
    let queue_url = context.url_of(&name);
    let (now, settings) = (context.hub.now(), QueueSettings::default());
    let mut queue = Queue {
        id: ids::of_name("queues", &name),
        origin: Origin::Api,
        name,
        visibility_timeout: settings.visibility,
        receive_wait_time: settings.receive_wait,
        message_retention_period: settings.retention,
        redrive: None,
        attributes: BTreeMap::new(),
        tags,
        created_at: now,
        updated_at: now,
    };
    let names = context.hub.names().clone();
    queue_attributes::set(&mut queue, &attributes, &names)?;
    let made = control.change(move |changes| {
        let there = changes.whole().all().queues.iter().find(|one| one.name == queue.name);
        match there {
            Some(there) => Ok(Ok(different(there, &attributes, &names))),
            None => {
                if let Err(error) = redrive_policy::check_target(&queue, changes.whole().all(), &names) {
                    return Ok(Err(error));
                }
                changes.apply(Edit { put: vec![Entity::Queue(queue.into())], ..Edit::default() })?;
                Ok(Ok(None))
            }
        }
    });
    match made.await?? {
        None => Ok(Output { queue_url }),
        Some(name) => {
            let text = format!(
                "A queue already exists with the same name and a different value for attribute {name}"
            );
            Err(Error::new(Kind::QueueNameExists, text))
        }
    }
}

/// The first of the given attributes that the queue has another value of.
fn different(there: &Queue, given: &BTreeMap<String, String>, names: &Names) -> Option<String> {
    given.iter().find_map(|(name, value)| {
        let mut asked = there.clone();
        let one = BTreeMap::from([(name.clone(), value.clone())]);
        // What is given was read before.
        let same = queue_attributes::set(&mut asked, &one, names).is_ok() && asked == *there;
        (!same).then(|| name.clone())
    })
}
