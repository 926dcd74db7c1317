//! Writes entities as a text in the format, without their secrets.
//!
//! Reading the text gives the same entities, except for what [`Written::left_out`] lists. In place of each secret there is a reference to an
//! environment variable, `{vault://env/NAME}`, whose name does not depend on the secret. Entities are in flat lists, and refer to each other by
//! id.

use std::collections::HashSet;
use std::sync::Arc;

use entities::{Format, Protocol, Queue, RedrivePolicy, RouteProtocol, Set, Subscription, Topic};
use event::Timestamp;
use event::redaction::QueryRedaction;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::hidden::names_a_secret;

mod yaml;

/// A configuration as a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// YAML.
    pub text: String,
    /// The secrets that are not in the text.
    pub secrets: Vec<Withheld>,
    /// What the format cannot express, a line each.
    pub left_out: Vec<String>,
}

/// A secret that is not in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The name of the environment variable that is in its place.
    pub variable: String,
    /// The entity that it belongs to, for messages.
    pub of: String,
}

/// The keys of a plug-in's settings that are templates, by its name; `None` for one that is not known.
pub type Templates<'a> = &'a dyn Fn(&str) -> Option<&'static [&'static str]>;

/// Writes a set.
pub fn write(set: &Set, templates: Templates<'_>) -> Written {
    let mut writer = Writer { written: Written::default(), templates };
    let lists = writer.lists(set);
    let mut file = vec![("_format_version".to_owned(), json!("3.0"))];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    file.extend(lists.map(|(key, list)| (key.to_owned(), Value::from(list))));
    writer.written.text = yaml::text(&file);
    writer.written
}

struct Writer<'a> {
    written: Written,
    templates: Templates<'a>,
}

/// What decides how a value is written.
#[derive(Clone, Copy)]
struct Within<'a> {
    /// The entity that it belongs to, for messages.
    of: &'a str,
    id: Uuid,
    /// Keys whose values cannot have variables.
    verbatim: &'static [&'static str],
    /// Whether that holds for all keys.
    all_verbatim: bool,
}

impl Writer<'_> {
    fn lists(&mut self, set: &Set) -> [(&'static str, Vec<Value>); 13] {
        // Local topics and subscriptions for topics elsewhere are left out: the plug-ins that publish there imply them.
        let is_implied = |one: &&Arc<Subscription>| one.protocol == Protocol::Sns;
        let implied: HashSet<&str> =
            set.subscriptions.iter().filter(is_implied).map(|one| one.topic.as_str()).collect();
        let topics = set.topics.iter().filter(|one| !implied.contains(one.name.as_str()));
        let topics: Vec<Arc<Topic>> = topics.cloned().collect();
        let subscriptions: Vec<Arc<Subscription>> =
            set.subscriptions.iter().filter(|one| !is_implied(one)).cloned().collect();
        [
            ("ca_certificates", all(&set.ca_certificates, |one| plain(one, one.created_at, one.updated_at))),
            ("upstreams", all(&set.upstreams, upstream)),
            ("targets", all(&set.targets, target)),
            ("services", all(&set.services, |one| dollars(plain(one, one.created_at, one.updated_at)))),
            ("routes", all(&set.routes, |one| self.route(one))),
            ("consumers", all(&set.consumers, |one| dollars(plain(one, one.created_at, one.updated_at)))),
            ("keyauth_credentials", all(&set.keyauth_credentials, |one| self.credential(one))),
            (
                "acls",
                all(&set.acls, |one| {
                    let mut acl = dollars(plain(one, one.created_at, one.updated_at));
                    refer(&mut acl, "consumer");
                    acl
                }),
            ),
            (
                "consumer_groups",
                all(&set.consumer_groups, |one| dollars(plain(one, one.created_at, one.updated_at))),
            ),
            ("plugins", all(&set.plugins, |one| self.plugin(one))),
            ("topics", all(&topics, |one| self.topic(one))),
            ("subscriptions", all(&subscriptions, |one| self.subscription(one))),
            ("queues", all(&set.queues, |one| self.queue(one))),
        ]
    }

    fn route(&mut self, one: &entities::Route) -> Map<String, Value> {
        let mut route = plain(one, one.created_at, one.updated_at);
        // A path that is a regular expression cannot have variables.
        let paths =
            one.paths.iter().map(|path| if path.starts_with('~') { path.clone() } else { escaped(path) });
        let paths: Vec<String> = paths.collect();
        route = dollars(route);
        route.shift_remove("heeds_forwarded_proto");
        if !one.heeds_forwarded_proto && one.protocols == [RouteProtocol::Https] {
            self.written.left_out.push(format!(
                "route `{}`: that `http_if_terminated` is false, which files cannot say",
                one.label()
            ));
        }
        if !paths.is_empty() {
            route.insert("paths".into(), json!(paths));
        }
        refer(&mut route, "service");
        route
    }

    fn credential(&mut self, one: &entities::KeyAuthCredential) -> Map<String, Value> {
        let mut credential = dollars(plain(one, one.created_at, one.updated_at));
        refer(&mut credential, "consumer");
        credential.shift_remove("expires_at");
        // In whole seconds since it was made.
        if let Some(end) = one.expires_at {
            let ttl = (end.as_millis() / 1_000).saturating_sub(one.created_at.as_millis() / 1_000);
            credential.insert("ttl".into(), json!(ttl.max(1)));
        }
        let of = format!("the key of the keyauth_credential {}", one.id);
        credential.insert("key".into(), self.withheld("KEY", one.id, &of));
        credential
    }

    fn plugin(&mut self, one: &entities::Plugin) -> Map<String, Value> {
        let mut plugin = plain(one, one.created_at, one.updated_at);
        plugin.shift_remove("config");
        let mut plugin = dollars(plugin);
        ["service", "route", "consumer"].iter().for_each(|key| refer(&mut plugin, key));
        let templates = (self.templates)(&one.name);
        let of = format!("the plug-in {} {}", one.name, one.id);
        let verbatim = templates.unwrap_or_default();
        let within = Within { of: &of, id: one.id, verbatim, all_verbatim: templates.is_none() };
        let config = self.setting("", &one.config, within);
        if config.as_object().is_some_and(|config| !config.is_empty()) {
            plugin.insert("config".into(), config);
        }
        plugin
    }

    /// A value of a plug-in's settings.
    fn setting(&mut self, key: &str, value: &Value, within: Within<'_>) -> Value {
        let is_verbatim =
            within.all_verbatim || key == "matcher" || key.starts_with('_') || within.verbatim.contains(&key);
        let within = Within { all_verbatim: is_verbatim, ..within };
        match value {
            // Only texts are secrets. A key that names a secret may also have a boolean, or a list of names.
            Value::String(text) if names_a_secret(key) || has_a_secret(text) => {
                let of = format!("`{key}` of {}", within.of);
                self.withheld("SETTING", within.id, &of)
            }
            Value::String(text) if !is_verbatim => escaped(text).into(),
            Value::Array(items) => items.iter().map(|item| self.setting(key, item, within)).collect(),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| (key.clone(), self.setting(key, value, within)));
                Value::Object(entries.collect())
            }
            other => other.clone(),
        }
    }

    fn topic(&mut self, one: &Topic) -> Map<String, Value> {
        let names = one.attributes.keys().chain(one.tags.keys());
        self.left_out(&format!("topic `{}`", one.name), names);
        Map::from_iter([("name".to_owned(), json!(one.name))])
    }

    fn queue(&mut self, one: &Queue) -> Map<String, Value> {
        self.left_out(&format!("queue `{}`", one.name), one.attributes.keys().chain(one.tags.keys()));
        let mut queue = Map::from_iter([
            ("name".to_owned(), json!(one.name)),
            ("visibility_timeout".to_owned(), json!(one.visibility_timeout.as_secs())),
            ("receive_wait_time".to_owned(), json!(one.receive_wait_time.as_secs())),
            ("message_retention_period".to_owned(), json!(one.message_retention_period.as_secs())),
        ]);
        if let Some(RedrivePolicy { dead_letter_queue, max_receive_count }) = &one.redrive {
            let policy =
                json!({ "dead_letter_queue": dead_letter_queue, "max_receive_count": max_receive_count });
            queue.insert("redrive_policy".to_owned(), policy);
        }
        queue
    }

    fn subscription(&mut self, one: &Subscription) -> Map<String, Value> {
        let of = format!("subscription {} of `{}`", one.id, one.topic);
        let endpoint = match has_a_secret(&one.endpoint) {
            true => self.withheld("ENDPOINT", one.id, &format!("the endpoint of {of}")),
            false => escaped(&one.endpoint).into(),
        };
        let mut written = Map::from_iter([
            ("topic".to_owned(), json!(one.topic)),
            ("protocol".to_owned(), json!(one.protocol.as_str())),
            ("endpoint".to_owned(), endpoint),
        ]);
        let mut put = |key: &str, value: Value| drop(written.insert(key.to_owned(), value));
        if let Some(name) = &one.name {
            put("name", json!(name));
        }
        if one.raw_message_delivery {
            put("raw_message_delivery", json!(true));
        }
        if let Some(content_type) = &one.content_type {
            put("content_type", json!(content_type));
        }
        if let Some(version) = one.signature_version {
            put("signature_version", json!(version.number()));
        }
        if let Format::StandardWebhooks { secrets } = &one.format {
            let secrets: Vec<Value> = secrets
                .iter()
                .map(|_| self.withheld("SECRET", one.id, &format!("a secret of {of}")))
                .collect();
            put("format", json!("standard-webhooks"));
            put("secrets", secrets.into());
        }
        // A subscription of a queue has none of these.
        if one.protocol.is_push() {
            if one.format == Format::Sns {
                put("confirm", json!(if one.confirm { "required" } else { "skip" }));
            }
            put("fifo", json!(one.fifo));
            put("timeout", json!(u64::try_from(one.timeout.as_millis()).unwrap_or(u64::MAX)));
            put("max_in_flight", json!(one.max_in_flight));
        }
        written
    }

    /// The reference that replaces a secret.
    fn withheld(&mut self, kind: &str, id: Uuid, of: &str) -> Value {
        let name = format!("RETROHOOK_{kind}_{}", id.simple()).to_ascii_uppercase();
        // The secrets of one entity follow each other.
        let is_of_it = |one: &&Withheld| one.variable.starts_with(&name);
        let variable = match self.written.secrets.iter().rev().take_while(is_of_it).count() {
            0 => name,
            before => format!("{name}_{}", before + 1),
        };
        let reference = format!("{{vault://env/{variable}}}");
        self.written.secrets.push(Withheld { variable, of: of.to_owned() });
        reference.into()
    }

    fn left_out<'k>(&mut self, of: &str, names: impl Iterator<Item = &'k String>) {
        let line = |name| format!("{of}: `{name}` is an attribute or a tag, which files do not have");
        self.written.left_out.extend(names.map(line));
    }
}

/// An upstream; its other settings are keys of the same mapping.
fn upstream(one: &entities::Upstream) -> Map<String, Value> {
    let mut upstream = plain(one, one.created_at, one.updated_at);
    upstream.shift_remove("settings");
    upstream.extend(one.settings.clone());
    dollars(upstream)
}

fn target(one: &entities::Target) -> Map<String, Value> {
    let mut target = plain(one, one.created_at, one.updated_at);
    target.shift_remove("host");
    target.shift_remove("port");
    target.insert("target".into(), one.label().into());
    refer(&mut target, "upstream");
    target
}

fn all<T>(list: &[Arc<T>], mut write: impl FnMut(&T) -> Map<String, Value>) -> Vec<Value> {
    list.iter().map(|one| Value::Object(write(one))).collect()
}

/// All fields of one of Kong's entities that are set, as Kong calls them.
fn plain<T: Serialize>(one: &T, created_at: Timestamp, updated_at: Timestamp) -> Map<String, Value> {
    // A struct of texts, numbers and JSON can always be written as JSON.
    let Ok(Value::Object(mut map)) = serde_json::to_value(one) else { return Map::new() };
    map.shift_remove("origin");
    map.retain(|_, value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()));
    for (key, time) in [("created_at", created_at), ("updated_at", updated_at)] {
        map.insert(key.to_owned(), json!(time.as_millis() / 1_000));
    }
    map
}

/// Turns an id into a reference as files have it.
fn refer(map: &mut Map<String, Value>, key: &str) {
    if let Some(id) = map.shift_remove(key) {
        map.insert(key.to_owned(), json!({ "id": id }));
    }
}

/// Escapes the dollars in all texts, so that none of them begins a variable.
fn dollars(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().map(|(key, value)| (key, without_variables(value))).collect()
}

fn without_variables(value: Value) -> Value {
    match value {
        Value::String(text) => escaped(&text).into(),
        Value::Array(items) => items.into_iter().map(without_variables).collect(),
        Value::Object(map) => Value::Object(dollars(map)),
        other => other,
    }
}

fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

/// Whether a text is a URL with a password, or with an argument that carries a secret.
fn has_a_secret(text: &str) -> bool {
    !QueryRedaction::of_secrets().secrets(text).is_empty()
}

#[cfg(test)]
mod tests;
