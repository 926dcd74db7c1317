//! Kong's consumers with their credentials.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Plugin, Reference, SecretText};

entity! {
    /// Somebody who asks, and is known by a credential.
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
        /// Its keys for the plug-in key-auth.
        #[serde(default)]
        keyauth_credentials: Vec<KeyAuthCredential>,
        /// The groups that it is in.
        #[serde(default)]
        acls: Vec<Acl>,
        /// Plug-ins for this consumer.
        #[serde(default)]
        plugins: Vec<Plugin>,
    }
}

entity! {
    /// A key by which a consumer is known.
    pub(crate) struct KeyAuthCredential {
        /// The key, or `{vault://env/NAME}`; unique. Shown nowhere.
        pub(crate) key: SecretText,
        /// Whom it belongs to; not in a key that is under its consumer.
        #[serde(default)]
        pub(crate) consumer: Option<ConsumerReference>,
        /// Its id, which services and events may see. If there is none it is derived from the key, or from its place if the key is short.
        #[serde(default)]
        #[schemars(extend("format" = "uuid"))]
        pub(crate) id: Option<String>,
        /// How many seconds after `created_at` it ends, which then must be given; 0 or nothing: never.
        #[serde(default)]
        #[schemars(range(min = 0, max = 100000000))]
        pub(crate) ttl: Option<u32>,
    }
}

entity! {
    /// That a consumer is in a group.
    pub(crate) struct Acl {
        /// The group's name.
        pub(crate) group: String,
        /// Who is in it; not in a membership that is under its consumer.
        #[serde(default)]
        pub(crate) consumer: Option<ConsumerReference>,
        /// Its id. Derived from consumer and group if there is none.
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
        /// Its id. Derived from its name if there is none.
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
