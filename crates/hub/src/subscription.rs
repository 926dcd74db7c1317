//! Commands on subscriptions: confirm and unsubscribe.
//!
//! Who delivers watches the state of its subscription ([`Hub::watch_subscription`]); the store has it too, so a lost wake-up costs
//! nothing but time.

use std::collections::HashMap;

use storage::entities::{Entities, Subscription, SubscriptionId, SubscriptionState};
use tokio::sync::watch;
use uuid::Uuid;

use crate::names::SubscriptionArn;
use crate::{Hub, HubError, Result, token};

/// What the hub knows of the subscriptions, by number.
pub(crate) struct Subscriptions {
    known: HashMap<SubscriptionId, Known>,
}

struct Known {
    uuid: Uuid,
    topic: event::TopicId,
    state: watch::Sender<SubscriptionState>,
}

impl Subscriptions {
    /// Those of the configuration, and those that it no longer names: their ARNs still stand in messages.
    pub(crate) fn new(entities: &Entities) -> Self {
        let all = entities.subscriptions.iter().chain(&entities.removed);
        let known = all.map(|subscription| {
            let Subscription { id, uuid, topic, state, .. } = subscription;
            (*id, Known { uuid: *uuid, topic: *topic, state: watch::channel(state.clone()).0 })
        });
        Self { known: known.collect() }
    }

    fn find(&self, uuid: Uuid) -> Option<(SubscriptionId, &Known)> {
        self.known.iter().find(|(_, known)| known.uuid == uuid).map(|(id, known)| (*id, known))
    }

    fn tell(&self, id: SubscriptionId, state: SubscriptionState) {
        if let Some(known) = self.known.get(&id) {
            known.state.send_replace(state);
        }
    }
}

/// What came of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The subscription is confirmed, now or since an earlier call.
    Confirmed(SubscriptionArn),
    /// The token is one that could be ours, but belongs to no subscription that may be confirmed.
    UnknownToken,
    /// The token cannot be ours.
    MalformedToken,
}

impl Hub {
    /// Changes when the subscription is confirmed or disabled through the hub. `None` for one that neither the configuration nor
    /// the store knew when the hub was built.
    pub fn watch_subscription(&self, id: SubscriptionId) -> Option<watch::Receiver<SubscriptionState>> {
        self.shared.subscriptions.known.get(&id).map(|known| known.state.subscribe())
    }

    /// Confirms the subscription that a token was made for.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn confirm(&self, token: &str) -> Result<Confirmation> {
        if !token::is_well_formed(token) {
            return Ok(Confirmation::MalformedToken);
        }
        let token = token.to_owned();
        let confirmed = self
            .shared
            .deps
            .writer
            .transact(move |tx| tx.confirm_subscription(&token))
            .await
            .map_err(HubError::store("confirm a subscription"))?;
        // A token does not bring back what was ended.
        let alive = confirmed.filter(|found| found.state != SubscriptionState::Disabled);
        let Some(subscription) = alive else { return Ok(Confirmation::UnknownToken) };
        let topic = self.shared.writing.topic_name(subscription.topic);
        let arn = self.shared.names.subscription_arn(&topic, subscription.uuid);
        self.shared.subscriptions.tell(subscription.id, subscription.state);
        Ok(Confirmation::Confirmed(arn))
    }

    /// Stops deliveries to a subscription for good. One that does not exist is no error.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn unsubscribe(&self, arn: &SubscriptionArn) -> Result<()> {
        let Some((id, known)) = self.shared.subscriptions.find(arn.uuid) else { return Ok(()) };
        if arn.topic != self.shared.names.topic_arn(&self.shared.writing.topic_name(known.topic)) {
            return Ok(());
        }
        self.shared
            .deps
            .writer
            .transact(move |tx| tx.disable_subscription(id))
            .await
            .map_err(HubError::store("disable a subscription"))?;
        self.shared.subscriptions.tell(id, SubscriptionState::Disabled);
        Ok(())
    }
}
