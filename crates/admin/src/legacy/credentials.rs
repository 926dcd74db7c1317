//! `/consumers/{id or username}/key-auth` and `/consumers/{id or username}/acls`: what a consumer is known by, and which groups it is in.

use std::sync::Arc;

use axum::http::StatusCode;
use control::{Changes, Edit, Whole};
use entities::{Acl, FieldError, Item, KeyAuthCredential, Origin, Secret, Set};
use event::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{self, Field, Type};
use super::list::Row;
use super::{Legacy, consumers, new_id};

/// A kind of entity that belongs to a consumer and has one field of its own.
pub(super) trait Credential: Item {
    /// Its fields.
    const FIELDS: [&'static Field; 4];
    /// The field of its own.
    const OWN: &'static str;
    /// Whether that is a secret.
    const IS_SECRET: bool;

    /// A new one.
    fn new(id: Uuid, consumer: Uuid, own: String, now: Timestamp) -> Self;
    fn consumer(&self) -> Uuid;
    fn own(&self) -> &str;
    fn set_own(&mut self, own: String, now: Timestamp);
    /// What its own field is where nobody says it.
    ///
    /// # Errors
    /// If somebody has to.
    fn default_own() -> Result<String, Error>;
    /// Why it may not be beside another one.
    fn clash(&self, other: &Self) -> Option<Error>;
    /// Its fields in 0.x's order, behind `consumer_id` and `created_at`.
    fn shown_own(&self) -> [(&'static str, Value); 2];
}

impl Credential for KeyAuthCredential {
    const FIELDS: [&'static Field; 4] = [
        &Field::new("id", Type::Id),
        &Field::new("created_at", Type::Time),
        &Field::new("consumer_id", Type::Id),
        &Field::new("key", Type::Text),
    ];
    const OWN: &'static str = "key";
    const IS_SECRET: bool = true;

    fn new(id: Uuid, consumer: Uuid, own: String, now: Timestamp) -> Self {
        let (key, expires_at, tags) = (Secret::new(own), None, Vec::new());
        Self { id, origin: Origin::Api, consumer, key, expires_at, tags, created_at: now, updated_at: now }
    }

    fn consumer(&self) -> Uuid {
        self.consumer
    }

    fn own(&self) -> &str {
        self.key.expose()
    }

    fn set_own(&mut self, own: String, now: Timestamp) {
        (self.key, self.updated_at) = (Secret::new(own), now);
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
    const FIELDS: [&'static Field; 4] = [
        &Field::new("id", Type::Id),
        &Field::new("created_at", Type::Time),
        &Field::new("consumer_id", Type::Id),
        &Field::new("group", Type::Text),
    ];
    const OWN: &'static str = "group";
    const IS_SECRET: bool = false;

    fn new(id: Uuid, consumer: Uuid, own: String, now: Timestamp) -> Self {
        let tags = Vec::new();
        Self { id, origin: Origin::Api, consumer, group: own, tags, created_at: now, updated_at: now }
    }

    fn consumer(&self) -> Uuid {
        self.consumer
    }

    fn own(&self) -> &str {
        &self.group
    }

    fn set_own(&mut self, own: String, now: Timestamp) {
        (self.group, self.updated_at) = (own, now);
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

/// 32 letters and digits, as nobody guesses them.
fn random_key() -> Result<String, Error> {
    const DIGITS: &[u8; 32] = b"abcdefghijkmnopqrstuvwxyz2345678";
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| {
        let message = "there is no randomness for a key: give one";
        Error::message(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    Ok(bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 32)])).collect())
}

/// Those of one consumer.
pub(super) fn rows<T: Credential>(whole: &Whole, consumer: &str) -> Result<Vec<Row>, Error> {
    let consumer = consumers::find(whole.all(), consumer)?.id;
    let here = T::list(whole.all()).iter().filter(|one| one.consumer() == consumer);
    let row = |one: &Arc<T>| {
        let (created_at, id, origin) = (one.created_at(), one.id(), one.origin());
        Row { created_at, id, origin, shown: shown(&**one) }
    };
    Ok(here.map(row).collect())
}

fn shown<T: Credential>(one: &T) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("consumer_id".into(), one.consumer().to_string().into());
    shown.insert("created_at".into(), one.created_at().as_millis().into());
    shown.extend(one.shown_own().map(|(name, value)| (name.to_owned(), value)));
    if one.origin() == Origin::File && T::IS_SECRET {
        // A file keeps its secrets to itself: whoever may read it has them.
        shown.remove(T::OWN);
    }
    shown
}

/// Finds one of a consumer by id, or by its own field.
fn find<T: Credential>(set: &Set, consumer: &str, id_or_own: &str) -> Result<T, Error> {
    let consumer = consumers::find(set, consumer)?.id;
    let id = Uuid::try_parse(id_or_own).ok();
    let mut here = T::list(set).iter().filter(|one| one.consumer() == consumer);
    let by_id = here.clone().find(|one| Some(one.id()) == id);
    let found = by_id.or_else(|| {
        here.find(|one| one.own() == id_or_own && (one.origin() == Origin::Api || !T::IS_SECRET))
    });
    found.map(|one| (**one).clone()).ok_or_else(Error::not_found)
}

/// One that an API may change.
fn own<T: Credential>(set: &Set, consumer: &str, id_or_own: &str) -> Result<T, Error> {
    let one: T = find(set, consumer, id_or_own)?;
    match one.origin() {
        Origin::Api => Ok(one),
        Origin::File => Err(Error::of_file(T::KIND, &one.label())),
    }
}

pub(super) fn get<T: Credential>(whole: &Whole, consumer: &str, id_or_own: &str) -> Result<Reply, Error> {
    Ok(Reply::ok(shown(&find::<T>(whole.all(), consumer, id_or_own)?).into()))
}

/// `POST`, and `PUT` without an id.
pub(super) fn create<T: Credential>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    consumer: &str,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    let consumer = consumers::find(&set, consumer)?.id;
    let given = fields::read(&T::FIELDS, body)?;
    let id = given.get("id").and_then(Value::as_str).and_then(|id| Uuid::try_parse(id).ok());
    let id = id.unwrap_or_else(new_id);
    if T::list(&set).iter().any(|one| one.id() == id) {
        return Err(Error::field(StatusCode::CONFLICT, "id", format!("already exists with value '{id}'")));
    }
    let said = given.get(T::OWN).and_then(Value::as_str).filter(|own| !own.is_empty());
    let own = said.map_or_else(T::default_own, |own| Ok(own.to_owned()))?;
    let one = T::new(id, consumer, own, legacy.clock.now());
    check(&set, &one)?;
    changes.apply(Edit { put: vec![T::into_entity(one.clone().into())], ..Edit::default() })?;
    Ok(Reply::created(shown(&one).into()))
}

/// `PATCH`.
pub(super) fn update<T: Credential>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    (consumer, id_or_own): (&str, &str),
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    let mut one: T = own(&set, consumer, id_or_own)?;
    if body.is_empty() {
        return Err(Error::bad_request("empty body"));
    }
    let given = fields::read(&T::FIELDS, body)?;
    fields::refuse_immutable(&given, one.id(), one.created_at())?;
    let said = given.get(T::OWN).and_then(Value::as_str);
    if let Some(own) = said.filter(|own| *own != one.own()) {
        one.set_own(own.to_owned(), legacy.clock.now());
        check(&set, &one)?;
        changes.apply(Edit { put: vec![T::into_entity(one.clone().into())], ..Edit::default() })?;
    }
    Ok(Reply::ok(shown(&one).into()))
}

/// `PUT`: with an id, the one that has it.
pub(super) fn put<T: Credential>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    consumer: &str,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    match body.get("id").and_then(Value::as_str).map(str::to_owned) {
        Some(id) => update::<T>(legacy, changes, (consumer, &id), body),
        None => create::<T>(legacy, changes, consumer, body),
    }
}

pub(super) fn delete<T: Credential>(
    changes: &mut dyn Changes,
    consumer: &str,
    id_or_own: &str,
) -> Result<Reply, Error> {
    let id = own::<T>(changes.whole().all(), consumer, id_or_own)?.id();
    changes.apply(Edit { end: vec![(T::KIND, id)], ..Edit::default() })?;
    Ok(Reply::no_content())
}

/// Its own rules, and those beside others. No message has a key that somebody else sent.
fn check<T: Credential>(set: &Set, one: &T) -> Result<(), Error> {
    let mut wrong = Wrong::default();
    for FieldError { path, message, hint, .. } in one.check() {
        wrong.add(path.to_string(), format!("{path} {message} ({hint})"));
    }
    wrong.check()?;
    let clash = T::list(set).iter().filter(|other| other.id() != one.id()).find_map(|other| one.clash(other));
    clash.map_or(Ok(()), Err)
}
