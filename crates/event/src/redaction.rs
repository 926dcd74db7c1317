//! What an event does not say: the values of headers and of query parameters that let whoever has them in.
//!
//! An event travels to every subscriber and stays in the log for weeks. A request that can be sent again from one is an open door, so
//! the values of what usually carries a secret read [`REDACTED`](crate::facts::REDACTED) from the first durable byte on, in every
//! place where a header or a URI stands. Bodies have a redaction of their own: [`JsonRedaction`](crate::capture::JsonRedaction).

use http::header::HeaderName;

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
    /// The same, and headers and arguments of these names as well, whatever else is said of them.
    #[must_use]
    pub fn with(mut self, headers: &[HeaderName], arguments: &[String]) -> Self {
        headers.iter().for_each(|name| self.headers.add(name.clone()));
        arguments.iter().for_each(|name| self.query.add(name));
        self
    }

    /// What usually carries a secret.
    pub fn of_secrets() -> Self {
        Self { headers: HeaderRedaction::of_secrets(), query: QueryRedaction::of_secrets() }
    }
}

#[cfg(test)]
mod tests;
