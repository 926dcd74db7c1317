//! Entities: what a node serves, as flat values that refer to each other by id or name.
//!
//! Every entity has an id, times, tags where Kong has them, and an [`Origin`]: the files own some, the APIs own the others. A [`Set`] is all
//! that a node serves. [`Served`] is what the data path makes of it: the routes that requests find, each with its service and plug-ins.
//!
//! The rules of an entity's fields are pure functions that return [`FieldError`]s: what is wrong, where in the entity, and what to do. They know
//! nothing of where a value came from: a file's reader finds line and column, an API its own words and codes.

mod acl;
mod ca_certificate;
mod consumer;
mod consumer_group;
pub mod field;
pub mod ids;
mod item;
mod kept;
mod keyauth_credential;
pub mod media_type;
pub mod method;
mod millis;
pub mod misspelt;
mod name;
pub mod network;
mod normalise;
mod origin;
mod plugin;
mod queue;
pub mod route;
mod secret;
mod served;
pub mod service;
mod set;
pub mod subscription;
mod target;
mod topic;
mod upstream;

pub use acl::Acl;
pub use ca_certificate::CaCertificate;
pub use consumer::{Consumer, ConsumerKey};
pub use consumer_group::ConsumerGroup;
pub use field::{Code, FieldError, Flaw};
pub use item::{Entity, Item, Kind, OnKind};
pub use keyauth_credential::KeyAuthCredential;
pub use normalise::{normal_escapes, normalise};
pub use origin::Origin;
pub use plugin::Plugin;
pub use queue::{MAX_RECEIVE_COUNT, Queue, RedrivePolicy};
pub use route::{PathForwarding, PathHandling, Route, RouteProtocol};
pub use secret::{SECRET_BYTES, Secret};
pub use served::{Known, Owned, Served, ServedRoute, ServedUpstream};
pub use service::Service;
pub use set::Set;
pub use subscription::{Access, AccessKey, Format, Protocol, SignatureVersion, Subscription};
pub use target::Target;
pub use topic::{SIGNATURE_VERSION, Topic, plain_name};
pub use upstream::{Algorithm, Upstream};
