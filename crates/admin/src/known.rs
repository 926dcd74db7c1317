//! The subscription that a path names, or an error that says why nothing can be done with it: it does not exist, was removed, or is that of a queue.

use axum::http::StatusCode;
use delivery::endpoint::shown;
use delivery::worker::{Handle, RedeliverError, WorkerState};
use storage::entities::{Subscription, SubscriptionId};

use crate::{Error, Node, read};

/// A subscription that the served configuration declares, as it was when it was declared.
pub(crate) async fn declared(node: &Node, id: SubscriptionId) -> Result<Subscription, Error> {
    if let Some(known) = node.declared().subscription(id) {
        return Ok(known.clone());
    }
    let found =
        read(node, move |reader| Ok(reader.subscriptions()?.into_iter().find(|known| known.id == id)));
    match found.await? {
        None => Err(missing(id)),
        Some(known) => Err(removed(node, &known)),
    }
}

/// The same, if it is a push subscription.
pub(crate) async fn push(node: &Node, id: SubscriptionId) -> Result<Subscription, Error> {
    let known = declared(node, id).await?;
    if known.protocol.is_pull() {
        let queue = &known.endpoint;
        return Err(Error::bad_request(
            format!("{} has a queue: its messages wait there, and nothing is delivered", named(node, &known)),
            format!(
                "receive the messages from the queue `{queue}`; those that it gave up are in its dead-letter queue, if it has one"
            ),
        ));
    }
    Ok(known)
}

/// The worker of a subscription.
pub(crate) fn worker(node: &Node, known: &Subscription) -> Result<Handle, Error> {
    node.deliveries.handle(known.id).ok_or_else(|| not_delivering(node, known))
}

/// The worker of a subscription, if it delivers now.
pub(crate) fn delivering(node: &Node, known: &Subscription) -> Result<Handle, Error> {
    let worker = worker(node, known)?;
    if worker.state().is_delivering() { Ok(worker) } else { Err(not_delivering(node, known)) }
}

/// What messages to people call a subscription: `subscription 7 (`expire` of `profile-changes` to http http://127.0.0.1:9100/expire)`.
pub(crate) fn named(node: &Node, known: &Subscription) -> String {
    let Subscription { id, name, topic, protocol, endpoint, .. } = known;
    let name = name.as_ref().map(|name| format!("`{name}` ")).unwrap_or_default();
    let (topic, protocol) = (node.declared().topic_name(*topic), protocol.as_str());
    format!("subscription {} ({name}of `{topic}` to {protocol} {})", id.0, shown(endpoint))
}

/// The error for a number that no subscription has.
pub(crate) fn missing(id: SubscriptionId) -> Error {
    Error::missing(format!("there is no subscription {}", id.0), "GET /retrohook/subscriptions lists them")
}

fn removed(node: &Node, known: &Subscription) -> Error {
    let whose = named(node, known);
    match known.removed_at {
        Some(at) => Error::conflict(
            format!("{whose} was removed on {at}: nothing is delivered to it any more"),
            "what it is owed is kept for a day after that: declare it again before, and it goes on where it was",
        ),
        None => Error::conflict(
            format!("{whose} is just being declared"),
            "ask again in a moment; look at `configuration` in /status",
        ),
    }
}

/// The error for a command that the worker of this subscription refused.
pub(crate) fn refused(node: &Node, known: &Subscription, error: RedeliverError) -> Error {
    match error {
        RedeliverError::NotDelivering => not_delivering(node, known),
        other => other.into(),
    }
}

fn not_delivering(node: &Node, known: &Subscription) -> Error {
    let (whose, id) = (named(node, known), known.id.0);
    let worker = node.deliveries.handle(known.id);
    let (what, hint) = match worker.as_ref().map(Handle::state) {
        _ if node.is_draining() => (
            "cannot be served any more: this node stops".to_owned(),
            "ask again after the next start".to_owned(),
        ),
        Some(WorkerState::Pending) => (
            "is pending: its endpoint has not confirmed".to_owned(),
            format!(
                "POST /retrohook/subscriptions/{id}/confirm confirms it; .../resend-confirmation asks its endpoint again"
            ),
        ),
        Some(WorkerState::Disabled) => {
            ("is disabled".to_owned(), format!("POST /retrohook/subscriptions/{id}/enable enables it again"))
        }
        state => {
            let state = state.as_ref().map_or("not started", WorkerState::as_str);
            let trouble = worker.as_ref().and_then(Handle::trouble);
            let trouble = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
            (
                format!("is not delivering just now ({state}){trouble}"),
                "look at `degraded` in /status, and ask again".to_owned(),
            )
        }
    };
    Error { status: StatusCode::CONFLICT, message: format!("{whose} {what}"), hint }
}
