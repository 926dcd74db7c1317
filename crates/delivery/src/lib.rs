//! Delivery: from the event log to each subscriber's endpoint, until it has every event or the event is a dead letter.
//!
//! * [`wire`]: what an endpoint receives; [`signing`]: the keys that sign it.
//! * [`endpoint`] and [`guard`]: where deliveries may go.
//! * [`policy`]: when to try again, when to give up.
//! * [`window`]: completion out of order, and order within a key.
//! * [`worker`]: one actor per subscription; [`deliveries`] has all of them and restarts those that fail; [`budget`]: how much they may hold at
//!   the same time.
//! * [`sink`]: the port to targets, one kind each; the crate `sinks` has the ones that exist.
//!
//! This crate knows no sockets, files or wall clock.

pub mod backoff;
pub mod budget;
pub mod deliveries;
pub mod drain;
pub mod endpoint;
pub mod events;
pub mod guard;
pub mod policy;
pub mod signing;
pub mod sink;
mod supervisor;
pub mod window;
pub mod wire;
pub mod worker;

pub use deliveries::Deliveries;
pub use endpoint::{Endpoint, EndpointHost, Scheme};
pub use sink::{AttemptReport, Sink, Target};
