//! Who there is: topics, queues, subscriptions, whose they are, and small values.

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
    /// Makes topics, queues and subscriptions exist as the configuration wants. What is new owns events from this commit on; what is
    /// gone is marked with `now`, what came back is unmarked. A topic or queue that only a subscription names exists too.
    ///
    /// A subscription's identity is its name in its topic if it has one, else (topic, protocol, endpoint). [`identity`](crate::identity)
    /// has the rules as functions. Which one of the store a wanted one is, removed ones included:
    /// 1. the one that has its name, whatever its endpoint is. A queue's subscription has no cursor, so a name is never that of a webhook
    ///    first and of a queue then: the one that had it loses it and counts as one that has no name;
    /// 2. else the one of the same topic, protocol and endpoint whose own name nobody wants: it never had one, or the name was taken away
    ///    or changed. So neither giving a name, nor taking it away, nor changing it loses anything while the endpoint stays. Of several the
    ///    one that was wanted until now, then one without a name;
    /// 3. else it is new.
    ///
    /// All of it is one change: two can swap their names or endpoints, and one can get the endpoint of one that is removed, which keeps
    /// its number and its grace. A name or endpoint that is wanted twice counts once.
    ///
    /// Number, uuid, cursor, rows and what it is owed stay with it, under any name and endpoint. Its state stays too, except that
    /// * a pending one that is wanted without confirmation is confirmed from this commit on;
    /// * a disabled one that was gone and comes back is declared anew, with the state, token and uuid of a new one;
    /// * one whose endpoint moved to another origin (scheme, host or port of a webhook, another queue) has the state and token of a new
    ///   one: whoever confirmed or unsubscribed was somebody else, and the old token confirms nothing. If it was confirmed and is pending
    ///   now, what it is owed is kept as for a confirmed one ([`Subscription::reconfirms`]) until it is confirmed or disabled.
    ///
    /// Messages that a queue has stay there when its subscription moves to another queue; what it missed goes to the new one.
    fn sync_entities(&mut self, desired: &Desired, now: Timestamp) -> Result<Entities>;

    /// Does one step of those that lead to what a configuration wants ([`Steps`](crate::steps::Steps)): all of them together do what
    /// [`RegistryTx::sync_entities`] does. It costs what it touches, however many others there are. What is new owns events from the commit of its
    /// own step on.
    fn take_step(&mut self, step: &Step, now: Timestamp) -> Result<()>;

    /// The topic of this name, and whether it is new. A name whose topic was deleted gets a new number and a life of its own.
    fn create_topic(&mut self, name: &str) -> Result<(Topic, bool)>;

    /// Whether there is a topic of this number: one that was deleted is not there.
    fn has_topic(&mut self, id: TopicId) -> Result<bool>;

    /// The queue of this name, and whether it is new. `retention` is for a new one; `Retention::queue_message` if it is `None`.
    fn create_queue(&mut self, name: &str, retention: Option<Duration>) -> Result<(Queue, bool)>;

    /// Sets how long a queue keeps a message; `Retention::queue_message` if it is `None`. `false` if there is no such queue.
    fn set_queue_retention(&mut self, id: QueueId, retention: Option<Duration>) -> Result<bool>;

    /// Says when a queue gives a message up, and to which queue; never, if it is `None`. It takes effect with the next receive, whatever was handed out before.
    /// `false` if there is no such queue.
    fn set_queue_redrive(&mut self, id: QueueId, redrive: Option<&Redrive>) -> Result<bool>;

    /// Makes one more subscription exist beside those that are wanted, and whether it is new; its topic and its queue exist then, too. It is
    /// one that is wanted already if that has its name, or its protocol and endpoint: then it stays as it is, except that a pending one that
    /// needs no confirmation is confirmed and a disabled one is declared anew. Else it is one of the removed ones, by the rules of
    /// [`RegistryTx::sync_entities`], with its number, uuid and cursor; else it is new.
    fn subscribe(&mut self, wanted: &DesiredSubscription, now: Timestamp) -> Result<(Subscription, bool)>;

    /// Ends a subscription, a removed one too, and drops what it is owed. Its number is nobody's from now on; messages that a queue has of
    /// it stay there. One that does not exist is nothing.
    fn unsubscribe(&mut self, id: SubscriptionId) -> Result<Dropped>;

    /// Ends a topic with its subscriptions, removed ones too, and drops what they are owed; messages that queues have of it stay there. One
    /// that does not exist is nothing.
    ///
    /// It is remembered as deleted as long as an open intent or an event has its number. An intent of it that is settled by an event
    /// leaves one that nobody is owed; [`JournalTx::recover`](crate::ports::JournalTx::recover) leaves none.
    fn delete_topic(&mut self, id: TopicId) -> Result<Dropped>;

    /// Ends a queue and drops its messages, and what was yet to be sent to it. Subscriptions to it stay; their events are sent nowhere until
    /// a queue has its name again, which begins empty. One that does not exist is nothing.
    fn delete_queue(&mut self, id: QueueId) -> Result<Dropped>;

    /// Confirms the subscription that has this token, pending or disabled. `None` if there is none. Repeating it is no error.
    fn confirm_subscription(&mut self, token: &str) -> Result<Option<Subscription>>;

    /// Stops deliveries to a subscription: it was unsubscribed. From now on `token` alone confirms it. One that is disabled already
    /// stays as it is. Returns the subscription as it is then, `None` if there is none.
    fn disable_subscription(
        &mut self,
        id: SubscriptionId,
        token: Option<&str>,
    ) -> Result<Option<Subscription>>;

    /// Notes for people why a disabled subscription is disabled, until it is not any more. Nothing for one that is not disabled.
    fn note_why_disabled(&mut self, id: SubscriptionId, why: &str) -> Result<()>;

    /// Makes a pending or disabled subscription a confirmed one. It goes on at its cursor, with the rows that it still has. Returns the subscription as it is then, `None` if there is none.
    fn enable_subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>>;

    /// A value of the table of small things (signing key, schema notes), by name.
    fn get_value(&mut self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Sets a value of the table of small things.
    fn put_value(&mut self, name: &str, value: &[u8]) -> Result<()>;

    /// Deletes a value of the table of small things. `false` if there was none.
    fn delete_value(&mut self, name: &str) -> Result<bool>;

    /// Inserts a row of the registry, or replaces the one of the same kind and id. One that is there already as it is costs nothing.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`](crate::StoreError::TooLarge) for a text of more than
    /// [`MAX_BODY_BYTES`](crate::registry::MAX_BODY_BYTES).
    fn put_row(&mut self, row: &Row) -> Result<()>;

    /// Deletes a row of the registry. `false` if there was none.
    fn delete_row(&mut self, kind: &str, id: Uuid) -> Result<bool>;

    /// All rows of the registry, by kind and id.
    fn rows(&mut self) -> Result<Vec<Row>>;
}

/// Reads of the registry.
pub trait RegistryReader {
    /// All topics.
    fn topics(&self) -> Result<Vec<Topic>>;

    /// All queues, each with what the store does with its messages.
    fn queues(&self) -> Result<Vec<(Queue, Limits)>>;

    /// All subscriptions, removed ones too.
    fn subscriptions(&self) -> Result<Vec<Subscription>>;

    /// All rows of the registry, by kind and id.
    fn rows(&self) -> Result<Vec<Row>>;
}
