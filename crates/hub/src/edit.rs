//! Making and deleting single topics, queues and subscriptions, by their owners, while the hub runs.
//!
//! An [`Edit`] is one commit: the commands on entities, and whatever else belongs to it ([`Edit::tx`]). After the commit the hub updates what
//! they changed and nothing else: one more subscription costs the same among ten and among ten thousand.

use std::sync::{Arc, PoisonError};

use delivery::signing::SignatureVersion;
use event::{Timestamp, TopicId};
use storage::dropped::Dropped;
use storage::entities::{
    DesiredSubscription, Queue as StoredQueue, QueueId, Subscription, SubscriptionId, Topic,
};
use storage::{StoreError, Tx};

use crate::known::Known;
use crate::{Hub, HubError, QueueSettings, Result};

/// Changes of entities in one commit. Each command sees the effects of those before it.
pub struct Edit<'t> {
    tx: &'t mut dyn Tx,
    now: Timestamp,
    done: Vec<Done>,
}

/// What a command changed; the hub takes it over after the commit.
enum Done {
    Topic(Topic),
    Signed(TopicId, SignatureVersion),
    Queue(StoredQueue, QueueSettings),
    Subscribed(Subscription, bool),
    Raw(Subscription, bool),
    Unsubscribed(SubscriptionId, Dropped),
    TopicDeleted(TopicId, Dropped),
    QueueDeleted(QueueId, Vec<SubscriptionId>, Dropped),
    QueuePurged(QueueId, Dropped),
}

impl Edit<'_> {
    /// The transaction, for other changes in the same commit.
    pub fn tx(&mut self) -> &mut dyn Tx {
        &mut *self.tx
    }

    /// The topic of this name, and whether it is new.
    ///
    /// # Errors
    /// If the store fails, as for every command.
    pub fn create_topic(&mut self, name: &str) -> storage::Result<(Topic, bool)> {
        let (topic, is_new) = self.tx.create_topic(name)?;
        self.done.push(Done::Topic(topic.clone()));
        Ok((topic, is_new))
    }

    /// Sets how the envelopes of a topic's messages in queues are signed, from now on. The store does not keep this.
    pub fn sign_as(&mut self, topic: TopicId, version: SignatureVersion) {
        self.done.push(Done::Signed(topic, version));
    }

    /// The queue of this name, and whether it is new. The settings are only for a new one; an existing queue keeps its own.
    ///
    /// # Errors
    /// If the store fails.
    pub fn create_queue(
        &mut self,
        name: &str,
        settings: QueueSettings,
    ) -> storage::Result<(StoredQueue, bool)> {
        let (queue, is_new) = self.tx.create_queue(name, Some(settings.retention))?;
        if is_new {
            self.done.push(Done::Queue(queue.clone(), settings));
        }
        Ok((queue, is_new))
    }

    /// Changes the settings of a queue. `false` if there is no such queue.
    ///
    /// # Errors
    /// If the store fails.
    pub fn set_queue(&mut self, queue: &StoredQueue, settings: QueueSettings) -> storage::Result<bool> {
        let is_there = self.tx.set_queue_retention(queue.id, Some(settings.retention))?;
        if is_there {
            self.done.push(Done::Queue(queue.clone(), settings));
        }
        Ok(is_there)
    }

    /// One more subscription, and whether it is new ([`RegistryTx::subscribe`](storage::ports::RegistryTx::subscribe)); its topic and its queue
    /// are made if they do not exist. `is_raw` says whether a queue gets its messages without the SNS envelope.
    ///
    /// # Errors
    /// If the store fails.
    pub fn subscribe(
        &mut self,
        wanted: &DesiredSubscription,
        is_raw: bool,
    ) -> storage::Result<(Subscription, bool)> {
        self.create_topic(&wanted.topic)?;
        if wanted.protocol.is_pull() {
            self.create_queue(&wanted.endpoint, QueueSettings::default())?;
        }
        let (subscription, is_new) = self.tx.subscribe(wanted, self.now)?;
        self.done.push(Done::Subscribed(subscription.clone(), is_raw));
        Ok((subscription, is_new))
    }

    /// Sets whether a queue gets the messages of this subscription without the SNS envelope, from now on. The store does not keep this.
    pub fn set_raw(&mut self, subscription: &Subscription, is_raw: bool) {
        self.done.push(Done::Raw(subscription.clone(), is_raw));
    }

    /// Ends a subscription and drops what it is owed ([`RegistryTx::unsubscribe`](storage::ports::RegistryTx::unsubscribe)).
    ///
    /// # Errors
    /// If the store fails.
    pub fn unsubscribe(&mut self, id: SubscriptionId) -> storage::Result<Dropped> {
        let dropped = self.tx.unsubscribe(id)?;
        self.done.push(Done::Unsubscribed(id, dropped));
        Ok(dropped)
    }

    /// Ends a topic with its subscriptions and drops what they are owed ([`RegistryTx::delete_topic`](storage::ports::RegistryTx::delete_topic)).
    ///
    /// # Errors
    /// If the store fails.
    pub fn delete_topic(&mut self, id: TopicId) -> storage::Result<Dropped> {
        let dropped = self.tx.delete_topic(id)?;
        self.done.push(Done::TopicDeleted(id, dropped));
        Ok(dropped)
    }

    /// Ends a queue and drops its messages ([`RegistryTx::delete_queue`](storage::ports::RegistryTx::delete_queue)), and with it these subscriptions to it ([`RegistryTx::unsubscribe`](storage::ports::RegistryTx::unsubscribe)). Receives that
    /// wait for one end with [`HubError::NoSuchQueue`].
    ///
    /// # Errors
    /// If the store fails.
    pub fn delete_queue(&mut self, id: QueueId, with: &[SubscriptionId]) -> storage::Result<Dropped> {
        let mut dropped = self.tx.delete_queue(id)?;
        for subscription in with {
            let owed = self.tx.unsubscribe(*subscription)?;
            dropped.subscriptions += owed.subscriptions;
            dropped.unread += owed.unread;
        }
        self.done.push(Done::QueueDeleted(id, with.to_vec(), dropped));
        Ok(dropped)
    }

    /// Drops a queue's messages ([`QueuesTx::purge_queue`](storage::ports::QueuesTx::purge_queue)).
    ///
    /// # Errors
    /// If the store fails.
    pub fn purge_queue(&mut self, id: QueueId) -> storage::Result<Dropped> {
        let dropped = self.tx.purge_queue(id)?;
        self.done.push(Done::QueuePurged(id, dropped));
        Ok(dropped)
    }
}

impl Hub {
    /// Changes single entities, durably and for every command that begins from now on. `change` is one commit and may run more than once; if it
    /// fails, or its commit does, nothing has changed. There is a log line for everything that it drops. It is completed even if the caller goes
    /// away.
    ///
    /// # Errors
    /// If the store fails, or `change` does.
    pub async fn edit<T, F>(&self, mut change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Edit<'_>) -> storage::Result<T> + Send + 'static,
    {
        let hub = self.clone();
        let editing = tokio::spawn(async move {
            let _one_at_a_time = hub.shared.changing.lock().await;
            let now = hub.shared.deps.clock.now();
            let change = move |tx: &mut dyn Tx| {
                let mut edit = Edit { tx, now, done: Vec::new() };
                let value = change(&mut edit)?;
                Ok((value, edit.done))
            };
            let (value, done) = hub.shared.deps.writer.transact(change).await?;
            hub.know(done);
            Ok(value)
        });
        editing.await.unwrap_or(Err(StoreError::Closed)).map_err(HubError::store("change the entities"))
    }

    /// Takes over the changes: in place, unless somebody is reading it just now.
    fn know(&self, done: Vec<Done>) {
        let mut known = self.shared.known.write().unwrap_or_else(PoisonError::into_inner);
        let known = Arc::make_mut(&mut known);
        done.into_iter().for_each(|done| known.know(done));
    }
}

impl Known {
    fn know(&mut self, done: Done) {
        match done {
            Done::Topic(topic) => self.put_topic(topic.id, &topic.name),
            Done::Signed(topic, version) => self.writing.sign_as(topic, version),
            Done::Queue(stored, settings) => {
                let before = self.queues.get(&stored.name).cloned();
                self.put_queue(&stored, settings, before.as_ref());
            }
            Done::Subscribed(stored, is_raw) => {
                let before = self.subscriptions.get(&stored.id).cloned();
                self.put_subscription(&stored, is_raw, before.as_deref());
            }
            Done::Raw(stored, is_raw) => self.writing.put(&stored, is_raw),
            Done::Unsubscribed(id, dropped) => {
                if let Some(ended) = self.end_subscription(id) {
                    let topic = self.writing.topic_name(ended.topic());
                    let (subscription, name) = (id.0, ended.label());
                    tell(
                        &dropped,
                        format_args!(
                            "the subscription {subscription} ({name}) of the topic {topic} was ended"
                        ),
                    );
                }
            }
            Done::TopicDeleted(id, dropped) => self.topic_was_deleted(id, dropped),
            Done::QueueDeleted(id, subscriptions, dropped) => {
                for subscription in &subscriptions {
                    self.end_subscription(*subscription);
                }
                if let Some(queue) = self.queue_named(id) {
                    self.queues.remove(queue.name());
                    queue.delete();
                    let with = with(subscriptions.len() as u64);
                    tell(&dropped, format_args!("the queue {} was deleted{with}", queue.name()));
                }
            }
            Done::QueuePurged(id, dropped) => {
                let name =
                    self.queue_named(id).map_or_else(|| id.0.to_string(), |queue| queue.name().to_owned());
                tell(&dropped, format_args!("the queue {name} was purged"));
            }
        }
    }

    fn topic_was_deleted(&mut self, id: TopicId, dropped: Dropped) {
        let ended = self.subscriptions_of(id);
        for subscription in ended {
            self.end_subscription(subscription);
        }
        self.topics.retain(|_, known| *known != id);
        let topic = self.writing.topic_name(id);
        self.writing.topic_was_deleted(id);
        let with = with(dropped.subscriptions);
        tell(&dropped, format_args!("the topic {topic} was deleted{with}"));
    }

    pub(crate) fn queue_named(&self, id: QueueId) -> Option<crate::queue::Queue> {
        self.queues.values().find(|queue| queue.id() == id).cloned()
    }
}

/// The part of a log line about subscriptions that ended with it.
fn with(subscriptions: u64) -> String {
    match subscriptions {
        0 => String::new(),
        1 => " with its subscription".to_owned(),
        count => format!(" with its {count} subscriptions"),
    }
}

/// Writes one log line; it is a warning if anything that was owed was dropped.
fn tell(dropped: &Dropped, what: std::fmt::Arguments<'_>) {
    if dropped.is_nothing() {
        tracing::info!("{what}; nobody was owed anything");
    } else {
        let Dropped { unread, waiting, dead, messages, .. } = dropped;
        tracing::warn!(unread, waiting, dead, messages, "{what}; dropped: {dropped}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_the_subscriptions_that_ended() {
        assert_eq!(
            [0, 1, 7].map(with),
            ["", " with its subscription", " with its 7 subscriptions"].map(str::to_owned)
        );
    }

    /// What is written into the log while `act` runs on this thread.
    #[expect(clippy::disallowed_methods, reason = "it writes into a pipe and not to standard error")]
    fn lines(act: impl FnOnce()) -> String {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let writer = std::sync::Mutex::new(writer);
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        tracing::subscriber::with_default(log, act);
        std::io::read_to_string(reader).expect("text")
    }

    #[test]
    fn whatever_ends_is_told_once_and_louder_if_something_was_owed() {
        let quiet = lines(|| tell(&Dropped::default(), format_args!("the queue jobs was purged")));
        assert!(quiet.contains("INFO") && quiet.contains("the queue jobs was purged; nobody"), "{quiet}");
        let owed = Dropped { waiting: 3, ..Dropped::default() };
        let loud = lines(|| tell(&owed, format_args!("the queue jobs was purged")));
        assert!(loud.contains("WARN") && loud.contains("waiting=3"), "{loud}");
        assert_eq!((quiet.lines().count(), loud.lines().count()), (1, 1));
    }
}
