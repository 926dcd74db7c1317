//! What a plug-in is: the roles that it plays in an exchange, and the order in which the plug-ins of a route play them.
//!
//! | role | when | what it may do |
//! |---|---|---|
//! | [`Access`] | the request's head has arrived | change it, answer it, say who the consumer is |
//! | [`Record`] | the request is about to be forwarded | keep durably that it is, and what becomes of it |
//! | [`Respond`] | an answer's head is about to be sent | change the head; change the body as it passes |
//! | [`Observe`] | the exchange is over | log or count it |
//!
//! A [kind](PluginKind) builds one [`Plugin`] from a configuration: a part for each role that it plays. A [`Chain`] has a list for each role;
//! [`Chains`] has the chains of a route, one for requests without a consumer, and one for each consumer with instances of its own. What all of them
//! share about an exchange is its [`Context`]. `conformance` (feature of that name) is the suite that every kind passes. Works on `http` types
//! alone: knows no sockets, files, stores or wall clock.
//!
//! The rules of the outcome protocol, kept by the gateway for every watch that a recorder returned:
//! 1. [`Watch::intend`] is asked of all of them, one after the other, and all that they wait for is awaited at once, before the first byte of
//!    the head is sent. If one refuses, or takes longer than its [`Watch::store_timeout`], nothing is sent, and those that did not refuse
//!    are settled as not sent.
//! 2. After that, [`Watch::settle`] is called exactly once for each, whatever happens; a watch that is dropped without it settles itself as
//!    `unknown`, reason `abandoned`.
//! 3. If settle returns a [`Hold`], the answer's last byte (its head, if it has no body) is released only when every hold is done; if one
//!    fails, or takes longer than [`Watch::store_timeout`], the answer is cut.

pub mod access;
pub mod answer;
pub mod chain;
pub mod choice;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod context;
pub mod headers;
pub mod kind;
pub mod observe;
pub mod plugin;
pub mod reading;
pub mod record;
pub mod respond;
pub mod services;

pub use access::{Access, Deciding, RequestBody, RequestHead, Verdict};
pub use chain::Chain;
pub use choice::{Chains, Scope};
pub use context::{Context, RouteFacts};
pub use kind::{BuildContext, CheckContext, ConfigProblem, Mount, PluginKind, Remote};
pub use observe::{Observe, Observed};
pub use plugin::{Instance, Plugin, Roles};
pub use record::{Answer, EventIds, Forward, Hold, Joint, NotKept, Reading, Record, Wants, Watch};
pub use respond::{AnswerHead, Respond, Transform};
pub use services::Services;
