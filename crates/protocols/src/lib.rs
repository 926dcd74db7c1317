//! SNS and SQS on the wire, as axum routers over the [`Hub`].
//!
//! * [`sqs`]: AWS JSON 1.0 and the Query protocol, on `/` and on the paths of queue URLs alike.
//! * [`sns`]: the Query protocol, the links in messages (confirm, unsubscribe), unsigned and without `Version`, and the signing certificate.
//!
//! Adding an action: a file beside the others of its service with its input, its output and `call`, and two lines in that
//! service's `mod.rs`.
//!
//! There is no authentication: any signature is accepted and none is required, as in emulators. So the hub listener binds loopback by default,
//! and [`public_router`], for other machines, serves nothing of queues.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use control::Control;
use http::StatusCode;
use http::request::Parts;
use hub::Hub;

pub mod body;
mod dispatch;
mod query;
mod reply;
pub mod sns;
pub mod sqs;
mod xml;

/// What the routers need.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address in queue URLs, without a slash at its end; with `None`, each request's own Host.
    pub queue_base_url: Option<String>,
    /// Changes topics, subscriptions and queues; without it, nothing can be changed.
    pub control: Option<Control>,
    /// The memory that bodies larger than 16 KiB may use together, in bytes; beyond it, a request gets 503.
    pub body_budget: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { queue_base_url: None, control: None, body_budget: body::BODY_BUDGET }
    }
}

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    /// Everything.
    All,
    /// Confirmation, unsubscription and the signing certificate.
    Public,
}

struct Shared {
    hub: Hub,
    options: Options,
    surface: Surface,
    bodies: body::Budget,
}

/// Everything, for `--hub-listen`.
pub fn router(hub: Hub, options: Options) -> Router {
    with_surface(hub, options, Surface::All)
}

/// Only confirmation, unsubscription and the signing certificate, for `--hub-public-listen`.
pub fn public_router(hub: Hub) -> Router {
    with_surface(hub, Options::default(), Surface::Public)
}

fn with_surface(hub: Hub, options: Options, surface: Surface) -> Router {
    // The action is in headers, queries and forms, not in paths: `dispatch` reads them all in one place.
    Router::new().fallback(answer).with_state(Arc::new(Shared {
        bodies: body::Budget::new(options.body_budget),
        hub,
        options,
        surface,
    }))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    dispatch::answer(&shared, request).await
}

/// Whether a request is one of SNS's links, to confirm or to unsubscribe, which people may follow in a browser.
pub fn is_link(head: &Parts) -> bool {
    dispatch::is_link(head)
}

/// The answer to a request that does not reach the router, in the format of its protocol.
pub fn refusal(head: &Parts, status: StatusCode, message: &str) -> Response {
    dispatch::refusal(head, status, message)
}

#[cfg(test)]
mod tests;
