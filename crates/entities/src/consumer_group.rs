//! Groups of consumers by a name of their own. No plug-in is for a group yet.

use event::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::FieldError;
use crate::{Origin, name};

/// A group of consumers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerGroup {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its name: letters, digits and `.-_~`; unique.
    pub name: String,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl ConsumerGroup {
    /// Everything that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        name::check(Some(&self.name), &self.tags, &mut errors);
        errors
    }
}
