//! The attributes of a queue that can be set: read, checked and put into the entity. Values are always strings.
//!
//! `Policy` is kept and given back, and has no effect. An attribute that would have one that queues do not have yet is refused by name, unless it
//! asks for what every queue is.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use entities::Queue;
use hub::Names;

use super::error::Kind;
use super::redrive_policy::{ALLOW, REDRIVE};
use super::{Error, redrive_policy};

/// Seconds that a received message is hidden.
const VISIBILITY: RangeInclusive<u64> = 0..=43_200;
/// Seconds that a receive waits.
const WAIT: RangeInclusive<u64> = 0..=20;
/// Seconds that a message is kept.
const RETENTION: RangeInclusive<u64> = 60..=1_209_600;

/// Attributes that queues have only with one value.
const FIXED: [(&str, &str); 3] =
    [("DelaySeconds", "0"), ("MaximumMessageSize", "1048576"), ("SqsManagedSseEnabled", "false")];
/// Attributes of SQS's that are not there yet.
const NOT_YET: [&str; 3] = ["DelaySeconds", "MaximumMessageSize", "SqsManagedSseEnabled"];
/// Attributes of SQS's that are not there yet, because nothing is encrypted on the disk.
const KEYS: [&str; 2] = ["KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"];

/// Sets what is given, by its name.
pub(super) fn set(queue: &mut Queue, given: &BTreeMap<String, String>, names: &Names) -> Result<(), Error> {
    for (name, value) in given {
        set_one(queue, name, value, names)?;
    }
    Ok(())
}

fn set_one(queue: &mut Queue, name: &str, value: &str, names: &Names) -> Result<(), Error> {
    match name {
        REDRIVE if value.is_empty() => queue.redrive = None,
        REDRIVE => queue.redrive = Some(redrive_policy::read(&queue.name, value, names)?),
        "VisibilityTimeout" => queue.visibility_timeout = seconds(name, value, &VISIBILITY)?,
        "ReceiveMessageWaitTimeSeconds" => queue.receive_wait_time = seconds(name, value, &WAIT)?,
        "MessageRetentionPeriod" => queue.message_retention_period = seconds(name, value, &RETENTION)?,
        ALLOW if !value.is_empty() => {
            drop(queue.attributes.insert(name.to_owned(), redrive_policy::read_allow(value)?));
        }
        "Policy" | ALLOW if value.is_empty() => drop(queue.attributes.remove(name)),
        "Policy" => drop(queue.attributes.insert(name.to_owned(), value.to_owned())),
        _ if FIXED.contains(&(name, value)) => {}
        // What is empty is unset.
        _ if (NOT_YET.contains(&name) || KEYS.contains(&name)) && value.is_empty() => {}
        _ if NOT_YET.contains(&name) || KEYS.contains(&name) => {
            let text =
                format!("Invalid value for the parameter {name}. Reason: it is not supported here yet.");
            return Err(Error::new(Kind::InvalidAttributeValue, text));
        }
        _ => return Err(Error::new(Kind::InvalidAttributeName, format!("Unknown Attribute {name}."))),
    }
    Ok(())
}

fn seconds(name: &str, value: &str, range: &RangeInclusive<u64>) -> Result<Duration, Error> {
    let seconds = value.parse().ok().filter(|seconds| range.contains(seconds));
    let invalid =
        || Error::new(Kind::InvalidAttributeValue, format!("Invalid value for the parameter {name}."));
    seconds.map(Duration::from_secs).ok_or_else(invalid)
}
