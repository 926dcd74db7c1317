//! What becomes of a node's configuration: files' and APIs' entities together, what a change makes of them, and what the store is to hold.
//!
//! * [`Whole`]: all entities of a node, by who owns them. A file that declares what an API made adopts it.
//! * [`Edit`]: a change by an API, taken as a whole or refused with all reasons.
//! * [`rows`]: entities as the store's registry keeps them.
//! * [`hub_changes`], [`desired`]: what is different of the hub, and what the store is to hold of it.
//!
//! Works on [`entities::Set`]s, wherever they came from. Knows no files, no sockets and no clock.

mod ask;
mod changes;
mod desired;
mod edit;
mod references;
pub mod rows;
mod store;
#[cfg(test)]
mod testing;
mod whole;

pub use ask::{Applied, Changes, Control, Job, NotApplied};
pub use changes::{How, HubChange, HubEntity, hub_changes};
pub use desired::{Fresh, desired};
pub use edit::{Edit, MAX_OF_A_KIND, Refusal};
pub use references::Reference;
pub use store::{NotStored, Plan, Stored, queue_settings};
pub use whole::{Adopted, Dangling, Merged, OtherId, Whole};
