//! The references between entities, by id or by name. This is the only list of them: the checks for users, for missing entities and for entities
//! to keep all read it.

use std::collections::HashSet;
use std::sync::Arc;

use entities::{Entity, Item, Kind, OnKind, Set};
use uuid::Uuid;

/// How an entity refers to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By its id.
    Id(Uuid),
    /// By its bare name.
    Name(String),
}

/// A [`Reference`], borrowed from the entity that refers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target<'s> {
    Id(Uuid),
    Name(&'s str),
}

impl<'s> Target<'s> {
    /// How others refer to an entity.
    pub(crate) fn of<T: Item>(one: &'s T) -> Self {
        one.referred_name().map_or(Self::Id(one.id()), Target::Name)
    }

    pub(crate) fn to_reference(self) -> Reference {
        match self {
            Self::Id(id) => Reference::Id(id),
            Self::Name(name) => Reference::Name(name.to_owned()),
        }
    }

    /// Whether this entity is the target.
    pub(crate) fn is<T: Item>(&self, one: &T) -> bool {
        match self {
            Self::Id(id) => one.id() == *id,
            Self::Name(name) => one.referred_name() == Some(*name),
        }
    }
}

impl Reference {
    pub(crate) fn target(&self) -> Target<'_> {
        match self {
            Self::Id(id) => Target::Id(*id),
            Self::Name(name) => Target::Name(name),
        }
    }
}

/// One reference.
pub(crate) struct Refers<'s> {
    /// The entity that refers.
    pub by: Entity,
    /// The kind of the target.
    pub kind: Kind,
    /// The target.
    pub target: Target<'s>,
}

/// All references of a set, except for [`loose_references`].
pub(crate) fn references(set: &Set) -> impl Iterator<Item = Refers<'_>> {
    fn by<'s, T: Item>(one: &Arc<T>, kind: Kind, target: Target<'s>) -> Refers<'s> {
        Refers { by: T::into_entity(one.clone()), kind, target }
    }
    let of_services = set.services.iter().flat_map(|one| {
        let authorities = one.ca_certificates.iter();
        authorities.map(move |id| by(one, Kind::CaCertificate, Target::Id(*id)))
    });
    let of_targets = set.targets.iter().map(|one| by(one, Kind::Upstream, Target::Id(one.upstream)));
    let of_routes = set.routes.iter();
    let of_routes = of_routes.filter_map(|one| Some(by(one, Kind::Service, Target::Id(one.service?))));
    let of_plugins = set.plugins.iter().flat_map(|one| {
        let service = one.service.map(|id| by(one, Kind::Service, Target::Id(id)));
        let route = one.route.map(|id| by(one, Kind::Route, Target::Id(id)));
        let consumer = one.consumer.map(|id| by(one, Kind::Consumer, Target::Id(id)));
        service.into_iter().chain(route).chain(consumer)
    });
    let of_keys = set.keyauth_credentials.iter();
    let of_keys = of_keys.map(|one| by(one, Kind::Consumer, Target::Id(one.consumer)));
    let of_acls = set.acls.iter().map(|one| by(one, Kind::Consumer, Target::Id(one.consumer)));
    let of_subscriptions = set.subscriptions.iter().flat_map(|one| {
        let topic = by(one, Kind::Topic, Target::Name(&one.topic));
        let queue = one.protocol.is_pull().then(|| by(one, Kind::Queue, Target::Name(&one.endpoint)));
        std::iter::once(topic).chain(queue)
    });
    of_services
        .chain(of_targets)
        .chain(of_routes)
        .chain(of_keys)
        .chain(of_acls)
        .chain(of_plugins)
        .chain(of_subscriptions)
}

/// References that may lead nowhere, because whoever has one does without what it means: a queue whose dead-letter queue is gone keeps its messages.
/// No API is refused for them. A file is, because it would take away what somebody relies on without being asked.
pub(crate) fn loose_references(set: &Set) -> impl Iterator<Item = Refers<'_>> {
    set.queues.iter().filter_map(|one| {
        let target = Target::Name(&one.redrive.as_ref()?.dead_letter_queue);
        Some(Refers { by: Entity::Queue(one.clone()), kind: Kind::Queue, target })
    })
}

/// Whether a set has the target.
pub(crate) fn has(set: &Set, kind: Kind, target: Target<'_>) -> bool {
    kind.with(&mut Has { set, target })
}

/// The target by which others refer to an entity of a set, and its label for messages.
pub(crate) fn find(set: &Set, kind: Kind, id: Uuid) -> Option<(Target<'_>, String)> {
    kind.with(&mut Find { set, id })
}

struct Find<'s> {
    set: &'s Set,
    id: Uuid,
}

impl<'s> OnKind for Find<'s> {
    type Out = Option<(Target<'s>, String)>;

    fn on<T: Item>(&mut self) -> Self::Out {
        let one = T::list(self.set).iter().find(|one| one.id() == self.id)?;
        Some((Target::of(&**one), one.label()))
    }
}

struct Has<'s> {
    set: &'s Set,
    target: Target<'s>,
}

impl OnKind for Has<'_> {
    type Out = bool;

    fn on<T: Item>(&mut self) -> bool {
        T::list(self.set).iter().any(|one| self.target.is(&**one))
    }
}

/// All possible targets in a set.
pub(crate) fn targets(set: &Set) -> HashSet<(Kind, Target<'_>)> {
    let mut targets = Targets { set, found: HashSet::new() };
    Kind::ALL.iter().for_each(|kind| kind.with(&mut targets));
    targets.found
}

struct Targets<'s> {
    set: &'s Set,
    found: HashSet<(Kind, Target<'s>)>,
}

impl OnKind for Targets<'_> {
    type Out = ();

    fn on<T: Item>(&mut self) {
        self.found.extend(T::list(self.set).iter().map(|one| (T::KIND, Target::of(&**one))));
    }
}
