//! What becomes of a node's configuration: what a newer one changes, and what the store is to hold of it.
//!
//! Works on [`entities::Set`]s, wherever they came from. Knows no files, no sockets and no clock.

mod changes;
mod desired;
#[cfg(test)]
mod testing;

pub use changes::{How, HubChange, HubEntity, hub_changes};
pub use desired::{Fresh, desired};
