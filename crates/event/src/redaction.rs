//! What is kept out of events: the values of headers and of query parameters that carry credentials.
//!
//! An event is sent to every subscriber and stays in the log for weeks. With its credentials, anyone who reads it could send the request again.
//! So the values of what usually carries a secret are replaced by [`REDACTED`](crate::facts::REDACTED) before anything is stored, wherever an
//! event has a header or a URI. Bodies have a redaction of their own: [`JsonRedaction`](crate::capture::JsonRedaction).

use std::borrow::Cow;
use std::sync::Arc;

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
    /// What usually carries a secret.
    pub fn of_secrets() -> Self {
        Self { headers: HeaderRedaction::of_secrets(), query: QueryRedaction::of_secrets() }
    }
}

/// The names under which requests of some routes carry credentials. No event shows what has one of them, whatever its rule says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialNames {
    /// Of headers.
    pub headers: Vec<HeaderName>,
    /// Of arguments of the query.
    pub arguments: Vec<String>,
}

/// What is kept out of one event: what its rule says, and what has a name under which its request may have carried a credential. Borrows
/// both, so that it costs nothing to have one for each event.
#[derive(Clone, Copy, Debug)]
pub struct Redactor<'a> {
    rule: &'a Redaction,
    credentials: &'a [Arc<CredentialNames>],
}

impl<'a> Redactor<'a> {
    /// Of a rule and a request.
    pub fn new(rule: &'a Redaction, credentials: &'a [Arc<CredentialNames>]) -> Self {
        Self { rule, credentials }
    }

    /// Whether the value of this header is kept out.
    pub fn covers(&self, name: &HeaderName) -> bool {
        self.carries_a_credential(name) || self.rule.headers.covers(name)
    }

    /// Whether the header has a name under which the request may have carried a credential.
    pub fn carries_a_credential(&self, name: &HeaderName) -> bool {
        self.credentials.iter().any(|also| also.headers.contains(name))
    }

    /// A request target with the secrets of its query replaced. Its path stays what it is.
    pub fn uri<'t>(&self, uri: &'t str) -> Cow<'t, str> {
        self.rule.query.with(self.credentials).uri(uri)
    }

    /// A header's value with the secrets of all queries in it replaced.
    pub fn value<'t>(&self, value: &'t str) -> Cow<'t, str> {
        self.rule.query.with(self.credentials).value(value)
    }
}

impl<'a> From<&'a Redaction> for Redactor<'a> {
    fn from(rule: &'a Redaction) -> Self {
        Self { rule, credentials: &[] }
    }
}

#[cfg(test)]
mod tests;
