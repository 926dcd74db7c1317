//! `/retrohook/subscriptions`: who is owed what, how far they got, and the way back for those that ended.

use axum::Json;
use axum::extract::{Path, State};
use storage::entities::{SubscriptionId, SubscriptionState};

use crate::{Error, Node};

/// `POST /retrohook/subscriptions/{id}/enable`: a disabled subscription gets what it is still owed.
pub(crate) async fn enable(
    State(node): State<Node>,
    Path(id): Path<i64>,
) -> Result<Json<serde_json::Value>, Error> {
    let id = SubscriptionId(id);
    if !node.subscriptions.iter().any(|known| known.id == id) {
        return Err(missing(id));
    }
    let subscription = node.hub.enable(id).await?.ok_or_else(|| missing(id))?;
    if let SubscriptionState::Pending { .. } = subscription.state {
        return Err(Error {
            status: axum::http::StatusCode::CONFLICT,
            message: format!("subscription {} is pending, not disabled", id.0),
            hint: "it begins when its endpoint visits the SubscribeURL, or with `confirm: skip` from its first start on".into(),
        });
    }
    Ok(Json(serde_json::json!({ "subscription": id, "state": subscription.state.as_str() })))
}

fn missing(id: SubscriptionId) -> Error {
    Error::missing(
        format!("the configuration has no subscription {}", id.0),
        "the deliveries of GET /retrohook/events/{id} have the numbers",
    )
}
