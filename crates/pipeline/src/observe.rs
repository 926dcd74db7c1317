//! The role *observe*: is told how every exchange ended.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri};

use crate::Context;

/// Is called with each exchange of its routes when it is over, whoever answered it: what log and metrics plug-ins do. An instance that is for
/// all requests is also called with those that find no route.
pub trait Observe: Send + Sync + 'static {
    /// Whether [`Observed::request_headers`] and [`Observed::response_headers`] are looked at: they are copied for that.
    fn wants_headers(&self) -> bool {
        false
    }

    /// An exchange is over. Called once for each, on its core, after its last byte: must not wait.
    fn observed(&self, exchange: &Observed<'_>);
}

/// An exchange that is over; borrowed.
#[derive(Debug)]
pub struct Observed<'a> {
    /// Route, service, consumer, the client's address and the rest of its context, with what plug-ins kept of it.
    pub context: &'a Context,
    /// The method that was asked.
    pub method: &'a Method,
    /// The raw request target.
    pub uri: &'a Uri,
    /// The client's headers without those of its connection, before any plug-in changed them. `None` unless asked for.
    pub request_headers: Option<&'a HeaderMap>,
    /// The headers that the client was sent. `None` unless asked for, or without an answer.
    pub response_headers: Option<&'a HeaderMap>,
    /// The status that the client was sent; `None` if it left before there was one.
    pub status: Option<StatusCode>,
    /// The status that the upstream sent, if it answered.
    pub upstream_status: Option<StatusCode>,
    /// Who made the answer; `None` if there was none.
    pub source: Option<Source>,
    /// How the answer ended.
    pub end: End,
    /// The request's head and as much of its body as was read, in bytes.
    pub request_size: u64,
    /// The answer's head and body, in bytes, as far as they were handed to the client's connection.
    pub response_size: u64,
    /// How long it took.
    pub took: Took,
}

/// Who made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The upstream.
    Upstream,
    /// A plug-in.
    Plugin,
    /// The gateway: it found no upstream, or no answer.
    Gateway,
}

/// How an answer ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was handed on whole.
    Whole,
    /// The gateway cut it: the upstream broke off, or what the answer was held for was not kept.
    Cut,
    /// The client left before its end.
    ClientLeft,
}

/// The durations of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// From the request's head to the moment at which the upstream was asked; to the end if it was not.
    pub gateway: Duration,
    /// From that moment to the upstream's head, if there was one.
    pub upstream: Option<Duration>,
    /// From the request's head to the answer's last byte.
    pub total: Duration,
}
