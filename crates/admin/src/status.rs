//! `GET /status`: Kong's `database` and `server`, and how the store is. `GET /status/ready`: whether to send requests here.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::{Node, degraded, reads, refusal};

/// 200 while this process does its work, also when a part of it is degraded; 503 when only a restart helps: it refuses matching requests,
/// or a part has ended for good. A drain is work: whoever restarts what does not answer 200 must not cut it short.
pub(crate) async fn status(State(node): State<Node>) -> Response {
    // Reported even while the store cannot be read.
    let (stats, reads) = match reads::sizes(&node).await {
        Ok(stats) => (Some(stats), None),
        Err(error) => (None, Some(error.message)),
    };
    let sum =
        |count: fn(&gateway::stats::CoreStats) -> u64| node.cores.iter().map(|core| count(core)).sum::<u64>();
    let state = if node.writer.is_latched() {
        "latched"
    } else if node.writer.stalled_for().is_some() {
        "stalled"
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
            "draining": node.is_draining(),
            "store": state,
            "hint": if node.is_draining() { DRAINING } else { hint(state) },
            "degraded": degraded::with(&node, reads),
            "up_seconds": node.ready_at.elapsed().as_secs(),
            "configuration": node.configuration.to_json(),
            "clock": clock(&node),
            "open_intents": node.writer.open_intents(),
            "store_bytes": stats.map(|stats| stats.bytes),
            "wal_bytes": stats.map(|stats| stats.wal_bytes),
            "space": space(&node),
        },
    });
    let code = if state == "latched" || node.deliveries.is_lost() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (code, axum::Json(body)).into_response()
}

/// What the store holds and what is left for it, in bytes; with the cause, if changes are refused.
fn space(node: &Node) -> serde_json::Value {
    let space = node.writer.space();
    json!({
        "used_bytes": space.room.used,
        "limit_bytes": space.max_bytes,
        "unused_bytes": space.room.unused,
        "disk_free_bytes": space.room.disk_free,
        "kept_free_bytes": space.min_free_bytes,
        "cause": space.full.as_deref(),
    })
}

/// The wall clock, and how it was set since this process began.
fn clock(node: &Node) -> serde_json::Value {
    let (clock, jumps) = (node.writer.clock(), node.writer.clock().jumps());
    let last = jumps.last.map(|jump| {
        json!({
            "seconds": jump.seconds,
            "to": jump.to.to_string(),
            "seconds_ago": clock.now().since(jump.stamp).as_secs(),
        })
    });
    json!({ "wall": clock.wall().to_string(), "jumps": jumps.count, "moved_seconds": jumps.moved, "last_jump": last })
}

const DRAINING: &str =
    "this node stops: it takes no new connections, and requests and deliveries under way may end";

/// As Kong's: 200 with the message `ready`, else 503 with the reason. For load balancers.
pub(crate) async fn ready(State(node): State<Node>) -> Response {
    let not_ready = |message: &str, hint: &str| refusal(StatusCode::SERVICE_UNAVAILABLE, message, hint);
    if node.is_draining() {
        not_ready(DRAINING, "send requests to another node")
    } else if node.writer.is_latched() {
        not_ready(hint("latched"), "look at the log and the disk, then restart this process")
    } else {
        axum::Json(json!({ "message": "ready" })).into_response()
    }
}

fn hint(state: &str) -> &'static str {
    match state {
        "latched" => {
            "a commit failed: matching requests get 503 until this process is restarted; see the log"
        }
        "stalled" => {
            "the disk has not answered for seconds: matching requests get 503 until it does; see the disk of the data directory"
        }
        "full" => {
            "the store takes no changes: matching requests get 503 until it does, by itself; `space.cause` says why"
        }
        _ => "matching requests are taken",
    }
}
