//! The data path: listeners, router, exchanges and the upstream pool, one thread and one runtime a core.
//!
//! * [`Gateway::bind`] binds one `SO_REUSEPORT` socket per core, after it has made sure that no other process has the port.
//! * [`proxy`](self) serves a request: route, plug-ins, upstream, answer. A request that no plug-in records is relayed directly and
//!   ends with its client.
//! * `exchange` follows a recorded one to its outcome.
//! * `account` belongs to every exchange: its context, and what its observers get at its end.
//! * [`snapshot`] is the configuration that all of this uses, one generation after the other while the gateway runs.
//!
//! Invariants: cores share only atomics, the store's queue and what never changes. Nothing is sent upstream before every watch's intent is
//! durable. The crate knows no rules, topics or events: only watches.

pub mod access_log;
mod account;
mod answer;
pub mod balance;
mod body;
mod budget;
pub mod compile;
pub mod condition;
pub mod conditions;
mod connection;
mod core;
pub mod destination;
mod exchange;
mod framing;
pub mod front;
pub mod gateway;
mod headers;
mod hold;
mod hops;
mod inbound;
pub mod interim;
pub mod keep_alive;
pub mod limits;
pub mod listeners;
mod own_address;
pub mod path;
mod permit;
mod proxy;
mod read_ahead;
pub mod references;
pub mod rewriting;
pub mod router;
pub mod service;
mod slots;
pub mod snapshot;
mod stall;
pub mod stats;
pub mod table;
mod upstream;

pub use gateway::{Cut, Gateway, Running};
pub use headers::NAME;
pub use hops::NodeId;
pub use snapshot::{Publisher, Snapshot};
