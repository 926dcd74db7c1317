//! What a store does, cut by who owns what. Each port is a set of commands in the writer's one transaction, and a set of reads beside it:
//! not a transaction of its own, and not a store of its own.
//!
//! | port | owns | where it is when the rest is on other machines |
//! |---|---|---|
//! | [`journal`] | what was begun and is not settled | here: the first durable place of everything |
//! | [`log`] | events, each at its position | there |
//! | [`queues`] | messages, and which of them is hidden | there |
//! | [`deliveries`] | cursors, retries, dead letters, attempts | there |
//! | [`registry`] | topics, queues, subscriptions, whose they are; small values | there, with a copy here |
//! | [`upkeep`] | the store's own clock, room and health | each store for itself |
//!
//! A store of one process has all of them in one commit: [`Tx`](crate::Tx) and [`Reader`](crate::Reader) are all ports together.
//! `docs/adr/0014-ports-by-ownership.md` says what becomes of each call where they are not.

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
