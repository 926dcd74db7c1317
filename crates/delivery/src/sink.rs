//! What reaches one kind of endpoint: one request in, one report out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use crate::endpoint::Endpoint;

pub use storage::delivery::MAX_ANSWER;

/// Reaches endpoints. One attempt is one request; the worker decides what comes of it.
pub trait Sink: Send + Sync + 'static {
    /// Tries once. Never takes longer than the request's timeout, whatever the endpoint does; never follows a redirect; never panics.
    /// A sink may have the attempt wait for a free connection, and for the addresses of a name: then the timeout does not run.
    fn attempt(&self, request: AttemptRequest) -> Pin<Box<dyn Future<Output = AttemptReport> + Send + '_>>;

    /// How many attempts wait for a free connection now.
    fn waiting(&self) -> usize;
}

/// One request to an endpoint.
#[derive(Clone, Debug)]
pub struct AttemptRequest {
    /// Whom.
    pub endpoint: Arc<Endpoint>,
    /// All headers but those of the connection: `host`, `content-length`, `accept-encoding`, `authorization`.
    pub headers: HeaderMap,
    /// What.
    pub body: Bytes,
    /// How long it may take: covers connecting, TLS, the answer's head and its body.
    pub timeout: Duration,
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// The status, if there was an answer. Then it alone decides: what breaks off behind the head changes nothing.
    pub status: Option<u16>,
    /// From the beginning to the end of what was read, without the wait for a free connection.
    pub took: Duration,
    /// The first bytes of the answer's body, at most [`MAX_ANSWER`].
    pub answer: Bytes,
    /// Why there was no answer.
    pub error: Option<AttemptError>,
    /// The `Retry-After` header, as it came.
    pub retry_after: Option<String>,
}

/// Why there was no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct AttemptError {
    /// For metrics.
    pub kind: Failure,
    /// In words for people; nothing of what a name resolved to.
    pub text: String,
}

/// The kinds of failure without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The guard refused the endpoint.
    Blocked,
    /// Its name could not be resolved.
    Dns,
    /// No connection.
    Connect,
    /// No TLS.
    Tls,
    /// The deadline passed.
    Timeout,
    /// The connection broke before a head, or what came is no HTTP.
    Broken,
    /// Ours, not the endpoint's: the message could not be made.
    Internal,
}

impl AttemptReport {
    /// An attempt that ended without an answer.
    pub fn failed(kind: Failure, text: impl Into<String>, took: Duration) -> Self {
        Self {
            status: None,
            took,
            answer: Bytes::new(),
            error: Some(AttemptError { kind, text: text.into() }),
            retry_after: None,
        }
    }
}
