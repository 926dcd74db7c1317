//! Plug-ins: whether the kind exists, whether the `config` fits, and what the plug-in is for.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use entities::{Origin, Plugin};
use pipeline::{CheckContext, ConfigProblem, PluginKind};
use serde_json::Value;
use uuid::Uuid;

use super::Options;
use super::declared::{Declarations, DeclaredPlugin, Under};
use super::kong;
use super::names::{Names, refer};
use super::service::times;
use super::skip::Fate;
use crate::problem::{Problems, Spot};
use crate::raw;
use crate::schema::{self, backquoted, did_you_mean};
use crate::tree::{Kind, Node, Source};

/// A plug-in with the indexes of the entities that it is for.
pub(super) struct Checked {
    pub(super) scope: Scope,
    /// The plug-in. Its id, unless the file gives one, and the ids of the entities that it is for are not known yet.
    pub(super) plugin: Plugin,
}

/// The entities that a plug-in is for, by index; with none, it is for all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) service: Option<usize>,
    pub(super) route: Option<usize>,
    pub(super) consumer: Option<usize>,
}

pub(super) struct Checker<'a> {
    options: &'a Options<'a>,
    schemas: HashMap<&'static str, Value>,
    context: CheckContext<'a>,
    sources: &'a [Source],
    names: &'a Names,
    /// Whether all files could be read, so that a topic which was not found does not exist.
    complete: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        options: &'a Options<'a>,
        context: CheckContext<'a>,
        sources: &'a [Source],
        names: &'a Names,
        complete: bool,
    ) -> Self {
        let schemas = options.kinds.iter().map(|kind| (kind.name(), kind.schema().to_value())).collect();
        Self { options, schemas, context, sources, names, complete }
    }

    pub(super) fn check_all(
        &self,
        declared: &Declarations,
        problems: &mut Problems<'_>,
    ) -> Vec<Option<Checked>> {
        let mut taken: HashMap<_, &Spot> = HashMap::new();
        let mut all = Vec::with_capacity(declared.plugins.len());
        for plugin in &declared.plugins {
            let checked = self.check_one(plugin, declared, problems);
            if let Some(checked) = &checked {
                let spot = &plugin.entity.spot;
                match taken.entry((checked.plugin.name.clone(), checked.scope)) {
                    Entry::Vacant(free) => drop(free.insert(spot)),
                    Entry::Occupied(first) => twice(checked, spot, first.get(), problems),
                }
            }
            all.push(checked);
        }
        all
    }

    fn check_one(
        &self,
        plugin: &DeclaredPlugin,
        declared: &Declarations,
        problems: &mut Problems<'_>,
    ) -> Option<Checked> {
        let spot = &plugin.entity.spot;
        let raw = plugin.entity.raw.as_ref()?;
        let scope = self.scope(plugin, raw, declared, problems);
        if raw.protocols.as_ref().is_some_and(|all| !all.contains(&raw::PluginProtocol::Http)) {
            let hint = "add `http`, or remove the key";
            problems.add(&spot.key("protocols"), "a plug-in without `http` is not supported yet", hint);
        }
        let kind = self.options.kinds.iter().find(|kind| kind.name() == raw.name);
        let config = match (kind, Fate::of(&raw.name, self.options)) {
            (Some(kind), _) => {
                if !kind.is_for_consumers() && scope.is_some_and(|scope| scope.consumer.is_some()) {
                    let hint = "this plug-in finds out who the consumer is: put it on a service, on a route, or at the top";
                    let place = if raw.consumer.is_some() { spot.key("consumer") } else { spot.clone() };
                    problems.add(&place, "consumer: value must be null", hint);
                }
                self.check_config(*kind, spot, problems)
            }
            (None, Fate::LeftOut | Fate::Opened) => return None,
            (None, Fate::Closed) => Some(self.unknown_config(spot)),
            (None, _) => {
                let (message, hint) = self.no_such_kind(&raw.name);
                problems.add(&spot.key("name"), message, hint);
                None
            }
        };
        let (created_at, updated_at) = times(raw.created_at, raw.updated_at, self.options.now);
        let is_there = config.is_some();
        let plugin = Plugin {
            id: raw.id.as_deref().and_then(|id| Uuid::try_parse(id).ok()).unwrap_or_default(),
            origin: Origin::File,
            name: raw.name.clone(),
            instance_name: raw.instance_name.clone(),
            service: None,
            route: None,
            consumer: None,
            config: config.unwrap_or_default(),
            enabled: raw.enabled,
            tags: raw.tags.clone().unwrap_or_default(),
            created_at,
            updated_at,
        };
        plugin.check().into_iter().for_each(|error| problems.add_field(spot, error));
        let scope = scope?;
        is_there.then_some(Checked { scope, plugin })
    }

    /// Finds what a plug-in is for.
    fn scope(
        &self,
        plugin: &DeclaredPlugin,
        raw: &raw::Plugin,
        declared: &Declarations,
        problems: &mut Problems<'_>,
    ) -> Option<Scope> {
        let spot = &plugin.entity.spot;
        let (under_service, under_route, under_consumer) = match plugin.under {
            Under::Top => (None, None, None),
            Under::Service(service) => (Some(service), None, None),
            Under::Route(route) => (None, Some(route), None),
            Under::Consumer(consumer) => (None, None, Some(consumer)),
        };
        let names = self.names;
        let service = refer(&names.services, spot, "service", raw.service.as_ref(), under_service, problems);
        let route = refer(&names.routes, spot, "route", raw.route.as_ref(), under_route, problems);
        let named = raw.consumer.as_ref().map(|consumer| &consumer.0);
        let consumer = refer(&names.consumers, spot, "consumer", named, under_consumer, problems);
        if (raw.service.is_some() && service.is_none())
            || (raw.route.is_some() && route.is_none())
            || (named.is_some() && consumer.is_none())
        {
            return None;
        }
        if let (Some(service), Some(route)) = (service, route) {
            let nested = &declared.routes[route];
            let named = nested.entity.raw.as_ref().and_then(|raw| raw.service.as_ref());
            let leads_to = nested.parent.or_else(|| names.services.find(&named?.name));
            if leads_to.is_some_and(|other| other != service) {
                let hint = "remove `service`: the route alone is enough";
                problems.add(
                    spot,
                    "the route does not lead to the service: the plug-in would never run",
                    hint,
                );
                return None;
            }
        }
        Some(Scope { service, route, consumer })
    }

    /// The message and the hint for the name of a kind that does not exist.
    fn no_such_kind(&self, name: &str) -> (String, String) {
        let known = || self.options.kinds.iter().map(|kind| kind.name());
        let listed = format!("available plug-ins: {}", backquoted(known()));
        if kong::is_plugin(name) {
            let message = format!("`{name}` is a plug-in of Kong's that Retrohook does not have yet");
            return (message, format!("remove it here and keep it in a Kong in front; {listed}"));
        }
        let hint = match (did_you_mean(name, known()), kong::near(name)) {
            (Some(close), _) => format!("did you mean `{close}`?"),
            (None, Some(close)) => {
                format!(
                    "did you mean `{close}`? Retrohook does not have that plug-in of Kong's yet; {listed}"
                )
            }
            (None, None) => listed,
        };
        (format!("no plug-in `{name}`"), hint)
    }

    /// The `config` of a plug-in that is not served, unchanged.
    fn unknown_config(&self, plugin: &Spot) -> Value {
        let config = self.sources[plugin.file].root.at(&plugin.path).and_then(|node| node.get("config"));
        Value::Object(config.map(|config| config.to_json_without(&[])).unwrap_or_default())
    }

    /// The plug-in's `config`, if it passes the kind's schema and its check.
    fn check_config(
        &self,
        kind: &dyn PluginKind,
        plugin: &Spot,
        problems: &mut Problems<'_>,
    ) -> Option<Value> {
        let spot = plugin.key("config");
        let node = self.sources[plugin.file].root.at(&plugin.path)?;
        let none = Node { place: node.place, kind: Kind::Map(Vec::new()) };
        let config = node.get("config").filter(|config| !matches!(config.kind, Kind::Null)).unwrap_or(&none);
        let schema = &self.schemas[kind.name()];
        let misfits = schema::validate(schema, config, &spot, problems);
        // The kind checks the `config` without the keys that do not fit, so that a misspelt key does not hide other problems.
        let unfit: Option<Vec<&str>> =
            misfits.iter().map(|misfit| misfit.path.key_behind(&spot.path)).collect();
        let unfit = unfit.filter(|keys| !keys.iter().any(|key| is_required(schema, key)))?;
        if !self.complete {
            return None;
        }
        let value = Value::Object(config.to_json_without(&unfit));
        let found = kind.check(&value, &self.context);
        for ConfigProblem { pointer, message, hint } in &found {
            let path = config.resolve_pointer(&spot.path, pointer);
            problems.add(&Spot { file: spot.file, path }, message, hint);
        }
        (found.is_empty() && misfits.is_empty()).then_some(value)
    }
}

/// Adds the problem that there is already a plug-in of this kind for the same entities.
fn twice(checked: &Checked, spot: &Spot, first: &Spot, problems: &mut Problems<'_>) {
    let message = format!(
        "uniqueness violation: 'plugins' entity with name set to '{}' already declared {}",
        checked.plugin.name,
        target(checked.scope)
    );
    let first = problems.whereabouts(first);
    let hint = format!(
        "the first one is at {first}, and there may be one of a kind for each service, route, consumer, or all: join the two into one `config`"
    );
    problems.add(spot, message, hint);
}

fn is_required(schema: &Value, key: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|required| required.iter().any(|name| name == key))
}

fn target(scope: Scope) -> &'static str {
    match (scope.service, scope.route, scope.consumer) {
        (None, None, None) => "for all routes",
        (Some(_), None, None) => "on this service",
        (_, Some(_), None) => "on this route",
        (None, None, Some(_)) => "for this consumer",
        (Some(_), None, Some(_)) => "for this consumer on this service",
        (_, Some(_), Some(_)) => "for this consumer on this route",
    }
}
