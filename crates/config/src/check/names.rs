//! Names: which ones exist, which are used twice, and which entity a reference means.

use std::collections::hash_map::Entry;

use entities::plain_name;
use event::arn::{MAX_QUEUE_NAME, MAX_TOPIC_NAME};
use foldhash::HashMap;

use super::declared::{Declarations, Declared};
use crate::problem::{Problems, Spot};
use crate::raw::Reference;
use crate::schema::{backquoted, did_you_mean};

/// How many names a hint lists.
const MAX_LISTED: usize = 12;

/// The entities of all files by name and id.
pub(super) struct Names {
    pub(super) services: Index,
    pub(super) routes: Index,
    pub(super) consumers: Index,
    pub(super) upstreams: Index,
    pub(super) topics: Index,
    pub(super) queues: Index,
}

/// The entities of one list, by name and, if the file gives one, by id.
pub(super) struct Index {
    list: &'static str,
    /// The key of an entity's name.
    name: &'static str,
    by_key: HashMap<String, (usize, Spot)>,
    names: Vec<String>,
    complete: bool,
}

impl Names {
    /// Collects the names of entities, including those whose structure does not fit. `complete` says whether all files could be read.
    pub(super) fn new(declared: &Declarations, complete: bool, problems: &mut Problems<'_>) -> Self {
        let id = |id: Option<&String>| id.map(|id| id.to_ascii_lowercase());
        let mut services = Index::new("services", complete);
        for service in &declared.services {
            services.add(service, id(service.raw.as_ref().and_then(|raw| raw.id.as_ref())), problems);
        }
        let mut routes = Index::new("routes", complete);
        for route in declared.routes.iter().map(|route| &route.entity) {
            routes.add(route, id(route.raw.as_ref().and_then(|raw| raw.id.as_ref())), problems);
        }
        let mut consumers = Index::new("consumers", complete).named_by("username");
        for consumer in &declared.consumers {
            consumers.add(consumer, id(consumer.raw.as_ref().and_then(|raw| raw.id.as_ref())), problems);
        }
        let mut upstreams = Index::new("upstreams", complete);
        for upstream in &declared.upstreams {
            upstreams.add(upstream, id(upstream.raw.as_ref().and_then(|raw| raw.id.as_ref())), problems);
        }
        // Nothing refers to a group yet, but their names must differ.
        let mut groups = Index::new("consumer_groups", complete);
        for group in &declared.consumer_groups {
            groups.add(group, id(group.raw.as_ref().and_then(|raw| raw.id.as_ref())), problems);
        }
        // Nothing refers to a plug-in, but their ids must differ.
        let mut plugins = Index::new("plugins", complete);
        for (index, plugin) in declared.plugins.iter().enumerate() {
            if let Some(given) = id(plugin.entity.raw.as_ref().and_then(|raw| raw.id.as_ref())) {
                plugins.claim(&plugin.entity.spot.key("id"), "primary key", given, index, problems);
            }
        }
        let mut topics = Index::new("topics", complete);
        for topic in &declared.topics {
            topics.add_plain(topic, MAX_TOPIC_NAME, problems);
        }
        let mut queues = Index::new("queues", complete);
        for queue in &declared.queues {
            queues.add_plain(queue, MAX_QUEUE_NAME, problems);
        }
        Self { services, routes, consumers, upstreams, topics, queues }
    }

    pub(super) fn topic_names(&self) -> &[String] {
        &self.topics.names
    }
}

impl Index {
    fn new(list: &'static str, complete: bool) -> Self {
        Self { list, name: "name", by_key: HashMap::default(), names: Vec::new(), complete }
    }

    fn named_by(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn add<T>(&mut self, entity: &Declared<T>, id: Option<String>, problems: &mut Problems<'_>) {
        let index = self.names.len();
        if let Some(id) = id {
            self.claim(&entity.spot.key("id"), "primary key", id, index, problems);
        }
        if let Some(name) = &entity.name {
            self.claim(&entity.spot.key(self.name), self.name, name.clone(), index, problems);
        }
        self.names.push(entity.name.clone().unwrap_or_default());
    }

    /// Like `add`, for entities with names as in SNS and SQS.
    fn add_plain<T>(&mut self, entity: &Declared<T>, max: usize, problems: &mut Problems<'_>) {
        self.add(entity, None, problems);
        let Some(name) = &entity.name else { return };
        if let Err(error) = plain_name(name, max) {
            problems.add_field(&entity.spot, error);
        }
    }

    fn claim(&mut self, spot: &Spot, what: &str, key: String, index: usize, problems: &mut Problems<'_>) {
        let list = self.list;
        match self.by_key.entry(key) {
            Entry::Vacant(free) => {
                free.insert((index, spot.clone()));
            }
            Entry::Occupied(taken) => {
                let key = taken.key();
                let message = format!(
                    "uniqueness violation: '{list}' entity with {what} set to '{key}' already declared"
                );
                let first = problems.whereabouts(&taken.get().1);
                problems.add(spot, message, format!("the first one is at {first}: rename or remove one"));
            }
        }
    }

    /// The index of the entity with this name or id.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let entry = self.by_key.get(key).or_else(|| self.by_key.get(&key.to_ascii_lowercase()));
        entry.map(|(index, _)| *index)
    }

    /// The index of the entity that the key `field` refers to. Adds a problem if there is none.
    pub(super) fn resolve(
        &self,
        spot: &Spot,
        field: &str,
        name: &str,
        problems: &mut Problems<'_>,
    ) -> Option<usize> {
        let found = self.find(name);
        if found.is_none() && self.complete {
            let message = format!("invalid reference '{field}: {name}' (no such entry in '{}')", self.list);
            problems.add(&spot.key(field), message, self.hint(name));
        }
        found
    }

    /// A hint what a name that does not exist may mean.
    pub(super) fn hint(&self, name: &str) -> String {
        let names = || self.names.iter().map(String::as_str).filter(|name| !name.is_empty());
        if let Some(close) = did_you_mean(name, names()) {
            return format!("did you mean `{close}`?");
        }
        match names().count() {
            0 => format!("there are no {}: add it under `{}`", self.list, self.list),
            1..=MAX_LISTED => format!("{} that exist: {}", self.list, backquoted(names())),
            count => format!("add it under `{}`; none of the {count} there has this name", self.list),
        }
    }
}

/// The entity that a reference means. `parent` is the entity of that list under which the referring one is written; `None` if it is under none.
pub(super) fn refer(
    index: &Index,
    spot: &Spot,
    field: &str,
    reference: Option<&Reference>,
    parent: Option<usize>,
    problems: &mut Problems<'_>,
) -> Option<usize> {
    match (parent, reference) {
        (Some(parent), None) => Some(parent),
        (Some(parent), Some(_)) => {
            let hint = format!("it is under its {field} already: remove the key");
            problems.add(&spot.key(field), "value must be null", hint);
            Some(parent)
        }
        (None, Some(reference)) => index.resolve(spot, field, &reference.name, problems),
        (None, None) => None,
    }
}
