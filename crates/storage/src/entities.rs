//! Topics, subscriptions and queues as the store keeps them: identities and states, no settings.
//!
//! The settings of a subscription (format, secret, delivery policy) stay in the configuration, which the store does not interpret. The store
//! keeps the subscription's identity, its state, since when it owns events, and how far it has come.

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

/// One run of the process. Every intent carries it, so that recovery touches only the intents of runs that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub i64);

/// The topics, queues and subscriptions that a configuration wants the store to have.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The bare names of topics.
    pub topics: Vec<String>,
    /// The bare names of queues.
    pub queues: Vec<String>,
    /// How long a queue keeps a message, by the queue's name. `Retention::queue_message` for a queue that is not here.
    pub message_retention: HashMap<String, Duration>,
    /// When a queue gives a message up, by the queue's name. A queue that is not here never does.
    pub redrive: HashMap<String, Redrive>,
    /// Subscriptions, each to a topic of `topics`.
    pub subscriptions: Vec<DesiredSubscription>,
}

impl Desired {
    /// The names of `topics`, then those that only subscriptions name; each once.
    pub fn topic_names(&self) -> Vec<&str> {
        let named = self.subscriptions.iter().map(|wanted| &wanted.topic);
        unique(self.topics.iter().chain(named))
    }

    /// How long a queue is to keep a message, and when it is to give one up.
    pub fn limits(&self, queue: &str) -> Limits {
        let retention = self.message_retention.get(queue).copied();
        Limits { retention, redrive: self.redrive.get(queue).cloned() }
    }

    /// The names of `queues`, then those that only subscriptions name; each once.
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
    /// The protocol of its endpoint.
    pub protocol: Protocol,
    /// The URL as configured, or the bare name of the queue.
    pub endpoint: String,
    /// The token that confirms it: with one it is `Pending` when it is new, or when its endpoint has moved to another origin (scheme, host or
    /// port). Without one it is `Confirmed`.
    pub confirm_with: Option<String>,
    /// The last part of its ARN. Used only if it is new.
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
    /// All subscriptions that it does not name (any more). What they are owed is kept for
    /// [`Retention::removed_grace`](crate::retention::Retention::removed_grace).
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
    /// The protocol of its endpoint.
    pub protocol: Protocol,
    /// The URL as configured, or the bare name of the queue.
    pub endpoint: String,
    /// Whether deliveries to it may be attempted.
    pub state: SubscriptionState,
    /// Whether it was confirmed, and is pending only because its endpoint moved to another origin. What it is owed is kept as for a confirmed
    /// one.
    pub reconfirms: bool,
    /// Why an operator disabled it, in the operator's words. `None` if it is not disabled, or if its endpoint unsubscribed.
    pub disabled_because: Option<String>,
    /// When it was made, on the wall clock, for people.
    pub created_at: Timestamp,
    /// The same moment on the store's clock. It owns the events that come after that commit.
    pub created: Stamp,
    /// When the configuration stopped naming it, on the wall clock, for people. `None` while it is named.
    pub removed_at: Option<Timestamp>,
    /// How far it has read its topic. A subscription with the protocol `sqs` does not read: its queue gets each message in the commit of the event.
    /// Only what its queue missed while the configuration did not name it is between `done_to` and `dispatched_to`.
    pub cursor: Cursor,
}

impl Subscription {
    /// What log lines say of it; `topic` is the name of its topic, if that still exists.
    pub fn whose(&self, topic: Option<&str>) -> Whose {
        let topic = topic.unwrap_or_default().to_owned();
        Whose { name: self.name.clone(), topic, endpoint: shown(&self.endpoint) }
    }

    /// Whether the events that it has not read are kept without a time limit: it is confirmed, or it was until its endpoint moved.
    pub fn pins(&self) -> bool {
        self.state == SubscriptionState::Confirmed || self.reconfirms
    }
}

/// What log lines say of a subscription besides its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The name of its topic; empty if that is gone.
    pub topic: String,
    /// Its endpoint without user, password and query, which may be secrets.
    pub endpoint: String,
}

/// For a message: "`expire` of `profile-changes` to http://localhost:9100/expire".
impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, topic, endpoint } = self;
        if let Some(name) = name {
            write!(f, "`{name}` ")?;
        }
        write!(f, "of `{topic}` to {endpoint}")
    }
}

/// Whether deliveries to a subscription may be attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// No: its endpoint has not confirmed yet.
    Pending {
        /// The token that confirms it.
        token: String,
    },
    /// Yes.
    Confirmed,
    /// No: its endpoint has unsubscribed, or an operator has disabled it.
    Disabled {
        /// The token that its endpoint may confirm it with, after it has unsubscribed. `None` if only an operator or a declaration can bring it
        /// back.
        token: Option<String>,
    },
}

impl SubscriptionState {
    /// Its word in the store and in the admin API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Confirmed => "confirmed",
            Self::Disabled { .. } => "disabled",
        }
    }

    /// Whether it is disabled.
    pub fn is_disabled(&self) -> bool {
        matches!(self, Self::Disabled { .. })
    }
}

/// How far a push subscription has read its topic. `done_to <= dispatched_to`.
///
/// `dispatched_to` is durable before the calls. So after a crash, every position in `(done_to, dispatched_to]` that has neither a row nor a
/// recorded success may have been delivered, and is delivered again, as attempt 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Every event up to here was handed to the sink, or is about to be.
    pub dispatched_to: Position,
    /// Every event up to here was delivered, or has a row of its own.
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
