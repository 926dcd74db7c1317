//! `/consumers`.

use std::sync::Arc;

use control::{Changes, Edit, Whole};
use entities::field::Path;
use entities::{Consumer, Entity, Kind, Origin, Set};
use event::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Legacy;
use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{Field, Type};
use super::form::{Around, Form, Given};
use super::list::Row;

/// The fields of a consumer.
const FIELDS: [&Field; 4] = [
    &Field::new("id", Type::Id),
    &Field::new("created_at", Type::Time),
    &Field::new("username", Type::Text),
    &Field::new("custom_id", Type::Text),
];

pub(super) fn rows(whole: &Whole) -> Vec<Row> {
    let row = |one: &Arc<Consumer>| Row::of(&**one, shown(one));
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

pub(super) fn get(whole: &Whole, id_or_name: &str) -> Result<Reply, Error> {
    Ok(Reply::ok(shown(&find(whole.all(), id_or_name)?).into()))
}

/// `DELETE`: deletes a consumer with its credentials, its memberships in groups and the plug-ins that are for it.
pub(super) fn delete(changes: &mut dyn Changes, id_or_name: &str) -> Result<Reply, Error> {
    let whole = changes.whole();
    let id = Consumer::editable(whole.all(), (), id_or_name)?.id;
    let edit = whole.with_dependents(Edit { end: vec![(Kind::Consumer, id)], ..Edit::default() });
    changes.apply(edit)?;
    Ok(Reply::no_content())
}

impl Form for Consumer {
    const FIELDS: &'static [&'static Field] = &FIELDS;
    type Within = ();

    fn blank((): (), id: Uuid, created_at: Timestamp) -> Self {
        let (username, custom_id, tags) = (None, None, Vec::new());
        Self { id, origin: Origin::Api, username, custom_id, tags, created_at, updated_at: created_at }
    }

    fn editable(set: &Set, (): (), id_or_name: &str) -> Result<Self, Error> {
        let consumer = find(set, id_or_name)?;
        match consumer.origin {
            Origin::Api => Ok(consumer),
            Origin::File => Err(Error::of_file(Kind::Consumer, &consumer.label())),
        }
    }

    fn is_taken(set: &Set, id: Uuid) -> bool {
        set.consumers.iter().any(|one| one.id == id)
    }

    fn immutable(&self) -> (Uuid, Timestamp) {
        (self.id, self.created_at)
    }

    fn fill(mut self, (): (), around: &Around<'_>, given: &Given) -> Result<Self, Error> {
        // In a form, an empty text removes the value.
        let text = |value: &Value| Some(value.as_str().filter(|text| !text.is_empty()).map(str::to_owned));
        for (name, field) in [("username", &mut self.username), ("custom_id", &mut self.custom_id)] {
            if let Some(value) = given.value(name, || None, text) {
                *field = value;
            }
        }
        check(&self, around.set).map(|()| self)
    }

    fn changes(&mut self, before: Option<&Self>, now: Timestamp) -> Vec<Entity> {
        if before == Some(self) {
            return Vec::new();
        }
        self.updated_at = now;
        vec![Entity::Consumer(self.clone().into())]
    }

    fn shown(&self, _: &Legacy) -> Value {
        shown(self).into()
    }
}

/// Checks the rules of a consumer, and that no other one has the same values.
fn check(consumer: &Consumer, set: &Set) -> Result<(), Error> {
    let mut wrong = Wrong::default();
    if consumer.username.is_none() && consumer.custom_id.is_none() {
        for name in ["custom_id", "username"] {
            wrong.add(name, "At least a 'custom_id' or a 'username' must be specified");
        }
    }
    // The problem without a path is that it has neither, which is reported above.
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
    Ok(())
}
