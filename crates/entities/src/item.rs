//! What entities of every kind have in common, and the list of the kinds: a new one is a line of [`kinds`], one of [`item`], and a field of
//! [`Set`]. Code for entities of every kind goes through [`OnKind`] and names no kind.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use event::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::subscription::Identity;
use crate::{
    Acl, CaCertificate, Consumer, ConsumerGroup, ConsumerKey, FieldError, KeyAuthCredential, Origin, Plugin,
    Queue, Route, Service, Set, Subscription, Target, Topic, Upstream,
};

/// An entity of one kind.
pub trait Item: Clone + PartialEq + Serialize + DeserializeOwned + 'static {
    /// The kind.
    const KIND: Kind;
    /// The identity of an entity within its kind, apart from its id.
    type Key: Eq + Hash;

    /// The entities of this kind in a set.
    fn list(set: &Set) -> &Vec<Arc<Self>>;
    /// The same, to change them.
    fn list_mut(set: &mut Set) -> &mut Vec<Arc<Self>>;
    /// As an entity of any kind.
    fn into_entity(one: Arc<Self>) -> Entity;
    /// The entity if it is of this kind.
    fn of(entity: &Entity) -> Option<&Arc<Self>>;

    /// Its id.
    fn id(&self) -> Uuid;
    /// Who owns it.
    fn origin(&self) -> Origin;
    /// When it was made.
    fn created_at(&self) -> Timestamp;
    /// The same one with another id and another owner.
    #[must_use]
    fn owned(self, id: Uuid, origin: Origin) -> Self;
    /// Its identities; each of them alone is enough. Empty if only the id counts.
    fn keys(&self) -> Vec<Self::Key>;
    /// The fields of such an identity, as the APIs call them.
    fn fields(key: &Self::Key) -> &'static [&'static str];
    /// Its label in messages: its name, or its id.
    fn label(&self) -> String;
    /// The name by which others refer to it; `None` if they do so by its id.
    fn referred_name(&self) -> Option<&str>;
    /// Everything that is wrong with its own fields.
    fn check(&self) -> Vec<FieldError>;
}

/// Something that is done in the same way for every kind.
pub trait OnKind {
    /// Its result.
    type Out;

    /// Does it for one kind.
    fn on<T: Item>(&mut self) -> Self::Out;
}

/// The kinds, each after those that it may refer to, with their names in the registry and in messages.
macro_rules! kinds {
    ($($type:ident: $key:literal, $word:literal;)+) => {
        /// The kinds of entity.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("[`", stringify!($type), "`].")] $type,)+
        }

        impl Kind {
            /// All of them, each after those that it may refer to.
            pub const ALL: &[Self] = &[$(Self::$type),+];

            /// Its name in the store's registry.
            pub fn key(self) -> &'static str {
                match self { $(Self::$type => $key,)+ }
            }

            /// Its label in messages.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$type => $word,)+ }
            }

            /// Does something with the entities of this kind.
            pub fn with<W: OnKind>(self, work: &mut W) -> W::Out {
                match self { $(Self::$type => work.on::<$type>(),)+ }
            }
        }

        /// An entity of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Entity {
            $(#[doc = concat!("A ", $word, ".")] $type(Arc<$type>),)+
        }

        impl Entity {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$type(_) => Kind::$type,)+ }
            }

            /// Its id.
            pub fn id(&self) -> Uuid {
                match self { $(Self::$type(one) => one.id,)+ }
            }

            /// Its label in messages.
            pub fn label(&self) -> String {
                match self { $(Self::$type(one) => Item::label(&**one),)+ }
            }
        }
    };
}

kinds! {
    CaCertificate: "ca_certificate", "CA certificate";
    Upstream: "upstream", "upstream";
    Target: "target", "target";
    Service: "service", "service";
    Route: "route", "route";
    Consumer: "consumer", "consumer";
    KeyAuthCredential: "keyauth_credential", "key-auth credential";
    Acl: "acl", "group membership";
    ConsumerGroup: "consumer_group", "consumer group";
    Plugin: "plugin", "plug-in";
    Topic: "topic", "topic";
    Queue: "queue", "queue";
    Subscription: "subscription", "subscription";
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Implements [`Item`] for a type: its list in a set, its identities and their fields, its label, and the name by which others refer to it, if
/// they do so by name.
macro_rules! item {
    ($type:ident in $list:ident, $key:ty, $keys:expr, $fields:expr, $label:expr $(, by $name:ident)?) => {
        impl Item for $type {
            const KIND: Kind = Kind::$type;
            type Key = $key;

            fn list(set: &Set) -> &Vec<Arc<Self>> {
                &set.$list
            }

            fn list_mut(set: &mut Set) -> &mut Vec<Arc<Self>> {
                &mut set.$list
            }

            fn into_entity(one: Arc<Self>) -> Entity {
                Entity::$type(one)
            }

            fn of(entity: &Entity) -> Option<&Arc<Self>> {
                match entity {
                    Entity::$type(one) => Some(one),
                    _ => None,
                }
            }

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

            fn keys(&self) -> Vec<$key> {
                let keys: fn(&Self) -> _ = $keys;
                keys(self).into_iter().collect()
            }

            fn fields(key: &$key) -> &'static [&'static str] {
                let fields: fn(&$key) -> &'static [&'static str] = $fields;
                fields(key)
            }

            fn label(&self) -> String {
                let label: fn(&Self) -> String = $label;
                label(self)
            }

            fn referred_name(&self) -> Option<&str> {
                None$(.or(Some(&self.$name)))?
            }

            fn check(&self) -> Vec<FieldError> {
                Self::check(self)
            }
        }
    };
}

item!(CaCertificate in ca_certificates, Vec<u8>, |one| one.der().ok(), |_| &["cert"], |one| one.id.to_string());
item!(Upstream in upstreams, String, |one| Some(one.name.to_ascii_lowercase()), |_| &["name"], |one| one.name.clone());
item!(
    Target in targets,
    (Uuid, String, u16),
    |one| Some((one.upstream, one.host.clone(), one.port)),
    |_| &["upstream", "target"],
    Self::label
);
item!(Service in services, String, |one| one.name.clone(), |_| &["name"], Self::label);
item!(Route in routes, String, |one| one.name.clone(), |_| &["name"], Self::label);
item!(
    Consumer in consumers,
    ConsumerKey,
    Self::keys,
    |key| match key {
        ConsumerKey::Username(_) => &["username"],
        ConsumerKey::CustomId(_) => &["custom_id"],
    },
    Self::label
);
item!(
    KeyAuthCredential in keyauth_credentials,
    String,
    |one| Some(one.key.expose().to_owned()),
    |_| &["key"],
    Self::label
);
item!(
    Acl in acls,
    (Uuid, String),
    |one| Some((one.consumer, one.group.clone())),
    |_| &["consumer", "group"],
    Self::label
);
item!(ConsumerGroup in consumer_groups, String, |one| Some(one.name.clone()), |_| &["name"], |one| one.name.clone());
item!(
    Plugin in plugins,
    (String, Option<Uuid>, Option<Uuid>, Option<Uuid>),
    |one| Some((one.name.clone(), one.service, one.route, one.consumer)),
    |_| &["name", "service", "route", "consumer"],
    |one| one.instance_name.clone().unwrap_or_else(|| one.name.clone())
);
item!(Topic in topics, String, |one| Some(one.name.clone()), |_| &["name"], |one| one.name.clone(), by name);
item!(Queue in queues, String, |one| Some(one.name.clone()), |_| &["name"], |one| one.name.clone(), by name);
item!(
    Subscription in subscriptions,
    Identity,
    Self::identities,
    |key| match key {
        Identity::Name { .. } => &["topic", "name"],
        Identity::Endpoint { .. } => &["topic", "protocol", "endpoint"],
    },
    Self::label
);

#[cfg(test)]
mod tests {
    use super::*;

    struct Lists<'s>(&'s Set);

    impl OnKind for Lists<'_> {
        type Out = (Kind, usize);

        fn on<T: Item>(&mut self) -> Self::Out {
            (T::KIND, T::list(self.0).len())
        }
    }

    #[test]
    fn each_kind_has_a_list_and_words_of_its_own() {
        let set = Set::default();
        let lists: Vec<_> = Kind::ALL.iter().map(|kind| kind.with(&mut Lists(&set))).collect();
        assert_eq!(lists, Kind::ALL.iter().map(|kind| (*kind, 0)).collect::<Vec<_>>());
        let mut keys: Vec<_> = Kind::ALL.iter().map(|kind| kind.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Kind::ALL.len(), "rows of two kinds would be one");
    }
}
