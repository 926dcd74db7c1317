//! Topics of Amazon SNS, and of other services with the same API.
//!
//! * AWS's own SDK makes, signs and reads the requests; it sends them through the client of [`http`](crate::http), so that addresses are
//!   checked, connections are counted and TLS is verified as for every other endpoint. The SDK tries once: the delivery's policy decides when to
//!   try again.
//! * A message is the same text that subscribers of a local topic get, with the same message attributes. A FIFO topic gets the event's key as
//!   message group, and the event's id as deduplication id.
//! * Credentials are the subscription's access key, or those that the SDK finds, in its own order: environment, profile, web identity,
//!   container, instance. That search has a small HTTP client of the SDK's: its addresses are fixed, and are those of metadata services, which
//!   no endpoint may name.
//! * What SNS refuses for good ([`verdict`]) is not tried again: a wrong parameter, a policy, a topic that does not exist. Everything else is:
//!   throttling, expired or unknown credentials, outages, and unknown codes.
//! * No stored answer or reason has the session token of a request.

//!
//! Without the cargo feature `sns` there is no SDK: the sink is there, and opens no topic.

#[cfg(not(feature = "sns"))]
mod absent;
#[cfg(feature = "sns")]
mod answer;
#[cfg(feature = "sns")]
mod connector;
#[cfg(feature = "sns")]
mod message;
#[cfg(feature = "sns")]
mod target;
#[cfg(feature = "sns")]
mod verdict;

#[cfg(not(feature = "sns"))]
pub use self::absent::SnsSink;
#[cfg(feature = "sns")]
pub use self::target::SnsSink;

/// Why this build publishes to no topic, and what to do, in words for people; `None` if it does.
pub const ABSENT: Option<&str> = match cfg!(feature = "sns") {
    true => None,
    false => Some("this build has no AWS SDK; take a package, or build with `--features aws`"),
};

#[cfg(all(test, feature = "sns"))]
mod tests;
