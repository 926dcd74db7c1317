//! The file as it is written: the one source of its schema, its documentation and its types.
//!
//! The JSON Schema made from these structs is what a file is held against ([`crate::schema`]); only then are they filled. Keys of Kong's
//! that we know and do not serve yet have the type [`NotYet`], whose schema carries the hint: they are refused by name, never ignored.
//! What a schema cannot say is checked in [`crate::check`].

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor, value::MapAccessDeserializer};
use serde_json::{Map, Value};

mod consumer;
mod gateway;
mod hub;

pub(crate) use consumer::{Acl, Consumer, ConsumerReference, KeyAuthCredential};
pub(crate) use gateway::{
    CaCertificate, PathHandling, Plugin, PluginProtocol, Route, RouteProtocol, Service, ServiceProtocol,
};
pub(crate) use hub::{Confirm, Format, Queue, SecretText, Subscription, SubscriptionProtocol, Topic};

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
    /// decK's.
    #[serde(rename = "_plugin_configs", default)]
    #[schemars(extend("x-not-yet" = "write the `config` into each plug-in, or share it with a YAML anchor"))]
    plugin_configs: NotYet,
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
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = "there are no consumer groups: remove the key; groups for the plug-in acl stand under a consumer's `acls`"))]
    consumer_groups: NotYet,
    /// Keys that name their consumer.
    #[serde(default)]
    keyauth_credentials: Vec<KeyAuthCredential>,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = CREDENTIALS))]
    basicauth_credentials: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = CREDENTIALS))]
    hmacauth_credentials: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = CREDENTIALS))]
    jwt_secrets: NotYet,
    /// Groups that name their consumer.
    #[serde(default)]
    acls: Vec<Acl>,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = CREDENTIALS))]
    oauth2_credentials: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = CREDENTIALS))]
    oauth2_tokens: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = UPSTREAMS))]
    upstreams: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = UPSTREAMS))]
    targets: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TLS))]
    certificates: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = TLS))]
    snis: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = "a secret may be read from the environment without one: {vault://env/NAME}"))]
    vaults: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = ELSEWHERE))]
    keys: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = ELSEWHERE))]
    key_sets: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = ELSEWHERE))]
    filter_chains: NotYet,
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = ELSEWHERE))]
    workspaces: NotYet,
}

const CREDENTIALS: &str = "consumers are known by `keyauth_credentials`; leave other credentials to the gateway in front, and remove the key";
const UPSTREAMS: &str = "give the service the `host` and `port` of one target, and remove the key";
const TLS: &str = "end TLS in front of this gateway, and remove the key";
const ELSEWHERE: &str = "remove the key";

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
#[expect(dead_code, reason = "the schema is made from it")]
struct Info {
    /// Would change every entity.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = "write the defaults into the entities; `deck file render` does it"))]
    defaults: NotYet,
}

/// A value that we do not serve yet. Takes anything; its schema refuses all but neutral values.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for NotYet {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NotYet".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [null, [], {}], "x-not-yet": "remove the key" })
    }
}

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
