//! Makes an API's change in the store: its rows, and the topics, queues and subscriptions of the hub, in one commit.
//!
//! A [`Plan`] is made on the thread that changes the configuration, from what is served and what the store has. It runs in the commit, more than
//! once if necessary. [`Stored`] is its result.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entities::{Entity, Kind, Origin, Protocol, Queue, SignatureVersion, Subscription};
use event::TopicId;
use hub::QueueSettings;
use storage::Result;
use storage::entities::{DesiredSubscription, Entities, QueueId, SubscriptionId};
use storage::redrive::Redrive;
use storage::registry::Row;
use uuid::Uuid;

use crate::desired::{Fresh, redrive, wanted};
use crate::{Edit, Whole, rows};

/// What a change does in the store.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The rows of deleted entities.
    gone: Vec<(Kind, Uuid)>,
    /// The commands for the hub, in this order.
    commands: Vec<Command>,
    /// Rows that are written unchanged.
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
enum Command {
    /// Delete a topic and its subscriptions.
    EndTopic(TopicId),
    /// Delete a queue and these subscriptions to it.
    EndQueue(QueueId, Vec<SubscriptionId>),
    EndSubscription(SubscriptionId),
    Topic(String, SignatureVersion),
    Queue(String, QueueSettings, Option<Redrive>),
    /// Change whether an existing subscription is raw.
    Raw(storage::entities::Subscription, bool),
    Subscribe(Box<DesiredSubscription>, Arc<Subscription>),
}

/// Something that is served but missing in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {kind} `{label}` is served, and the store does not have it: nothing was changed")]
pub struct NotStored {
    /// Of what kind it is.
    pub kind: Kind,
    /// What messages call it.
    pub label: String,
}

/// The result of a change in the store.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// Topics that were put.
    pub topics: Vec<storage::entities::Topic>,
    /// Queues that were put.
    pub queues: Vec<storage::entities::Queue>,
    /// Subscriptions that were put or asked for again, each with the id in the request. In the store, the id of a subscription is the last part
    /// of its ARN: one that existed already keeps its own.
    pub subscriptions: Vec<(Uuid, storage::entities::Subscription)>,
}

/// The defaults of a queue for receives.
pub fn queue_settings(queue: &Queue) -> QueueSettings {
    QueueSettings {
        visibility: queue.visibility_timeout,
        receive_wait: queue.receive_wait_time,
        retention: queue.message_retention_period,
    }
}

impl Plan {
    /// The plan of a change that was accepted. `before` is the configuration before it, `stored` is what the store has of that, and `fresh`
    /// makes the random values for a new subscription.
    ///
    /// # Errors
    /// If the store lacks something that is changed.
    pub fn of(
        edit: &Edit,
        before: &Whole,
        stored: &Entities,
        fresh: &mut dyn FnMut() -> Fresh,
    ) -> Result<Self, NotStored> {
        let mut plan = Self { gone: edit.end.clone(), ..Self::default() };
        plan.end(edit, before, stored)?;
        for entity in &edit.put {
            plan.put(entity, before, stored, fresh)?;
        }
        for id in &edit.again {
            let one = before.all().subscriptions.iter().find(|one| one.id == *id);
            plan.again(one.ok_or_else(|| not_stored(Kind::Subscription, &id.to_string()))?, fresh);
        }
        Ok(plan)
    }

    /// Deletes entities. Subscriptions whose topic or queue is also deleted end with that.
    fn end(&mut self, edit: &Edit, before: &Whole, stored: &Entities) -> Result<(), NotStored> {
        let all = before.all();
        let ended = |kind: Kind| -> HashSet<Uuid> {
            edit.end.iter().filter(|one| one.0 == kind).map(|one| one.1).collect()
        };
        let topics = ended(Kind::Topic);
        let topics: HashSet<&str> =
            all.topics.iter().filter(|one| topics.contains(&one.id)).map(|one| one.name.as_str()).collect();
        let queues = ended(Kind::Queue);
        let queues: HashSet<&str> =
            all.queues.iter().filter(|one| queues.contains(&one.id)).map(|one| one.name.as_str()).collect();
        let subscriptions = ended(Kind::Subscription);
        let numbers: HashMap<Uuid, SubscriptionId> = match subscriptions.is_empty() {
            true => HashMap::new(),
            false => stored.subscriptions.iter().map(|one| (one.uuid, one.id)).collect(),
        };
        let mut of_queues: HashMap<&str, Vec<SubscriptionId>> = HashMap::new();
        for one in all.subscriptions.iter().filter(|one| subscriptions.contains(&one.id)) {
            if topics.contains(one.topic.as_str()) {
                continue;
            }
            let number = *numbers.get(&one.id).ok_or_else(|| not_stored(Kind::Subscription, &one.label()))?;
            match one.protocol == Protocol::Sqs && queues.contains(one.endpoint.as_str()) {
                true => of_queues.entry(&one.endpoint).or_default().push(number),
                false => self.commands.push(Command::EndSubscription(number)),
            }
        }
        for name in topics {
            let topic = stored.topics.iter().find(|one| one.name == name);
            let topic = topic.ok_or_else(|| not_stored(Kind::Topic, name))?;
            self.commands.push(Command::EndTopic(topic.id));
        }
        for name in queues {
            let queue = stored.queues.iter().find(|one| one.name == name);
            let queue = queue.ok_or_else(|| not_stored(Kind::Queue, name))?;
            self.commands.push(Command::EndQueue(queue.id, of_queues.remove(name).unwrap_or_default()));
        }
        Ok(())
    }

    fn put(
        &mut self,
        entity: &Entity,
        before: &Whole,
        stored: &Entities,
        fresh: &mut dyn FnMut() -> Fresh,
    ) -> Result<(), NotStored> {
        match entity {
            Entity::Topic(topic) => {
                let version = topic.signature_version().unwrap_or_default();
                self.commands.push(Command::Topic(topic.name.clone(), version));
                // A plug-in that implies a topic implies it again at every start.
                if topic.origin == Origin::File {
                    return Ok(());
                }
            }
            Entity::Queue(queue) => {
                self.commands.push(Command::Queue(queue.name.clone(), queue_settings(queue), redrive(queue)));
            }
            Entity::Subscription(one)
                if before.api().subscriptions.iter().any(|other| other.id == one.id) =>
            {
                // Its state is not reset: if its endpoint ended it, it stays ended.
                let known = stored.subscriptions.iter().find(|known| known.uuid == one.id);
                let known = known.ok_or_else(|| not_stored(Kind::Subscription, &one.label()))?;
                self.commands.push(Command::Raw(known.clone(), one.raw_message_delivery));
            }
            // Its row gets the id that the store gives it.
            Entity::Subscription(one) => {
                self.commands.push(Command::Subscribe(wanted(one, fresh()).into(), one.clone()));
                return Ok(());
            }
            _ => {}
        }
        self.rows.push(rows::row(entity));
        Ok(())
    }

    /// A subscription that its endpoint has ended gets the state and the id of a new one.
    fn again(&mut self, one: &Arc<Subscription>, fresh: &mut dyn FnMut() -> Fresh) {
        if one.origin == Origin::Api {
            self.gone.push((Kind::Subscription, one.id));
        }
        self.commands.push(Command::Subscribe(wanted(one, fresh()).into(), one.clone()));
    }

    /// Runs the plan, as one commit.
    ///
    /// # Errors
    /// If the store fails.
    pub fn run(&self, hub: &mut hub::Edit<'_>) -> Result<Stored> {
        let mut done = Stored::default();
        for (kind, id) in &self.gone {
            hub.tx().delete_row(kind.key(), *id)?;
        }
        for command in &self.commands {
            match command {
                Command::EndTopic(id) => drop(hub.delete_topic(*id)?),
                Command::EndQueue(id, subscriptions) => drop(hub.delete_queue(*id, subscriptions)?),
                Command::EndSubscription(id) => drop(hub.unsubscribe(*id)?),
                Command::Topic(name, version) => {
                    let (topic, _) = hub.create_topic(name)?;
                    hub.sign_as(topic.id, *version);
                    done.topics.push(topic);
                }
                Command::Queue(name, settings, redrive) => {
                    let (queue, is_new) = hub.create_queue(name, *settings)?;
                    if !is_new {
                        hub.set_queue(&queue, *settings)?;
                    }
                    hub.tx().set_queue_redrive(queue.id, redrive.as_ref())?;
                    done.queues.push(queue);
                }
                Command::Raw(known, is_raw) => {
                    hub.set_raw(known, *is_raw);
                    done.subscriptions.push((known.uuid, known.clone()));
                }
                Command::Subscribe(wanted, one) => {
                    let (stored, _) = hub.subscribe(wanted, one.raw_message_delivery)?;
                    if one.origin == Origin::Api {
                        let one = Subscription { id: stored.uuid, ..(**one).clone() };
                        hub.tx().put_row(&rows::row(&Entity::Subscription(one.into())))?;
                    }
                    done.subscriptions.push((one.id, stored));
                }
            }
        }
        self.rows.iter().try_for_each(|row| hub.tx().put_row(row))?;
        Ok(done)
    }

    /// The stored subscriptions that it ends.
    pub fn ended<'s>(&self, stored: &'s Entities) -> impl Iterator<Item = SubscriptionId> + use<'s> {
        let (mut topics, mut ended) = (HashSet::new(), HashSet::new());
        for command in &self.commands {
            match command {
                Command::EndTopic(id) => drop(topics.insert(*id)),
                Command::EndQueue(_, subscriptions) => ended.extend(subscriptions),
                Command::EndSubscription(id) => drop(ended.insert(*id)),
                _ => {}
            }
        }
        let all = stored.subscriptions.iter();
        all.filter(move |one| topics.contains(&one.topic) || ended.contains(&one.id)).map(|one| one.id)
    }
}

impl Stored {
    /// The real ids of subscriptions, by the ids in the request.
    pub fn ids(&self) -> HashMap<Uuid, Uuid> {
        self.subscriptions.iter().map(|(asked, stored)| (*asked, stored.uuid)).collect()
    }

    /// Updates what is known about the store.
    pub fn note(&self, plan: &Plan, known: &mut Entities) {
        let ended: HashSet<SubscriptionId> = plan.ended(known).collect();
        if !ended.is_empty() {
            known.subscriptions.retain(|one| !ended.contains(&one.id));
        }
        for command in &plan.commands {
            match command {
                Command::EndTopic(id) => {
                    known.topics.retain(|one| one.id != *id);
                    known.removed.retain(|one| one.topic != *id);
                }
                Command::EndQueue(id, _) => known.queues.retain(|one| one.id != *id),
                _ => {}
            }
        }
        // The store may have had them already, for example from a file that is no longer read.
        for one in &self.topics {
            put(&mut known.topics, one, |other| other.id == one.id);
        }
        for one in &self.queues {
            put(&mut known.queues, one, |other| other.id == one.id);
        }
        for (_, one) in &self.subscriptions {
            known.removed.retain(|other| other.id != one.id);
            put(&mut known.subscriptions, one, |other| other.id == one.id);
        }
    }
}

fn put<T: Clone>(list: &mut Vec<T>, one: &T, is_it: impl Fn(&T) -> bool) {
    match list.iter_mut().find(|other| is_it(other)) {
        Some(other) => *other = one.clone(),
        None => list.push(one.clone()),
    }
}

fn not_stored(kind: Kind, label: &str) -> NotStored {
    NotStored { kind, label: label.to_owned() }
}
