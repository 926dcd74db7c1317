//! The format of a configuration file: the one source of its schema, its documentation and its types.
//!
//! A file is checked against the JSON Schema that is made from these structs ([`crate::schema`]), and only then read into them. Keys that are
//! known but not served yet are in a table ([`not_yet`]), whose hints are part of the schema: they are refused by name, never ignored. What a
//! schema cannot say is checked in [`crate::check`].

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_json::{Map, Value};

/// Declares a struct for one of Kong's entities, with the keys that all of them may have.
macro_rules! entity {
    ($(#[$meta:meta])* pub(crate) struct $name:ident { $($fields:tt)* }) => {
        entity! { u32: $(#[$meta])* pub(crate) struct $name { $($fields)* } }
    };
    // `$time` is the type of its times.
    ($time:ty: $(#[$meta:meta])* pub(crate) struct $name:ident { $($fields:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "some keys are only accepted")]
        pub(crate) struct $name {
            $($fields)*
            /// Words by which the entity can be found.
            #[serde(default)]
            pub(crate) tags: Option<Vec<String>>,
            /// When the entity was made, in seconds since 1970. By default, the time of the start.
            #[serde(default)]
            #[schemars(range(min = 0))]
            pub(crate) created_at: Option<$time>,
            /// When the entity was last changed, in seconds since 1970.
            #[serde(default)]
            #[schemars(range(min = 0))]
            pub(crate) updated_at: Option<$time>,
            /// A comment; ignored.
            #[serde(rename = "_comment", default)]
            comment: Option<String>,
            /// Comments of any form; ignored.
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
    CaCertificate, PathForwarding, PathHandling, Plugin, PluginProtocol, Route, RouteProtocol, Service,
    ServiceProtocol,
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
    /// Kong's: whether credentials still have to be hashed. No credential here is hashed, so it has no effect.
    #[serde(rename = "_transform", default = "yes")]
    transform: bool,
    /// A comment; ignored.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
    /// Comments of any form; ignored.
    #[serde(rename = "_ignore", default)]
    ignore: Vec<Value>,
    /// Notes that decK writes for itself; ignored.
    #[serde(rename = "_info", default)]
    info: Option<Info>,
    /// decK's: the workspace of Kong that the entities are for. It has no effect: there is only one here.
    #[serde(rename = "_workspace", default)]
    workspace: Option<String>,
    /// decK's: the control plane of Konnect that the entities are for. It has no effect.
    #[serde(rename = "_konnect", default)]
    konnect: Option<Value>,
    /// The HTTP services behind the gateway.
    #[serde(default)]
    services: Vec<Service>,
    /// Routes that name their service.
    #[serde(default)]
    routes: Vec<Route>,
    /// Plug-ins that name their service or route; one that names neither applies to every route.
    #[serde(default)]
    plugins: Vec<Plugin>,
    /// Authorities, besides the system's, whose certificates are trusted for services over https.
    #[serde(default)]
    ca_certificates: Vec<CaCertificate>,
    /// Topics that events are published to.
    #[serde(default)]
    topics: Vec<Topic>,
    /// Subscriptions that name their topic.
    #[serde(default)]
    subscriptions: Vec<Subscription>,
    /// Queues that workers receive from, as in SQS.
    #[serde(default)]
    queues: Vec<Queue>,
    /// Those who use the services, each recognised by a credential.
    #[serde(default)]
    consumers: Vec<Consumer>,
    /// Groups of consumers.
    #[serde(default)]
    consumer_groups: Vec<ConsumerGroup>,
    /// Groups of targets. A service has the group's name as its host.
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

/// The schema of a file: the structs, and the keys that are not served yet.
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

/// Notes that decK writes for itself; only decK reads them.
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
    /// A consumer's name, in the schema of a reference to a consumer.
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

/// The `config` of a plug-in; its schema is that of the plug-in's kind.
type AnyMap = Map<String, Value>;
