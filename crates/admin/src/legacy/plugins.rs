//! `/plugins` and `/apis/{id or name}/plugins`.

use std::sync::Arc;

use axum::http::StatusCode;
use control::{Changes, Edit, Whole};
use entities::{Entity, Kind, Origin, Plugin, Set};
use pipeline::CheckContext;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::apis::{self, Found};
use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{self, Field, Type};
use super::list::Row;
use super::{Legacy, new_id, settings};

/// The fields of a plug-in.
pub(super) const FIELDS: [&Field; 7] = [
    &Field::new("id", Type::Id),
    &Field::new("created_at", Type::Time),
    &Field::new("name", Type::Text),
    &Field::new("api_id", Type::Id),
    &Field::new("consumer_id", Type::Id),
    &Field::new("config", Type::Table),
    &Field::new("enabled", Type::Flag),
];

/// Those for all requests and those of apis; of one api alone, if it is named.
pub(super) fn rows(legacy: &Legacy, whole: &Whole, api: Option<Uuid>) -> Vec<Row> {
    // What stands on a route, or on something else that 0.x does not know, is none of it.
    let is_meant = |one: &&Arc<Plugin>| one.route.is_none() && (api.is_none() || one.service == api);
    let row = |one: &Arc<Plugin>| {
        let (created_at, id, origin) = (one.created_at, one.id, one.origin);
        Row { created_at, id, origin, shown: shown(legacy, one) }
    };
    whole.all().plugins.iter().filter(is_meant).map(row).collect()
}

/// As 0.x shows it. A plug-in for all requests has no `api_id`: a null would be one for kongfig.
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

/// The service of the api that a path names.
pub(super) fn api(set: &Set, id_or_name: &str) -> Result<Uuid, Error> {
    match apis::find(set, id_or_name) {
        Some(Found::Api(api)) => Ok(api.service.id),
        Some(Found::OfFile { id, .. }) => Ok(id),
        None => Err(Error::not_found()),
    }
}

/// Finds a plug-in by id, or by its kind's name where that names one: on the api of the path, if there is one.
fn find(set: &Set, api: Option<Uuid>, id_or_name: &str) -> Result<Plugin, Error> {
    let id = Uuid::try_parse(id_or_name).ok();
    let mut here = set.plugins.iter().filter(|one| api.is_none() || one.service == api);
    let found = match id {
        Some(id) => here.find(|one| one.id == id),
        None => here.find(|one| api.is_some() && one.name == id_or_name),
    };
    found.map(|one| (**one).clone()).ok_or_else(Error::not_found)
}

pub(super) fn get(
    legacy: &Legacy,
    whole: &Whole,
    api: Option<&str>,
    id_or_name: &str,
) -> Result<Reply, Error> {
    let api = api.map(|api| self::api(whole.all(), api)).transpose()?;
    Ok(Reply::ok(shown(legacy, &find(whole.all(), api, id_or_name)?).into()))
}

/// `POST`, and `PUT` without an id.
pub(super) fn create(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    api: Option<&str>,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    let api = api.map(|api| self::api(&set, api)).transpose()?;
    let given = Given(fields::read(&FIELDS, body)?);
    let now = legacy.clock.now();
    let plugin = Plugin {
        id: given.id("id").unwrap_or_else(new_id),
        origin: Origin::Api,
        name: given.text("name").unwrap_or_default().to_owned(),
        instance_name: None,
        service: None,
        route: None,
        consumer: None,
        config: Value::Object(Map::new()),
        enabled: true,
        tags: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    if set.plugins.iter().any(|one| one.id == plugin.id) {
        let message = format!("already exists with value '{}'", plugin.id);
        return Err(Error::field(StatusCode::CONFLICT, "id", message));
    }
    let plugin = given.fill(legacy, &set, api, plugin, How::Whole)?;
    changes.apply(Edit { put: vec![Entity::Plugin(plugin.clone().into())], ..Edit::default() })?;
    Ok(Reply::created(shown(legacy, &plugin).into()))
}

/// `PATCH`: settings that are not named stay.
pub(super) fn update(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    api: Option<&str>,
    id_or_name: &str,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    let api = api.map(|api| self::api(&set, api)).transpose()?;
    let before = find(&set, api, id_or_name)?;
    if body.is_empty() {
        return Err(Error::bad_request("empty body"));
    }
    let given = Given(fields::read(&FIELDS, body)?);
    replace(legacy, changes, &given, api, before, How::Part)
}

/// `PUT`: with an id, all of the plug-in that has it.
pub(super) fn put(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    api: Option<&str>,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let Some(id) = body.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return create(legacy, changes, api, body);
    };
    let set = changes.whole().all().clone();
    let api = api.map(|api| self::api(&set, api)).transpose()?;
    let before = find(&set, api, &id)?;
    let given = Given(fields::read(&FIELDS, body)?);
    replace(legacy, changes, &given, api, before, How::Whole)
}

pub(super) fn delete(changes: &mut dyn Changes, api: Option<&str>, id_or_name: &str) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    let api = api.map(|api| self::api(&set, api)).transpose()?;
    let id = find(&set, api, id_or_name)?.id;
    changes.apply(Edit { end: vec![(Kind::Plugin, id)], ..Edit::default() })?;
    Ok(Reply::no_content())
}

/// Stores a plug-in in the place of what it was, if it is another one.
fn replace(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    given: &Given,
    api: Option<Uuid>,
    before: Plugin,
    how: How,
) -> Result<Reply, Error> {
    if before.origin == Origin::File {
        return Err(Error::of_file(Kind::Plugin, &before.name));
    }
    let set = changes.whole().all().clone();
    given.refuse_unknown_kind(legacy, &before)?;
    let mut after = given.fill(legacy, &set, api, before.clone(), how)?;
    given.refuse_immutable(&before)?;
    // A default that is said is the same as one that is not.
    let meant = |plugin: &Plugin| settings::shown(legacy.kind(&plugin.name), &plugin.config);
    if meant(&after) == meant(&before) {
        after.config.clone_from(&before.config);
    }
    if after != before {
        after.updated_at = legacy.clock.now();
        changes.apply(Edit { put: vec![Entity::Plugin(after.clone().into())], ..Edit::default() })?;
    }
    Ok(Reply::ok(shown(legacy, &after).into()))
}

/// Whether a body has all of a plug-in, or what is to be another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Whole,
    Part,
}

/// What a body says of a plug-in.
struct Given(Map<String, Value>);

impl Given {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn id(&self, name: &str) -> Option<Uuid> {
        Uuid::try_parse(self.text(name)?).ok()
    }

    fn refuse_unknown_kind(&self, legacy: &Legacy, before: &Plugin) -> Result<(), Error> {
        let name = self.text("name").unwrap_or(&before.name);
        if legacy.kind(name).is_some() { Ok(()) } else { Err(no_kind(name)) }
    }

    fn refuse_immutable(&self, before: &Plugin) -> Result<(), Error> {
        let mut wrong = Wrong::default();
        let is = [
            ("name", Value::from(before.name.as_str())),
            ("id", before.id.to_string().into()),
            ("created_at", before.created_at.as_millis().into()),
        ];
        for (name, is) in is {
            if self.0.get(name).is_some_and(|given| *given != is) {
                wrong.add(name, format!("{name} cannot be updated"));
            }
        }
        wrong.check()
    }

    /// The plug-in with what is said of it.
    fn fill(
        &self,
        legacy: &Legacy,
        set: &Set,
        api: Option<Uuid>,
        mut plugin: Plugin,
        how: How,
    ) -> Result<Plugin, Error> {
        if plugin.name.is_empty() {
            return Err(Error::field(StatusCode::BAD_REQUEST, "name", "name is required"));
        }
        let kind = legacy.kind(&plugin.name).ok_or_else(|| no_kind(&plugin.name))?;
        plugin.service = match (api, self.0.get("api_id"), how) {
            (Some(api), _, _) => Some(api),
            (None, None, How::Part) => plugin.service,
            (None, None | Some(Value::Null), _) => None,
            (None, Some(id), _) => {
                Some(self.foreign("api_id", id, |id| set.services.iter().any(|one| one.id == id))?)
            }
        };
        plugin.consumer = match (self.0.get("consumer_id"), how) {
            (None, How::Part) => plugin.consumer,
            (None | Some(Value::Null), _) => None,
            (Some(id), _) => {
                Some(self.foreign("consumer_id", id, |id| set.consumers.iter().any(|one| one.id == id))?)
            }
        };
        match (self.0.get("enabled"), how) {
            (Some(Value::Bool(enabled)), _) => plugin.enabled = *enabled,
            (None, How::Part) => {}
            _ => plugin.enabled = true,
        }
        let given = self.0.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
        let config = match how {
            How::Whole => {
                let mut config = kind.defaults_of_0x();
                merge(&mut config, given);
                config
            }
            How::Part => {
                let mut config = plugin.config.as_object().cloned().unwrap_or_default();
                merge(&mut config, given);
                config
            }
        };
        let topics: Vec<String> = set.topics.iter().map(|topic| topic.name.clone()).collect();
        let context = CheckContext { topics: &topics, region: &legacy.region, account: &legacy.account };
        plugin.config = settings::read(kind, config, &context)?;
        Ok(plugin)
    }

    /// An entity that is there.
    fn foreign(&self, field: &str, id: &Value, is_there: impl Fn(Uuid) -> bool) -> Result<Uuid, Error> {
        let text = id.as_str().unwrap_or_default();
        let found = Uuid::try_parse(text).ok().filter(|id| is_there(*id));
        found.ok_or_else(|| Error::no_foreign(field, text))
    }
}

fn no_kind(name: &str) -> Error {
    let message =
        format!("plugin '{name}' not enabled; add it to the 'custom_plugins' configuration property");
    Error::field(StatusCode::BAD_REQUEST, "config", message)
}

/// Puts settings over others: objects become one, a null takes a setting back, anything else takes its place.
fn merge(there: &mut Map<String, Value>, more: Map<String, Value>) {
    for (name, value) in more {
        match (there.get_mut(&name), value) {
            (Some(Value::Object(there)), Value::Object(more)) => merge(there, more),
            (_, Value::Null) => drop(there.shift_remove(&name)),
            (_, value) => drop(there.insert(name, value)),
        }
    }
}
