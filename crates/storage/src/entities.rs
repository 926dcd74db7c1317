//! Topics, subscriptions and queues as the store keeps them: identities and states, no settings.
//!
//! What the configuration says of a subscription (format, secret, policy) stays in its text; the store keeps who it is, where it
//! came in and how far it got.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use ::entities::subscription::shown;
pub use ::entities::{Access, AccessKey, Protocol, Secret};
use event::{Position, Stamp, Timestamp, TopicId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::queue::Limits;
use crate::redrive::Redrive;

/// The store's number of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(pub i64);

/// The store's number of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueId(pub i64);

/// One run of the process: intents carry it, so that recovery touches only the dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub i64);

/// What the configuration wants to exist.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// Names of topics.
    pub topics: Vec<String>,
    /// Names of queues.
    pub queues: Vec<String>,
    /// How long queues keep a message, by name; `Retention::queue_message` for those that are not here.
    pub message_retention: HashMap<String, Duration>,
    /// When queues give a message up, by name; those that are not here never do.
    pub redrive: HashMap<String, Redrive>,
    /// Subscriptions, each to a topic of `topics`.
    pub subscriptions: Vec<DesiredSubscription>,
}

impl Desired {
    /// The names of `topics`, and those that only subscriptions name; each once.
    pub fn topic_names(&self) -> Vec<&str> {
        let named = self.subscriptions.iter().map(|wanted| &wanted.topic);
        unique(self.topics.iter().chain(named))
    }

    /// What the store is to do with the messages of a queue.
    pub fn limits(&self, queue: &str) -> Limits {
        let retention = self.message_retention.get(queue).copied();
        Limits { retention, redrive: self.redrive.get(queue).cloned() }
    }

    /// The names of `queues`, and those that only subscriptions name; each once.
    pub fn queue_names(&self) -> Vec<&str> {
        let to_queues = self.subscriptions.iter().filter(|wanted| wanted.protocol.is_pull());
        unique(self.queues.iter().chain(to_queues.map(|wanted| &wanted.endpoint)))
    }
}

fn unique<'n>(names: impl Iterator<Item = &'n String>) -> Vec<&'n str> {
    let mut seen = HashSet::new();
    names.map(String::as_str).filter(|name| seen.insert(*name)).collect()
}

/// A subscription that the configuration wants. Its durable identity is its name, unique in its topic, if it has one; otherwise (topic,
/// protocol, endpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredSubscription {
    /// The topic's name.
    pub topic: String,
    /// Its own name, if it has one.
    pub name: Option<String>,
    /// How it is reached.
    pub protocol: Protocol,
    /// The URL as configured, or the queue's name.
    pub endpoint: String,
    /// Whether it starts `Pending` when it is new or its endpoint has another origin, with this token to confirm it by.
    pub confirm_with: Option<String>,
    /// The last part of its ARN, if it is new.
    pub uuid: Uuid,
}

/// What exists after [`RegistryTx::sync_entities`](crate::ports::RegistryTx::sync_entities).
#[derive(Clone, Debug, Default)]
pub struct Entities {
    /// All topics that the configuration names.
    pub topics: Vec<Topic>,
    /// All queues that the configuration names.
    pub queues: Vec<Queue>,
    /// All subscriptions that the configuration names.
    pub subscriptions: Vec<Subscription>,
    /// Subscriptions that it no longer names; their backlog is kept until the grace is over.
    pub removed: Vec<Subscription>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Its number.
    pub id: TopicId,
    /// Its bare name.
    pub name: String,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its number.
    pub id: QueueId,
    /// Its bare name.
    pub name: String,
}

/// A subscription and how far it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its number.
    pub id: SubscriptionId,
    /// The last part of its ARN.
    pub uuid: Uuid,
    /// What it is subscribed to.
    pub topic: TopicId,
    /// Its name, unique in its topic, if it has one.
    pub name: Option<String>,
    /// How it is reached.
    pub protocol: Protocol,
    /// The URL as configured, or the queue's name.
    pub endpoint: String,
    /// Whether it may be delivered to.
    pub state: SubscriptionState,
    /// It is pending because its endpoint moved to another origin; before that it was confirmed. What it is owed is kept as for a
    /// confirmed one.
    pub reconfirms: bool,
    /// Why an operator disabled it, in that person's words; `None` for one that is not disabled, or whose endpoint unsubscribed.
    pub disabled_because: Option<String>,
    /// When it was first seen, for people.
    pub created_at: Timestamp,
    /// That moment on the store's clock; it owns events from that commit on.
    pub created: Stamp,
    /// When the configuration stopped naming it, for people.
    pub removed_at: Option<Timestamp>,
    /// How far it got. Meaningless for `sqs`: a queue has its message from the publish's own commit.
    pub cursor: Cursor,
}

impl Subscription {
    /// How log lines call it.
    pub fn whose(&self, topic: Option<&str>) -> Whose {
        let topic = topic.unwrap_or_default().to_owned();
        Whose { name: self.name.clone(), topic, endpoint: shown(&self.endpoint) }
    }

    /// Whether what it has not read is kept without a limit of time: it is confirmed, or was until its endpoint moved.
    pub fn pins(&self) -> bool {
        self.state == SubscriptionState::Confirmed || self.reconfirms
    }
}

/// How people are told of a subscription, besides its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The name of its topic; empty if that is gone.
    pub topic: String,
    /// Its endpoint without what may be a secret.
    pub endpoint: String,
}

/// As in an error: "`expire` of `profile-changes` to http://localhost:9100/expire".
impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, topic, endpoint } = self;
        if let Some(name) = name {
            write!(f, "`{name}` ")?;
        }
        write!(f, "of `{topic}` to {endpoint}")
    }
}

/// Whether a subscription may be delivered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// The endpoint has not yet answered the handshake.
    Pending {
        /// What it must present.
        token: String,
    },
    /// Deliveries flow.
    Confirmed,
    /// The receiver unsubscribed.
    Disabled {
        /// What it must present to be subscribed again.
        token: Option<String>,
    },
}

impl SubscriptionState {
    /// As the store and the admin API write it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Confirmed => "confirmed",
            Self::Disabled { .. } => "disabled",
        }
    }

    /// Whether nothing is delivered until somebody enables it.
    pub fn is_disabled(&self) -> bool {
        matches!(self, Self::Disabled { .. })
    }
}

/// How far a push subscription has read its topic. `done_to <= dispatched_to`.
///
/// Persisted before the calls: after a crash, every position in `(done_to, dispatched_to]` without a row of its own may have been
/// delivered, and is delivered again as attempt 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Everything up to here was handed to the sink, or is about to be.
    pub dispatched_to: Position,
    /// Everything up to here was delivered or has a row of its own.
    pub done_to: Position,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_once_and_those_that_only_subscriptions_have_last() {
        let wanted = |topic: &str, protocol, endpoint: &str| DesiredSubscription {
            topic: topic.into(),
            name: None,
            protocol,
            endpoint: endpoint.into(),
            confirm_with: None,
            uuid: Uuid::nil(),
        };
        let desired = Desired {
            topics: vec!["b".into(), "a".into(), "b".into()],
            queues: vec!["y".into()],
            subscriptions: vec![
                wanted("c", Protocol::Http, "http://a"),
                wanted("a", Protocol::Sqs, "x"),
                wanted("a", Protocol::Https, "https://a"),
                wanted("c", Protocol::Sqs, "y"),
            ],
            ..Desired::default()
        };
        assert_eq!(desired.topic_names(), ["b", "a", "c"]);
        assert_eq!(desired.queue_names(), ["y", "x"]);
    }

    #[test]
    fn people_are_told_of_a_name_a_topic_and_an_endpoint_without_secrets() {
        let whose = |name: Option<&str>| Whose {
            name: name.map(str::to_owned),
            topic: "profile-changes".into(),
            endpoint: shown("http://user:secret@localhost/expire?key=secret"),
        };
        assert_eq!(
            whose(Some("expire")).to_string(),
            "`expire` of `profile-changes` to http://localhost/expire?..."
        );
        assert_eq!(whose(None).to_string(), "of `profile-changes` to http://localhost/expire?...");
    }

    /// They stand in databases and in answers.
    #[test]
    fn words_of_protocols_and_states_stay() {
        assert_eq!(Protocol::ALL.map(Protocol::as_str), ["http", "https", "sqs", "sns"]);
        let states = [
            SubscriptionState::Pending { token: "t".into() },
            SubscriptionState::Confirmed,
            SubscriptionState::Disabled { token: None },
        ];
        assert_eq!(states.each_ref().map(SubscriptionState::as_str), ["pending", "confirmed", "disabled"]);
        assert_eq!(states.each_ref().map(SubscriptionState::is_disabled), [false, false, true]);
    }
}
