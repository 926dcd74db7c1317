//! Commands on subscriptions: confirm, unsubscribe, enable.
//!
//! Who delivers watches the state of its subscription ([`Hub::watch_subscription`]); the store has it too, so a lost wake-up costs
//! nothing but time.

use std::collections::HashMap;

use delivery::endpoint::shown;
use storage::entities::{Entities, Subscription, SubscriptionId, SubscriptionState};
use storage::{StoreError, Tx};
use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use crate::names::SubscriptionArn;
use crate::{Hub, HubError, Result, token};

/// What the hub knows of the subscriptions, by number.
pub(crate) struct Subscriptions {
    known: HashMap<SubscriptionId, Known>,
    changing: Mutex<()>,
}

struct Known {
    uuid: Uuid,
    topic: event::TopicId,
    name: Option<String>,
    endpoint: String,
    state: watch::Sender<SubscriptionState>,
}

impl Subscriptions {
    /// Those of the configuration, and those that it no longer names: their ARNs still stand in messages.
    pub(crate) fn new(entities: &Entities) -> Self {
        let all = entities.subscriptions.iter().chain(&entities.removed);
        let known = all.map(|subscription| {
            let Subscription { id, uuid, topic, state, .. } = subscription;
            let (endpoint, state) = (shown(&subscription.endpoint), watch::channel(state.clone()).0);
            let name = subscription.name.clone();
            (*id, Known { uuid: *uuid, topic: *topic, name, endpoint, state })
        });
        Self { known: known.collect(), changing: Mutex::default() }
    }

    fn find(&self, uuid: Uuid) -> Option<(SubscriptionId, &Known)> {
        self.known.iter().find(|(_, known)| known.uuid == uuid).map(|(id, known)| (*id, known))
    }

    /// A worker is only told what is new to it.
    fn tell(&self, subscription: &Subscription, topic: &str) {
        let Some(known) = self.known.get(&subscription.id) else { return };
        let before = known.state.borrow().clone();
        if before == subscription.state {
            return;
        }
        tracing::info!(
            subscription = subscription.id.0,
            name = known.name,
            topic,
            endpoint = known.endpoint,
            before = before.as_str(),
            now = subscription.state.as_str(),
            "a subscription's state has changed"
        );
        known.state.send_replace(subscription.state.clone());
    }
}

/// What came of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The subscription is confirmed, now or since an earlier call.
    Confirmed(SubscriptionArn),
    /// The token is one that could be ours, but belongs to no subscription.
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

    /// Confirms the subscription that a token was made for, or brings back the one that it was made for when it ended.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn confirm(&self, token: &str) -> Result<Confirmation> {
        if !token::is_well_formed(token) {
            return Ok(Confirmation::MalformedToken);
        }
        let token = token.to_owned();
        let confirmed =
            self.change("confirm a subscription", move |tx| tx.confirm_subscription(&token)).await?;
        let Some(subscription) = confirmed else { return Ok(Confirmation::UnknownToken) };
        let topic = self.shared.writing.topic_name(subscription.topic);
        Ok(Confirmation::Confirmed(self.shared.names.subscription_arn(&topic, subscription.uuid)))
    }

    /// Stops deliveries to a subscription until somebody enables it, here or with the token that it gets. One that does not exist is no
    /// error.
    ///
    /// # Errors
    /// If the store fails, or the operating system gives no random bytes.
    pub async fn unsubscribe(&self, arn: &SubscriptionArn) -> Result<()> {
        let Some((id, known)) = self.shared.subscriptions.find(arn.uuid) else { return Ok(()) };
        if arn.topic != self.shared.names.topic_arn(&self.shared.writing.topic_name(known.topic)) {
            return Ok(());
        }
        let token = token::random()?;
        self.change("disable a subscription", move |tx| tx.disable_subscription(id, Some(&token))).await?;
        Ok(())
    }

    /// Makes a pending or disabled subscription a confirmed one: whoever calls vouches for its endpoint. Returns the subscription as it is
    /// then, `None` if there is none.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn enable(&self, id: SubscriptionId) -> Result<Option<Subscription>> {
        self.change("enable a subscription", move |tx| tx.enable_subscription(id)).await
    }

    /// Changes a subscription in the store and tells who watches it: one change at a time, so that the last one told is the last one
    /// kept, and to its end even if the caller goes away.
    async fn change<F>(&self, operation: &'static str, change: F) -> Result<Option<Subscription>>
    where
        F: FnMut(&mut dyn Tx) -> storage::Result<Option<Subscription>> + Send + 'static,
    {
        let hub = self.clone();
        let changing = tokio::spawn(async move {
            let subscriptions = &hub.shared.subscriptions;
            let _one_at_a_time = subscriptions.changing.lock().await;
            let changed = hub.shared.deps.writer.transact(change).await?;
            if let Some(subscription) = &changed {
                subscriptions.tell(subscription, &hub.shared.writing.topic_name(subscription.topic));
            }
            Ok(changed)
        });
        changing.await.unwrap_or(Err(StoreError::Closed)).map_err(HubError::store(operation))
    }
}
