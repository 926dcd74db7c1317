//! SNS and SQS on the wire, as axum routers over the [`Hub`].
//!
//! * [`sqs`]: AWS JSON 1.0 and the Query protocol, on `/` and on the paths of queue URLs alike.
//! * [`sns`]: the Query protocol, the links in messages (confirm, unsubscribe), unsigned and without `Version`, and the signing certificate.
//!
//! Adding an action: a file beside the others of its service with its input, its output and `call`, and two lines in that
//! service's `mod.rs`.
//!
//! Authentication: none. Any signature is accepted and none is asked for, as emulators do it; so the hub listener binds loopback unless
//! it is told otherwise, and what may be reached from elsewhere is [`public_router`], which serves nothing of queues.

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

/// What the routers are built with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address in queue URLs, without a slash at its end; each request's own Host where it is `None`.
    pub queue_base_url: Option<String>,
    /// Who changes topics, subscriptions and queues; without it, nothing is changed.
    pub control: Option<Control>,
    /// What the bodies of requests that are larger than 16 KiB may hold together, in bytes; one more is answered with 503.
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

/// Everything that is spoken here, for `--hub-listen`.
pub fn router(hub: Hub, options: Options) -> Router {
    with_surface(hub, options, Surface::All)
}

/// Only confirmation, unsubscription and the signing certificate, for `--hub-public-listen`.
pub fn public_router(hub: Hub) -> Router {
    with_surface(hub, Options::default(), Surface::Public)
}

fn with_surface(hub: Hub, options: Options, surface: Surface) -> Router {
    // Which action is meant stands in headers, queries and forms, not in paths: `dispatch` reads them all in one place.
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

/// Whether a request is one of SNS's links, which people follow from their mail: to confirm, or to unsubscribe.
pub fn is_link(head: &Parts) -> bool {
    dispatch::is_link(head)
}

/// An answer to a request that does not reach the router, in the form of the protocol that it speaks.
pub fn refusal(head: &Parts, status: StatusCode, message: &str) -> Response {
    dispatch::refusal(head, status, message)
}

#[cfg(test)]
mod tests;
