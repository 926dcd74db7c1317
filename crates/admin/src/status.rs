//! `GET /status`: Kong's `database` and `server`, and how the store is. `GET /status/ready`: whether to send requests here.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::configuration::Served;
use crate::degraded::Degraded;
use crate::{Node, degraded, reads, refusal};

/// 200 while this process does its work, even if a part of it is degraded. 503 if only a restart helps: the store is latched, or the deliveries have
/// ended. 200 also during a drain, so that nobody restarts the process and cuts the drain short.
pub(crate) async fn status(State(node): State<Node>) -> Response {
    // The rest is reported even while the store cannot be read.
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
    let body = Status {
        database: Database { reachable: !node.writer.is_latched() },
        server: Server {
            connections_accepted: sum(|core| core.connections.load(Ordering::Relaxed)),
            total_requests: sum(|core| core.answers().map(|(_, count)| count).sum()),
        },
        retrohook: Retrohook {
            version: env!("CARGO_PKG_VERSION"),
            draining: node.is_draining(),
            store: state,
            hint: if node.is_draining() { DRAINING } else { hint(state) },
            degraded: degraded::with(&node, reads),
            up_seconds: node.ready_at.elapsed().as_secs(),
            configuration: node.configuration.to_json(),
            clock: Clock::of(&node),
            open_intents: node.writer.open_intents(),
            store_bytes: stats.map(|stats| stats.bytes),
            wal_bytes: stats.map(|stats| stats.wal_bytes),
            space: Space::of(&node),
        },
    };
    let code = if state == "latched" || node.deliveries.is_lost() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    (code, axum::Json(body)).into_response()
}

/// What `GET /status` answers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Status {
    database: Database,
    server: Server,
    retrohook: Retrohook,
}

#[derive(Serialize, JsonSchema)]
struct Database {
    reachable: bool,
}

#[derive(Serialize, JsonSchema)]
struct Server {
    connections_accepted: u64,
    total_requests: u64,
}

#[derive(Serialize, JsonSchema)]
struct Retrohook {
    version: &'static str,
    draining: bool,
    /// `ready`, `full`, `stalled` or `latched`.
    store: &'static str,
    hint: &'static str,
    degraded: Vec<Degraded>,
    up_seconds: u64,
    configuration: Served,
    clock: Clock,
    open_intents: u64,
    store_bytes: Option<u64>,
    wal_bytes: Option<u64>,
    space: Space,
}

/// What the store holds and what is left for it, in bytes; with the cause, if changes are refused.
#[derive(Serialize, JsonSchema)]
struct Space {
    used_bytes: u64,
    limit_bytes: u64,
    unused_bytes: u64,
    disk_free_bytes: u64,
    kept_free_bytes: u64,
    cause: Option<String>,
}

impl Space {
    fn of(node: &Node) -> Self {
        let space = node.writer.space();
        Self {
            used_bytes: space.room.used,
            limit_bytes: space.max_bytes,
            unused_bytes: space.room.unused,
            disk_free_bytes: space.room.disk_free,
            kept_free_bytes: space.min_free_bytes,
            cause: space.full.as_deref().map(str::to_owned),
        }
    }
}

/// The wall clock, and how it was set since this process began.
#[derive(Serialize, JsonSchema)]
struct Clock {
    wall: String,
    jumps: u64,
    moved_seconds: f64,
    last_jump: Option<Jump>,
}

/// When the wall clock was set.
#[derive(Serialize, JsonSchema)]
struct Jump {
    seconds: f64,
    to: String,
    seconds_ago: u64,
}

impl Clock {
    fn of(node: &Node) -> Self {
        let (clock, jumps) = (node.writer.clock(), node.writer.clock().jumps());
        let last_jump = jumps.last.map(|jump| Jump {
            seconds: jump.seconds,
            to: jump.to.to_string(),
            seconds_ago: clock.now().since(jump.stamp).as_secs(),
        });
        Self { wall: clock.wall().to_string(), jumps: jumps.count, moved_seconds: jumps.moved, last_jump }
    }
}

/// What `GET /status/ready` answers.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ready {
    message: &'static str,
}

const DRAINING: &str =
    "this node stops: it takes no new connections, and requests and deliveries under way may end";

/// `GET /status/ready`, for load balancers. As Kong's: 200 with the message `ready`, otherwise 503 with the reason.
pub(crate) async fn ready(State(node): State<Node>) -> Response {
    let not_ready = |message: &str, hint: &str| refusal(StatusCode::SERVICE_UNAVAILABLE, message, hint);
    if node.is_draining() {
        not_ready(DRAINING, "send requests to another node")
    } else if node.writer.is_latched() {
        not_ready(hint("latched"), "look at the log lines and the disk, then restart this process")
    } else {
        axum::Json(Ready { message: "ready" }).into_response()
    }
}

fn hint(state: &str) -> &'static str {
    match state {
        "latched" => {
            "a commit failed: matching requests get 503 until this process is restarted; see the log lines"
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
