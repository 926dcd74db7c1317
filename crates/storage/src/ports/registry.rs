//! Topics, queues and subscriptions, the rows that say who owns each entity, and small values.

use std::time::Duration;

use event::{Timestamp, TopicId};
use uuid::Uuid;

use crate::Result;
use crate::dropped::Dropped;
use crate::entities::{
    Desired, DesiredSubscription, Entities, Queue, QueueId, Subscription, SubscriptionId, Topic,
};
use crate::queue::Limits;
use crate::redrive::Redrive;
use crate::registry::Row;
use crate::steps::Step;

/// Topics, queues, subscriptions, rows and small values, in an open transaction.
pub trait RegistryTx {
    /// Makes the topics, queues and subscriptions exist that the configuration wants. A new subscription owns events from this commit on. One that is
    /// not wanted is marked as removed at `now`; one that is wanted again is unmarked. A topic or queue that only a subscription names is made, too.
    ///
    /// A subscription's identity is its name in its topic, or, if it has none, its topic, protocol and endpoint. [`identity`](crate::identity) has
    /// the rules as functions. A wanted subscription is, of those in the store, removed ones included:
    /// 1. the one with its name, whatever its endpoint is. But a name does not pass from a webhook to a queue or the other way round, because a
    ///    queue's subscription does not read by a cursor: the one that had the name loses it and counts as one without a name;
    /// 2. else one with the same topic, protocol and endpoint that no wanted name has found. So nothing is lost if a name is given, taken away or
    ///    changed while the endpoint stays. Of several it is the one that was wanted until now, then one without a name;
    /// 3. else it is new.
    ///
    /// All of it is one change. So two subscriptions can swap their names or endpoints, and one can get the endpoint of a removed one, which keeps
    /// its number and its grace. A name or endpoint that is wanted twice counts once.
    ///
    /// A subscription keeps its number, uuid, cursor, rows and what it is owed, under any name and endpoint. It keeps its state, too, except that
    /// * a pending one that is wanted without confirmation is confirmed from this commit on;
    /// * a disabled one that was removed and is wanted again gets the state, token and uuid of a new one;
    /// * one whose endpoint moved to another origin (scheme, host or port of a webhook, or another queue) gets the state and token of a new one,
    ///   because somebody else had confirmed or unsubscribed. The old token confirms nothing. If it was confirmed and is pending now, what it is owed
    ///   is kept as for a confirmed one ([`Subscription::reconfirms`]) until it is confirmed or disabled.
    ///
    /// When a subscription moves to another queue, the messages of the old queue stay there. What it missed while it was removed goes to the new
    /// queue.
    fn sync_entities(&mut self, desired: &Desired, now: Timestamp) -> Result<Entities>;

    /// Takes one of the steps that lead to what a configuration wants ([`Steps`](crate::steps::Steps)). All of them together do what
    /// [`RegistryTx::sync_entities`] does. The cost does not depend on how many entities the store has. A new subscription owns events from the
    /// commit of its own step on.
    fn take_step(&mut self, step: &Step, now: Timestamp) -> Result<()>;

    /// Makes a topic of this name, if there is none. Returns the topic, and whether it is new. After a topic was deleted, its name gets a new number,
    /// and the new topic has nothing of the old one.
    fn create_topic(&mut self, name: &str) -> Result<(Topic, bool)>;

    /// Whether a topic of this number exists and was not deleted.
    fn has_topic(&mut self, id: TopicId) -> Result<bool>;

    /// Makes a queue of this name, if there is none. Returns the queue, and whether it is new. A new one keeps messages for `retention`, or for
    /// `Retention::queue_message` if that is `None`.
    fn create_queue(&mut self, name: &str, retention: Option<Duration>) -> Result<(Queue, bool)>;

    /// Sets how long a queue keeps a message; `None` means `Retention::queue_message`. Returns `false` if there is no such queue.
    fn set_queue_retention(&mut self, id: QueueId, retention: Option<Duration>) -> Result<bool>;

    /// Sets when a queue gives a message up, and to which queue; `None` means never. It takes effect with the next receive; earlier receives count.
    /// Returns `false` if there is no such queue.
    fn set_queue_redrive(&mut self, id: QueueId, redrive: Option<&Redrive>) -> Result<bool>;

    /// Makes one more subscription, with its topic and its queue if these do not exist. Returns it, and whether it is new.
    ///
    /// If one that is wanted already has its name, or its protocol and endpoint, it is that one, which stays as it is. But if the endpoint is the
    /// same, a pending one that needs no confirmation is confirmed, and a disabled one gets the state, token and uuid of a new one. Otherwise it is
    /// one of the removed ones, by the rules of [`RegistryTx::sync_entities`], with that one's number, uuid and cursor. Otherwise it is new.
    fn subscribe(&mut self, wanted: &DesiredSubscription, now: Timestamp) -> Result<(Subscription, bool)>;

    /// Deletes a subscription, also a removed one, and drops what it is owed. Its number is never used again. Messages that a queue has through it
    /// stay there. Does nothing if there is no such subscription.
    fn unsubscribe(&mut self, id: SubscriptionId) -> Result<Dropped>;

    /// Deletes a topic with its subscriptions, also removed ones, and drops what they are owed. Messages that queues have of it stay there. Does
    /// nothing if there is no such topic.
    ///
    /// The topic is remembered as deleted as long as an open intent or an event has its number. If an event settles such an intent later, it is
    /// appended, but nobody is owed it. [`JournalTx::recover`](crate::ports::JournalTx::recover) settles such an intent without an event.
    fn delete_topic(&mut self, id: TopicId) -> Result<Dropped>;

    /// Deletes a queue, and drops its messages and what it had not been sent yet. Subscriptions to it stay. Their events are sent nowhere until
    /// there is a queue of that name again, which begins empty. Does nothing if there is no such queue.
    fn delete_queue(&mut self, id: QueueId) -> Result<Dropped>;

    /// Confirms the subscription that has this token, whether it is pending, disabled or confirmed already. Returns it; `None` if no subscription has
    /// the token.
    fn confirm_subscription(&mut self, token: &str) -> Result<Option<Subscription>>;

    /// Disables a subscription: its endpoint has unsubscribed, or an operator wants it. From now on only `token` confirms it; no token does, if
    /// that is `None`. One that is disabled already stays as it is. Returns the subscription as it is then; `None` if there is no such
    /// subscription.
    fn disable_subscription(
        &mut self,
        id: SubscriptionId,
        token: Option<&str>,
    ) -> Result<Option<Subscription>>;

    /// Notes the reason why a disabled subscription is disabled, for people. It is kept until the subscription is no longer disabled. Does nothing
    /// if it is not disabled.
    fn note_why_disabled(&mut self, id: SubscriptionId, why: &str) -> Result<()>;

    /// Makes a subscription a confirmed one without asking its endpoint. It goes on at its cursor, with the rows that it still has. Returns the
    /// subscription as it is then; `None` if there is no such subscription.
    fn enable_subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>>;

    /// A small value by its name: the signing key, the key of receipt handles, the configuration that is served.
    fn get_value(&mut self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Sets a small value.
    fn put_value(&mut self, name: &str, value: &[u8]) -> Result<()>;

    /// Deletes a small value. Returns `false` if there was none of this name.
    fn delete_value(&mut self, name: &str) -> Result<bool>;

    /// Inserts a row of the registry, or replaces the one of the same kind and id. Writes nothing if the row is there already as it is.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`](crate::StoreError::TooLarge) for a text of more than
    /// [`MAX_BODY_BYTES`](crate::registry::MAX_BODY_BYTES).
    fn put_row(&mut self, row: &Row) -> Result<()>;

    /// Deletes a row of the registry. Returns `false` if there was none.
    fn delete_row(&mut self, kind: &str, id: Uuid) -> Result<bool>;

    /// All rows of the registry, by kind and id.
    fn rows(&mut self) -> Result<Vec<Row>>;
}

/// Reads of the registry.
pub trait RegistryReader {
    /// All topics that were not deleted, by number.
    fn topics(&self) -> Result<Vec<Topic>>;

    /// All queues, by number, each with its retention and its redrive policy.
    fn queues(&self) -> Result<Vec<(Queue, Limits)>>;

    /// All subscriptions, by number, removed ones too.
    fn subscriptions(&self) -> Result<Vec<Subscription>>;

    /// All rows of the registry, by kind and id.
    fn rows(&self) -> Result<Vec<Row>>;
}
