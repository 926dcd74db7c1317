//! The attributes that are about dead-letter queues, as SQS writes them: `RedrivePolicy` of a queue that gives messages up, and
//! `RedriveAllowPolicy` of one that may get them. Both are JSON objects in a text.

use entities::{MAX_RECEIVE_COUNT, Queue, RedrivePolicy, Set};
use event::Arn;
use hub::Names;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Error;

/// The attribute of a queue that gives messages up.
pub(super) const REDRIVE: &str = "RedrivePolicy";
/// The attribute of a queue that may get them: kept as [`read_allow`] writes it.
pub(super) const ALLOW: &str = "RedriveAllowPolicy";

/// The members of a redrive policy.
const TARGET: &str = "deadLetterTargetArn";
const COUNT: &str = "maxReceiveCount";

const NO_TARGET: &str = "Dead letter target does not exist.";

/// Queues that a dead-letter queue may name.
const MAX_SOURCES: usize = 10;

/// A redrive policy as SQS writes it.
pub(super) fn write(policy: &RedrivePolicy, names: &Names) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        dead_letter_target_arn: String,
        max_receive_count: u32,
    }
    let RedrivePolicy { dead_letter_queue, max_receive_count } = policy;
    let dead_letter_target_arn = names.queue_arn(dead_letter_queue).to_string();
    let written = Written { dead_letter_target_arn, max_receive_count: *max_receive_count };
    serde_json::to_string(&written).unwrap_or_default()
}

/// The redrive policy of a queue, as a client writes it: the number may be a text.
pub(super) fn read(queue: &str, text: &str, names: &Names) -> Result<RedrivePolicy, Error> {
    let bad = |reason: &str| Error::invalid(text, REDRIVE, reason);
    let read: Map<String, Value> =
        serde_json::from_str(text).map_err(|_| bad("Redrive policy is not a valid JSON map."))?;
    let member = |name: &str| {
        let missing = || bad(&format!("Redrive policy does not contain mandatory attribute: {name}."));
        read.get(name).ok_or_else(missing)
    };
    let (count, target) = (member(COUNT)?, member(TARGET)?);
    if read.len() > 2 {
        return Err(bad(&format!("Only following attributes are supported: [{TARGET}, {COUNT}].")));
    }
    let shown = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
    let range = || {
        bad(&format!("Invalid value for {COUNT}: {shown}, valid values are from 1 to 1000 both inclusive."))
    };
    let max_receive_count =
        shown.parse().ok().filter(|count| MAX_RECEIVE_COUNT.contains(count)).ok_or_else(range)?;
    let arn: Option<Arn> = target.as_str().and_then(|target| target.parse().ok());
    let arn = arn.ok_or_else(|| bad(&format!("Invalid value for {TARGET}.")))?;
    let ours = names.queue_arn(&arn.resource);
    if arn.region != ours.region {
        return Err(bad("Dead-letter target must be in same region as the source."));
    }
    if arn.account != ours.account {
        return Err(bad("Dead-letter target owner should be same as the source."));
    }
    if arn != ours {
        return Err(bad(NO_TARGET));
    }
    if arn.resource == queue {
        return Err(bad("Dead letter target cannot be the source queue itself."));
    }
    Ok(RedrivePolicy { dead_letter_queue: arn.resource, max_receive_count })
}

/// Whether the dead-letter queue of a queue is there, and lets the queue give it messages.
pub(super) fn check_target(queue: &Queue, there: &Set, names: &Names) -> Result<(), Error> {
    let Some(policy) = &queue.redrive else { return Ok(()) };
    let bad = |reason: &str| Error::invalid(write(policy, names), REDRIVE, reason);
    let target = there.queues.iter().find(|one| one.name == policy.dead_letter_queue);
    let target = target.ok_or_else(|| bad(NO_TARGET))?;
    let allow = target.attributes.get(ALLOW).and_then(|text| serde_json::from_str::<Allow>(text).ok());
    let source = names.queue_arn(&queue.name).to_string();
    match allow {
        Some(allow) if !allow.allows(&source) => {
            Err(bad(&format!("The {ALLOW} of the dead letter target does not allow this queue as a source.")))
        }
        _ => Ok(()),
    }
}

/// Which queues may give messages to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Permission {
    AllowAll,
    DenyAll,
    ByQueue,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Allow {
    redrive_permission: Permission,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_queue_arns: Option<Vec<String>>,
}

impl Allow {
    fn allows(&self, source: &str) -> bool {
        match self.redrive_permission {
            Permission::AllowAll => true,
            Permission::DenyAll => false,
            Permission::ByQueue => self.source_queue_arns.iter().flatten().any(|arn| arn == source),
        }
    }
}

/// A `RedriveAllowPolicy` as a client writes it, in the form in which it is kept.
pub(super) fn read_allow(text: &str) -> Result<String, Error> {
    let bad = |reason: &str| Error::invalid(text, ALLOW, reason);
    let cannot = |why: &str| bad(&format!("Amazon SQS can't create the redrive allow policy. {why}"));
    let allow: Allow = serde_json::from_str(text).map_err(|_| {
        bad("Amazon SQS can't create the redrive allow policy, as it's in an unsupported format.")
    })?;
    let sources = allow.source_queue_arns.as_ref().map(Vec::len);
    match (allow.redrive_permission, sources) {
        (Permission::ByQueue, None | Some(0)) => Err(cannot(
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values.",
        )),
        (Permission::ByQueue, Some(sources)) if sources > MAX_SOURCES => {
            Err(cannot("The maximum number of source queue ARNs you can specify is 10."))
        }
        (Permission::AllowAll | Permission::DenyAll, Some(_)) => Err(cannot(
            "To specify one or more source queue ARNs, you must set redrivePermission to byQueue.",
        )),
        _ => Ok(serde_json::to_string(&allow).unwrap_or_default()),
    }
}
