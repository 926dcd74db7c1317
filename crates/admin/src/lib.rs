//! The API for operators, over HTTP: `/status` and `/config` at Kong's paths, `/metrics`, and under `/retrohook/` events, open intents, deliveries,
//! dead letters, subscriptions and reloads. The table of all paths is in `paths`.
//!
//! Every read of the store runs outside of the runtime, in a short transaction of its own, and only a few run at once. An error is one JSON object
//! with `message` and `hint`. Kong's Admin API of 0.x is on a listener of its own: [`legacy`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use control::Control;
use delivery::Deliveries;
use delivery::signing::KeyHolder;
use delivery::worker::RedeliverError;
use gateway::access_log::Lost;
use gateway::conditions::Conditions;
use gateway::stats::{CoreStats, Numbering};
use hub::{Hub, HubError};
use pipeline::PluginKind;
use schemars::JsonSchema;
use serde::Serialize;
use storage::throttle::Throttle;
use storage::{Reader, StoreError, Writer};

mod acts;
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
mod openapi;
mod page;
mod paths;
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

/// Events, deliveries and dead letters of a subscription are counted up to this number and no further, so that each read of the store takes at most
/// about 0.1 s, however much is owed.
const MAX_COUNTED: u64 = 100_000;

/// The longest text of axum that becomes the message of an error, in bytes.
const MAX_WORDS: usize = 4_096;

/// Everything that the admin API reports on or acts on. Clones share it.
#[derive(Clone)]
pub struct Node {
    /// The store's reads.
    pub reader: Arc<dyn Reader>,
    /// Limits how many of these reads run at once.
    pub reads: Arc<Reads>,
    /// The store's writer.
    pub writer: Writer,
    /// The state of the listeners of admin and hub.
    pub listeners: Arc<Vec<Arc<ListenerHealth>>>,
    /// The counts of every core.
    pub cores: Arc<Vec<Arc<CoreStats>>>,
    /// The names of the routes, by the numbers under which the cores count them.
    pub numbering: Numbering,
    /// How services do, and how often they failed.
    pub conditions: Conditions,
    /// What was lost of the access log, if there is one.
    pub lost_lines: Option<Lost>,
    /// The workers of push subscriptions.
    pub deliveries: Arc<Deliveries>,
    /// Changes the states of subscriptions.
    pub hub: Hub,
    /// The key that signs messages in SNS's form, or why there is none yet.
    pub key: KeyHolder,
    /// When this process was ready.
    pub ready_at: Instant,
    /// Set when this process has begun to stop.
    pub draining: Arc<AtomicBool>,
    /// Asks for reloads and other changes of the configuration.
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

/// The router of the whole API.
pub fn router(node: Node) -> Router {
    paths::router()
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(map_response(as_object))
        .with_state(node)
}

async fn not_found() -> Error {
    Error {
        status: StatusCode::NOT_FOUND,
        message: "there is nothing at this path".into(),
        hint: "GET / lists the paths".into(),
    }
}

/// The router adds the header `Allow`.
async fn method_not_allowed() -> Error {
    Error {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: "this path does not take this method".into(),
        hint: "the answer's header `Allow` has those that it takes".into(),
    }
}

/// Turns a refusal that axum made itself into the JSON object that every error is. Its text becomes the message.
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
    // Its other headers stay, for example `Allow`.
    head.headers.remove(CONTENT_TYPE);
    head.headers.remove(CONTENT_LENGTH);
    let mut object = refusal(status, message, "GET / lists the paths with their parameters");
    object.headers_mut().extend(head.headers);
    object
}

/// An error in this API's form, for a request that the listener refuses before it reaches the API.
pub fn refusal(status: StatusCode, message: &str, hint: &str) -> Response {
    Error { status, message: message.into(), hint: hint.into() }.into_response()
}

/// The JSON body of the answer to a request whose head is not HTTP/1.1, or is larger than a connection's limits.
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

/// Why a request was not done, as the API answers it.
#[derive(Debug, Serialize, JsonSchema)]
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
                hint: "look at /status and the log lines".into(),
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
            hint: "look at /status and the log lines".into(),
        }
    }
}
