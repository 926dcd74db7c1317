//! The role *record*: keep, durably, that a request is about to be forwarded and what became of it.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use event::facts::Latencies;
use event::{Decision, EventId, Fate, Timestamp};
use http::{HeaderMap, Method};
use uuid::Uuid;

use crate::context::{Context, PluginData, RouteFacts};

/// Records exchanges. Every recorder of a route is asked, and none hides another.
pub trait Record: Send + Sync + 'static {
    /// A request is about to be forwarded. A recorder that wants to settle what becomes of it returns a watch.
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>>;
}

/// What is about to be forwarded; borrowed from the exchange.
#[derive(Debug)]
pub struct Forward<'a> {
    /// Request id, route, consumer, addresses.
    pub context: &'a Context,
    /// Where the request goes.
    pub route: &'a RouteFacts,
    /// The ids of the events that this recorder makes of it.
    pub ids: EventIds,
    /// The client's address, [`Context::client`], as text.
    pub client_ip: &'a str,
    /// The method.
    pub method: &'a Method,
    /// Of the Host header: lower case, without port. The address that the client connected to if there is none (HTTP/1.0).
    pub host: &'a str,
    /// The raw request target, with the query.
    pub uri: &'a str,
    /// The normalised request path.
    pub request_path: &'a str,
    /// The normalised path after `strip_path`, before the service's own path.
    pub service_path: &'a str,
    /// The path in the readings of services that decode what separates segments, the preferred first. Empty for nearly every path.
    pub others: &'a [Reading<'a>],
    /// Readings that only the client's spelling has, in no order. Empty if the upstream gets the path in normal form, as for nearly every path.
    pub as_spelt: &'a [Reading<'a>],
    /// Path and query as sent to the upstream.
    pub upstream_uri: &'a str,
    /// The Host as sent to the upstream.
    pub upstream_host: &'a str,
    /// The headers as sent to the upstream, with what plug-ins changed: without those that concern one connection and those that only
    /// the gateway sets. The Host is the client's.
    pub headers: &'a HeaderMap,
    /// Request line and headers as the client sent them, in bytes; nearly, when they were not in canonical form.
    pub head_size: u64,
}

/// The ids of the events that one recorder makes of one request. The first recorder's first event has the request's id; every other one's
/// id follows from the request, the instance and what the event is of, so that a repeat gives the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventIds {
    request: EventId,
    instance: Uuid,
    turn: Turn,
}

/// Which recorder of an exchange it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first one that watches.
    First,
    /// Any other.
    Further,
}

impl EventIds {
    /// Those of a recorder with this instance id.
    pub fn new(request: EventId, instance: Uuid, turn: Turn) -> Self {
        Self { request, instance, turn }
    }

    /// The id of this recorder's first event, which is of this entry of its rules and this element of the request (0 where there are none):
    /// its intent's id.
    pub fn first(&self, entry: u32, element: u32) -> EventId {
        match self.turn {
            Turn::First => self.request,
            Turn::Further => self.further(entry, element),
        }
    }

    /// The id of any other event of it.
    pub fn further(&self, entry: u32, element: u32) -> EventId {
        EventId::further(self.request, self.instance, entry, element)
    }
}

/// A path as a service may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// The request path.
    pub request_path: &'a str,
    /// The path after `strip_path`, before the service's own path.
    pub service_path: &'a str,
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
    /// The status that the client was sent; `None` if it was sent nothing.
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

/// Done when an intent or an outcome is durable.
pub type Hold = Pin<Box<dyn Future<Output = Result<(), NotKept>>>>;

/// Why an intent or an outcome was not kept, in the store's words.
#[derive(Clone)]
pub struct NotKept(Arc<dyn Error + Send + Sync>);

impl NotKept {
    /// For this reason.
    pub fn new(reason: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(reason))
    }

    /// The reason itself, for whoever knows its type.
    pub fn reason(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0
    }
}

impl fmt::Debug for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for NotKept {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// What the watches of one exchange share while they are asked for their intents, so that all of these become durable in one commit: each
/// adds its own to a batch, which is sent off when this is dropped, after the last of them was asked.
pub struct Joint(Option<PluginData>);

impl Joint {
    /// For a watch that is the only one: there is nothing to share.
    pub fn alone() -> Self {
        Self(None)
    }

    /// For several.
    pub fn of_several() -> Self {
        Self(Some(PluginData::default()))
    }

    /// The batch of this type, begun if there is none yet; `None` for a watch that is alone.
    pub fn batch<T: 'static>(&mut self, begin: impl FnOnce() -> T) -> Option<&mut T> {
        let shared = self.0.as_mut()?;
        if shared.get::<T>().is_none() {
            shared.insert(begin());
        }
        shared.get_mut()
    }
}

/// What a recorder follows one exchange with; lives on the exchange's core.
pub trait Watch {
    /// Which bodies it wants to see.
    fn wants(&self) -> Wants {
        Wants::default()
    }

    /// Makes the intent durable, together with those of the exchange's other watches. Awaited before the first byte of the head is sent, for
    /// [`Watch::store_timeout`] at most; `None` if there is nothing to wait for. If it fails, or that of another watch does, the request is
    /// answered with 503 and nothing is sent.
    fn intend(&mut self, joint: &mut Joint) -> Option<Hold>;

    /// Whether [`Watch::settle`] may return a hold.
    fn may_hold(&self) -> bool;

    /// What this fate would make of the event. Pure: asked at the upstream's head, to know whether to follow the answer to its end.
    fn decision(&self, fate: Fate) -> Decision;

    /// How long after the upstream's head the outcome is settled at the latest, if the answer streams on.
    fn resolve_after(&self) -> Duration;

    /// How long after the request's start an exchange goes on if its client left, or was sent 504.
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
