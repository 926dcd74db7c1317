//! The file as it is written: the one source of its schema, its documentation and its types.
//!
//! The JSON Schema made from these structs is what a file is held against ([`crate::schema`]); only then are they filled. Keys that we know
//! and do not serve yet are in a table ([`not_yet`]), whose hints the schema carries: they are refused by name, never ignored.
//! What a schema cannot say is checked in [`crate::check`].

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_json::{Map, Value};

/// An entity of Kong's: a struct with the keys that each of them may have.
macro_rules! entity {
    ($(#[$meta:meta])* pub(crate) struct $name:ident { $($fields:tt)* }) => {
        entity! { u32: $(#[$meta])* pub(crate) struct $name { $($fields)* } }
    };
    // Its times are numbers of this type.
    ($time:ty: $(#[$meta:meta])* pub(crate) struct $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "some keys are only accepted")]
        pub(crate) struct $name {
            $($fields)*
            /// Words to find it by.
            #[serde(default)]
            pub(crate) tags: Option<Vec<String>>,
            /// In seconds. The time of the start if there is none.
            #[serde(default)]
            #[schemars(range(min = 0))]
            pub(crate) created_at: Option<$time>,
            /// In seconds.
            #[serde(default)]
            #[schemars(range(min = 0))]
            pub(crate) updated_at: Option<$time>,
            /// A remark.
            #[serde(rename = "_comment", default)]
            comment: Option<String>,
            /// Remarks of any shape.
            #[serde(rename = "_ignore", default)]
            ignore: Vec<serde_json::Value>,
        }
    };
}

mod consumer;
mod gateway;
mod hub;
pub(crate) mod not_yet;
mod upstream;

pub(crate) use consumer::{Acl, Consumer, ConsumerGroup, ConsumerReference, KeyAuthCredential};
pub(crate) use gateway::{
    CaCertificate, PathHandling, Plugin, PluginProtocol, Route, RouteProtocol, Service, ServiceProtocol,
};
pub(crate) use hub::{Confirm, Format, Queue, SecretText, Subscription, SubscriptionProtocol, Topic};
pub(crate) use upstream::{Algorithm, Hash, Target, Upstream};

/// A configuration file of Retrohook: Kong's declarative format, and `topics`, `subscriptions` and `queues` beside it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Retrohook configuration")]
#[expect(dead_code, reason = "the schema is made from it; the entities are read one by one")]
pub(crate) struct File {
    /// The version of Kong's format, `"3.0"` in quotes. Older ones are 1.1 and 2.1: in these a path with a character such as
    /// `(` or `+` is a regular expression, in 3.0 one that begins with `~`.
    #[serde(rename = "_format_version")]
    format_version: FormatVersion,
    /// Kong's: whether credentials are still to be hashed. There are none yet.
    #[serde(rename = "_transform", default = "yes")]
    transform: bool,
    /// A remark.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
    /// Remarks of any shape.
    #[serde(rename = "_ignore", default)]
    ignore: Vec<Value>,
    /// decK's notes to itself.
    #[serde(rename = "_info", default)]
    info: Option<Info>,
    /// decK's: which workspace of a Kong the entities are for. Not used: there is one.
    #[serde(rename = "_workspace", default)]
    workspace: Option<String>,
    /// decK's: which control plane of Konnect the entities are for. Not used.
    #[serde(rename = "_konnect", default)]
    konnect: Option<Value>,
    /// What the gateway stands in front of.
    #[serde(default)]
    services: Vec<Service>,
    /// Routes that name their service.
    #[serde(default)]
    routes: Vec<Route>,
    /// Plug-ins that name their service or route; one that names neither applies to every route.
    #[serde(default)]
    plugins: Vec<Plugin>,
    /// Authorities that vouch for services that are reached over https, beside the system's.
    #[serde(default)]
    ca_certificates: Vec<CaCertificate>,
    /// Where events are published.
    #[serde(default)]
    topics: Vec<Topic>,
    /// Subscriptions that name their topic.
    #[serde(default)]
    subscriptions: Vec<Subscription>,
    /// Queues that workers receive from, as in SQS.
    #[serde(default)]
    queues: Vec<Queue>,
    /// Those whom the gateway knows by a credential.
    #[serde(default)]
    consumers: Vec<Consumer>,
    /// Groups of consumers.
    #[serde(default)]
    consumer_groups: Vec<ConsumerGroup>,
    /// Names that services have as their host, each for several targets.
    #[serde(default)]
    upstreams: Vec<Upstream>,
    /// Targets that name their upstream.
    #[serde(default)]
    targets: Vec<Target>,
    /// Keys that name their consumer.
    #[serde(default)]
    keyauth_credentials: Vec<KeyAuthCredential>,
    /// Groups that name their consumer.
    #[serde(default)]
    acls: Vec<Acl>,
}

/// The schema of a file: what the structs say, and the keys that are not served yet.
pub(crate) fn schema() -> Value {
    let mut schema = schemars::schema_for!(File).to_value();
    not_yet::add_to(&mut schema);
    schema
}

/// The version of Kong's format.
struct FormatVersion;

impl JsonSchema for FormatVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FormatVersion".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The version of Kong's format.",
            "enum": ["1.1", "2.1", "3.0", 1.1, 2.1, 3.0],
        })
    }
}

/// What decK notes about itself; read by decK alone.
#[derive(JsonSchema)]
struct Info {}

/// Another entity: by its name, or by `{name: …}` or `{id: …}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// A name or an id.
    pub(crate) name: String,
}

/// The mapping form of a reference.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ByKey {
    /// Its name.
    #[serde(default)]
    name: Option<String>,
    /// A consumer's name; its schema is another one.
    #[serde(default)]
    #[schemars(skip)]
    username: Option<String>,
    /// Its id.
    #[serde(default)]
    id: Option<String>,
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shapes;

        impl<'de> Visitor<'de> for Shapes {
            type Value = Reference;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, {name: …} or {id: …}")
            }

            fn visit_str<E>(self, name: &str) -> Result<Reference, E> {
                Ok(Reference { name: name.to_owned() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reference, A::Error> {
                let by = ByKey::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Reference { name: by.name.or(by.username).or(by.id).unwrap_or_default() })
            }
        }

        deserializer.deserialize_any(Shapes)
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let by_key = generator.subschema_for::<ByKey>();
        json_schema!({
            "description": "Another entity: its name, or `{name: …}` or `{id: …}`.",
            "anyOf": [{ "type": "string", "minLength": 1 }, by_key],
        })
    }
}

fn yes() -> bool {
    true
}

/// A plug-in's `config`, whose schema is its kind's.
type AnyMap = Map<String, Value>;
