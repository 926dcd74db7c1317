//! Queues that workers receive from.

use std::collections::BTreeMap;
use std::time::Duration;

use event::Timestamp;
use event::arn::MAX_QUEUE_NAME;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::FieldError;
use crate::kept::Limit;
use crate::topic::plain_name;
use crate::{Origin, kept};

/// As of SQS.
const LIMITS: [Limit; 1] = [("Policy", 8_192)];

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
    /// Attributes that are kept for their readers and have no effect, as the API was given them: `DisplayName`, `Policy`.
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
        errors
    }
}
