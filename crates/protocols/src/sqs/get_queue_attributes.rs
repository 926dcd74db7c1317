//! `GetQueueAttributes`: what there is to know of a queue. Values are always strings.

use std::collections::BTreeMap;

use event::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::Kind;
use super::redrive_policy::{self, ALLOW, REDRIVE};
use super::{Context, Error};

/// Attributes that a queue has if the configuration knows it.
const CONFIGURED: [&str; 5] = ["CreatedTimestamp", "LastModifiedTimestamp", "Policy", REDRIVE, ALLOW];
/// Attributes of SQS that no queue of ours has: asked for by name, they are left out.
const UNSET: [&str; 6] = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Input {
    queue_url: Option<String>,
    attribute_names: Option<Vec<String>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
}

pub(super) async fn call(context: &Context<'_>, input: &Input) -> Result<Output, Error> {
    let queue = context.queue(input.queue_url.as_deref())?;
    let depth = context.hub.depth(&queue).await?;
    let settings = queue.settings();
    let mut attributes = BTreeMap::from([
        ("ApproximateNumberOfMessages", depth.visible.to_string()),
        ("ApproximateNumberOfMessagesDelayed", depth.delayed.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", depth.in_flight.to_string()),
        ("DelaySeconds", "0".into()),
        ("MaximumMessageSize", "1048576".into()),
        ("MessageRetentionPeriod", settings.retention.as_secs().to_string()),
        ("QueueArn", context.hub.names().queue_arn(queue.name()).to_string()),
        ("ReceiveMessageWaitTimeSeconds", settings.receive_wait.as_secs().to_string()),
        ("SqsManagedSseEnabled", "false".into()),
        ("VisibilityTimeout", settings.visibility.as_secs().to_string()),
    ]);
    attributes.extend(configured(context, queue.name()));
    let asked = input.attribute_names.as_deref().unwrap_or_default();
    let known = |name: &str| {
        let is_any = attributes.contains_key(name) || CONFIGURED.contains(&name) || UNSET.contains(&name);
        name == "All" || is_any
    };
    if let Some(unknown) = asked.iter().find(|name| !known(name)) {
        return Err(Error::new(Kind::InvalidAttributeName, format!("Unknown Attribute {unknown}.")));
    }
    if !asked.iter().any(|name| name == "All") {
        attributes.retain(|name, _| asked.iter().any(|asked| asked == name));
    }
    Ok(Output { attributes })
}

/// What only the configuration knows: when it was made and changed, in seconds since 1970, and its policies if it has any.
fn configured(context: &Context<'_>, name: &str) -> Vec<(&'static str, String)> {
    let Some(control) = context.control else { return Vec::new() };
    let whole = control.whole();
    let Some(queue) = whole.all().queues.iter().find(|queue| queue.name == name) else { return Vec::new() };
    let seconds = |time: Timestamp| (time.as_millis() / 1_000).to_string();
    let mut known = vec![
        ("CreatedTimestamp", seconds(queue.created_at)),
        ("LastModifiedTimestamp", seconds(queue.updated_at)),
    ];
    let redrive = queue.redrive.as_ref();
    known.extend(redrive.map(|policy| (REDRIVE, redrive_policy::write(policy, context.hub.names()))));
    for name in ["Policy", ALLOW] {
        known.extend(queue.attributes.get(name).map(|policy| (name, policy.clone())));
    }
    known
}
