//! Following one exchange from before its first byte to its outcome.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use event::facts::Latencies;
use event::{Decision, EventId, Fate, Timestamp};
use http::{HeaderMap, Method};
use serde_json::value::RawValue;
use storage::StoreError;

/// What is about to be forwarded; borrowed from the exchange.
#[derive(Debug)]
pub struct Forward<'a> {
    /// The request's id; becomes the event's.
    pub id: EventId,
    /// When its head had arrived.
    pub started_at: Timestamp,
    /// The method.
    pub method: &'a Method,
    /// `http` or `https`, of the listener.
    pub scheme: &'static str,
    /// Of the Host header: lower case, without port. The address that the client connected to if there is none (HTTP/1.0).
    pub host: &'a str,
    /// The listener's port.
    pub port: u16,
    /// The raw request target, with the query.
    pub uri: &'a str,
    /// The normalised request path.
    pub request_path: &'a str,
    /// The normalised path after `strip_path`, before the service's own path.
    pub service_path: &'a str,
    /// The path in the readings of services that decode what separates segments, the preferred first. Empty for nearly every path.
    pub others: &'a [Reading<'a>],
    /// Path and query as sent to the upstream.
    pub upstream_uri: &'a str,
    /// The Host as sent to the upstream.
    pub upstream_host: &'a str,
    /// The headers as sent to the upstream, with what plug-ins changed: without those that concern one connection and those that only
    /// the gateway sets. The Host is the client's.
    pub headers: &'a HeaderMap,
    /// Request line and headers as the client sent them, in bytes; nearly, when they were not in canonical form.
    pub head_size: u64,
    /// The peer's address.
    pub client_ip: IpAddr,
    /// Where it goes.
    pub route: &'a RouteFacts,
}

/// A path as a service may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The request path.
    pub request_path: &'a str,
    /// The path after `strip_path`, before the service's own path.
    pub service_path: &'a str,
}

/// What the facts of an event say of service and route; made once from the configuration.
#[derive(Debug)]
pub struct RouteFacts {
    /// The service's name, or its id if it has none.
    pub service: String,
    /// The route's name, or its id if it has none.
    pub route: String,
    /// The 0.8 `api` object.
    pub api: Box<RawValue>,
}

/// Which bodies a watch wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// [`Watch::request_body`] is called.
    pub request_body: bool,
    /// [`Watch::response_body`] is called.
    pub response_body: bool,
}

/// What was answered, as far as known when the outcome is settled; borrowed from the exchange.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The status that the client was told; `None` if nothing.
    pub status: Option<u16>,
    /// The headers sent to the client.
    pub headers: &'a HeaderMap,
    /// The request body, in bytes, as far as it was read.
    pub request_body_size: u64,
    /// The answer's head and body, in bytes, as far as they were sent.
    pub size: u64,
    /// Durations, in milliseconds.
    pub latencies: Latencies,
    /// The time now.
    pub now: Timestamp,
}

/// Done when the outcome is durable.
pub type Hold = Pin<Box<dyn Future<Output = Result<(), StoreError>>>>;

/// A plug-in's eye on one exchange; lives on the exchange's core.
pub trait Watch {
    /// Which bodies it wants to see.
    fn wants(&self) -> Wants {
        Wants::default()
    }

    /// Makes the intent durable. Awaited before the first byte of the head is sent, for [`Watch::store_timeout`] at most; `None` if
    /// there is nothing to wait for.
    ///
    /// # Errors
    /// The store's, if the intent was not kept: the request is then answered with 503 and nothing is sent.
    fn intend(&mut self) -> Option<Hold>;

    /// Whether [`Watch::settle`] may return a hold.
    fn may_hold(&self) -> bool;

    /// What this fate would make of the event. Pure: asked at the upstream's head, to know whether to follow the answer to its end.
    fn decision(&self, fate: Fate) -> Decision;

    /// How long after the upstream's head the outcome is settled at the latest, if the answer streams on.
    fn resolve_after(&self) -> Duration;

    /// How long after the request's start an exchange goes on that nobody waits for: its client left, or was told 504.
    fn bound(&self) -> Duration;

    /// How long the store may keep an exchange waiting for an intent, or an answer for its outcome. When it is over, the request is
    /// answered with 503 and its watch settled as not sent; the answer is cut.
    fn store_timeout(&self) -> Duration;

    /// A piece of the request's body, as forwarded.
    fn request_body(&mut self, chunk: &Bytes) {
        let _ = chunk;
    }

    /// A piece of the answer's body, as received.
    fn response_body(&mut self, chunk: &Bytes) {
        let _ = chunk;
    }

    /// Settles the exchange. When this returns, the outcome is in the store's queue; a hold is returned if the answer must wait
    /// until it is durable.
    fn settle(&mut self, fate: Fate, answer: &Answer<'_>) -> Option<Hold>;
}
