//! The durable store as ports: what every store must do, and the writer that works over any of them.
//!
//! * [`ports`]: what a store does, divided by the data that each port owns: journal, log, queues, deliveries, registry, upkeep.
//! * [`backend`]: all ports as one write transaction ([`Tx`]) and as the reads beside it ([`Reader`]), and the store behind both
//!   ([`Backend`]). `conformance` (feature of that name) is the suite that a store must pass, port by port.
//! * [`writer`]: the one thread that writes, in group commits, over any backend. It owns the order of intents and outcomes, the latch
//!   after a failed commit and the retry of outcomes that a full disk refused.
//! * [`clock`]: the store's own clock, with which ages are measured.
//! * [`identity`]: which stored subscription a wanted one is.
//! * [`registry`]: rows with the owner and the text of each entity; the store does not interpret the text.
//! * [`steps`]: from what a store has to what a configuration wants, a few changes a commit.
//! * [`delivery`], [`queue`], [`redrive`], [`retention`]: the types and limits of deliveries, messages, dead-letter queues and housekeeping.
//! * [`dropped`]: what an owner's command drops, counted.
//! * [`feed`]: the most recent events, and wake-ups.
//! * [`vital`]: notices the end of a thread without which the process is useless, the writer's and others'.
//! * [`throttle`]: limits log lines that would otherwise come for each request.
//! * [`failpoint`]: named points at which a test can stop the process.
//! * [`memory`]: the in-memory store, for tests and simulations.
//!
//! This crate knows no files, databases or wall clock.

pub mod backend;
mod causes;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod delivery;
pub mod dropped;
pub mod entities;
pub mod error;
pub mod failpoint;
pub mod feed;
pub mod identity;
pub mod memory;
pub mod ports;
pub mod queue;
pub mod redrive;
pub mod registry;
pub mod retention;
pub mod steps;
pub mod throttle;
pub mod vital;
pub mod writer;

pub use backend::{Backend, Reader, Tx};
pub use causes::describe;
pub use error::{Result, StoreError};
pub use feed::Feed;
pub use ports::EventPage;
pub use writer::{Receipt, Writer};
