//! What an unfinished delivery waits for: as a word for programs, and as a sentence for people.

use delivery::worker::WorkerState;
use event::{EventId, Position};
use schemars::JsonSchema;
use serde::Serialize;
use storage::Reader;
use storage::delivery::{Delivery, DeliveryState};
use storage::entities::{Subscription, SubscriptionState};
use storage::ports::Waiting;

use crate::Node;

/// What a delivery waits for.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct WaitsFor {
    what: What,
    /// The same in a sentence.
    text: String,
    /// The event at the head of its key, if it waits for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    event: Option<EventId>,
    /// The sequence of that event.
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<i64>,
}

/// What a delivery waits for, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WaitsForWhat")]
enum What {
    /// The time of its next attempt, or the end of the one under way.
    NextAttempt,
    /// An earlier delivery of its key.
    EarlierDelivery,
    /// Its worker, which has not come to it.
    Worker,
    /// The store, which fails.
    Store,
    /// The key that signs messages in SNS's form.
    SigningKey,
    /// Somebody who confirms the subscription.
    Confirmation,
    /// Somebody who enables the subscription.
    Enabling,
    /// Somebody who declares the subscription again.
    Declaration,
    /// A restart of the process.
    Restart,
}

/// The delivery at the head of a key.
#[derive(Clone, Copy)]
pub(super) struct Head {
    position: Position,
    event: Option<EventId>,
}

impl Head {
    /// The delivery that a row in state `Behind` waits for; `None` for a row in another state.
    pub(super) fn of(reader: &dyn Reader, row: &Delivery) -> storage::Result<Option<Self>> {
        if row.state != DeliveryState::Behind {
            return Ok(None);
        }
        let first = reader.waiting_positions(row.id.subscription, Waiting::OfKey(&row.key), 1)?;
        let Some(position) = first.into_iter().find(|first| *first != row.id.position) else {
            return Ok(None);
        };
        Ok(Some(Self { position, event: reader.id_at(position)? }))
    }
}

impl WaitsFor {
    fn new(what: What, text: impl Into<String>) -> Self {
        Self { what, text: text.into(), event: None, sequence: None }
    }

    /// What a push delivery waits for that was not delivered; `None` for a dead letter.
    pub(super) fn of(
        node: &Node,
        subscription: &Subscription,
        row: Option<&Delivery>,
        head: Option<Head>,
    ) -> Option<Self> {
        if let Some(DeliveryState::Dead { .. }) = row.map(|row| &row.state) {
            return None;
        }
        if let Some(head) = head {
            return Some(Self::behind(head));
        }
        if let Some(obstacle) = obstacle(node, subscription) {
            return Some(obstacle);
        }
        Some(match row.map(|row| &row.state) {
            Some(DeliveryState::Retry { at }) => {
                let at = node.writer.clock().shown(*at);
                Self::new(What::NextAttempt, format!("its next attempt at {at}, or the end of one under way"))
            }
            Some(_) => Self::new(What::Worker, "its worker: what was before it in its key is done"),
            None => Self::new(
                What::Worker,
                "its worker, which has not come to it: earlier events come first, and at most `max_in_flight` attempts are under way at once",
            ),
        })
    }

    fn behind(head: Head) -> Self {
        let Head { position, event } = head;
        let named = event.map(|event| format!(", event {event},")).unwrap_or_default();
        let text = format!("sequence {position}{named} at the head of its key");
        Self { event, sequence: Some(position.0), ..Self::new(What::EarlierDelivery, text) }
    }
}

/// What all deliveries of a subscription wait for, if there is such a thing.
fn obstacle(node: &Node, subscription: &Subscription) -> Option<WaitsFor> {
    let id = subscription.id.0;
    if let Some(removed_at) = subscription.removed_at {
        let text = format!("its subscription was removed on {removed_at}: declare it again within a day");
        return Some(WaitsFor::new(What::Declaration, text));
    }
    match subscription.state {
        SubscriptionState::Pending { .. } => {
            let text = "its endpoint, which has not confirmed the subscription";
            return Some(WaitsFor::new(What::Confirmation, text));
        }
        SubscriptionState::Disabled { .. } => {
            let text = format!("POST /retrohook/subscriptions/{id}/enable: the subscription is disabled");
            return Some(WaitsFor::new(What::Enabling, text));
        }
        SubscriptionState::Confirmed => {}
    }
    let Some(worker) = node.deliveries.handle(subscription.id) else {
        return Some(WaitsFor::new(What::Worker, "its worker, which is not started"));
    };
    let (what, text) = match worker.state() {
        WorkerState::WaitingForStore => (What::Store, "the store, which fails: see /status"),
        WorkerState::WaitingForKey => {
            (What::SigningKey, "the key that signs, which is not there: see /status")
        }
        WorkerState::Starting | WorkerState::Restarting => (What::Worker, "its worker, which starts"),
        WorkerState::Drained => (What::Restart, "the next start: this process stops"),
        WorkerState::Failed(_) => {
            (What::Restart, "a restart of this process: its worker has failed, see /status")
        }
        WorkerState::Pending | WorkerState::Disabled | WorkerState::Running => return None,
    };
    Some(WaitsFor::new(what, text))
}
