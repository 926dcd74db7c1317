//! `GetQueueAttributes`: what there is to know of a queue. Values are always strings.
//!
//! When a queue was made or changed is not kept, so `CreatedTimestamp` and `LastModifiedTimestamp` are left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::Kind;
use super::{Context, Error};

/// Attributes of SQS that no queue of ours has: asked for by name, they are left out.
const UNSET: [&str; 11] = [
    "ContentBasedDeduplication",
    "CreatedTimestamp",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "LastModifiedTimestamp",
    "Policy",
    "RedriveAllowPolicy",
    "RedrivePolicy",
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
    let asked = input.attribute_names.as_deref().unwrap_or_default();
    let known = |name: &str| name == "All" || attributes.contains_key(name) || UNSET.contains(&name);
    if let Some(unknown) = asked.iter().find(|name| !known(name)) {
        return Err(Error::new(Kind::InvalidAttributeName, format!("Unknown Attribute {unknown}.")));
    }
    if !asked.iter().any(|name| name == "All") {
        attributes.retain(|name, _| asked.iter().any(|asked| asked == name));
    }
    Ok(Output { attributes })
}
