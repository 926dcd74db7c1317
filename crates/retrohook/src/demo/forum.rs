//! The forum: a page that caches profiles, and a webhook that expires them when SNS's form says that one changed.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use delivery::wire::envelope::Envelope;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{DemoError, http};

/// What a subscriber heard.
#[derive(Clone, Debug)]
pub enum Heard {
    /// The forum answered SNS's handshake.
    Confirmed,
    /// A profile changed, or may have.
    Event {
        /// `webhook` or `worker`.
        by: &'static str,
        /// The path that was changed.
        path: String,
        /// `succeeded` or `unknown`.
        outcome: String,
        /// The event's id.
        id: String,
    },
}

/// A cache of profiles; clones share it.
#[derive(Clone)]
pub struct Cache {
    entries: Arc<Mutex<HashMap<String, String>>>,
    /// The profile service, through the gateway.
    source: String,
}

impl Cache {
    pub fn new(source: String) -> Self {
        Self { entries: Arc::default(), source }
    }

    /// A profile's title, and whether it came from the cache.
    pub async fn title(&self, path: &str) -> Result<(String, &'static str), DemoError> {
        let known = self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some(title) = known {
            return Ok((title, "cached"));
        }
        let answer = http::get(&format!("{}{path}", self.source)).await?;
        let profile: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let title = profile["title"].as_str().unwrap_or("?").to_owned();
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), title.clone());
        Ok((title, "fresh"))
    }

    /// Forgets a profile.
    pub fn expire(&self, path: &str) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }
}

/// The path that a kong-0.8 message is about.
pub fn path_of(message: &str) -> Option<String> {
    let message: Value = serde_json::from_str(message).ok()?;
    let uri = message["request"]["uri"].as_str()?;
    Some(uri.split('?').next().unwrap_or(uri).to_owned())
}

/// The forum's page, for people with curl: `GET /users/{name}`.
pub async fn serve_page(cache: Cache) -> Result<SocketAddr, DemoError> {
    let router = Router::new().route("/users/{name}", get(page)).with_state(cache);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(DemoError::io("start the forum"))?;
    let address = listener.local_addr().map_err(DemoError::io("start the forum"))?;
    tokio::spawn(axum::serve(listener, router).into_future());
    Ok(address)
}

async fn page(State(cache): State<Cache>, Path(name): Path<String>) -> (StatusCode, String) {
    match cache.title(&format!("/profiles/{name}")).await {
        Ok((title, how)) => (StatusCode::OK, format!("{name}, {title} ({how})\n")),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")),
    }
}

/// The forum's webhook: can go away and come back on the same port.
pub struct Webhook {
    cache: Cache,
    heard: mpsc::UnboundedSender<Heard>,
    seen: Seen,
    address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Webhook {
    pub async fn start(cache: Cache, heard: mpsc::UnboundedSender<Heard>) -> Result<Self, DemoError> {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut webhook = Self { cache, heard, seen: Seen::default(), address, serving: None };
        webhook.come_back().await?;
        Ok(webhook)
    }

    /// Expires this cache from now on.
    pub async fn serve_for(&mut self, cache: Cache) -> Result<(), DemoError> {
        self.cache = cache;
        self.go_away().await;
        self.come_back().await
    }

    pub fn url(&self) -> String {
        format!("http://{}/hooks/profile-changed", self.address)
    }

    /// Refuses connections from now on.
    pub async fn go_away(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            // An aborted task ends with an error that says so.
            let _ = serving.await;
        }
    }

    pub async fn come_back(&mut self) -> Result<(), DemoError> {
        let listener =
            TcpListener::bind(self.address).await.map_err(DemoError::io("start the forum's webhook"))?;
        self.address = listener.local_addr().map_err(DemoError::io("start the forum's webhook"))?;
        let state = (self.cache.clone(), self.heard.clone(), self.seen.clone());
        let router = Router::new().route("/hooks/profile-changed", post(hook)).with_state(state);
        self.serving = Some(tokio::spawn(async move {
            // It serves until it is aborted.
            let _ = axum::serve(listener, router).await;
        }));
        Ok(())
    }
}

/// The ids of the events that came: delivery is at least once, and an event that comes again is nothing new.
type Seen = Arc<Mutex<HashSet<String>>>;

type HookState = (Cache, mpsc::UnboundedSender<Heard>, Seen);

async fn hook(State((cache, heard, seen)): State<HookState>, headers: HeaderMap, body: String) -> StatusCode {
    let Some(envelope) = Envelope::read(body.as_bytes()) else { return StatusCode::BAD_REQUEST };
    if envelope.kind == "SubscriptionConfirmation" {
        tokio::spawn(async move {
            if http::get(&envelope.subscribe_url.unwrap_or_default())
                .await
                .is_ok_and(|answer| answer.status == 200)
            {
                let _ = heard.send(Heard::Confirmed);
            }
        });
        return StatusCode::OK;
    }
    let Some(path) = path_of(&envelope.message) else { return StatusCode::BAD_REQUEST };
    cache.expire(&path);
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let id = header("x-retrohook-event-id");
    if !seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone()) {
        return StatusCode::NO_CONTENT;
    }
    let event = Heard::Event { by: "webhook", path, outcome: header("x-retrohook-outcome"), id };
    // The story may have ended.
    let _ = heard.send(event);
    StatusCode::NO_CONTENT
}
