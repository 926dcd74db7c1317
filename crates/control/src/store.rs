//! An API's change in the store: its rows, and what of it the hub has, in one commit.

use std::collections::HashMap;

use entities::{Entity, Kind, Queue, Subscription};
use hub::QueueSettings;
use storage::Result;
use storage::dropped::Dropped;
use storage::entities::Entities;
use uuid::Uuid;

use crate::desired::{Fresh, wanted};
use crate::{Edit, Whole, rows};

/// What became of a change in the store.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// What the store has now.
    pub entities: Entities,
    /// The ids that subscriptions got which were put: of one that was known already, its own.
    pub ids: HashMap<Uuid, Uuid>,
    /// What was owed to each that was ended.
    pub dropped: Vec<Ended>,
}

/// Something that was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Of what kind it was.
    pub kind: Kind,
    /// What messages call it.
    pub label: String,
    /// What was owed to it, or by it.
    pub dropped: Dropped,
}

/// Makes a change that was taken. `before` is what it changes, `stored` what the store has of that; `fresh` has what each subscription that is
/// put gets if it is new.
///
/// # Errors
/// The store's.
pub fn store(
    edit: &Edit,
    before: &Whole,
    stored: &Entities,
    fresh: &[Fresh],
    hub: &mut hub::Edit<'_>,
) -> Result<Stored> {
    let mut done = Stored { entities: stored.clone(), ..Stored::default() };
    for (kind, id) in &edit.end {
        hub.tx().delete_row(kind.key(), *id)?;
        end(*kind, *id, before, hub, &mut done)?;
    }
    let mut fresh = fresh.iter();
    for entity in &edit.put {
        let entity = match entity {
            Entity::Topic(topic) => {
                let (topic, is_new) = hub.create_topic(&topic.name)?;
                if is_new {
                    done.entities.topics.push(topic);
                }
                entity.clone()
            }
            Entity::Queue(queue) => {
                let (stored, is_new) = hub.create_queue(&queue.name, settings(queue))?;
                match is_new {
                    true => done.entities.queues.push(stored),
                    false => drop(hub.set_queue(&stored, settings(queue))?),
                }
                entity.clone()
            }
            Entity::Subscription(one) => {
                let Some(fresh) = fresh.next() else { continue };
                let id = subscribe(one, fresh.clone(), hub, &mut done)?;
                Entity::Subscription(Subscription { id, ..(**one).clone() }.into())
            }
            Entity::CaCertificate(_)
            | Entity::Service(_)
            | Entity::Route(_)
            | Entity::Consumer(_)
            | Entity::KeyAuthCredential(_)
            | Entity::Acl(_)
            | Entity::Plugin(_) => entity.clone(),
        };
        hub.tx().put_row(&rows::row(&entity))?;
    }
    Ok(done)
}

/// What a receive takes where it does not say otherwise.
fn settings(queue: &Queue) -> QueueSettings {
    QueueSettings {
        visibility: queue.visibility_timeout,
        receive_wait: queue.receive_wait_time,
        retention: queue.message_retention_period,
    }
}

/// Makes a subscription exist; its id, the last part of its ARN.
fn subscribe(one: &Subscription, fresh: Fresh, hub: &mut hub::Edit<'_>, done: &mut Stored) -> Result<Uuid> {
    let (stored, _) = hub.subscribe(&wanted(one, fresh), one.raw_message_delivery)?;
    done.ids.insert(one.id, stored.uuid);
    let id = stored.uuid;
    done.entities.removed.retain(|other| other.id != stored.id);
    let subscriptions = &mut done.entities.subscriptions;
    match subscriptions.iter_mut().find(|other| other.id == stored.id) {
        Some(other) => *other = stored,
        None => subscriptions.push(stored),
    }
    Ok(id)
}

fn end(kind: Kind, id: Uuid, before: &Whole, hub: &mut hub::Edit<'_>, done: &mut Stored) -> Result<()> {
    let all = before.all();
    let entities = &mut done.entities;
    let (label, dropped) = match kind {
        Kind::Topic => {
            let name = all.topics.iter().find(|one| one.id == id).map(|one| &one.name);
            let Some(at) = entities.topics.iter().position(|one| Some(&one.name) == name) else {
                return Ok(());
            };
            let topic = entities.topics.remove(at);
            entities.subscriptions.retain(|one| one.topic != topic.id);
            entities.removed.retain(|one| one.topic != topic.id);
            (topic.name, hub.delete_topic(topic.id)?)
        }
        Kind::Queue => {
            let name = all.queues.iter().find(|one| one.id == id).map(|one| &one.name);
            let Some(at) = entities.queues.iter().position(|one| Some(&one.name) == name) else {
                return Ok(());
            };
            let queue = entities.queues.remove(at);
            (queue.name, hub.delete_queue(queue.id)?)
        }
        Kind::Subscription => {
            let Some(at) = entities.subscriptions.iter().position(|one| one.uuid == id) else {
                return Ok(());
            };
            let subscription = entities.subscriptions.remove(at);
            (shown(&subscription), hub.unsubscribe(subscription.id)?)
        }
        Kind::CaCertificate
        | Kind::Service
        | Kind::Route
        | Kind::Consumer
        | Kind::KeyAuthCredential
        | Kind::Acl
        | Kind::Plugin => return Ok(()),
    };
    done.dropped.push(Ended { kind, label, dropped });
    Ok(())
}

/// A subscription for messages: its name, or its endpoint without what may be a secret.
fn shown(subscription: &storage::entities::Subscription) -> String {
    let endpoint = || subscription.endpoint.split(['?', '#']).next().unwrap_or_default().to_owned();
    subscription.name.clone().unwrap_or_else(endpoint)
}
