//! Kong's consumers with their credentials.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Plugin, Reference, SecretText};

entity! {
    /// Somebody who uses the services, recognised by a credential.
    pub(crate) struct Consumer {
        /// Its name, unique. Credentials and plug-ins refer to the consumer by it.
        #[serde(default)]
        pub(crate) username: Option<String>,
        /// Its name in another system, unique. A consumer needs a `username` or a `custom_id`.
        #[serde(default)]
        pub(crate) custom_id: Option<String>,
        /// Its id. By default derived from its name.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// Its keys for the plug-in key-auth.
        #[serde(default)]
        keyauth_credentials: Vec<KeyAuthCredential>,
        /// The groups that the consumer is in.
        #[serde(default)]
        acls: Vec<Acl>,
        /// Plug-ins for this consumer.
        #[serde(default)]
        plugins: Vec<Plugin>,
    }
}

entity! {
    /// A key by which a consumer is recognised.
    pub(crate) struct KeyAuthCredential {
        /// The key, or `{vault://env/NAME}`; unique. It is never shown.
        pub(crate) key: SecretText,
        /// The consumer that the key belongs to. Leave it out if the key is written under its consumer.
        #[serde(default)]
        pub(crate) consumer: Option<ConsumerReference>,
        /// Its id, which services and events may see. By default derived from the key, or for a short key from its position in the file.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// The number of seconds after `created_at` at which the key expires; with it, `created_at` is required. By default, or with 0, it never
        /// expires.
        #[serde(default)]
        #[schemars(range(min = 0, max = 100000000))]
        pub(crate) ttl: Option<u32>,
    }
}

entity! {
    /// The membership of a consumer in a group.
    pub(crate) struct Acl {
        /// The group's name.
        pub(crate) group: String,
        /// The consumer in the group. Leave it out if the membership is written under its consumer.
        #[serde(default)]
        pub(crate) consumer: Option<ConsumerReference>,
        /// Its id. By default derived from consumer and group.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
    }
}

entity! {
    /// A group of consumers.
    pub(crate) struct ConsumerGroup {
        /// Its name: letters, digits and `.-_~`.
        pub(crate) name: String,
        /// Its id. By default derived from its name.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
    }
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
