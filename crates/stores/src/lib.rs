//! The durable stores that Retrohook ships, each behind the ports of crate `storage`.
//!
//! To add one: a folder here that implements `storage::Backend`, `storage::Tx` and `storage::Reader`, its manual page as the folder's
//! module comment, a test that runs `storage::conformance::run` on it, and one line below.

pub mod sqlite;
