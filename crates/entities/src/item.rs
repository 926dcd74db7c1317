//! What entities of every kind have in common.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use event::Timestamp;
use uuid::Uuid;

use crate::subscription::Identity;
use crate::{CaCertificate, FieldError, Origin, Plugin, Queue, Route, Service, Subscription, Topic};

/// The kinds of entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// [`CaCertificate`].
    CaCertificate,
    /// [`Service`].
    Service,
    /// [`Route`].
    Route,
    /// [`Plugin`].
    Plugin,
    /// [`Topic`].
    Topic,
    /// [`Queue`].
    Queue,
    /// [`Subscription`].
    Subscription,
}

impl Kind {
    /// All of them, each behind those that it may refer to.
    pub const ALL: [Self; 7] = [
        Self::CaCertificate,
        Self::Service,
        Self::Route,
        Self::Plugin,
        Self::Topic,
        Self::Queue,
        Self::Subscription,
    ];

    /// As the store and messages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CaCertificate => "CA certificate",
            Self::Service => "service",
            Self::Route => "route",
            Self::Plugin => "plug-in",
            Self::Topic => "topic",
            Self::Queue => "queue",
            Self::Subscription => "subscription",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An entity of one kind.
pub trait Item: Clone + PartialEq {
    /// The kind.
    const KIND: Kind;
    /// What makes two of a kind the same one, whatever their ids are.
    type Key: Eq + Hash;

    /// Its id.
    fn id(&self) -> Uuid;
    /// Who owns it.
    fn origin(&self) -> Origin;
    /// When it was made.
    fn created_at(&self) -> Timestamp;
    /// The same one with another id and another owner.
    #[must_use]
    fn owned(self, id: Uuid, origin: Origin) -> Self;
    /// What makes it the same one; `None` if only its id does.
    fn key(&self) -> Option<Self::Key>;
    /// What messages call it: its name, or its id.
    fn label(&self) -> String;
    /// All that is wrong with its own fields.
    fn check(&self) -> Vec<FieldError>;
}

macro_rules! item {
    ($type:ident, $key:ty, $key_of:expr, $label:expr) => {
        impl Item for $type {
            const KIND: Kind = Kind::$type;
            type Key = $key;

            fn id(&self) -> Uuid {
                self.id
            }

            fn origin(&self) -> Origin {
                self.origin
            }

            fn created_at(&self) -> Timestamp {
                self.created_at
            }

            fn owned(self, id: Uuid, origin: Origin) -> Self {
                Self { id, origin, ..self }
            }

            fn key(&self) -> Option<$key> {
                let key: fn(&Self) -> Option<$key> = $key_of;
                key(self)
            }

            fn label(&self) -> String {
                let label: fn(&Self) -> String = $label;
                label(self)
            }

            fn check(&self) -> Vec<FieldError> {
                Self::check(self)
            }
        }
    };
}

item!(CaCertificate, Vec<u8>, |one| one.der().ok(), |one| one.id.to_string());
item!(Service, String, |one| one.name.clone(), Self::label);
item!(Route, String, |one| one.name.clone(), Self::label);
item!(
    Plugin,
    (String, Option<Uuid>, Option<Uuid>),
    |one| Some((one.name.clone(), one.service, one.route)),
    |one| one.instance_name.clone().unwrap_or_else(|| one.name.clone())
);
item!(Topic, String, |one| Some(one.name.clone()), |one| one.name.clone());
item!(Queue, String, |one| Some(one.name.clone()), |one| one.name.clone());
item!(Subscription, Identity, |one| Some(one.identity()), Self::label);

/// An entity of any kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Entity {
    /// An authority that vouches for services.
    CaCertificate(Arc<CaCertificate>),
    /// A service.
    Service(Arc<Service>),
    /// A route.
    Route(Arc<Route>),
    /// A plug-in.
    Plugin(Arc<Plugin>),
    /// A topic.
    Topic(Arc<Topic>),
    /// A queue.
    Queue(Arc<Queue>),
    /// A subscription.
    Subscription(Arc<Subscription>),
}

impl Entity {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::CaCertificate(_) => Kind::CaCertificate,
            Self::Service(_) => Kind::Service,
            Self::Route(_) => Kind::Route,
            Self::Plugin(_) => Kind::Plugin,
            Self::Topic(_) => Kind::Topic,
            Self::Queue(_) => Kind::Queue,
            Self::Subscription(_) => Kind::Subscription,
        }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        match self {
            Self::CaCertificate(one) => one.id,
            Self::Service(one) => one.id,
            Self::Route(one) => one.id,
            Self::Plugin(one) => one.id,
            Self::Topic(one) => one.id,
            Self::Queue(one) => one.id,
            Self::Subscription(one) => one.id,
        }
    }

    /// What messages call it.
    pub fn label(&self) -> String {
        match self {
            Self::CaCertificate(one) => one.id.to_string(),
            Self::Service(one) => one.label(),
            Self::Route(one) => one.label(),
            Self::Plugin(one) => Item::label(&**one),
            Self::Topic(one) => one.name.clone(),
            Self::Queue(one) => one.name.clone(),
            Self::Subscription(one) => one.label(),
        }
    }
}
