//! Queues that workers receive from.

use std::collections::BTreeMap;
use std::time::Duration;

use event::Timestamp;
use event::arn::MAX_QUEUE_NAME;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::{FieldError, Flaw, Path};
use crate::kept::Limit;
use crate::topic::plain_name;
use crate::{Origin, kept};

/// As of SQS.
const LIMITS: [Limit; 1] = [("Policy", 8_192)];

/// How often a message may be handed out before its queue gives it up (SQS's limits).
pub const MAX_RECEIVE_COUNT: std::ops::RangeInclusive<u32> = 1..=1_000;

/// When a queue gives a message up, and who gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedrivePolicy {
    /// The bare name of the dead-letter queue; not its own.
    pub dead_letter_queue: String,
    /// How often a message is handed out at most, within [`MAX_RECEIVE_COUNT`].
    pub max_receive_count: u32,
}

/// A queue of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its bare name: 1 to 80 letters, digits, hyphens and underscores.
    pub name: String,
    /// How long a received message is hidden.
    #[serde(with = "crate::millis")]
    pub visibility_timeout: Duration,
    /// How long a receive waits for a message.
    #[serde(with = "crate::millis")]
    pub receive_wait_time: Duration,
    /// How long a message is kept.
    #[serde(with = "crate::millis")]
    pub message_retention_period: Duration,
    /// When it gives a message up; `None` if it never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive: Option<RedrivePolicy>,
    /// Attributes that are kept for their readers and have no effect, as the API was given them: `Policy`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Words to find it by, each with a value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Queue {
    /// All that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors: Vec<_> = plain_name(&self.name, MAX_QUEUE_NAME).err().into_iter().collect();
        kept::check(&self.attributes, &LIMITS, &self.tags, &mut errors);
        errors.extend(self.check_redrive());
        errors
    }

    /// Whether another one of its name does the same with messages, whoever made them and when.
    pub fn is_as(&self, other: &Self) -> bool {
        // Taken apart, so that whoever adds a setting decides about it here.
        let Self {
            id: _,
            origin: _,
            name,
            visibility_timeout,
            receive_wait_time,
            message_retention_period,
            redrive,
            attributes: _,
            tags: _,
            created_at: _,
            updated_at: _,
        } = self;
        *name == other.name
            && *visibility_timeout == other.visibility_timeout
            && *receive_wait_time == other.receive_wait_time
            && *message_retention_period == other.message_retention_period
            && *redrive == other.redrive
    }

    fn check_redrive(&self) -> Option<FieldError> {
        let policy = self.redrive.as_ref()?;
        let at = || Path::key("redrive_policy");
        if policy.dead_letter_queue == self.name {
            let hint = "name another queue, one that keeps the messages that no worker deleted";
            return Some(Flaw::invalid("a queue cannot be its own dead-letter queue", hint).at(at()));
        }
        (!MAX_RECEIVE_COUNT.contains(&policy.max_receive_count)).then(|| {
            let message = format!("{} is not a number of receives", policy.max_receive_count);
            Flaw::invalid(message, "give 1 to 1000").at(at())
        })
    }
}
