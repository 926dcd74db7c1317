//! `/consumers/{id or username}/key-auth` and `/consumers/{id or username}/acls`: the keys of a consumer, and the groups that it is in.

use std::sync::Arc;

use axum::http::StatusCode;
use control::{Changes, Edit, Whole};
use entities::{Acl, Entity, FieldError, Item, KeyAuthCredential, Origin, Secret, Set};
use event::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{Field, Type};
use super::form::{Around, Form, Given};
use super::list::Row;
use super::{Legacy, consumers};

/// A kind of entity that belongs to a consumer and has one field of its own.
pub(super) trait Credential: Item {
    /// Its fields.
    const ITS_FIELDS: [&'static Field; 4];
    /// The name of the field of its own.
    const OWN: &'static str;
    /// Whether the value of that field is a secret.
    const IS_SECRET: bool;

    /// A new one.
    fn new(id: Uuid, consumer: Uuid, own: String, created_at: Timestamp) -> Self;
    fn consumer(&self) -> Uuid;
    fn own(&self) -> &str;
    fn set_own(&mut self, own: String);
    fn set_updated_at(&mut self, now: Timestamp);
    /// The default of its own field.
    ///
    /// # Errors
    /// If there is no default, or the system gives no randomness for it.
    fn default_own() -> Result<String, Error>;
    /// The error if it cannot exist together with another one.
    fn clash(&self, other: &Self) -> Option<Error>;
    /// Its fields in 0.x's order, after `consumer_id` and `created_at`.
    fn shown_own(&self) -> [(&'static str, Value); 2];
}

impl Credential for KeyAuthCredential {
    const ITS_FIELDS: [&'static Field; 4] = [
        &Field::new("id", Type::Id),
        &Field::new("created_at", Type::Time),
        &Field::new("consumer_id", Type::Id),
        &Field::new("key", Type::Text),
    ];
    const OWN: &'static str = "key";
    const IS_SECRET: bool = true;

    fn new(id: Uuid, consumer: Uuid, own: String, created_at: Timestamp) -> Self {
        let (origin, updated_at) = (Origin::Api, created_at);
        let (key, expires_at, tags) = (Secret::new(own), None, Vec::new());
        Self { id, origin, consumer, key, expires_at, tags, created_at, updated_at }
    }

    fn consumer(&self) -> Uuid {
        self.consumer
    }

    fn own(&self) -> &str {
        self.key.expose()
    }

    fn set_own(&mut self, own: String) {
        self.key = Secret::new(own);
    }

    fn set_updated_at(&mut self, now: Timestamp) {
        self.updated_at = now;
    }

    fn default_own() -> Result<String, Error> {
        random_key()
    }

    fn clash(&self, other: &Self) -> Option<Error> {
        (self.own() == other.own()).then(|| Error::taken("key", self.own(), other.origin))
    }

    fn shown_own(&self) -> [(&'static str, Value); 2] {
        [("id", self.id.to_string().into()), ("key", self.own().into())]
    }
}

impl Credential for Acl {
    const ITS_FIELDS: [&'static Field; 4] = [
        &Field::new("id", Type::Id),
        &Field::new("created_at", Type::Time),
        &Field::new("consumer_id", Type::Id),
        &Field::new("group", Type::Text),
    ];
    const OWN: &'static str = "group";
    const IS_SECRET: bool = false;

    fn new(id: Uuid, consumer: Uuid, own: String, created_at: Timestamp) -> Self {
        let (origin, tags, updated_at) = (Origin::Api, Vec::new(), created_at);
        Self { id, origin, consumer, group: own, tags, created_at, updated_at }
    }

    fn consumer(&self) -> Uuid {
        self.consumer
    }

    fn own(&self) -> &str {
        &self.group
    }

    fn set_own(&mut self, own: String) {
        self.group = own;
    }

    fn set_updated_at(&mut self, now: Timestamp) {
        self.updated_at = now;
    }

    fn default_own() -> Result<String, Error> {
        Err(Error::field(StatusCode::BAD_REQUEST, "group", "group is required"))
    }

    fn clash(&self, other: &Self) -> Option<Error> {
        let is_same = (self.consumer, &self.group) == (other.consumer, &other.group);
        let message = "ACL group already exist for this consumer";
        is_same.then(|| Error::field(StatusCode::BAD_REQUEST, "group", message))
    }

    fn shown_own(&self) -> [(&'static str, Value); 2] {
        [("group", self.group.as_str().into()), ("id", self.id.to_string().into())]
    }
}

/// A random key of 32 letters and digits (160 bits).
fn random_key() -> Result<String, Error> {
    const DIGITS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        let message = "the system gives no randomness for a key: give one yourself";
        Error::message(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    Ok(bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect())
}

/// The rows of one consumer's credentials.
pub(super) fn rows<T: Credential>(whole: &Whole, consumer: &str) -> Result<Vec<Row>, Error> {
    let consumer = consumers::find(whole.all(), consumer)?.id;
    let here = T::list(whole.all()).iter().filter(|one| one.consumer() == consumer);
    let row = |one: &Arc<T>| Row::of(&**one, shown(&**one));
    Ok(here.map(row).collect())
}

fn shown<T: Credential>(one: &T) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("consumer_id".into(), one.consumer().to_string().into());
    shown.insert("created_at".into(), one.created_at().as_millis().into());
    shown.extend(one.shown_own().map(|(name, value)| (name.to_owned(), value)));
    if one.origin() == Origin::File && T::IS_SECRET {
        // A secret of a file is not shown: whoever may know it can read the file.
        shown.remove(T::OWN);
    }
    shown
}

/// Finds a credential of a consumer by its id or by its own field. A secret of a file is not found by its own field, so that nobody can guess it
/// here.
fn find<T: Credential>(set: &Set, consumer: Uuid, id_or_own: &str) -> Result<T, Error> {
    let id = Uuid::try_parse(id_or_own).ok();
    let mut here = T::list(set).iter().filter(|one| one.consumer() == consumer);
    let by_id = here.clone().find(|one| Some(one.id()) == id);
    let found = by_id.or_else(|| {
        here.find(|one| one.own() == id_or_own && (one.origin() == Origin::Api || !T::IS_SECRET))
    });
    found.map(|one| (**one).clone()).ok_or_else(Error::not_found)
}

pub(super) fn get<T: Credential>(whole: &Whole, consumer: &str, id_or_own: &str) -> Result<Reply, Error> {
    let consumer = consumers::find(whole.all(), consumer)?.id;
    Ok(Reply::ok(shown(&find::<T>(whole.all(), consumer, id_or_own)?).into()))
}

pub(super) fn delete<T: Credential>(
    changes: &mut dyn Changes,
    consumer: Uuid,
    id_or_own: &str,
) -> Result<Reply, Error> {
    let id = T::editable(changes.whole().all(), consumer, id_or_own)?.id();
    changes.apply(Edit { end: vec![(T::KIND, id)], ..Edit::default() })?;
    Ok(Reply::no_content())
}

impl<T: Credential> Form for T {
    const FIELDS: &'static [&'static Field] = &T::ITS_FIELDS;
    type Within = Uuid;

    fn blank(consumer: Uuid, id: Uuid, created_at: Timestamp) -> Self {
        T::new(id, consumer, String::new(), created_at)
    }

    fn editable(set: &Set, consumer: Uuid, id_or_own: &str) -> Result<Self, Error> {
        let one: T = find(set, consumer, id_or_own)?;
        match one.origin() {
            Origin::Api => Ok(one),
            Origin::File => Err(Error::of_file(T::KIND, &one.label())),
        }
    }

    fn is_taken(set: &Set, id: Uuid) -> bool {
        T::list(set).iter().any(|one| one.id() == id)
    }

    fn immutable(&self) -> (Uuid, Timestamp) {
        (self.id(), self.created_at())
    }

    fn fill(mut self, _: Uuid, around: &Around<'_>, given: &Given) -> Result<Self, Error> {
        if let Some(said) = given.value(T::OWN, || None, |own| Some(own.as_str().map(str::to_owned))) {
            // A new one without a value gets the default. An existing one keeps its value.
            match said.filter(|own| !own.is_empty() || !self.own().is_empty()) {
                Some(own) => self.set_own(own),
                None if self.own().is_empty() => self.set_own(T::default_own()?),
                None => {}
            }
        }
        check(around.set, &self).map(|()| self)
    }

    fn changes(&mut self, before: Option<&Self>, now: Timestamp) -> Vec<Entity> {
        if before == Some(self) {
            return Vec::new();
        }
        self.set_updated_at(now);
        vec![T::into_entity(self.clone().into())]
    }

    fn shown(&self, _: &Legacy) -> Value {
        shown(self).into()
    }
}

/// Checks the rules of a credential, and that it can exist together with the others. No message has a key that somebody else sent.
fn check<T: Credential>(set: &Set, one: &T) -> Result<(), Error> {
    let mut wrong = Wrong::default();
    for FieldError { path, message, hint, .. } in one.check() {
        wrong.add(path.to_string(), format!("{path} {message} ({hint})"));
    }
    wrong.check()?;
    let clash = T::list(set).iter().filter(|other| other.id() != one.id()).find_map(|other| one.clash(other));
    clash.map_or(Ok(()), Err)
}
