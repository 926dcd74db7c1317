//! The kinds of endpoint that Retrohook can reach, one folder each.
//!
//! To add one: a folder beside [`http`] with `mod.rs` (its manual, its config, its `impl Sink`) and `tests.rs`; name it here; let the
//! binary hand it to the workers of the subscriptions whose protocol it serves. A sink never takes longer than its request's timeout,
//! asks `delivery::guard` about every address that it dials, and tells nothing of what a name resolved to.

pub mod http;
