//! Topics of Amazon SNS, and of whatever else speaks its API.
//!
//! * AWS's own SDK makes, signs and reads the requests; it sends them through the client of [`http`](crate::http), so that addresses are vetted,
//!   connections are counted and TLS is checked as for every other endpoint. The SDK tries once: when to try again is the delivery's policy.
//! * A message is the text that subscribers of a topic of ours get, with the same message attributes. A FIFO topic gets the event's key as message
//!   group, and the event's id to deduplicate by.
//! * Credentials are the subscription's access key, or what the SDK finds in its surroundings, in its own order: environment, profile, web
//!   identity, container, instance. That search has a small HTTP client of the SDK's: its addresses are fixed, and are those of metadata services,
//!   which no endpoint may name.
//! * What SNS refuses for good ([`verdict`]) is not tried again: a parameter, a policy, a topic that is not there. Everything else is:
//!   throttling, credentials that have expired or are unknown, outages, and codes that nobody has heard of.
//! * Neither an answer nor a reason that is kept has the session token of a request.

mod answer;
mod connector;
mod message;
mod target;
mod verdict;

pub use self::target::SnsSink;

#[cfg(test)]
mod tests;
