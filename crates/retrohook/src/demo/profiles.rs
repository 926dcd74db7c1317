//! The third party: a profile service that knows nothing of events. It keeps its own record of what it executed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::DemoError;

/// The service; clones share its record.
#[derive(Clone, Default)]
pub struct Profiles {
    state: Arc<Mutex<ProfileState>>,
}

#[derive(Default)]
struct ProfileState {
    titles: BTreeMap<String, String>,
    executed: Vec<String>,
}

impl Profiles {
    /// Serves on a free port.
    pub async fn start(&self) -> Result<SocketAddr, DemoError> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.map_err(DemoError::io("start the profile service"))?;
        let address = listener.local_addr().map_err(DemoError::io("start the profile service"))?;
        let router = Router::new().route("/profiles/{name}", get(show).put(change)).with_state(self.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Ok(address)
    }

    /// The changes that it executed, in order: `ada = Countess`.
    pub fn executed(&self) -> Vec<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).executed.clone()
    }
}

async fn show(State(profiles): State<Profiles>, Path(name): Path<String>) -> Json<Value> {
    let state = profiles.state.lock().unwrap_or_else(PoisonError::into_inner);
    let title = state.titles.get(&name).map_or("newcomer", String::as_str);
    Json(json!({ "name": name, "title": title }))
}

/// `?think=SECONDS` executes at once and answers late, as services under load do.
async fn change(
    State(profiles): State<Profiles>,
    Path(name): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let title = body["title"].as_str().unwrap_or_default().to_owned();
    if title.is_empty() {
        return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": "a title must not be empty" })));
    }
    {
        let mut state = profiles.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.executed.push(format!("{name} = {title}"));
        state.titles.insert(name.clone(), title.clone());
    }
    if let Some(seconds) = query.get("think").and_then(|seconds| seconds.parse().ok()) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    (StatusCode::OK, Json(json!({ "name": name, "title": title })))
}
