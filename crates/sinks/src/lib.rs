//! The kinds of target that Retrohook can reach, one folder each.
//!
//! To add one: a folder beside [`http`] with `mod.rs` (its manual, its config, its `impl Sink`) and `tests.rs` (its own, and the suite
//! `delivery::sink::conformance`); name it here; pass it to `delivery::sink::Sinks` in the binary. An attempt never takes longer than its
//! subscription's timeout, asks `delivery::guard` about every address that it dials, and never reveals the addresses of a name.

pub mod http;
pub mod sns;
