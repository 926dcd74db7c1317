//! What is known of one exchange besides its messages, for plug-ins and for every part of the gateway that handles it.

use std::any::Any;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use event::redaction::CredentialNames;
use event::{EventId, Timestamp};
use http::{HeaderValue, Version};
use serde_json::value::RawValue;
use uuid::Uuid;

/// One exchange. Stays on the core that serves its connection.
#[derive(Debug)]
pub struct Context {
    /// The request's id. The first event that comes of it has the same.
    pub id: EventId,
    /// When the request's head had arrived, by the wall clock: for people and messages.
    pub started_at: Timestamp,
    /// The same moment by the monotonic clock, for durations and deadlines.
    pub started: Instant,
    /// How it came in.
    pub inbound: Inbound,
    /// The client's address, as far as the gateway knows it: the peer's.
    pub client: IpAddr,
    /// The `Accept` header, for answers that are not the upstream's.
    pub accept: Option<HeaderValue>,
    /// The route; `None` until one is found.
    pub route: Option<RouteRef>,
    /// Who was authenticated. From the moment at which this is set, the plug-ins that are for this consumer run.
    pub consumer: Option<Arc<Consumer>>,
    /// By which credential.
    pub credential: Option<Arc<Credential>>,
    /// Where the request may have carried credentials, as far as plug-ins look for them.
    pub carried: Carried,
    /// What plug-ins keep of this exchange from one role to the next.
    pub data: PluginData,
}

/// How a request came in: what the listener and the connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbound {
    /// The listener's.
    pub scheme: Scheme,
    /// Of the request.
    pub version: Version,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Our end: where the client connected to.
    pub local: SocketAddr,
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Its usual port, in decimal digits.
    pub fn port(self) -> &'static str {
        match self {
            Self::Http => "80",
            Self::Https => "443",
        }
    }
}

/// Whom a credential belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// Its id.
    pub id: Uuid,
    /// Its name here.
    pub username: Option<String>,
    /// Its name elsewhere.
    pub custom_id: Option<String>,
}

/// What a consumer was authenticated by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: Uuid,
    /// What others may see of it, `X-Credential-Identifier`: never a secret.
    pub identifier: Option<String>,
}

/// Where plug-ins look for credentials: whoever keeps something of an exchange for others leaves out what stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Under these names in headers and in the query, of the request and of an answer that repeats it; those of each plug-in.
    pub names: Vec<Arc<CredentialNames>>,
    /// Whether the body may still have one as it is forwarded.
    pub in_body: bool,
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

/// The routes of one generation, as a core holds them.
pub trait Routes {
    /// What is said of one of them.
    fn facts(&self, index: usize) -> &RouteFacts;
}

/// A route, together with the generation that it belongs to. Costs neither an allocation nor a look at memory that other cores write.
#[derive(Clone)]
pub struct RouteRef {
    routes: Rc<dyn Routes>,
    index: usize,
}

impl RouteRef {
    /// The route at `index` of these.
    pub fn new(routes: Rc<dyn Routes>, index: usize) -> Self {
        Self { routes, index }
    }

    /// What is said of it.
    pub fn facts(&self) -> &RouteFacts {
        self.routes.facts(self.index)
    }
}

impl fmt::Debug for RouteRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts().fmt(f)
    }
}

/// Values that plug-ins keep of one exchange, one of each type. A plug-in takes a type of its own, which no other can name; since an exchange
/// has one instance of a kind at most, the type is all that tells them apart.
#[derive(Default)]
pub struct PluginData(Vec<Box<dyn Any>>);

impl PluginData {
    /// Keeps a value, in the place of one of the same type.
    pub fn insert<T: 'static>(&mut self, value: T) {
        match self.get_mut::<T>() {
            Some(place) => *place = value,
            None => self.0.push(Box::new(value)),
        }
    }

    /// The value of this type.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.iter().find_map(|value| value.downcast_ref())
    }

    /// The value of this type, to change it.
    pub fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.0.iter_mut().find_map(|value| value.downcast_mut())
    }
}

impl fmt::Debug for PluginData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_keep_one_value_of_each_of_their_types() {
        #[derive(Debug, PartialEq)]
        struct Limits(u32);
        #[derive(Debug, PartialEq)]
        struct Seen(u32);

        let mut data = PluginData::default();
        assert_eq!(data.get::<Limits>(), None);
        data.insert(Limits(1));
        data.insert(Seen(2));
        data.insert(Limits(3));
        if let Some(seen) = data.get_mut::<Seen>() {
            seen.0 += 5;
        }
        assert_eq!((data.get::<Limits>(), data.get::<Seen>()), (Some(&Limits(3)), Some(&Seen(7))));
        assert_eq!(format!("{data:?}"), "2 values");
    }
}
