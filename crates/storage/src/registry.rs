//! Rows of entities: who owns each, and what it says.
//!
//! The tables of [`entities`](crate::entities) have the numbers and the state of topics, queues and subscriptions, and know of no owner.
//! These rows have the rest, of entities of every kind: the [`Origin`] and a text that the store does not look into. Whoever changes both
//! does it in one transaction, so that neither is ever ahead of the other.

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
    /// What it says: JSON, up to [`MAX_BODY_BYTES`]. The store keeps it as it is.
    pub body: String,
}

impl Row {
    /// Refuses a text that is too large. Every store asks before it writes.
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
