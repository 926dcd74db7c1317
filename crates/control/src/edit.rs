//! A change by an API: entities that it puts (new ones and replacements), and entities that it deletes.

use std::collections::HashSet;
use std::sync::Arc;

use entities::field::Path;
use entities::{Entity, FieldError, Flaw, Item, Kind, OnKind, Origin, Set};
use storage::StoreError;
use uuid::Uuid;

use crate::references::{Refers, Target, find, has, references};
use crate::{Whole, rows};

/// How many entities of one kind a node may have; an API cannot make more. AWS has the same limit for topics of an account.
pub const MAX_OF_A_KIND: usize = 100_000;

/// A change by an API. It is made completely or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edit {
    /// New entities, and replacements of those with the same kind and id.
    pub put: Vec<Entity>,
    /// Entities to delete.
    pub end: Vec<(Kind, Uuid)>,
    /// Existing subscriptions, including those of files, that are asked for again: one that its endpoint has ended is declared as a new one,
    /// with a new id; one that is pending is asked to confirm again; one that is confirmed stays as it is.
    pub again: Vec<Uuid>,
}

/// Why a change is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A field of an entity is wrong.
    #[error("{kind} `{label}`: {}{}", at(&.error.path), .error.message)]
    Field {
        /// Its kind.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// What is wrong.
        error: FieldError,
    },
    /// A file declares it, so only that file can change it.
    #[error("{kind} `{label}` is declared in a configuration file: change it there")]
    OfFile {
        /// Its kind.
        kind: Kind,
        /// What messages call it.
        label: String,
    },
    /// Another entity has the same identity.
    #[error("another {kind} already has the {} of `{label}`", .fields.join(" and "))]
    Taken {
        /// Its kind.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// The fields in which both are equal, as the APIs call them.
        fields: &'static [&'static str],
        /// The owner of the existing one.
        by: Origin,
    },
    /// It refers to something that does not exist.
    #[error("{kind} `{label}` refers to a {missing} that does not exist")]
    Missing {
        /// Its kind.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// The kind of the missing one.
        missing: Kind,
    },
    /// Others refer to it.
    #[error("{kind} `{label}` is still used by {}", used_by(.users))]
    InUse {
        /// Its kind.
        kind: Kind,
        /// What messages call it.
        label: String,
        /// The entities that refer to it: kind and label.
        users: Vec<(Kind, String)>,
    },
    /// There are already as many of the kind as allowed.
    #[error("there are already {limit} entities of the kind {kind}, the most allowed: delete some first")]
    TooMany {
        /// Their kind.
        kind: Kind,
        /// How many there may be.
        limit: usize,
    },
    /// The entity to delete does not exist.
    #[error("there is no such {kind}")]
    Unknown {
        /// The kind that was asked for.
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
    /// The same change, which also deletes what depends on the deleted entities, as in Kong: the plug-ins of a service, a route or a consumer,
    /// the credentials and groups of a consumer, and the targets of an upstream.
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

    /// The result of a change.
    ///
    /// # Errors
    /// If it is refused: all reasons. Nothing has changed.
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

/// Refuses entities that are put and refer to nothing. Existing references that lead nowhere are not the fault of this change.
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

/// Refuses to delete what remaining entities still refer to.
fn in_use(edit: &Edit, before: &Set, edited: &Set, refusals: &mut Vec<Refusal>) {
    if edit.end.is_empty() {
        return;
    }
    let referred: HashSet<Kind> = references(edited).map(|one| one.kind).collect();
    let ended = edit.end.iter().filter(|(kind, _)| referred.contains(kind));
    let ended: Vec<_> = ended.filter_map(|(kind, id)| Some((*kind, find(before, *kind, *id)?))).collect();
    for (kind, (target, label)) in ended {
        // Another one of the same name replaces it.
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

/// Removes the deleted entities of one kind from those that APIs made, and adds those that are put.
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

/// The error for a field of the hub's entities that cannot change: what is owed belongs to the entity with this name, at this endpoint.
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

/// The error for an entity that is too large for the store.
fn large(one: &Entity) -> Option<FieldError> {
    let StoreError::TooLarge { bytes, limit, .. } = rows::row(one).admit().err()? else { return None };
    let message = format!("it has {bytes} bytes; the limit is {limit}");
    Some(Flaw::invalid(message, "make it smaller").at(Path::default()))
}

#[cfg(test)]
mod tests;
