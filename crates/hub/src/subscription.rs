//! Commands on subscriptions: confirm, unsubscribe, enable.
//!
//! A worker watches the state of its subscription ([`Hub::watch_subscription`]). The store has the state, too, so a lost wake-up costs only
//! time.

use std::sync::Arc;

use delivery::endpoint::shown;
use delivery::wire::sns;
use storage::entities::{Protocol, Subscription, SubscriptionId, SubscriptionState};
use storage::{StoreError, Tx};
use tokio::sync::watch;
use uuid::Uuid;

use crate::names::SubscriptionArn;
use crate::{Hub, HubError, Result, token};

/// What the hub knows of a subscription.
pub(crate) struct Subscribed {
    uuid: Uuid,
    topic: event::TopicId,
    name: Option<String>,
    protocol: Protocol,
    /// As the store has it; it may contain a secret.
    endpoint: String,
    state: Arc<watch::Sender<SubscriptionState>>,
    /// Whether nothing declares it any more.
    is_removed: bool,
}

/// A subscription in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number; later subscriptions have larger ones.
    pub id: SubscriptionId,
    /// Its ARN.
    pub arn: SubscriptionArn,
    /// How it is reached.
    pub protocol: Protocol,
    /// The URL as it was given, or the queue's bare name.
    pub endpoint: String,
    /// Whether it may be delivered to.
    pub state: SubscriptionState,
}

impl Subscribed {
    /// If the endpoint is the same as in `before`, those who watch that one's state see the new state at once. They never see the state of
    /// another endpoint: the worker of the old endpoint would take it for its own.
    pub(crate) fn new(stored: &Subscription, before: Option<&Self>) -> Self {
        let is_same = |before: &&Self| {
            (before.protocol, &before.endpoint, before.uuid)
                == (stored.protocol, &stored.endpoint, stored.uuid)
        };
        let state = match before.filter(is_same) {
            Some(before) => before.state.clone(),
            None => Arc::new(watch::channel(stored.state.clone()).0),
        };
        let subscribed = Self {
            uuid: stored.uuid,
            topic: stored.topic,
            name: stored.name.clone(),
            protocol: stored.protocol,
            endpoint: stored.endpoint.clone(),
            state,
            is_removed: stored.removed_at.is_some(),
        };
        subscribed.tell(&stored.state);
        subscribed
    }

    pub(crate) fn topic(&self) -> event::TopicId {
        self.topic
    }

    /// Its name, or its endpoint without secrets: its label in log lines.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| shown(&self.endpoint).to_string())
    }

    /// Ends it for good: its worker stops.
    pub(crate) fn end(&self) {
        self.tell(&SubscriptionState::Disabled { token: None });
    }

    /// Sets the state. Returns whether it has changed: a worker is woken only for a change.
    fn tell(&self, now: &SubscriptionState) -> bool {
        self.state.send_if_modified(|state| {
            let is_new = state != now;
            if is_new {
                *state = now.clone();
            }
            is_new
        })
    }
}

/// The result of a confirmation by token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The subscription is confirmed, now or since an earlier call.
    Confirmed(SubscriptionArn),
    /// The token has the right form, but belongs to no subscription.
    UnknownToken,
    /// The token does not have the right form.
    MalformedToken,
}

impl Hub {
    /// Changes when the subscription is confirmed, disabled or declared in another state. `None` for one that is not known.
    pub fn watch_subscription(&self, id: SubscriptionId) -> Option<watch::Receiver<SubscriptionState>> {
        self.known().subscriptions.get(&id).map(|known| known.state.subscribe())
    }

    /// The link by which the endpoint of a pending subscription confirms it; `None` for one that is not pending, or not known. It has the token:
    /// it is for the endpoint, and for operators, who can confirm the subscription anyway.
    pub fn subscribe_url(&self, id: SubscriptionId) -> Option<String> {
        let known = self.known();
        let pending = known.subscriptions.get(&id)?;
        let state = pending.state.borrow().clone();
        let SubscriptionState::Pending { token } = state else { return None };
        let topic = self.shared.names.topic_arn(&known.writing.topic_name(pending.topic));
        Some(sns::subscribe_url(&self.shared.hub_url, &topic.to_string(), &token))
    }

    /// The subscriptions that are declared, by their numbers.
    pub fn subscriptions(&self) -> Vec<Listed> {
        let known = self.known();
        let mut declared: Vec<_> = known.declared().filter(|(_, one)| !one.is_removed).collect();
        declared.sort_unstable_by_key(|(id, _)| *id);
        let listed = |(id, one): (SubscriptionId, &Subscribed)| Listed {
            id,
            arn: self.shared.names.subscription_arn(&known.writing.topic_name(one.topic), one.uuid),
            protocol: one.protocol,
            endpoint: one.endpoint.clone(),
            state: one.state.borrow().clone(),
        };
        declared.into_iter().map(listed).collect()
    }

    /// Confirms the subscription that a token was made for; also one that was unsubscribed, by the token from then.
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
        let topic = self.known().writing.topic_name(subscription.topic);
        Ok(Confirmation::Confirmed(self.shared.names.subscription_arn(&topic, subscription.uuid)))
    }

    /// Stops deliveries to a subscription until somebody enables it, here or with the token that it gets. One that does not exist is no
    /// error.
    ///
    /// # Errors
    /// If the store fails, or the operating system gives no random bytes.
    pub async fn unsubscribe(&self, arn: &SubscriptionArn) -> Result<()> {
        let known = self.known();
        let found = known.subscriptions.iter().find(|(_, one)| one.uuid == arn.uuid);
        let Some((id, subscribed)) = found.map(|(id, one)| (*id, one)) else { return Ok(()) };
        if arn.topic != self.shared.names.topic_arn(&known.writing.topic_name(subscribed.topic)) {
            return Ok(());
        }
        let token = token::random()?;
        self.change("disable a subscription", move |tx| tx.disable_subscription(id, Some(&token))).await?;
        Ok(())
    }

    /// Stops deliveries to a subscription until an operator enables it: its endpoint hears nothing of it and cannot undo it. `why` is kept for
    /// people. Returns the subscription as it is then, `None` if there is none.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn disable(&self, id: SubscriptionId, why: String) -> Result<Option<Subscription>> {
        let change = move |tx: &mut dyn Tx| {
            tx.disable_subscription(id, None)?;
            tx.note_why_disabled(id, &why)?;
            // It is disabled: this gives it back as it is.
            tx.disable_subscription(id, None)
        };
        self.change("disable a subscription", change).await
    }

    /// Makes a pending or disabled subscription a confirmed one, without asking its endpoint. Returns the subscription as it is then, `None` if
    /// there is none.
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
            let _one_at_a_time = hub.shared.changing.lock().await;
            let changed = hub.shared.deps.writer.transact(change).await?;
            if let Some(subscription) = &changed {
                hub.tell(subscription);
            }
            Ok(changed)
        });
        changing.await.unwrap_or(Err(StoreError::Closed)).map_err(HubError::store(operation))
    }

    fn tell(&self, now: &Subscription) {
        let known = self.known();
        let Some(subscribed) = known.subscriptions.get(&now.id) else { return };
        let before = subscribed.state.borrow().as_str();
        if subscribed.tell(&now.state) {
            tracing::info!(
                subscription = now.id.0,
                name = subscribed.name,
                topic = known.writing.topic_name(now.topic),
                endpoint = shown(&subscribed.endpoint),
                before,
                now = now.state.as_str(),
                "a subscription's state has changed"
            );
        }
    }
}
