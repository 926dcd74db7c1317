//! `/plugins` and `/apis/{id or name}/plugins`.

use std::sync::Arc;

use axum::http::StatusCode;
use control::{Changes, Edit, Whole};
use entities::{Entity, Kind, Origin, Plugin, Set};
use event::Timestamp;
use pipeline::{CheckContext, PluginKind};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::apis::{self, Found};
use super::dispatch::Reply;
use super::error::Error;
use super::fields::{Field, Type};
use super::form::{Around, Extent, Form, Given};
use super::list::Row;
use super::{Legacy, settings};

/// The fields of a plug-in.
const FIELDS: [&Field; 7] = [
    &Field::new("id", Type::Id),
    &Field::new("created_at", Type::Time),
    &Field::new("name", Type::Text),
    &Field::new("api_id", Type::Id),
    &Field::new("consumer_id", Type::Id),
    &Field::new("config", Type::Table),
    &Field::new("enabled", Type::Flag),
];

/// The rows of all plug-ins, except those of routes; if an api is given, only those of that api.
pub(super) fn rows(legacy: &Legacy, whole: &Whole, api: Option<Uuid>) -> Vec<Row> {
    // 0.x has no plug-ins of routes.
    let is_meant = |one: &&Arc<Plugin>| one.route.is_none() && (api.is_none() || one.service == api);
    let row = |one: &Arc<Plugin>| Row::of(&**one, shown(legacy, one));
    whole.all().plugins.iter().filter(is_meant).map(row).collect()
}

/// A plug-in as 0.x shows it. One for all requests has no `api_id`, because kongfig would take a null for an id.
fn shown(legacy: &Legacy, plugin: &Plugin) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| drop(shown.insert(name.to_owned(), value));
    put("created_at", plugin.created_at.as_millis().into());
    put("id", plugin.id.to_string().into());
    put("name", plugin.name.as_str().into());
    put("enabled", plugin.enabled.into());
    put("config", settings::shown(legacy.kind(&plugin.name), &plugin.config));
    if let Some(service) = plugin.service {
        put("api_id", service.to_string().into());
    }
    if let Some(consumer) = plugin.consumer {
        put("consumer_id", consumer.to_string().into());
    }
    shown
}

/// The service of the api that a path names, if it names one.
pub(super) fn api_of_path(set: &Set, api: Option<&str>) -> Result<Option<Uuid>, Error> {
    api.map(|id_or_name| match apis::find(set, id_or_name) {
        Some(Found::Api(api)) => Ok(api.service.id),
        Some(Found::OfFile { id, .. }) => Ok(id),
        None => Err(Error::not_found()),
    })
    .transpose()
}

/// Finds a plug-in by its id, or on an api by the name of its kind, if the api has only one of that kind.
fn find(set: &Set, api: Option<Uuid>, id_or_name: &str) -> Result<Plugin, Error> {
    let here = set.plugins.iter().filter(|one| api.is_none() || one.service == api);
    let found: Vec<_> = match Uuid::try_parse(id_or_name) {
        Ok(id) => here.filter(|one| one.id == id).collect(),
        Err(_) => here.filter(|one| api.is_some() && one.name == id_or_name).collect(),
    };
    match found[..] {
        [] => Err(Error::not_found()),
        [only] => Ok((**only).clone()),
        [..] => {
            let ids: Vec<String> = found.iter().map(|one| one.id.to_string()).collect();
            let message = format!(
                "{} plug-ins '{id_or_name}' are on this api, for anybody or for a consumer: name one by its id ({})",
                found.len(),
                ids.join(", ")
            );
            Err(Error::bad_request(message))
        }
    }
}

pub(super) fn get(
    legacy: &Legacy,
    whole: &Whole,
    api: Option<&str>,
    id_or_name: &str,
) -> Result<Reply, Error> {
    let api = api_of_path(whole.all(), api)?;
    Ok(Reply::ok(shown(legacy, &find(whole.all(), api, id_or_name)?).into()))
}

pub(super) fn delete(changes: &mut dyn Changes, api: Option<Uuid>, id_or_name: &str) -> Result<Reply, Error> {
    let id = find(changes.whole().all(), api, id_or_name)?.id;
    changes.apply(Edit { end: vec![(Kind::Plugin, id)], ..Edit::default() })?;
    Ok(Reply::no_content())
}

impl Form for Plugin {
    const FIELDS: &'static [&'static Field] = &FIELDS;
    type Within = Option<Uuid>;

    fn blank(api: Option<Uuid>, id: Uuid, created_at: Timestamp) -> Self {
        Self {
            id,
            origin: Origin::Api,
            name: String::new(),
            instance_name: None,
            service: api,
            route: None,
            consumer: None,
            config: Value::Object(Map::new()),
            enabled: true,
            tags: Vec::new(),
            created_at,
            updated_at: created_at,
        }
    }

    fn editable(set: &Set, api: Option<Uuid>, id_or_name: &str) -> Result<Self, Error> {
        let plugin = find(set, api, id_or_name)?;
        match plugin.origin {
            Origin::Api => Ok(plugin),
            Origin::File => Err(Error::of_file(Kind::Plugin, &plugin.name)),
        }
    }

    fn is_taken(set: &Set, id: Uuid) -> bool {
        set.plugins.iter().any(|one| one.id == id)
    }

    fn immutable(&self) -> (Uuid, Timestamp) {
        (self.id, self.created_at)
    }

    fn fill(mut self, api: Option<Uuid>, around: &Around<'_>, given: &Given) -> Result<Self, Error> {
        let kind = kind(&self, around.legacy, given)?;
        kind.name().clone_into(&mut self.name);
        let (service, consumer) = scope(around.set, given)?;
        // The api of the path counts, whatever the body says.
        self.service = api.or(service.unwrap_or(self.service));
        self.consumer = consumer.unwrap_or(self.consumer);
        let enabled = given.value("enabled", || true, Value::as_bool);
        self.enabled = enabled.unwrap_or(self.enabled);
        let mut config = match given.extent {
            Extent::Whole => kind.defaults_of_0x(),
            Extent::Part => self.config.as_object().cloned().unwrap_or_default(),
        };
        merge(
            &mut config,
            given.fields.get("config").and_then(Value::as_object).cloned().unwrap_or_default(),
        );
        let topics: Vec<String> = around.set.topics.iter().map(|topic| topic.name.clone()).collect();
        let Legacy { region, account, hubs, .. } = around.legacy;
        let config = settings::read(kind, config, &CheckContext { topics: &topics, region, account, hubs })?;
        // Settings that differ only in defaults that are written or left out are the same.
        if settings::shown(Some(kind), &config) != settings::shown(Some(kind), &self.config) {
            self.config = config;
        }
        Ok(self)
    }

    fn changes(&mut self, before: Option<&Self>, now: Timestamp) -> Vec<Entity> {
        if before == Some(self) {
            return Vec::new();
        }
        self.updated_at = now;
        vec![Entity::Plugin(self.clone().into())]
    }

    fn shown(&self, legacy: &Legacy) -> Value {
        shown(legacy, self).into()
    }
}

/// The kind of a plug-in, which cannot be changed.
fn kind(plugin: &Plugin, legacy: &Legacy, given: &Given) -> Result<&'static dyn PluginKind, Error> {
    let is_new = plugin.name.is_empty();
    let name = given.text("name").filter(|name| !name.is_empty());
    let name = match name.or((!is_new).then_some(&plugin.name)) {
        Some(name) => name,
        None => return Err(Error::field(StatusCode::BAD_REQUEST, "name", "name is required")),
    };
    let kind = legacy.kind(name).ok_or_else(|| no_kind(name))?;
    if !is_new && name != plugin.name {
        return Err(Error::field(StatusCode::BAD_REQUEST, "name", "name cannot be updated"));
    }
    Ok(kind)
}

/// A reference in a body: `None` if the field is not in it, `Some(None)` if it is removed.
type Said = Option<Option<Uuid>>;

fn scope(set: &Set, given: &Given) -> Result<(Said, Said), Error> {
    let service = foreign("api_id", given, |id| set.services.iter().any(|one| one.id == id))?;
    let consumer = foreign("consumer_id", given, |id| set.consumers.iter().any(|one| one.id == id))?;
    Ok((service, consumer))
}

/// Reads a field that refers to an entity by its id.
///
/// # Errors
/// If there is no such entity.
fn foreign(field: &'static str, given: &Given, is_there: impl Fn(Uuid) -> bool) -> Result<Said, Error> {
    let said = given.value(field, || None, |id| Some(Some(id.as_str().unwrap_or_default().to_owned())));
    let read = |text: Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let found = Uuid::try_parse(&text).ok().filter(|id| is_there(*id));
        found.map(Some).ok_or_else(|| Error::no_foreign(field, &text))
    };
    said.map(read).transpose()
}

fn no_kind(name: &str) -> Error {
    let message =
        format!("plugin '{name}' not enabled; add it to the 'custom_plugins' configuration property");
    Error::field(StatusCode::BAD_REQUEST, "config", message)
}

/// Merges settings into others: objects are merged, a null removes a setting, and any other value replaces it.
fn merge(there: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (there.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => merge(there, more),
            (_, Value::Null) => drop(there.shift_remove(&name)),
            (_, value) => drop(there.insert(name, value)),
        }
    }
}
