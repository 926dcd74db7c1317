//! Plug-in instances: a kind with its settings, for a service, a route, a consumer, a combination of these, or for all requests.

use event::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::field::FieldError;
use crate::{Origin, name};

/// A configured plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its kind's name, `publish-sns`.
    pub name: String,
    /// The name of this instance, if it has one.
    pub instance_name: Option<String>,
    /// The id of the service whose routes it runs on.
    pub service: Option<Uuid>,
    /// The id of the route that it runs on.
    pub route: Option<Uuid>,
    /// The id of the consumer whose requests it runs on.
    #[serde(default)]
    pub consumer: Option<Uuid>,
    /// Its settings; they have passed the kind's schema and its check.
    pub config: Value,
    /// With `false`, it is stored but does not run.
    pub enabled: bool,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Plugin {
    /// All that is wrong with its own fields; its kind checks `config`.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        name::check_tags(&self.tags, &mut errors);
        errors
    }
}
