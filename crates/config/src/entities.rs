//! The configuration, checked and resolved: what the rest of the gateway is built from.

use std::sync::Arc;
use std::time::Duration;

use event::Timestamp;
use pipeline::RouteFacts;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use storage::entities::{Desired, DesiredSubscription, Protocol};
use uuid::Uuid;

use crate::problem::Problem;
use crate::secret::Secret;

/// All files together.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Services with their routes, in the order of the files.
    pub services: Vec<Service>,
    /// Names of topics.
    pub topics: Vec<String>,
    /// Queues of ours.
    pub queues: Vec<Queue>,
    /// Subscriptions of all topics.
    pub subscriptions: Vec<Subscription>,
    /// What is allowed and probably not meant.
    pub warnings: Vec<Problem>,
}

/// What the gateway stands in front of.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// As in the file, or derived.
    pub id: Uuid,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// A host name in lower case, or an IP address (version 6 without brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Put in front of what is forwarded; begins with `/`.
    pub path: Option<String>,
    /// To establish a connection.
    pub connect_timeout: Duration,
    /// Between two pieces of the request.
    pub write_timeout: Duration,
    /// Between two pieces of the answer.
    pub read_timeout: Duration,
    /// Kong's; there is one target, so that nothing is retried.
    pub retries: u16,
    /// `false`: its routes do not exist for requests. See [`Config::routes`].
    pub enabled: bool,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// As in the file, or the time of the load.
    pub created_at: Timestamp,
    /// Its routes.
    pub routes: Vec<Route>,
}

/// Which requests go to a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// As in the file, or derived.
    pub id: Uuid,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Lower case, as Kong writes them: `api.example.com`, `*.example.com`, `example.*`, each with or without `:port`.
    pub hosts: Vec<String>,
    /// As Kong writes them: a normalised prefix, or `~` and a regular expression that compiles.
    pub paths: Vec<String>,
    /// Upper case.
    pub methods: Vec<String>,
    /// Whether the matched part of the path is cut off.
    pub strip_path: bool,
    /// Whether the service sees the client's Host.
    pub preserve_host: bool,
    /// Among routes with a regular expression, the higher goes first.
    pub regex_priority: i64,
    /// Whether bodies are read before the service is asked, as far as they are small or quick.
    pub request_buffering: bool,
    /// Kong's; accepted.
    pub response_buffering: bool,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// As in the file, or the time of the load.
    pub created_at: Timestamp,
    /// One per kind, the most specific, enabled ones only; those of one place in the file share one `Arc`.
    pub plugins: Vec<Arc<Plugin>>,
}

/// A configured plug-in.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// Its kind's name.
    pub name: String,
    /// The name of the service or route that it stands on; `global` if on neither.
    pub owner: String,
    /// A name of its own.
    pub instance_name: Option<String>,
    /// Has passed the kind's schema and its check.
    pub config: Value,
}

/// A queue of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its bare name.
    pub name: String,
    /// How long a received message is hidden.
    pub visibility_timeout: Duration,
    /// How long a receive waits for a message.
    pub receive_wait_time: Duration,
    /// How long a message is kept.
    pub message_retention_period: Duration,
}

/// Who hears of each event of a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// The topic's bare name.
    pub topic: String,
    /// Its own name, unique in its topic, if it has one.
    pub name: Option<String>,
    /// How it is reached.
    pub protocol: Protocol,
    /// The URL as written, or the queue's bare name.
    pub endpoint: String,
    /// Send the message alone, without SNS's envelope.
    pub raw_message_delivery: bool,
    /// The shape of a delivery.
    pub format: Format,
    /// Whether the endpoint must answer SNS's handshake first.
    pub confirm: bool,
    /// Keep the order of events that have the same key.
    pub fifo: bool,
    /// For a whole attempt.
    pub timeout: Duration,
    /// Deliveries under way at the same time.
    pub max_in_flight: u16,
    /// Where its endpoint stands, `file:line:column`, for messages.
    pub place: String,
}

/// The shape of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// As SNS delivers.
    Sns,
    /// As standardwebhooks.com says.
    StandardWebhooks {
        /// At least one; a delivery is signed with each.
        secrets: Vec<Secret>,
    },
}

/// What a subscription is given when it is new. Drawn at random by the caller: whoever can guess them can confirm or unsubscribe.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// What the endpoint confirms with.
    pub token: String,
    /// The last part of its ARN.
    pub uuid: Uuid,
}

impl Config {
    /// The routes of all enabled services.
    pub fn routes(&self) -> impl Iterator<Item = (&Service, &Route)> {
        let enabled = self.services.iter().filter(|service| service.enabled);
        enabled.flat_map(|service| service.routes.iter().map(move |route| (service, route)))
    }

    /// What the store is to hold.
    pub fn desired(&self, fresh: &mut dyn FnMut() -> Fresh) -> Desired {
        let subscriptions = self.subscriptions.iter().map(|subscription| {
            let Fresh { token, uuid } = fresh();
            DesiredSubscription {
                topic: subscription.topic.clone(),
                name: subscription.name.clone(),
                protocol: subscription.protocol,
                endpoint: subscription.endpoint.clone(),
                confirm_with: subscription.confirm.then_some(token),
                uuid,
            }
        });
        Desired {
            topics: self.topics.clone(),
            queues: self.queues.iter().map(|queue| queue.name.clone()).collect(),
            message_retention: self
                .queues
                .iter()
                .map(|queue| (queue.name.clone(), queue.message_retention_period))
                .collect(),
            subscriptions: subscriptions.collect(),
        }
    }
}

impl Subscription {
    /// Whether all but the place in the file is the same.
    pub fn is_as(&self, other: &Self) -> bool {
        let without_place = |one: &Self| Self { place: String::new(), ..one.clone() };
        without_place(self) == without_place(other)
    }
}

impl Service {
    /// Its name, or its id.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// Its address as one URL; a port of 80 is left out.
    pub fn url(&self) -> String {
        let brackets = self.host.contains(':');
        let (open, close) = if brackets { ("[", "]") } else { ("", "") };
        let port = if self.port == 80 { String::new() } else { format!(":{}", self.port) };
        let path = self.path.as_deref().unwrap_or_default();
        format!("http://{open}{}{close}{port}{path}", self.host)
    }
}

impl Route {
    /// Its name, or its id.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// What events say of this route of `service`: names, and Kong 0.8's `api` object. What is absent has no key.
    pub fn facts(&self, service: &Service) -> RouteFacts {
        let mut api = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                api.insert(key.to_owned(), value);
            }
        };
        put("id", Some(service.id.to_string().into()));
        put("name", service.name.clone().map(Value::from));
        put("upstream_url", Some(service.url().into()));
        put("request_path", self.paths.first().cloned().map(Value::from));
        put("request_host", self.hosts.first().cloned().map(Value::from));
        put("strip_request_path", Some(self.strip_path.into()));
        put("preserve_host", Some(self.preserve_host.into()));
        put("created_at", Some(service.created_at.as_millis().into()));
        let api = RawValue::from_string(Value::Object(api).to_string());
        RouteFacts { service: service.label(), route: self.label(), api: api.unwrap_or_default() }
    }
}
