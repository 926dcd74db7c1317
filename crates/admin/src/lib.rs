//! What operators ask a node, over HTTP: `/status` and `/metrics` as Kong's, events, subscriptions and dead
//! letters under `/retrohook/`.
//!
//! Every read of the store runs off the runtime, in a short transaction of its own, few at once. An error is one JSON object, `message`
//! and `hint`.
//! Kong's entities are served as its Admin API of 0.x has them, on a listener of their own: [`legacy`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use control::Control;
use delivery::Deliveries;
use delivery::signing::KeyHolder;
use delivery::worker::RedeliverError;
use gateway::stats::{CoreStats, Numbering};
use hub::{Hub, HubError};
use pipeline::PluginKind;
use serde::Serialize;
use storage::throttle::Throttle;
use storage::{Reader, StoreError, Writer};

mod blocked_keys;
mod configuration;
mod dead_letters;
mod declarative;
mod degraded;
mod deliveries;
mod events;
mod intents;
mod known;
pub mod legacy;
mod listeners;
mod metrics;
mod page;
mod reads;
pub mod reload;
mod running;
mod status;
mod subscriptions;

pub use configuration::{Configuration, Declared, Reloaded};
pub use listeners::ListenerHealth;
pub use reads::Reads;
use reads::read;
use reload::Reloads;
pub use subscriptions::Form;

/// What a subscription is behind by is counted so far and no further: each read of the store stays short (at most a tenth of a second),
/// however much is owed.
const MAX_COUNTED: u64 = 100_000;

/// The longest text of axum's own that becomes the message of an error, in bytes.
const MAX_WORDS: usize = 4_096;

/// What the admin API tells about; clones share it.
#[derive(Clone)]
pub struct Node {
    /// The store's reads.
    pub reader: Arc<dyn Reader>,
    /// How many of them run at once.
    pub reads: Arc<Reads>,
    /// The store's writer.
    pub writer: Writer,
    /// The listeners of admin and hub.
    pub listeners: Arc<Vec<Arc<ListenerHealth>>>,
    /// Every core's counts.
    pub cores: Arc<Vec<Arc<CoreStats>>>,
    /// The numbers by which these count routes.
    pub numbering: Numbering,
    /// The workers.
    pub deliveries: Arc<Deliveries>,
    /// Changes the states of subscriptions.
    pub hub: Hub,
    /// The key that signs, and why there is none.
    pub key: KeyHolder,
    /// When this process was ready.
    pub ready_at: Instant,
    /// Set when this process was told to stop.
    pub draining: Arc<AtomicBool>,
    /// Has the files read anew.
    pub reloads: Reloads,
    /// Which generation of the configuration is served, and what it declares.
    pub configuration: Arc<Configuration>,
    /// All entities that are served.
    pub control: Control,
    /// The kinds of plug-ins that this node knows.
    pub kinds: Arc<[&'static dyn PluginKind]>,
}

impl Node {
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    fn declared(&self) -> Arc<Declared> {
        self.configuration.declared()
    }
}

/// The API.
pub fn router(node: Node) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/status", get(status::status))
        .route("/status/ready", get(status::ready))
        .route("/metrics", get(metrics::metrics))
        .route(
            "/config",
            get(running::get).post(declarative::post).layer(DefaultBodyLimit::max(declarative::MAX_BODY)),
        )
        .route("/retrohook/reload", post(reload::reload))
        .route("/retrohook/events", get(events::list))
        .route("/retrohook/events/{id}", get(events::one))
        .route("/retrohook/events/{id}/deliveries/{subscription}/redeliver", post(events::redeliver))
        .route("/retrohook/intents", get(intents::list))
        .route("/retrohook/subscriptions", get(subscriptions::list))
        .route("/retrohook/subscriptions/{id}", get(subscriptions::one))
        .route("/retrohook/subscriptions/{id}/confirm", post(subscriptions::confirm))
        .route("/retrohook/subscriptions/{id}/resend-confirmation", post(subscriptions::resend_confirmation))
        .route("/retrohook/subscriptions/{id}/blocked-keys", get(blocked_keys::list))
        .route("/retrohook/subscriptions/{id}/enable", post(subscriptions::enable))
        .route("/retrohook/subscriptions/{id}/disable", post(subscriptions::disable))
        .route("/retrohook/subscriptions/{id}/retry", post(deliveries::retry_all))
        .route("/retrohook/deliveries", get(deliveries::list))
        .route("/retrohook/deliveries/{subscription}/{sequence}/retry", post(deliveries::retry_one))
        .route("/retrohook/deliveries/{subscription}/{sequence}/give-up", post(deliveries::give_up))
        .route("/retrohook/dead-letters", get(dead_letters::list))
        .route("/retrohook/dead-letters/{subscription}/redrive", post(dead_letters::redrive_all))
        .route("/retrohook/dead-letters/{subscription}/{sequence}/redrive", post(dead_letters::redrive_one))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(map_response(as_object))
        .with_state(node)
}

/// The paths of the API, with their parameters, and what each is for.
const PATHS: &[(&str, &str)] = &[
    ("GET /status", "whether this node is ready, and what it is doing"),
    ("GET /status/ready", "200 if requests should be sent here, else 503: for load balancers"),
    ("GET /metrics", "the same as numbers, for Prometheus"),
    ("GET /config?origin=ORIGIN", "the configuration that is served, with variables in the place of secrets"),
    ("POST /config?check_hash=1", "serve this configuration instead of the files, until they are read anew"),
    ("POST /retrohook/reload", "read the configuration's files anew, as at SIGHUP"),
    (
        "GET /retrohook/events?topic=NAME&key=KEY&outcome=OUTCOME&since=TIME&until=TIME&delivery=STATE&limit=50&before=SEQUENCE&after=SEQUENCE",
        "events, newest first",
    ),
    ("GET /retrohook/events/{id}", "an event with its deliveries, what they wait for, and their attempts"),
    ("POST /retrohook/events/{id}/deliveries/{subscription}/redeliver", "send one delivery again"),
    (
        "GET /retrohook/intents?limit=50&after=PLACE",
        "matching requests of which nobody knows yet what became of them, the oldest first",
    ),
    ("GET /retrohook/subscriptions?state=STATE&topic=NAME&limit=50&after=NUMBER", "subscriptions, by number"),
    ("GET /retrohook/subscriptions/{id}", "a subscription: its state and what it is owed"),
    (
        "POST /retrohook/subscriptions/{id}/confirm",
        "confirm a pending subscription in the place of its endpoint",
    ),
    (
        "POST /retrohook/subscriptions/{id}/resend-confirmation",
        "ask the endpoint of a pending subscription once more to confirm",
    ),
    (
        "POST /retrohook/subscriptions/{id}/disable?reason=TEXT",
        "deliver nothing to a subscription until somebody enables it",
    ),
    (
        "GET /retrohook/subscriptions/{id}/blocked-keys?limit=50&after=KEY",
        "keys whose deliveries wait, each with the one at its head",
    ),
    (
        "POST /retrohook/subscriptions/{id}/enable",
        "deliver to a subscription that is disabled, or that nobody confirmed",
    ),
    (
        "POST /retrohook/subscriptions/{id}/retry?since=TIME&dry_run=true",
        "try all its waiting deliveries now, or those of events since a time",
    ),
    (
        "GET /retrohook/deliveries?subscription=NUMBER&state=STATE&limit=50&after=PLACE",
        "deliveries that wait or are dead, with the cause and the next try",
    ),
    ("POST /retrohook/deliveries/{subscription}/{sequence}/retry", "try one now"),
    (
        "POST /retrohook/deliveries/{subscription}/{sequence}/give-up?reason=TEXT",
        "make one a dead letter, so that the next one of its key goes on",
    ),
    (
        "GET /retrohook/dead-letters?subscription=NUMBER&reason=TEXT&limit=50&before=PLACE",
        "deliveries that were given up, the last first",
    ),
    (
        "POST /retrohook/dead-letters/{subscription}/redrive?reason=TEXT&dry_run=true",
        "send all of a subscription again, or those with this in their reason",
    ),
    ("POST /retrohook/dead-letters/{subscription}/{sequence}/redrive", "send one again"),
];

async fn index() -> Response {
    let paths: serde_json::Map<_, _> =
        PATHS.iter().map(|(path, what)| ((*path).to_owned(), (*what).into())).collect();
    axum::Json(serde_json::json!({
        "tagline": "Welcome to retrohook",
        "version": env!("CARGO_PKG_VERSION"),
        "paths": paths,
    }))
    .into_response()
}

async fn not_found() -> Error {
    Error {
        status: StatusCode::NOT_FOUND,
        message: "there is nothing at this path".into(),
        hint: "GET / lists the paths".into(),
    }
}

/// The router adds which methods there are.
async fn method_not_allowed() -> Error {
    Error {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: "this path does not take this method".into(),
        hint: "the answer's header `Allow` has those that it takes".into(),
    }
}

/// What a part of axum refuses by itself, as the object that every error is; its words become the message.
async fn as_object(answer: Response) -> Response {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let status = answer.status();
    if !(status.is_client_error() || status.is_server_error()) || kind.starts_with("application/json") {
        return answer;
    }
    let (mut head, body) = answer.into_parts();
    let words = axum::body::to_bytes(body, MAX_WORDS).await.unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let usual = status.canonical_reason().unwrap_or("the request was refused");
    let message = if words.is_empty() { usual } else { &words };
    // What else it says, which methods there are for instance, stays.
    head.headers.remove(CONTENT_TYPE);
    head.headers.remove(CONTENT_LENGTH);
    let mut object = refusal(status, message, "GET / lists the paths with their parameters");
    object.headers_mut().extend(head.headers);
    object
}

/// An answer to a request that does not reach the API.
pub fn refusal(status: StatusCode, message: &str, hint: &str) -> Response {
    Error { status, message: message.into(), hint: hint.into() }.into_response()
}

/// The body of the answer to a request whose head is not HTTP/1.1, or too large for a connection's limits.
pub fn bad_head(status: StatusCode) -> String {
    let (message, hint) = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("the head of the request is too large", "send fewer or shorter headers, and a shorter query")
        }
        StatusCode::URI_TOO_LONG => ("the target of the request is too long", "send a shorter query"),
        _ => (
            "the head of the request is not valid HTTP/1.1",
            "this port speaks plain HTTP/1.1: look at the scheme (http://), the request line and the headers",
        ),
    };
    serde_json::json!({ "message": message, "hint": hint }).to_string()
}

/// What the API answers when it cannot do what was asked.
#[derive(Debug, Serialize)]
struct Error {
    #[serde(skip)]
    status: StatusCode,
    message: String,
    hint: String,
}

impl Error {
    fn bad_request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into(), hint: hint.into() }
    }

    fn conflict(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, message: message.into(), hint: hint.into() }
    }

    fn missing(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: message.into(), hint: hint.into() }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self)).into_response()
    }
}

impl From<RedeliverError> for Error {
    fn from(error: RedeliverError) -> Self {
        let (status, hint) = match error {
            RedeliverError::NoSuchEvent => (StatusCode::NOT_FOUND, "delivered events are kept for a day"),
            RedeliverError::Unreadable => {
                (StatusCode::SERVICE_UNAVAILABLE, "look at the disk and at `retrohook check --data`")
            }
            RedeliverError::UnderWay => {
                (StatusCode::CONFLICT, "look at its attempts with GET /retrohook/events/{id}")
            }
            RedeliverError::Behind => (StatusCode::CONFLICT, "send the first delivery of its key again"),
            RedeliverError::NotWaiting => {
                (StatusCode::CONFLICT, "GET /retrohook/deliveries lists those that wait")
            }
            RedeliverError::Dead => {
                (StatusCode::CONFLICT, "redrive it: GET /retrohook/dead-letters has its link")
            }
            RedeliverError::NotDelivering => (
                StatusCode::CONFLICT,
                "it is pending or disabled (POST /retrohook/subscriptions/{id}/enable), waits for the store (see /status), or this node stops",
            ),
        };
        Self { status, message: error.to_string(), hint: hint.into() }
    }
}

impl From<HubError> for Error {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Store { source, .. } => source.into(),
            other => Self {
                status: StatusCode::SERVICE_UNAVAILABLE,
                message: other.to_string(),
                hint: "look at /status and the log".into(),
            },
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        static FAILED: Throttle = Throttle::new();
        if let Some(times) = FAILED.happened() {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, times, "the store did not do what the admin API asked");
        }
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: error.to_string(),
            hint: "look at /status and the log".into(),
        }
    }
}
