//! What an API changes: entities that it puts in the place of what was there, and entities that it ends.

use std::collections::HashSet;
use std::sync::Arc;

use entities::{Entity, FieldError, Item, Kind, Origin, Set};
use uuid::Uuid;

use crate::Whole;

/// A change by an API, taken as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// What is new, and what takes the place of what has its kind and id.
    pub put: Vec<Entity>,
    /// What is ended.
    pub end: Vec<(Kind, Uuid)>,
}

/// Why a change is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of an entity is wrong.
    #[error("{kind} `{label}`: {}: {}", .error.path, .error.message)]
    Field {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// What is wrong.
        error: FieldError,
    },
    /// It stands in a file, which alone changes it.
    #[error("{kind} `{label}` is declared in a configuration file, and changes there")]
    OfFile {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
    },
    /// Another one is the same already.
    #[error("there is a {kind} `{label}` already")]
    Taken {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// Who owns the one that is there.
        by: Origin,
    },
    /// It refers to something that is not there.
    #[error("{kind} `{label}` refers to a {missing} that does not exist")]
    Missing {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// Of what kind the missing one is.
        missing: Kind,
    },
    /// Others refer to it.
    #[error("{kind} `{label}` is still used by {}", used_by(.users))]
    InUse {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// Who refers to it: kind and label.
        users: Vec<(Kind, String)>,
    },
    /// There is none to end.
    #[error("there is no such {kind}")]
    Unknown {
        /// Of what kind it was to be.
        kind: Kind,
    },
}

fn used_by(users: &[(Kind, String)]) -> String {
    let named: Vec<_> = users.iter().take(5).map(|(kind, label)| format!("{kind} `{label}`")).collect();
    let more = users.len() - named.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    named.join(", ") + &more
}

impl Whole {
    /// What a change makes of it.
    ///
    /// # Errors
    /// Why it is not taken; nothing has changed.
    pub fn edited(&self, edit: &Edit) -> Result<Self, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut api = self.api().clone();
        for (kind, id) in &edit.end {
            end(self, &mut api, *kind, *id, &mut refusals);
        }
        for entity in &edit.put {
            match entity {
                Entity::CaCertificate(one) => {
                    put(&self.file().ca_certificates, &mut api.ca_certificates, one, &mut refusals);
                }
                Entity::Service(one) => put(&self.file().services, &mut api.services, one, &mut refusals),
                Entity::Route(one) => put(&self.file().routes, &mut api.routes, one, &mut refusals),
                Entity::Plugin(one) => put(&self.file().plugins, &mut api.plugins, one, &mut refusals),
                Entity::Topic(one) => put(&self.file().topics, &mut api.topics, one, &mut refusals),
                Entity::Queue(one) => put(&self.file().queues, &mut api.queues, one, &mut refusals),
                Entity::Subscription(one) => {
                    put(&self.file().subscriptions, &mut api.subscriptions, one, &mut refusals);
                }
            }
        }
        let edited = Self::of(self.file().clone(), api);
        let put: HashSet<(Kind, String)> = edit.put.iter().map(|one| (one.kind(), one.label())).collect();
        for dangling in edited.dangling() {
            // What was put refers to nothing; what was there before has lost what it refers to.
            let (kind, label) = (dangling.kind, dangling.label);
            if put.contains(&(kind, label.clone())) {
                refusals.push(Refusal::Missing { kind, label, missing: dangling.missing });
            }
        }
        for (kind, id) in &edit.end {
            let users = edited_users(&edited, self, *kind, *id);
            if !users.is_empty() {
                let label = label_of(self.all(), *kind, *id).unwrap_or_default();
                refusals.push(Refusal::InUse { kind: *kind, label, users });
            }
        }
        if refusals.is_empty() { Ok(edited) } else { Err(refusals) }
    }
}

/// Who still refers to what was ended, in what is left.
fn edited_users(edited: &Whole, before: &Whole, kind: Kind, id: Uuid) -> Vec<(Kind, String)> {
    let left = |(kind, label): &(Kind, String)| match kind {
        Kind::Service => edited.all().services.iter().any(|one| one.label() == *label),
        Kind::Route => edited.all().routes.iter().any(|one| one.label() == *label),
        Kind::Plugin => edited.all().plugins.iter().any(|one| Item::label(&**one) == *label),
        Kind::Subscription => edited.all().subscriptions.iter().any(|one| one.label() == *label),
        _ => false,
    };
    before.users(kind, id).into_iter().filter(left).collect()
}

fn label_of(set: &Set, kind: Kind, id: Uuid) -> Option<String> {
    fn find<T: Item>(list: &[Arc<T>], id: Uuid) -> Option<String> {
        list.iter().find(|one| one.id() == id).map(|one| one.label())
    }
    match kind {
        Kind::CaCertificate => find(&set.ca_certificates, id),
        Kind::Service => find(&set.services, id),
        Kind::Route => find(&set.routes, id),
        Kind::Plugin => find(&set.plugins, id),
        Kind::Topic => find(&set.topics, id),
        Kind::Queue => find(&set.queues, id),
        Kind::Subscription => find(&set.subscriptions, id),
    }
}

fn end(whole: &Whole, api: &mut Set, kind: Kind, id: Uuid, refusals: &mut Vec<Refusal>) {
    let was_there = match kind {
        Kind::CaCertificate => remove(&mut api.ca_certificates, id),
        Kind::Service => remove(&mut api.services, id),
        Kind::Route => remove(&mut api.routes, id),
        Kind::Plugin => remove(&mut api.plugins, id),
        Kind::Topic => remove(&mut api.topics, id),
        Kind::Queue => remove(&mut api.queues, id),
        Kind::Subscription => remove(&mut api.subscriptions, id),
    };
    if !was_there {
        refusals.push(match label_of(whole.file(), kind, id) {
            Some(label) => Refusal::OfFile { kind, label },
            None => Refusal::Unknown { kind },
        });
    }
}

fn remove<T: Item>(list: &mut Vec<Arc<T>>, id: Uuid) -> bool {
    let before = list.len();
    list.retain(|one| one.id() != id);
    list.len() < before
}

fn put<T: Item>(file: &[Arc<T>], api: &mut Vec<Arc<T>>, one: &Arc<T>, refusals: &mut Vec<Refusal>) {
    let (kind, label) = (T::KIND, one.label());
    let wrong = |error| Refusal::Field { kind, label: label.clone(), error };
    refusals.extend(one.check().into_iter().map(wrong));
    if file.iter().any(|other| other.id() == one.id()) {
        refusals.push(Refusal::OfFile { kind, label });
        return;
    }
    let key = one.key();
    let same = |other: &&Arc<T>| other.id() != one.id() && key.is_some() && other.key() == key;
    if let Some(other) = file.iter().chain(&*api).find(same) {
        refusals.push(Refusal::Taken { kind, label, by: other.origin() });
        return;
    }
    match api.iter_mut().find(|other| other.id() == one.id()) {
        Some(other) => *other = one.clone(),
        None => api.push(one.clone()),
    }
}

#[cfg(test)]
mod tests;
