//! The configuration of a node as it lives: the entities of files and APIs together, changes of them, and what the store should have.
//!
//! * [`Whole`]: all entities of a node, by who owns them. If a file declares what an API made, the file adopts it.
//! * [`Edit`]: a change by an API, made completely or refused with all reasons.
//! * [`rows`]: entities as rows of the store's registry.
//! * [`hub_changes`], [`desired`]: which topics, queues and subscriptions differ, and which ones the store should have.
//!
//! It works on [`entities::Set`]s, wherever they come from, and knows no files, no sockets and no clock.

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
