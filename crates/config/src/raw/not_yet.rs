//! The one table of keys that are known but not served yet. Each is in the schema. A neutral value is accepted; any other value is refused by
//! the key's name, with what to do instead. Either way, the key is left out when an entity is read.

use serde_json::{Map, Value, json};

/// Keys of one definition of the schema, with what to do instead.
struct NotYet {
    of: &'static str,
    keys: &'static [&'static str],
    hint: &'static str,
}

const fn not_yet(of: &'static str, keys: &'static [&'static str], hint: &'static str) -> NotYet {
    NotYet { of, keys, hint }
}

/// The file itself, whose definition is the schema's root.
const FILE: &str = "File";

const CREDENTIALS: &str = "consumers are recognised by `keyauth_credentials` only; keep other credentials in a gateway in front of this one, and remove the key";
const TLS: &str = "terminate TLS in front of this gateway, and remove the key";
const MATCH: &str = "match by `hosts`, `paths` or `methods`";
const HTTP_ONLY: &str = "routes carry http only: match by `hosts`, `paths` or `methods`";
const IN_GROUPS: &str =
    "no plug-in is for a group yet: remove the key; groups for the plug-in acl are under a consumer's `acls`";

const TOPIC_ATTRIBUTE: &str = "topics have no attributes yet: remove the key";
const FIFO_TOPIC: &str =
    "remove the key; `fifo: true` on a subscription over http keeps the order within a key of events";
const FILTER: &str = "every subscription gets all events of its topic: remove the key, or publish each kind of event to a topic of its own";
const DEAD_LETTERS: &str = "remove the key: what cannot be delivered is kept as a dead letter and can be sent again, see GET /retrohook/dead-letters on the admin port";
const RETRIES: &str =
    "remove the key: a delivery is tried for three days; `timeout` and `max_in_flight` can be set";
const QUEUE_REDRIVE: &str = "remove the key: any queue may name any other one in its `redrive_policy`";
const FIFO_QUEUE: &str = "queues are standard ones: remove the key";
const QUEUE_ATTRIBUTE: &str = "queues have `visibility_timeout`, `receive_wait_time`, `message_retention_period` and `redrive_policy` only: remove the key";

const TABLE: &[NotYet] = &[
    not_yet(
        FILE,
        &["_plugin_configs"],
        "write the `config` into each plug-in, or share it with a YAML anchor",
    ),
    not_yet(FILE, &["basicauth_credentials", "hmacauth_credentials", "jwt_secrets"], CREDENTIALS),
    not_yet(FILE, &["oauth2_credentials", "oauth2_tokens"], CREDENTIALS),
    not_yet(FILE, &["certificates", "snis"], TLS),
    not_yet(FILE, &["vaults"], "a secret may be read from the environment without one: {vault://env/NAME}"),
    not_yet(FILE, &["keys", "key_sets", "filter_chains", "workspaces"], "remove the key"),
    not_yet("Info", &["defaults"], "write the defaults into the entities; `deck file render` does it"),
    not_yet(
        "Service",
        &["client_certificate"],
        "the gateway shows services no certificate of its own: remove the key",
    ),
    not_yet(
        "Upstream",
        &["client_certificate"],
        "the gateway shows targets no certificate of its own: remove the key",
    ),
    not_yet("Upstream", &["use_srv_name"], "name each address as a target of its own"),
    not_yet("Route", &["headers", "snis"], MATCH),
    not_yet("Route", &["sources", "destinations"], HTTP_ONLY),
    not_yet(
        "Route",
        &["expression"],
        "the router is Kong's traditional one: match by `hosts`, `paths` or `methods`",
    ),
    not_yet(
        "Route",
        &["priority"],
        "it belongs to `expression`; `regex_priority` orders regular expressions",
    ),
    not_yet(
        "Plugin",
        &["consumer_group"],
        "a plug-in is for a service, a route, a consumer, or all: remove the key",
    ),
    not_yet("Plugin", &["ordering"], "plug-ins run by their priority: remove the key"),
    not_yet("Plugin", &["_config"], "write the settings into `config`"),
    not_yet("Consumer", &["basicauth_credentials", "hmacauth_credentials", "jwt_secrets"], CREDENTIALS),
    not_yet("Consumer", &["oauth2_credentials"], CREDENTIALS),
    not_yet("Consumer", &["groups"], IN_GROUPS),
    not_yet("ConsumerGroup", &["consumers"], IN_GROUPS),
    not_yet("ConsumerGroup", &["plugins"], "put the plug-in on each consumer: no plug-in is for a group yet"),
    not_yet("Topic", &["display_name", "policy", "delivery_policy", "signature_version"], TOPIC_ATTRIBUTE),
    not_yet("Topic", &["tracing_config", "kms_master_key_id"], TOPIC_ATTRIBUTE),
    not_yet("Topic", &["archive_policy", "data_protection_policy"], TOPIC_ATTRIBUTE),
    not_yet("Topic", &["fifo_topic", "content_based_deduplication", "fifo_throughput_scope"], FIFO_TOPIC),
    not_yet("Subscription", &["filter_policy", "filter_policy_scope"], FILTER),
    not_yet("Subscription", &["redrive_policy"], DEAD_LETTERS),
    not_yet("Subscription", &["delivery_policy"], RETRIES),
    not_yet("Subscription", &["replay_policy", "subscription_role_arn"], "remove the key"),
    not_yet("Queue", &["redrive_allow_policy"], QUEUE_REDRIVE),
    not_yet("Queue", &["fifo_queue", "content_based_deduplication"], FIFO_QUEUE),
    not_yet("Queue", &["deduplication_scope", "fifo_throughput_limit"], FIFO_QUEUE),
    not_yet("Queue", &["delay_seconds", "maximum_message_size", "policy"], QUEUE_ATTRIBUTE),
    not_yet("Queue", &["kms_master_key_id", "kms_data_key_reuse_period_seconds"], QUEUE_ATTRIBUTE),
    not_yet("Queue", &["sqs_managed_sse_enabled"], QUEUE_ATTRIBUTE),
];

/// The values that a key may still have, because they ask for nothing.
fn neutral(key: &str) -> Value {
    match key {
        // Kong's defaults.
        "use_srv_name" => json!([null, false]),
        _ => json!([null, [], {}]),
    }
}

/// The keys of this definition that are not served yet.
pub(crate) fn keys_of(definition: &str) -> Vec<&'static str> {
    let of_it = TABLE.iter().filter(|one| one.of == definition);
    of_it.flat_map(|one| one.keys.iter().copied()).collect()
}

/// Adds the table to the schema of a file.
pub(super) fn add_to(schema: &mut Value) {
    for NotYet { of, keys, hint } in TABLE {
        let definition = match *of {
            FILE => Some(&mut *schema),
            of => schema.get_mut("$defs").and_then(|all| all.get_mut(of)),
        };
        let Some(Value::Object(definition)) = definition else { continue };
        let properties = definition.entry("properties").or_insert_with(|| Map::new().into());
        for key in *keys {
            properties[*key] = json!({
                "description": "Not served yet.",
                "enum": neutral(key),
                "x-not-yet": hint,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_one_of_a_definition_that_there_is_and_of_no_field() {
        let whole = crate::raw::schema();
        let fields = schemars::schema_for!(crate::raw::File).to_value();
        for NotYet { of, keys, hint } in TABLE {
            let at = if *of == FILE { "/properties".to_owned() } else { format!("/$defs/{of}/properties") };
            for key in *keys {
                let added = whole.pointer(&format!("{at}/{key}")).unwrap_or(&Value::Null);
                assert_eq!(added["x-not-yet"], *hint, "{of} {key}");
                assert_eq!(fields.pointer(&format!("{at}/{key}")), None, "{of} {key} is served");
            }
        }
    }
}
