//! `GET /status`: Kong's `database` and `server`, and how the store is.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::{Error, Node, read};

/// 200 while matching requests are taken; 503 when they are refused and only a restart helps.
pub(crate) async fn status(State(node): State<Node>) -> Result<Response, Error> {
    let stats = read(&node, |reader| reader.stats()).await?;
    let sum =
        |count: fn(&gateway::stats::CoreStats) -> u64| node.cores.iter().map(|core| count(core)).sum::<u64>();
    let state = if node.writer.is_latched() {
        "latched"
    } else if node.writer.is_full() {
        "full"
    } else {
        "ready"
    };
    let body = json!({
        "database": { "reachable": !node.writer.is_latched() },
        "server": {
            "connections_accepted": sum(|core| core.connections.load(Ordering::Relaxed)),
            "total_requests": sum(|core| core.answers().map(|(_, count)| count).sum()),
        },
        "retrohook": {
            "version": env!("CARGO_PKG_VERSION"),
            "store": state,
            "hint": hint(state),
            "up_seconds": node.clock.now().since(node.ready_at).as_secs(),
            "open_intents": node.writer.open_intents(),
            "store_bytes": stats.bytes,
            "wal_bytes": stats.wal_bytes,
        },
    });
    let code = if state == "latched" { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    Ok((code, axum::Json(body)).into_response())
}

fn hint(state: &str) -> &'static str {
    match state {
        "latched" => {
            "a commit failed: matching requests get 503 until this process is restarted; see the log"
        }
        "full" => {
            "the store takes no changes (no space, or somebody holds its lock): matching requests get 503 until it does; see --min-free, the data directory and the log"
        }
        _ => "matching requests are taken",
    }
}
