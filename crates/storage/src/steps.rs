//! From what a store has of topics, queues and subscriptions to what a configuration wants, step by step.
//!
//! [`RegistryTx::sync_entities`](crate::ports::RegistryTx::sync_entities) makes all changes in one transaction, in which it also reads all entities.
//! With thousands of entities that would make requests wait, because they need the same writer. So the caller reads the entities beside the writer,
//! finds the steps, and has only the differences written, a few steps a commit.
//!
//! If this stops between two commits and begins anew with what the store has then, it comes to the same result: which known subscription a wanted
//! one is does not depend on how many steps were taken. The exception are names that pass from one subscription to another. The steps for these are
//! in [`Steps::together`], and must be taken in one commit.

use std::collections::{HashMap, HashSet};

use event::TopicId;

use crate::Result;
use crate::backend::Reader;
use crate::entities::{Desired, DesiredSubscription, Entities, Queue, Subscription, SubscriptionId, Topic};
use crate::identity::{self, Assignment, Change, Match};
use crate::queue::Limits;

/// One change of a topic, a queue or a subscription. A step that was taken already changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make a topic of this name, unless there is one.
    Topic(String),
    /// Make a queue of this name, unless there is one, and set its limits.
    Queue(String, Limits),
    /// Take a subscription's name away, because it gets another one or none, or because another subscription gets it.
    Unname(SubscriptionId),
    /// Give a subscription this name, endpoint and state. If it no longer exists, add it.
    Keep(SubscriptionId, DesiredSubscription),
    /// Add a subscription, and its topic unless there is one.
    Add(DesiredSubscription),
    /// Mark a subscription as removed.
    Remove(SubscriptionId),
}

/// All differences between what a store has and what a configuration wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Steps to take in one commit, before the others.
    pub together: Vec<Step>,
    /// The other steps, to take in this order, in any number of commits.
    pub rest: Vec<Step>,
}

/// The topics, queues and subscriptions that a store has.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// All topics.
    pub topics: Vec<Topic>,
    /// All queues with their limits.
    pub queues: Vec<(Queue, Limits)>,
    /// All subscriptions, removed ones too.
    pub subscriptions: Vec<Subscription>,
}

impl Known {
    /// Reads them. Nobody may change names and endpoints until the steps that are found from them are taken.
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

    /// Those that a configuration wants, without those that do not exist yet. After all [`Steps`] were taken, this is what
    /// [`RegistryTx::sync_entities`](crate::ports::RegistryTx::sync_entities) would return.
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
    /// The steps from what a store has to what a configuration wants.
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
        // A topic that does not exist yet has no subscriptions, so any number that no other topic has will do.
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

/// Whether a known subscription differs from the wanted one that it is.
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
