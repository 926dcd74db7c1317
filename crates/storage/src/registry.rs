//! The rows of the registry: for each entity its owner and its settings.
//!
//! The tables of [`entities`](crate::entities) have the numbers and the state of topics, queues and subscriptions, but no owner and no settings.
//! These rows have both, for entities of every kind: the [`Origin`], and the settings as a text that the store does not interpret. A change writes
//! the tables and the rows in one transaction, so that they always agree.

use ::entities::Origin;
use uuid::Uuid;

use crate::{Result, StoreError};

/// The most bytes of a row's text (1 MiB).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// A row of the registry, identified by kind and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The kind of the entity: `service`, `route`, `topic`, …
    pub kind: String,
    /// The id of the entity, unique among those of its kind.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// The entity as JSON, at most [`MAX_BODY_BYTES`] long. The store does not interpret it.
    pub body: String,
}

impl Row {
    /// Refuses a text that is too large. Every store calls this before it writes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for more than [`MAX_BODY_BYTES`].
    pub fn admit(&self) -> Result<()> {
        match self.body.len() {
            bytes if bytes > MAX_BODY_BYTES => {
                let what = format!("the {} {}", self.kind, self.id);
                Err(StoreError::TooLarge { what, bytes, limit: MAX_BODY_BYTES })
            }
            _ => Ok(()),
        }
    }
}
