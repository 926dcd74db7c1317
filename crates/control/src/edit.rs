//! What an API changes: entities that it puts instead of what was there, and entities that it ends.

use std::collections::HashSet;
use std::sync::Arc;

use entities::field::Path;
use entities::{Entity, FieldError, Flaw, Item, Kind, OnKind, Origin, Set};
use storage::StoreError;
use uuid::Uuid;

use crate::references::{Refers, Target, find, has, references};
use crate::{Whole, rows};

/// Entities of one kind that a node may have, before an API makes one more: as many as AWS gives topics to an account.
pub const MAX_OF_A_KIND: usize = 100_000;

/// A change by an API, taken as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// What is new, and what takes the place of what has its kind and id.
    pub put: Vec<Entity>,
    /// What is ended.
    pub end: Vec<(Kind, Uuid)>,
    /// Subscriptions that are asked for again, those of files too: one that was ended by whoever has its endpoint is declared anew, with an id
    /// of its own; one that is pending is asked to confirm once more; one that is confirmed stays as it is.
    pub again: Vec<Uuid>,
}

/// Why a change is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of an entity is wrong.
    #[error("{kind} `{label}`: {}{}", at(&.error.path), .error.message)]
    Field {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// What is wrong.
        error: FieldError,
    },
    /// A file declares it, and only that file changes it.
    #[error("{kind} `{label}` is declared in a configuration file: change it there")]
    OfFile {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
    },
    /// Another one is the same already.
    #[error("another {kind} already has the {} of `{label}`", .fields.join(" and "))]
    Taken {
        /// Of what kind it is.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// Which fields both have alike, as the APIs call them.
        fields: &'static [&'static str],
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
    /// There are as many of the kind as there may be.
    #[error("there are already {limit} entities of the kind {kind}, the most allowed: delete some first")]
    TooMany {
        /// Of what kind they are.
        kind: Kind,
        /// How many there may be.
        limit: usize,
    },
    /// There is none to end.
    #[error("there is no such {kind}")]
    Unknown {
        /// Of what kind it was to be.
        kind: Kind,
    },
}

fn at(path: &Path) -> String {
    if path.steps().is_empty() { String::new() } else { format!("{path}: ") }
}

fn used_by(users: &[(Kind, String)]) -> String {
    let named: Vec<_> = users.iter().take(5).map(|(kind, label)| format!("{kind} `{label}`")).collect();
    let more = users.len() - named.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    named.join(", ") + &more
}

impl Whole {
    /// The change, ending also what goes along with what it ends, as in Kong: the plug-ins of a service, a route or a consumer, the
    /// credentials and groups of a consumer, and the targets of an upstream.
    #[must_use]
    pub fn with_dependents(&self, mut edit: Edit) -> Edit {
        let goes_along = |one: &Refers<'_>| {
            matches!(one.kind, Kind::Consumer | Kind::Upstream)
                || (matches!(one.kind, Kind::Service | Kind::Route) && one.by.kind() == Kind::Plugin)
        };
        let ended: HashSet<(Kind, Uuid)> = edit.end.iter().copied().collect();
        let is_of_ended = |one: &Refers<'_>| match one.target {
            Target::Id(id) => ended.contains(&(one.kind, id)),
            Target::Name(_) => false,
        };
        if ended
            .iter()
            .any(|(kind, _)| matches!(kind, Kind::Consumer | Kind::Service | Kind::Route | Kind::Upstream))
        {
            let also = references(self.api()).filter(|one| goes_along(one) && is_of_ended(one));
            let mut known = ended.clone();
            edit.end.extend(also.map(|one| (one.by.kind(), one.by.id())).filter(|one| known.insert(*one)));
        }
        edit
    }

    /// What a change makes of it.
    ///
    /// # Errors
    /// Why it is not taken; nothing has changed.
    pub fn edited(&self, edit: &Edit) -> Result<Self, Vec<Refusal>> {
        let mut refusals = Vec::new();
        let mut api = self.api().clone();
        let kinds: HashSet<Kind> =
            edit.put.iter().map(Entity::kind).chain(edit.end.iter().map(|one| one.0)).collect();
        for kind in Kind::ALL.iter().filter(|kind| kinds.contains(kind)) {
            let (file, api) = (self.file(), &mut api);
            kind.with(&mut Take { edit, file, api, refusals: &mut refusals });
        }
        let edited = self.with_api(api, &kinds);
        missing(edit, edited.all(), &mut refusals);
        in_use(edit, self.all(), edited.all(), &mut refusals);
        if refusals.is_empty() { Ok(edited) } else { Err(refusals) }
    }
}

/// Refuses what is put and refers to nothing. What was there before and has lost what it refers to is no matter of who puts.
fn missing(edit: &Edit, edited: &Set, refusals: &mut Vec<Refusal>) {
    struct Put<'e>(&'e Edit, Set);
    impl OnKind for Put<'_> {
        type Out = ();

        fn on<T: Item>(&mut self) {
            T::list_mut(&mut self.1).extend(self.0.put.iter().filter_map(T::of).cloned());
        }
    }
    let mut put = Put(edit, Set::default());
    Kind::ALL.iter().for_each(|kind| kind.with(&mut put));
    let missing = references(&put.1).filter(|one| !has(edited, one.kind, one.target));
    refusals.extend(missing.map(|one| {
        let (kind, label) = (one.by.kind(), one.by.label());
        Refusal::Missing { kind, label, missing: one.kind }
    }));
}

/// Refuses to end what is still referred to, in what is left.
fn in_use(edit: &Edit, before: &Set, edited: &Set, refusals: &mut Vec<Refusal>) {
    if edit.end.is_empty() {
        return;
    }
    let referred: HashSet<Kind> = references(edited).map(|one| one.kind).collect();
    let ended = edit.end.iter().filter(|(kind, _)| referred.contains(kind));
    let ended: Vec<_> = ended.filter_map(|(kind, id)| Some((*kind, find(before, *kind, *id)?))).collect();
    for (kind, (target, label)) in ended {
        // Another one of the same name takes its place.
        if has(edited, kind, target) {
            continue;
        }
        let users = references(edited).filter(|one| (one.kind, one.target) == (kind, target));
        let users: Vec<_> = users.map(|one| (one.by.kind(), one.by.label())).collect();
        if !users.is_empty() {
            refusals.push(Refusal::InUse { kind, label, users });
        }
    }
}

/// Takes what is ended of a kind out of what APIs made, and what is put into it.
struct Take<'e> {
    edit: &'e Edit,
    file: &'e Set,
    api: &'e mut Set,
    refusals: &'e mut Vec<Refusal>,
}

impl OnKind for Take<'_> {
    type Out = ();

    fn on<T: Item>(&mut self) {
        self.end::<T>();
        let Self { edit, file, api, refusals } = self;
        for one in edit.put.iter().filter_map(T::of) {
            put(T::list(file), T::list_mut(api), one, refusals);
        }
    }
}

impl Take<'_> {
    fn end<T: Item>(&mut self) {
        let ended = self.edit.end.iter().filter(|(kind, _)| *kind == T::KIND).map(|(_, id)| *id);
        let mut left: HashSet<Uuid> = ended.collect();
        if left.is_empty() {
            return;
        }
        T::list_mut(self.api).retain(|one| !left.remove(&one.id()));
        let kind = T::KIND;
        self.refusals.extend(left.into_iter().map(|id| match find(self.file, kind, id) {
            Some((_, label)) => Refusal::OfFile { kind, label },
            None => Refusal::Unknown { kind },
        }));
    }
}

fn put<T: Item>(file: &[Arc<T>], api: &mut Vec<Arc<T>>, one: &Arc<T>, refusals: &mut Vec<Refusal>) {
    let (kind, label) = (T::KIND, one.label());
    let before = api.iter().position(|other| other.id() == one.id());
    let moved = before.and_then(|at| moved(&T::into_entity(api[at].clone()), &T::into_entity(one.clone())));
    let large = large(&T::into_entity(one.clone()));
    let wrong = |error| Refusal::Field { kind, label: label.clone(), error };
    refusals.extend(one.check().into_iter().chain(moved).chain(large).map(wrong));
    if file.iter().any(|other| other.id() == one.id()) {
        refusals.push(Refusal::OfFile { kind, label });
        return;
    }
    let keys = one.keys();
    let same = |other: &Arc<T>| {
        let others = if other.id() == one.id() { Vec::new() } else { other.keys() };
        let key = keys.iter().find(|key| others.contains(key))?;
        Some((T::fields(key), other.origin()))
    };
    if let Some((fields, by)) = file.iter().chain(&*api).find_map(same) {
        refusals.push(Refusal::Taken { kind, label, fields, by });
        return;
    }
    match before {
        Some(at) => api[at] = one.clone(),
        None if file.len() + api.len() >= MAX_OF_A_KIND => {
            refusals.push(Refusal::TooMany { kind, limit: MAX_OF_A_KIND });
        }
        None => api.push(one.clone()),
    }
}

/// What cannot change of what the hub has: whoever is owed something is owed it by the one that has the name, at the endpoint that was given.
fn moved(before: &Entity, now: &Entity) -> Option<FieldError> {
    let field = match (before, now) {
        (Entity::Topic(before), Entity::Topic(now)) if before.name != now.name => "name",
        (Entity::Queue(before), Entity::Queue(now)) if before.name != now.name => "name",
        (Entity::Subscription(before), Entity::Subscription(now)) if before.topic != now.topic => "topic",
        (Entity::Subscription(before), Entity::Subscription(now)) if before.name != now.name => "name",
        (Entity::Subscription(before), Entity::Subscription(now))
            if (before.protocol, &before.endpoint) != (now.protocol, &now.endpoint) =>
        {
            "endpoint"
        }
        _ => return None,
    };
    Some(Flaw::invalid("it cannot be changed", "make another one, and end this one").at(Path::key(field)))
}

/// What the store would refuse.
fn large(one: &Entity) -> Option<FieldError> {
    let StoreError::TooLarge { bytes, limit, .. } = rows::row(one).admit().err()? else { return None };
    let message = format!("it has {bytes} bytes; no more than {limit} are kept");
    Some(Flaw::invalid(message, "make it smaller").at(Path::default()))
}

#[cfg(test)]
mod tests;
