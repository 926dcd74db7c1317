//! All entities of a node: those of its files, those of its APIs, and both together.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use entities::{
    Acl, Entity, Item, KeyAuthCredential, Kind, OnKind, Origin, Plugin, Route, Served, Service, Set,
    Subscription, Target,
};
use uuid::Uuid;

use crate::references::{self, Reference, Refers, find, loose_references, references, targets};

/// All entities of a node; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Whole {
    /// What files declare.
    file: Arc<Set>,
    /// What APIs made.
    api: Arc<Set>,
    /// Both; those of files first.
    all: Arc<Set>,
    /// The part that requests use.
    served: Arc<Served>,
}

/// An entity that an API made and that a file has adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Its kind.
    pub kind: Kind,
    /// What messages call it.
    pub label: String,
    /// The id that it keeps.
    pub id: Uuid,
}

/// The result of merging the entities of files and APIs.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// Both together.
    pub whole: Whole,
    /// Entities that an API made and that belong to the file from now on.
    pub adopted: Vec<Adopted>,
    /// Entities of the file whose id differs from the one in the file.
    pub other_ids: Vec<OtherId>,
    /// Entities of APIs that refer to another id than before: their rows must be written again.
    pub rewritten: Vec<Entity>,
    /// Memberships that an API made and that are duplicates now, because two consumers have become one.
    pub doubled: Vec<Uuid>,
}

impl Merged {
    /// Rows to delete: those of entities that do not belong to APIs any more.
    pub fn gone(&self) -> Vec<(Kind, Uuid)> {
        let adopted = self.adopted.iter().map(|one| (one.kind, one.id));
        adopted.chain(self.doubled.iter().map(|id| (Kind::Acl, *id))).collect()
    }
}

/// An entity of a file whose id differs from the declared one: the file adopted what an API had made, and references to it stay valid. That
/// holds as long as the file declares it, so it is stored together with the file's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherId {
    /// Its kind.
    pub kind: Kind,
    /// The id in the file, or the one derived from the name.
    pub declared: Uuid,
    /// The real id.
    pub id: Uuid,
}

/// An entity that an API made, and whose reference leads to something that no file declares any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// Its kind.
    pub kind: Kind,
    /// What messages call it.
    pub label: String,
    /// Of what kind the missing one is.
    pub missing: Kind,
    /// The reference to the missing one: its id, or its name.
    pub reference: Reference,
}

impl Whole {
    /// Merges both. If an API made something that a file now declares, with the same id or identity, it belongs to the file from now on: it
    /// keeps its id, and references to it stay valid.
    pub fn merge(file: Set, api: Set) -> Merged {
        Self::merge_knowing(file, api, &[])
    }

    /// Like [`Whole::merge`], with the ids that entities of the file got before.
    pub fn merge_knowing(mut file: Set, mut api: Set, known: &[OtherId]) -> Merged {
        let (mut adopted, mut other_ids) = (Vec::new(), Vec::new());
        let (mut referring, mut doubled) = (HashSet::new(), Vec::new());
        for kind in Kind::ALL {
            // Entities that refer to others come after them.
            let known =
                known.iter().filter(|one| one.kind == *kind).map(|one| (one.declared, one.id)).collect();
            let before = kind.with(&mut Again { file: &mut file, known });
            refer(&mut file, &before);
            let mut ids = Ids::default();
            kind.with(&mut Adopt { file: &mut file, api: &mut api, adopted: &mut adopted, ids: &mut ids });
            refer(&mut file, &ids.of_file);
            referring.extend(refer(&mut api, &ids.of_api));
            if *kind == Kind::Consumer && !ids.of_api.is_empty() {
                doubled = without_doubles(&mut api.acls);
            }
            let mut now = ids.of_file;
            for (declared, id) in before {
                let id = now.remove(&id).unwrap_or(id);
                now.insert(declared, id);
            }
            let now = now.into_iter().filter(|(declared, id)| declared != id);
            other_ids.extend(now.map(|(declared, id)| OtherId { kind: *kind, declared, id }));
        }
        // Sorted, so that equal contents are stored as equal text.
        other_ids.sort_by_key(|one| (one.kind, one.declared));
        let mut rewritten = Rewritten { api: &api, referring: &referring, found: Vec::new() };
        Kind::ALL.iter().for_each(|kind| kind.with(&mut rewritten));
        let rewritten = rewritten.found;
        Merged { whole: Self::of(file, api), adopted, other_ids, rewritten, doubled }
    }

    /// Joins both without merging.
    pub(crate) fn of(file: Set, api: Set) -> Self {
        let mut joined = Join { file: &file, api: &api, all: Set::default() };
        Kind::ALL.iter().for_each(|kind| kind.with(&mut joined));
        let all = Arc::new(joined.all);
        let served = Arc::new(Served::of(&all));
        Self { file: Arc::new(file), api: Arc::new(api), all, served }
    }

    /// The same, with these entities of APIs for the given kinds.
    pub(crate) fn with_api(&self, api: Set, kinds: &HashSet<Kind>) -> Self {
        let mut joined = Join { file: &self.file, api: &api, all: (*self.all).clone() };
        kinds.iter().for_each(|kind| kind.with(&mut joined));
        let all = Arc::new(joined.all);
        let served = match kinds.iter().any(|kind| Served::HAS.contains(kind)) {
            true => Arc::new(Served::of(&all)),
            false => self.served.clone(),
        };
        Self { file: self.file.clone(), api: Arc::new(api), all, served }
    }

    /// The same, with other ids for subscriptions that APIs made.
    #[must_use]
    pub fn with_ids(self, ids: &HashMap<Uuid, Uuid>) -> Self {
        let is_another = |one: &&Arc<Subscription>| ids.get(&one.id).is_some_and(|id| *id != one.id);
        if !self.api.subscriptions.iter().any(|one| is_another(&one)) {
            return self;
        }
        let mut api = (*self.api).clone();
        for one in api.subscriptions.iter_mut().filter(|one| is_another(&&**one)) {
            let id = ids.get(&one.id).copied().unwrap_or(one.id);
            *one = Arc::new(Subscription { id, ..(**one).clone() });
        }
        self.with_api(api, &HashSet::from([Kind::Subscription]))
    }

    /// The same, with topics and subscriptions that plug-ins imply: they count as declared by a file, and replace those with the same ids. The
    /// caller derives them again from each configuration, so none of them has a row.
    #[must_use]
    pub fn with_implied(&self, implied: &[Entity]) -> Self {
        if implied.is_empty() {
            return self.clone();
        }
        let mut file = (*self.file).clone();
        for one in implied {
            match one {
                Entity::Topic(topic) => put(&mut file.topics, topic),
                Entity::Subscription(subscription) => put(&mut file.subscriptions, subscription),
                _ => {}
            }
        }
        Self::of(file, (*self.api).clone())
    }

    /// What files declare.
    pub fn file(&self) -> &Set {
        &self.file
    }

    /// What APIs made.
    pub fn api(&self) -> &Set {
        &self.api
    }

    /// All of it.
    pub fn all(&self) -> &Arc<Set> {
        &self.all
    }

    /// The part that requests use.
    pub fn served(&self) -> &Arc<Served> {
        &self.served
    }

    /// Entities of APIs that refer to something which does not exist.
    pub fn dangling(&self) -> Vec<Dangling> {
        let mut all = references(&self.api).chain(loose_references(&self.api)).peekable();
        // Where APIs made little, files may be large all the same.
        if all.peek().is_none() {
            return Vec::new();
        }
        let there = targets(&self.all);
        let missed = all.filter(|one| !there.contains(&(one.kind, one.target)));
        let dangling = |one: Refers<'_>| Dangling {
            kind: one.by.kind(),
            label: one.by.label(),
            missing: one.kind,
            reference: one.target.to_reference(),
        };
        missed.map(dangling).collect()
    }

    /// Keeps entities that files had in `before` and that entities of APIs refer to: from now on they count as made by an API. Returns them.
    /// What `before` does not have stays missing.
    pub fn keep_referred(self, before: &Set) -> (Self, Vec<Entity>) {
        let (file, mut api) = ((*self.file).clone(), (*self.api).clone());
        let mut kept = Vec::new();
        loop {
            let whole = Self::of(file.clone(), api.clone());
            let count = kept.len();
            for Dangling { missing, reference, .. } in whole.dangling() {
                let reference = &reference;
                missing.with(&mut Keep { api: &mut api, before, reference, kept: &mut kept });
            }
            if kept.len() == count {
                return (whole, kept);
            }
        }
    }

    /// What messages call an entity; `None` if there is none of this kind and id.
    pub fn label(&self, kind: Kind, id: Uuid) -> Option<String> {
        find(&self.all, kind, id).map(|(_, label)| label)
    }

    /// All entities that refer to this one: kind and label of each.
    pub fn users(&self, kind: Kind, id: Uuid) -> Vec<(Kind, String)> {
        let target = find(&self.all, kind, id).map_or(references::Target::Id(id), |(target, _)| target);
        let all = references(&self.all).chain(loose_references(&self.all));
        let users = all.filter(|one| (one.kind, one.target) == (kind, target));
        users.map(|one| (one.by.kind(), one.by.label())).collect()
    }
}

fn put<T: Item>(list: &mut Vec<Arc<T>>, one: &Arc<T>) {
    match list.iter_mut().find(|other| other.id() == one.id()) {
        Some(other) => *other = one.clone(),
        None => list.push(one.clone()),
    }
}

/// Joins the entities of files and APIs, kind by kind.
struct Join<'s> {
    file: &'s Set,
    api: &'s Set,
    all: Set,
}

impl OnKind for Join<'_> {
    type Out = ();

    fn on<T: Item>(&mut self) {
        *T::list_mut(&mut self.all) = T::list(self.file).iter().chain(T::list(self.api)).cloned().collect();
    }
}

/// Gives the file's entities the ids that they got before. Collects those that changed, by their declared ids.
struct Again<'s> {
    file: &'s mut Set,
    known: HashMap<Uuid, Uuid>,
}

impl OnKind for Again<'_> {
    type Out = HashMap<Uuid, Uuid>;

    fn on<T: Item>(&mut self) -> Self::Out {
        let mut given = HashMap::new();
        if self.known.is_empty() {
            return given;
        }
        let file = T::list_mut(self.file);
        let mut taken: HashSet<Uuid> = file.iter().map(|one| one.id()).collect();
        for one in file {
            let Some(id) = self.known.get(&one.id()).filter(|id| taken.insert(**id)) else { continue };
            given.insert(one.id(), *id);
            *one = Arc::new((**one).clone().owned(*id, Origin::File));
        }
        given
    }
}

/// Entities whose ids have changed.
#[derive(Default)]
struct Ids {
    /// What files declare.
    of_file: HashMap<Uuid, Uuid>,
    /// Entities that APIs made as two and that a file declares as one.
    of_api: HashMap<Uuid, Uuid>,
}

/// Gives the file's entities the ids of the same entities made by an API, and removes the latter. Several entities of an API may be the same as
/// one of a file: one consumer by its `username`, another by its `custom_id`.
struct Adopt<'s> {
    file: &'s mut Set,
    api: &'s mut Set,
    adopted: &'s mut Vec<Adopted>,
    ids: &'s mut Ids,
}

impl OnKind for Adopt<'_> {
    type Out = ();

    fn on<T: Item>(&mut self) {
        let (file, api) = (T::list_mut(self.file), T::list_mut(self.api));
        if api.is_empty() {
            return;
        }
        let by_id: HashMap<Uuid, usize> =
            api.iter().enumerate().map(|(index, one)| (one.id(), index)).collect();
        let keys_of = |(index, one): (usize, &Arc<T>)| one.keys().into_iter().map(move |key| (key, index));
        let by_key: HashMap<T::Key, usize> = api.iter().enumerate().flat_map(keys_of).collect();
        let mut gone = HashSet::new();
        for one in file {
            let keys = one.keys();
            let same = keys.iter().filter_map(|key| by_key.get(key));
            let same = by_id.get(&one.id()).into_iter().chain(same).copied();
            let mut adopted = same.filter(|index| gone.insert(*index)).map(|index| &api[index]);
            let Some(first) = adopted.next() else { continue };
            let id = first.id();
            self.adopted.push(Adopted { kind: T::KIND, label: one.label(), id });
            for also in adopted {
                self.adopted.push(Adopted { kind: T::KIND, label: also.label(), id: also.id() });
                self.ids.of_api.insert(also.id(), id);
            }
            if one.id() != id {
                self.ids.of_file.insert(one.id(), id);
                *one = Arc::new((**one).clone().owned(id, Origin::File));
            }
        }
        let mut index = 0..;
        api.retain(|_| !index.next().is_some_and(|index| gone.contains(&index)));
    }
}

/// Updates references to changed ids. Returns the entities that were updated.
fn refer(set: &mut Set, ids: &HashMap<Uuid, Uuid>) -> Vec<(Kind, Uuid)> {
    if ids.is_empty() {
        return Vec::new();
    }
    let now = |id: Uuid| ids.get(&id).copied().unwrap_or(id);
    let of_services = change(&mut set.services, |one| {
        let ca_certificates = one.ca_certificates.iter().map(|id| now(*id)).collect();
        Service { ca_certificates, ..one }
    });
    let of_routes = change(&mut set.routes, |one| Route { service: one.service.map(now), ..one });
    let of_targets = change(&mut set.targets, |one| Target { upstream: now(one.upstream), ..one });
    let of_keys =
        change(&mut set.keyauth_credentials, |one| KeyAuthCredential { consumer: now(one.consumer), ..one });
    let of_acls = change(&mut set.acls, |one| Acl { consumer: now(one.consumer), ..one });
    let of_plugins = change(&mut set.plugins, |one| {
        let (service, route, consumer) = (one.service.map(now), one.route.map(now), one.consumer.map(now));
        Plugin { service, route, consumer, ..one }
    });
    [of_services, of_routes, of_targets, of_keys, of_acls, of_plugins].concat()
}

/// Keeps the first of several equal entities. Returns the ids of the others.
fn without_doubles<T: Item>(list: &mut Vec<Arc<T>>) -> Vec<Uuid> {
    let (mut taken, mut doubles) = (HashSet::new(), Vec::new());
    list.retain(|one| {
        let is_new = one.keys().into_iter().all(|key| taken.insert(key));
        if !is_new {
            doubles.push(one.id());
        }
        is_new
    });
    doubles
}

/// Changes entities. Returns those that differ now.
fn change<T: Item>(list: &mut [Arc<T>], change: impl Fn(T) -> T) -> Vec<(Kind, Uuid)> {
    let mut changed = Vec::new();
    for one in list {
        let now = change((**one).clone());
        if now != **one {
            changed.push((T::KIND, now.id()));
            *one = Arc::new(now);
        }
    }
    changed
}

/// Entities of APIs that refer to another id than before.
struct Rewritten<'s> {
    api: &'s Set,
    referring: &'s HashSet<(Kind, Uuid)>,
    found: Vec<Entity>,
}

impl OnKind for Rewritten<'_> {
    type Out = ();

    fn on<T: Item>(&mut self) {
        if self.referring.is_empty() {
            return;
        }
        let found = T::list(self.api).iter().filter(|one| self.referring.contains(&(T::KIND, one.id())));
        self.found.extend(found.cloned().map(T::into_entity));
    }
}

/// Takes over entities that are referred to from what files declared before.
struct Keep<'s> {
    api: &'s mut Set,
    before: &'s Set,
    reference: &'s Reference,
    kept: &'s mut Vec<Entity>,
}

impl OnKind for Keep<'_> {
    type Out = ();

    fn on<T: Item>(&mut self) {
        let is_meant = |one: &&Arc<T>| self.reference.target().is(&***one);
        let api = T::list_mut(self.api);
        if api.iter().any(|one| is_meant(&one)) {
            return;
        }
        if let Some(one) = T::list(self.before).iter().find(is_meant) {
            let one = Arc::new((**one).clone().owned(one.id(), Origin::Api));
            self.kept.push(T::into_entity(one.clone()));
            api.push(one);
        }
    }
}

#[cfg(test)]
mod tests;
