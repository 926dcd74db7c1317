//! Kong's consumers with their credentials.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

use super::{CREDENTIALS, NotYet, Plugin, Reference, SecretText};

/// Somebody who asks, and is known by a credential.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Consumer {
    /// Its name here, by which credentials and plug-ins refer to it; unique.
    #[serde(default)]
    pub(crate) username: Option<String>,
    /// Its name elsewhere; unique. A consumer has at least one of the two.
    #[serde(default)]
    pub(crate) custom_id: Option<String>,
    /// Its id. Derived from its name if there is none.
    #[serde(default)]
    #[schemars(extend("format" = "uuid"))]
    pub(crate) id: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    pub(crate) tags: Option<Vec<String>>,
    /// Its keys for the plug-in key-auth.
    #[serde(default)]
    keyauth_credentials: Vec<KeyAuthCredential>,
    /// The groups that it is in.
    #[serde(default)]
    acls: Vec<Acl>,
    /// Plug-ins for this consumer.
    #[serde(default)]
    plugins: Vec<Plugin>,
    /// In seconds. The time of the start if there is none.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(crate) created_at: Option<u32>,
    /// In seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(crate) updated_at: Option<u32>,
    /// A remark.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
    /// Remarks of any shape.
    #[serde(rename = "_ignore", default)]
    ignore: Vec<Value>,
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
    /// Kong's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = CREDENTIALS))]
    oauth2_credentials: NotYet,
    /// decK's.
    #[serde(default)]
    #[schemars(extend("x-not-yet" = "there are no consumer groups: remove the key; groups for the plug-in acl stand under `acls`"))]
    groups: NotYet,
}

/// A key by which a consumer is known.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct KeyAuthCredential {
    /// The key, or `{vault://env/NAME}`; unique. Shown nowhere.
    pub(crate) key: SecretText,
    /// Whom it belongs to; not in a key that stands under its consumer.
    #[serde(default)]
    pub(crate) consumer: Option<ConsumerReference>,
    /// Its id, which services and events may see. Derived from its place among the consumer's keys if there is none.
    #[serde(default)]
    #[schemars(extend("format" = "uuid"))]
    pub(crate) id: Option<String>,
    /// How many seconds after `created_at` it ends, which then must be given; 0 or nothing: never.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100000000))]
    pub(crate) ttl: Option<u32>,
    /// Words to find it by.
    #[serde(default)]
    pub(crate) tags: Option<Vec<String>>,
    /// In seconds. The time of the start if there is none.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(crate) created_at: Option<u32>,
    /// In seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(crate) updated_at: Option<u32>,
    /// A remark.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
    /// Remarks of any shape.
    #[serde(rename = "_ignore", default)]
    ignore: Vec<Value>,
}

/// That a consumer is in a group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "some keys are only accepted")]
pub(crate) struct Acl {
    /// The group's name.
    pub(crate) group: String,
    /// Who is in it; not in a membership that stands under its consumer.
    #[serde(default)]
    pub(crate) consumer: Option<ConsumerReference>,
    /// Its id. Derived from consumer and group if there is none.
    #[serde(default)]
    #[schemars(extend("format" = "uuid"))]
    pub(crate) id: Option<String>,
    /// Words to find it by.
    #[serde(default)]
    pub(crate) tags: Option<Vec<String>>,
    /// In seconds. The time of the start if there is none.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(crate) created_at: Option<u32>,
    /// In seconds.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub(crate) updated_at: Option<u32>,
    /// A remark.
    #[serde(rename = "_comment", default)]
    comment: Option<String>,
    /// Remarks of any shape.
    #[serde(rename = "_ignore", default)]
    ignore: Vec<Value>,
}

/// A consumer: by its username, or by `{username: …}` or `{id: …}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ConsumerReference(pub(crate) Reference);

impl JsonSchema for ConsumerReference {
    fn schema_name() -> Cow<'static, str> {
        "ConsumerReference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A consumer: its username, or `{username: …}` or `{id: …}`.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                {
                    "type": "object",
                    "properties": { "username": { "type": ["string", "null"] }, "id": { "type": ["string", "null"] } },
                    "additionalProperties": false,
                },
            ],
        })
    }
}
