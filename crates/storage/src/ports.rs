//! What a store does, divided by the data that each port owns. A port is a set of commands in the writer's one transaction, and a set of reads
//! beside it. It has neither a transaction nor a store of its own.
//!
//! | port | owns | where the data is in a cluster |
//! |---|---|---|
//! | [`journal`] | intents that are not settled | on the node's own disk |
//! | [`log`] | events, each at its position | in the cluster's store |
//! | [`queues`] | messages, and which of them are hidden | in the cluster's store |
//! | [`deliveries`] | cursors, retries, dead letters, attempts | in the cluster's store |
//! | [`registry`] | topics, queues, subscriptions and their owners; small values | in the cluster's store, with a copy on each node |
//! | [`upkeep`] | the store's own clock, room and health | each store has its own |
//!
//! There is no cluster yet: a store of one process has all of them in one commit, and [`Tx`](crate::Tx) and [`Reader`](crate::Reader) are all
//! ports together. `docs/adr/0014-ports-by-ownership.md` says what becomes of each call in a cluster.

pub mod deliveries;
pub mod journal;
pub mod log;
pub mod queues;
pub mod registry;
pub mod upkeep;

pub use deliveries::{BlockedKey, DeliveriesReader, DeliveriesTx, Lag, Rows, Waiting};
pub use journal::{JournalReader, JournalTx, OpenIntent, OpenIntents};
pub use log::{EventHead, EventPage, Happened, LogReader, LogTx, LookBack, Looked};
pub use queues::{QueuesReader, QueuesTx};
pub use registry::{RegistryReader, RegistryTx};
pub use upkeep::{StoreStats, UpkeepReader, UpkeepTx};
