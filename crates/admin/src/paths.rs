//! All paths of the API. One table makes the router, the answer of `GET /` and the OpenAPI document, so that they cannot differ.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use crate::{
    Node, blocked_keys, dead_letters, declarative, deliveries, events, intents, metrics, openapi, reload,
    running, status, subscriptions,
};

/// What the API does at one path with one method.
pub(crate) struct Operation {
    pub method: Method,
    pub path: &'static str,
    /// What it is for, in one line.
    pub what: &'static str,
    /// Its parameters, as an object.
    pub query: Option<fn(&mut SchemaGenerator) -> Schema>,
    /// What it answers if all is well.
    pub answer: Answer,
    route: fn() -> MethodRouter<Node>,
}

/// A method of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What an operation answers.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// An object of this schema.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// A text of this media type.
    Text(&'static str),
}

impl Operation {
    fn get<A: JsonSchema>(path: &'static str, what: &'static str, route: fn() -> MethodRouter<Node>) -> Self {
        let answer = Answer::Json(SchemaGenerator::subschema_for::<A>);
        Self { method: Method::Get, path, what, query: None, answer, route }
    }

    fn post<A: JsonSchema>(
        path: &'static str,
        what: &'static str,
        route: fn() -> MethodRouter<Node>,
    ) -> Self {
        Self { method: Method::Post, ..Self::get::<A>(path, what, route) }
    }

    fn query<Q: JsonSchema>(self) -> Self {
        Self { query: Some(openapi::members_of::<Q>), ..self }
    }

    fn text(self, media: &'static str) -> Self {
        Self { answer: Answer::Text(media), ..self }
    }

    /// The names of its parameters.
    pub fn parameters(&self) -> Vec<String> {
        let schema = self.query.map(|query| query(&mut openapi::generator()));
        let members =
            schema.as_ref().and_then(|schema| schema.get("properties")).and_then(|all| all.as_object());
        members.map(|all| all.keys().cloned().collect()).unwrap_or_default()
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Operation> {
    let mut all = of_kong();
    all.extend(of_events());
    all.extend(of_subscriptions());
    all.extend(of_deliveries());
    all
}

/// What Kong's Admin API has, too, and what is about the node itself.
fn of_kong() -> Vec<Operation> {
    vec![
        Operation::get::<Index>("/", "the paths of this API", || get(index)),
        Operation::get::<status::Status>(
            "/status",
            "whether this node is ready, and what it is doing",
            || get(status::status),
        ),
        Operation::get::<status::Ready>(
            "/status/ready",
            "200 if requests should be sent here, else 503: for load balancers",
            || get(status::ready),
        ),
        Operation::get::<String>("/metrics", "the same as numbers, for Prometheus", || get(metrics::metrics))
            .text("text/plain"),
        Operation::get::<running::Answer>(
            "/config",
            "the configuration that is served, with variables in the place of secrets",
            || get(running::get),
        )
        .query::<running::Parameters>(),
        Operation::post::<serde_json::Value>(
            "/config",
            "serve this configuration instead of the files, until they are read anew; answers as Kong does",
            || post(declarative::post).layer(DefaultBodyLimit::max(declarative::MAX_BODY)),
        )
        .query::<declarative::Parameters>(),
        Operation::post::<reload::Report>(
            "/retrohook/reload",
            "read the configuration's files anew, as at SIGHUP",
            || post(reload::reload),
        ),
        Operation::get::<serde_json::Value>(
            "/retrohook/openapi.json",
            "this API as an OpenAPI document",
            || get(openapi::get),
        ),
    ]
}

fn of_events() -> Vec<Operation> {
    vec![
        Operation::get::<events::Events>("/retrohook/events", "events, newest first", || get(events::list))
            .query::<events::Filter>(),
        Operation::get::<events::Detail>(
            "/retrohook/events/{id}",
            "an event with its deliveries, what they wait for, and their attempts",
            || get(events::one),
        ),
        Operation::post::<Done>(
            "/retrohook/events/{id}/deliveries/{subscription}/redeliver",
            "send one delivery again",
            || post(events::redeliver),
        ),
        Operation::get::<intents::Intents>(
            "/retrohook/intents",
            "matching requests of which nobody knows yet what became of them, the oldest first",
            || get(intents::list),
        )
        .query::<intents::Page>(),
    ]
}

fn of_subscriptions() -> Vec<Operation> {
    vec![
        Operation::get::<subscriptions::Subscriptions>(
            "/retrohook/subscriptions",
            "subscriptions, by number",
            || get(subscriptions::list),
        )
        .query::<subscriptions::Filter>(),
        Operation::get::<subscriptions::View>(
            "/retrohook/subscriptions/{id}",
            "a subscription: its state and what it is owed",
            || get(subscriptions::one),
        ),
        Operation::get::<blocked_keys::Keys>(
            "/retrohook/subscriptions/{id}/blocked-keys",
            "keys whose deliveries wait, each with the one at its head",
            || get(blocked_keys::list),
        )
        .query::<blocked_keys::Page>(),
        Operation::post::<Done>(
            "/retrohook/subscriptions/{id}/confirm",
            "confirm a pending subscription in the place of its endpoint",
            || post(subscriptions::confirm),
        ),
        Operation::post::<Done>(
            "/retrohook/subscriptions/{id}/resend-confirmation",
            "ask the endpoint of a pending subscription once more to confirm",
            || post(subscriptions::resend_confirmation),
        ),
        Operation::post::<Done>(
            "/retrohook/subscriptions/{id}/disable",
            "deliver nothing to a subscription until somebody enables it",
            || post(subscriptions::disable),
        )
        .query::<subscriptions::Why>(),
        Operation::post::<Done>(
            "/retrohook/subscriptions/{id}/enable",
            "deliver to a subscription that is disabled, or that nobody confirmed",
            || post(subscriptions::enable),
        ),
        Operation::post::<deliveries::Answer>(
            "/retrohook/subscriptions/{id}/retry",
            "try all its waiting deliveries now, or those of events since a time",
            || post(deliveries::retry_all),
        )
        .query::<deliveries::WhichToRetry>(),
    ]
}

fn of_deliveries() -> Vec<Operation> {
    vec![
        Operation::get::<deliveries::Deliveries>(
            "/retrohook/deliveries",
            "deliveries that wait or are dead, with the cause and the next try",
            || get(deliveries::list),
        )
        .query::<deliveries::Filter>(),
        Operation::post::<Done>(
            "/retrohook/deliveries/{subscription}/{sequence}/retry",
            "try one now",
            || post(deliveries::retry_one),
        ),
        Operation::post::<Done>(
            "/retrohook/deliveries/{subscription}/{sequence}/give-up",
            "make one a dead letter, so that the next one of its key goes on",
            || post(deliveries::give_up),
        )
        .query::<deliveries::Why>(),
        Operation::get::<dead_letters::DeadLetters>(
            "/retrohook/dead-letters",
            "deliveries that were given up, the last first",
            || get(dead_letters::list),
        )
        .query::<dead_letters::Filter>(),
        Operation::post::<dead_letters::Answer>(
            "/retrohook/dead-letters/{subscription}/redrive",
            "send all of a subscription again, or those with this in their reason",
            || post(dead_letters::redrive_all),
        )
        .query::<dead_letters::WhichToRedrive>(),
        Operation::post::<dead_letters::Answer>(
            "/retrohook/dead-letters/{subscription}/{sequence}/redrive",
            "send one again",
            || post(dead_letters::redrive_one),
        ),
    ]
}

/// The router of all of them.
pub(crate) fn router() -> axum::Router<Node> {
    all()
        .into_iter()
        .fold(axum::Router::new(), |router, operation| router.route(operation.path, (operation.route)()))
}

/// What `GET /` answers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Index {
    tagline: &'static str,
    version: &'static str,
    /// What each path is for, with the parameters that it takes.
    paths: BTreeMap<String, &'static str>,
}

async fn index() -> Json<Index> {
    let paths = all().into_iter().map(|operation| {
        let parameters: Vec<String> =
            operation.parameters().into_iter().map(|name| format!("{name}=")).collect();
        let mark = if parameters.is_empty() { "" } else { "?" };
        let path = format!("{} {}{mark}{}", operation.method.as_str(), operation.path, parameters.join("&"));
        (path, operation.what)
    });
    Json(Index {
        tagline: "Welcome to retrohook",
        version: env!("CARGO_PKG_VERSION"),
        paths: paths.collect(),
    })
}

/// What an action on one subscription or delivery did.
#[derive(Default, Serialize, JsonSchema)]
pub(crate) struct Done {
    pub subscription: i64,
    /// The event of the delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The sequence of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// The state that it has now.
    pub state: &'static str,
    /// Why, as it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happens next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<Undo>,
}

/// How it is undone.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Undo {
    pub redrive: String,
}
