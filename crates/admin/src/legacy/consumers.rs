//! `/consumers`.

use std::sync::Arc;

use axum::http::StatusCode;
use control::{Changes, Edit, Whole};
use entities::field::Path;
use entities::{Consumer, Entity, Kind, Origin, Set};
use event::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{self, Field, Type};
use super::list::Row;
use super::{Legacy, new_id};

/// The fields of a consumer.
pub(super) const FIELDS: [&Field; 4] = [
    &Field::new("id", Type::Id),
    &Field::new("created_at", Type::Time),
    &Field::new("username", Type::Text),
    &Field::new("custom_id", Type::Text),
];

pub(super) fn rows(whole: &Whole) -> Vec<Row> {
    let row = |one: &Arc<Consumer>| {
        let (created_at, id, origin) = (one.created_at, one.id, one.origin);
        Row { created_at, id, origin, shown: shown(one) }
    };
    whole.all().consumers.iter().map(row).collect()
}

fn shown(consumer: &Consumer) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("created_at".into(), consumer.created_at.as_millis().into());
    shown.insert("id".into(), consumer.id.to_string().into());
    for (name, value) in [("username", &consumer.username), ("custom_id", &consumer.custom_id)] {
        if let Some(value) = value {
            shown.insert(name.into(), value.as_str().into());
        }
    }
    shown
}

/// Finds a consumer by id or by username.
pub(super) fn find(set: &Set, id_or_name: &str) -> Result<Consumer, Error> {
    let id = Uuid::try_parse(id_or_name).ok();
    let by_id = id.and_then(|id| set.consumers.iter().find(|one| one.id == id));
    let by_name = || set.consumers.iter().find(|one| one.username.as_deref() == Some(id_or_name));
    by_id.or_else(by_name).map(|one| (**one).clone()).ok_or_else(Error::not_found)
}

/// One that an API may change.
fn own(set: &Set, id_or_name: &str) -> Result<Consumer, Error> {
    let consumer = find(set, id_or_name)?;
    match consumer.origin {
        Origin::Api => Ok(consumer),
        Origin::File => Err(Error::of_file(Kind::Consumer, &consumer.label())),
    }
}

pub(super) fn get(whole: &Whole, id_or_name: &str) -> Result<Reply, Error> {
    Ok(Reply::ok(shown(&find(whole.all(), id_or_name)?).into()))
}

/// `POST`, and `PUT` without an id.
pub(super) fn create(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let given = fields::read(&FIELDS, body)?;
    let id = given.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    let now = legacy.clock.now();
    let given_time =
        given.get("created_at").and_then(Value::as_u64).and_then(|millis| millis.checked_mul(1_000));
    let blank = Consumer {
        id: id.unwrap_or_else(new_id),
        origin: Origin::Api,
        username: None,
        custom_id: None,
        tags: Vec::new(),
        created_at: given_time.map_or(now, Timestamp::from_micros),
        updated_at: now,
    };
    let set = changes.whole().all().clone();
    if set.consumers.iter().any(|one| one.id == blank.id) {
        let message = format!("already exists with value '{}'", blank.id);
        return Err(Error::field(StatusCode::CONFLICT, "id", message));
    }
    let consumer = fill(&given, blank, &set)?;
    changes.apply(Edit { put: vec![Entity::Consumer(consumer.clone().into())], ..Edit::default() })?;
    Ok(Reply::created(shown(&consumer).into()))
}

/// `PATCH`.
pub(super) fn update(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    id_or_name: &str,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    let before = own(&set, id_or_name)?;
    if body.is_empty() {
        return Err(Error::bad_request("empty body"));
    }
    let given = fields::read(&FIELDS, body)?;
    let after = fill(&given, before.clone(), &set)?;
    replace(legacy, changes, &before, after)
}

/// `PUT`: with an id, all of the consumer that has it.
pub(super) fn put(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let Some(id) = body.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return create(legacy, changes, body);
    };
    let set = changes.whole().all().clone();
    let before = own(&set, &id)?;
    let given = fields::read(&FIELDS, body)?;
    let blank = Consumer { username: None, custom_id: None, ..before.clone() };
    let after = fill(&given, blank, &set)?;
    replace(legacy, changes, &before, after)
}

/// `DELETE`: with its credentials, its groups and the plug-ins that are for it.
pub(super) fn delete(changes: &mut dyn Changes, id_or_name: &str) -> Result<Reply, Error> {
    let whole = changes.whole();
    let id = own(whole.all(), id_or_name)?.id;
    let edit = whole.with_dependents(Edit { end: vec![(Kind::Consumer, id)], ..Edit::default() });
    changes.apply(edit)?;
    Ok(Reply::no_content())
}

/// Stores a consumer in the place of what it was, if it is another one.
fn replace(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    before: &Consumer,
    mut after: Consumer,
) -> Result<Reply, Error> {
    if after != *before {
        after.updated_at = legacy.clock.now();
        changes.apply(Edit { put: vec![Entity::Consumer(after.clone().into())], ..Edit::default() })?;
    }
    Ok(Reply::ok(shown(&after).into()))
}

/// The consumer with what is said of it.
fn fill(given: &Map<String, Value>, mut consumer: Consumer, set: &Set) -> Result<Consumer, Error> {
    fields::refuse_immutable(given, consumer.id, consumer.created_at)?;
    for (name, field) in [("username", &mut consumer.username), ("custom_id", &mut consumer.custom_id)] {
        if let Some(value) = given.get(name) {
            // Of a form, an empty text takes it back.
            *field = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        }
    }
    let mut wrong = Wrong::default();
    if consumer.username.is_none() && consumer.custom_id.is_none() {
        for name in ["custom_id", "username"] {
            wrong.add(name, "At least a 'custom_id' or a 'username' must be specified");
        }
    }
    // That it has neither is said already.
    for error in consumer.check().into_iter().filter(|error| error.path != Path::default()) {
        let field = error.path.to_string();
        wrong.add(&field, format!("{field} {} ({})", error.message, error.hint));
    }
    wrong.check()?;
    let others = || set.consumers.iter().filter(|other| other.id != consumer.id);
    if let Some(name) = &consumer.username
        && let Some(other) = others().find(|other| other.username.as_ref() == Some(name))
    {
        return Err(Error::taken("username", name, other.origin));
    }
    if let Some(id) = &consumer.custom_id
        && let Some(other) = others().find(|other| other.custom_id.as_ref() == Some(id))
    {
        return Err(Error::taken("custom_id", id, other.origin));
    }
    Ok(consumer)
}
