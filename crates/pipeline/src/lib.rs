//! What a plug-in is: the phases of a request, the [`Plugin`] trait and the order of a chain.
//!
//! A request goes through the `access` phase of every plug-in, then, if none answered, through their `watch` phase: the last
//! moment before the upstream is asked. A [`Watch`] stays with the exchange and settles what became of it. Works on `http` types alone:
//! knows no sockets, files or wall clock.
//!
//! The rules of the outcome protocol, kept by the gateway for every watch:
//! 1. [`Watch::intend`] is awaited before the first byte of the head is sent; if it refuses, nothing is sent. If it takes longer than
//!    [`Watch::store_timeout`], nothing is sent and the watch is settled as not sent.
//! 2. After that, [`Watch::settle`] is called exactly once, whatever happens; a watch that is dropped without it settles itself as
//!    `unknown`, reason `abandoned`.
//! 3. If settle returns a [`Hold`], the answer's last byte (its head, if it has no body) is released only when the hold is done; if the
//!    hold fails, or takes longer than [`Watch::store_timeout`], the answer is cut.

pub mod chain;
pub mod kind;
pub mod plugin;
pub mod reading;
pub mod watch;

pub use chain::Chain;
pub use kind::{BuildContext, CheckContext, ConfigProblem, Mount, PluginKind};
pub use plugin::{Access, Plugin, RequestHead, Verdict};
pub use watch::{Answer, Forward, Hold, Reading, RouteFacts, Wants, Watch};
