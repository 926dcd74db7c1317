//! Topics: where events are published.

use std::collections::BTreeMap;

use event::Timestamp;
use event::arn::{MAX_TOPIC_NAME, check_name};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::{FieldError, Flaw, Path};
use crate::kept::Limit;
use crate::{Origin, SignatureVersion, kept};

/// As of SNS.
const LIMITS: [Limit; 2] = [("DisplayName", 100), ("Policy", 30_720)];

/// The attribute that says how its subscriptions are signed, where they do not say it themselves; as in SNS.
pub const SIGNATURE_VERSION: &str = "SignatureVersion";

/// Where events are published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topic {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its bare name: 1 to 256 letters, digits, hyphens and underscores.
    pub name: String,
    /// Attributes as the API was given them: [`SIGNATURE_VERSION`]; `DisplayName` and `Policy`, which are kept for their readers and have no effect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Words by which it can be found, each with a value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Topic {
    /// Everything that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors: Vec<_> = plain_name(&self.name, MAX_TOPIC_NAME).err().into_iter().collect();
        kept::check(&self.attributes, &LIMITS, &self.tags, &mut errors);
        if let Some(value) =
            self.attributes.get(SIGNATURE_VERSION).filter(|_| self.signature_version().is_none())
        {
            let message = format!("{SIGNATURE_VERSION} is `{value}`");
            errors.push(Flaw::invalid(message, "it is 1 or 2").at(Path::key("attributes")));
        }
        errors
    }

    /// How the envelopes of its subscriptions are signed that do not say it themselves; `None` if it does not say it either.
    pub fn signature_version(&self) -> Option<SignatureVersion> {
        SignatureVersion::of_text(self.attributes.get(SIGNATURE_VERSION)?)
    }
}

/// The rule for names of topics and queues, which SNS and SQS have.
///
/// # Errors
/// If it is not of 1 to `max` letters, digits, hyphens and underscores.
pub fn plain_name(name: &str, max: usize) -> Result<(), FieldError> {
    check_name(name, max).map_err(|error| {
        Flaw::invalid(error.to_string(), "AWS clients refuse other names: rename it").at(Path::key("name"))
    })
}
