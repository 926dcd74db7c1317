//! From what a store has of topics, queues and subscriptions to what a configuration wants, step by step.
//!
//! [`RegistryTx::sync_entities`](crate::ports::RegistryTx::sync_entities) does all of it in one change, and reads all that there is in it. Where there are
//! thousands, and requests wait for the same writer, the steps are found beside it, from what was read, and only what is different is written: a
//! few steps a commit.
//!
//! Whoever stops between two commits and begins again, with what the store has then, comes to the same end: which subscription of the store a
//! wanted one is does not depend on how far the steps got. What it does depend on, names that go from one to another, is in
//! [`Steps::together`], and that is for one commit.

use std::collections::{HashMap, HashSet};

use event::TopicId;

use crate::Result;
use crate::backend::Reader;
use crate::entities::{Desired, DesiredSubscription, Entities, Queue, Subscription, SubscriptionId, Topic};
use crate::identity::{self, Assignment, Change, Match};
use crate::queue::Limits;

/// One change of a topic, a queue or a subscription. One that is done already changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is a topic of this name.
    Topic(String),
    /// There is a queue of this name, and this is done with its messages.
    Queue(String, Limits),
    /// A subscription has no name any more, because another one gets it, or none.
    Unname(SubscriptionId),
    /// A subscription is wanted, with this name and endpoint. One that is not there any more is made anew.
    Keep(SubscriptionId, DesiredSubscription),
    /// There is one subscription more. Its topic is there.
    Add(DesiredSubscription),
    /// A subscription is wanted no longer.
    Remove(SubscriptionId),
}

/// All that is different.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// In one commit, and before the others.
    pub together: Vec<Step>,
    /// In this order, in as many commits as one likes.
    pub rest: Vec<Step>,
}

/// What a store has.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// All topics.
    pub topics: Vec<Topic>,
    /// All queues, with what is done with their messages.
    pub queues: Vec<(Queue, Limits)>,
    /// All subscriptions, removed ones too.
    pub subscriptions: Vec<Subscription>,
}

impl Known {
    /// Reads it. Nobody else may change names and endpoints meanwhile.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn read(reader: &dyn Reader) -> Result<Self> {
        Ok(Self {
            topics: reader.topics()?,
            queues: reader.queues()?,
            subscriptions: reader.subscriptions()?,
        })
    }

    /// What a configuration wants of it; what is not there is left out. Of a store to which all [`Steps`] have led, that is what
    /// [`RegistryTx::sync_entities`](crate::ports::RegistryTx::sync_entities) returns.
    pub fn entities(&self, desired: &Desired) -> Entities {
        let topics = by_name(&self.topics, |topic| &topic.name);
        let queues = by_name(&self.queues, |(queue, _)| &queue.name);
        let named = |name: &&str| topics.get(name).map(|topic| (*topic).clone());
        let topics: Vec<Topic> = desired.topic_names().iter().filter_map(named).collect();
        let named = |name: &&str| queues.get(name).map(|(queue, _)| queue.clone());
        let queues = desired.queue_names().iter().filter_map(named).collect();
        let wanted = identity::of_topics(&topics, &desired.subscriptions);
        let matches = identity::assign(&self.subscriptions, &wanted).matches;
        let found = |found: &Match<'_>| match found {
            Match::Known(known) => Some((*known).clone()),
            Match::New | Match::Repeated => None,
        };
        let subscriptions: Vec<Subscription> = matches.iter().filter_map(found).collect();
        let kept: HashSet<SubscriptionId> = subscriptions.iter().map(|one| one.id).collect();
        let removed = self.subscriptions.iter().filter(|known| !kept.contains(&known.id));
        Entities { topics, queues, removed: removed.cloned().collect(), subscriptions }
    }
}

impl Steps {
    /// What leads from the one to the other.
    pub fn between(known: &Known, desired: &Desired) -> Self {
        let mut steps = Self::default();
        steps.of_topics_and_queues(known, desired);
        steps.of_subscriptions(known, desired);
        steps
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.together.len() + self.rest.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of_topics_and_queues(&mut self, known: &Known, desired: &Desired) {
        let topics = by_name(&known.topics, |topic| &topic.name);
        let new = desired.topic_names().into_iter().filter(|name| !topics.contains_key(name));
        self.rest.extend(new.map(|name| Step::Topic(name.to_owned())));
        let queues = by_name(&known.queues, |(queue, _)| &queue.name);
        for name in desired.queue_names() {
            let limits = desired.limits(name);
            if queues.get(name).is_none_or(|(_, known)| *known != limits) {
                self.rest.push(Step::Queue(name.to_owned(), limits));
            }
        }
    }

    fn of_subscriptions(&mut self, known: &Known, desired: &Desired) {
        // A topic that is not there yet has no subscriptions: any number that no other has will do.
        let topics = with_new_ones(&known.topics, desired);
        let wanted = identity::of_topics(&topics, &desired.subscriptions);
        let Assignment { matches, unnamed } = identity::assign(&known.subscriptions, &wanted);
        let unnamed: HashSet<SubscriptionId> = unnamed.into_iter().collect();
        let lost: HashSet<(TopicId, &str)> = known
            .subscriptions
            .iter()
            .filter(|known| unnamed.contains(&known.id))
            .filter_map(|known| Some((known.topic, known.name.as_deref()?)))
            .collect();
        self.together.extend(
            known
                .subscriptions
                .iter()
                .map(|known| known.id)
                .filter(|id| unnamed.contains(id))
                .map(Step::Unname),
        );
        let mut kept = HashSet::new();
        for (found, (topic, one)) in matches.into_iter().zip(wanted) {
            match found {
                Match::Repeated => {}
                Match::New => self.rest.push(Step::Add(one.clone())),
                Match::Known(known) => {
                    kept.insert(known.id);
                    let is_handed = one.name.as_deref().is_some_and(|name| lost.contains(&(topic, name)));
                    let step = || Step::Keep(known.id, one.clone());
                    if unnamed.contains(&known.id) || is_handed {
                        self.together.push(step());
                    } else if differs(known, one) {
                        self.rest.push(step());
                    }
                }
            }
        }
        let gone = known
            .subscriptions
            .iter()
            .filter(|known| known.removed_at.is_none() && !kept.contains(&known.id));
        self.rest.extend(gone.map(|known| Step::Remove(known.id)));
    }
}

/// Whether a subscription is not what is wanted of it.
fn differs(known: &Subscription, wanted: &DesiredSubscription) -> bool {
    known.removed_at.is_some()
        || (&known.name, known.protocol, &known.endpoint) != (&wanted.name, wanted.protocol, &wanted.endpoint)
        || identity::change(known, wanted) != Change::None
}

fn with_new_ones(known: &[Topic], desired: &Desired) -> Vec<Topic> {
    let there = by_name(known, |topic| &topic.name);
    let new = desired.topic_names().into_iter().filter(|name| !there.contains_key(name));
    let new = (1..).zip(new).map(|(number, name)| Topic { id: TopicId(-number), name: name.to_owned() });
    known.iter().cloned().chain(new).collect()
}

fn by_name<T>(all: &[T], name: impl Fn(&T) -> &str) -> HashMap<&str, &T> {
    all.iter().map(|one| (name(one), one)).collect()
}
