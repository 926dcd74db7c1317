//! The rows of entities: who owns each, and what it says.
//!
//! The tables of [`entities`](crate::entities) have the numbers and the state of topics, queues and subscriptions, but no owner. These rows have
//! the rest, for entities of every kind: the [`Origin`], and a text that the store does not interpret. Both are changed in one transaction, so
//! that they always agree.

use ::entities::Origin;
use uuid::Uuid;

use crate::{Result, StoreError};

/// The most bytes of a row's text (1 MiB).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// An entity of the registry. Its kind and its id are its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `service`, `route`, `topic`, …
    pub kind: String,
    /// Unique in its kind.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// The entity as JSON, up to [`MAX_BODY_BYTES`]. The store does not change it.
    pub body: String,
}

impl Row {
    /// Refuses a text that is too large. Every store calls this before it writes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`].
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
