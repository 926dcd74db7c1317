//! What an event does not say: the values of headers and of query parameters that let whoever has them in.
//!
//! An event travels to every subscriber and stays in the log for weeks. A request that can be sent again from one is an open door, so
//! the values of what usually carries a secret read [`REDACTED`](crate::facts::REDACTED) from the first durable byte on, in every
//! place where a header or a URI stands. Bodies have a redaction of their own: [`JsonRedaction`](crate::capture::JsonRedaction).

mod headers;
mod query;
mod shown;

pub use headers::{HeaderRedaction, names_a_secret};
pub use query::QueryRedaction;
pub use shown::shown;

/// What is kept out of the headers and URIs of a rule's events. The default keeps nothing out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// By the name of the header.
    pub headers: HeaderRedaction,
    /// By the name of the parameter, in request targets and in headers that hold a URL.
    pub query: QueryRedaction,
}

impl Redaction {
    /// What usually carries a secret.
    pub fn of_secrets() -> Self {
        Self { headers: HeaderRedaction::of_secrets(), query: QueryRedaction::of_secrets() }
    }
}

#[cfg(test)]
mod tests;
