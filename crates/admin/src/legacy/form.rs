//! How 0.x makes and changes entities: in the same way for apis, consumers, plug-ins and credentials.
//!
//! `POST` makes an entity. `PATCH` changes the fields that the body has. `PUT` makes an entity, or with an id in the body replaces all fields of the
//! entity with that id. If nothing changes, nothing is written.

use axum::http::StatusCode;
use control::{Changes, Edit, NotApplied, Refusal};
use entities::{Entity, FieldError, Kind, Set};
use event::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::dispatch::Reply;
use super::error::{Error, Wrong};
use super::fields::{self, Field};
use super::{Legacy, new_id};

/// A kind of entity that 0.x makes and changes.
pub(super) trait Form: Clone {
    /// Its fields.
    const FIELDS: &'static [&'static Field];
    /// What the path says about the entity: the api of a plug-in, or the consumer of a credential.
    type Within: Copy;

    /// Reads the fields of a body.
    ///
    /// # Errors
    /// Everything that is wrong with their names and types, at once.
    fn read(body: Map<String, Value>, _: Extent) -> Result<Map<String, Value>, Error> {
        fields::read(Self::FIELDS, body)
    }

    /// The values that a query asks for, in the form in which fields are shown.
    ///
    /// # Errors
    /// As [`Form::read`].
    fn filters(query: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        Self::read(query, Extent::Part)
    }

    /// An entity without values.
    fn blank(within: Self::Within, id: Uuid, created_at: Timestamp) -> Self;

    /// The entity that a path names, if an API may change it.
    ///
    /// # Errors
    /// If there is no such entity, or a file owns it.
    fn editable(set: &Set, within: Self::Within, id_or_name: &str) -> Result<Self, Error>;

    fn is_taken(set: &Set, id: Uuid) -> bool;

    /// The fields that cannot be changed: its id, and when it was made.
    fn immutable(&self) -> (Uuid, Timestamp);

    /// The entity with the values of a body.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    fn fill(self, within: Self::Within, around: &Around<'_>, given: &Given) -> Result<Self, Error>;

    /// The entities that must be written so that the store has this one; none if nothing differs from `before`. They get `now` as their `updated_at`.
    fn changes(&mut self, before: Option<&Self>, now: Timestamp) -> Vec<Entity>;

    /// The entity as it is answered.
    fn shown(&self, legacy: &Legacy) -> Value;

    /// Notes, in 0.x's words, a problem that the gateway's own rules have found.
    fn note(&self, _: Kind, error: &FieldError, wrong: &mut Wrong) {
        wrong.add(error.path.to_string(), format!("{} ({})", error.message, error.hint));
    }

    /// Writes log lines about what the user may not expect of a new entity.
    fn made(&self, _: &Given) {}
}

/// What is needed to check an entity: the API, and all other entities.
pub(super) struct Around<'a> {
    pub legacy: &'a Legacy,
    pub set: &'a Set,
}

/// How much of an entity a body gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it: a field that the body does not have gets its default.
    Whole,
    /// Some fields: the others stay as they are.
    Part,
}

/// The fields of a body.
pub(super) struct Given {
    pub fields: Map<String, Value>,
    pub extent: Extent,
}

impl Given {
    fn read<T: Form>(body: Map<String, Value>, extent: Extent) -> Result<Self, Error> {
        Ok(Self { fields: T::read(body, extent)?, extent })
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    pub(super) fn id(&self, name: &str) -> Option<Uuid> {
        Uuid::try_parse(self.text(name)?).ok()
    }

    /// The new value of a field; `None` if it stays as it is.
    pub(super) fn value<T>(
        &self,
        name: &str,
        default: impl FnOnce() -> T,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        match (self.fields.get(name), self.extent) {
            (None, Extent::Part) => None,
            (None | Some(Value::Null), _) => Some(default()),
            (Some(value), _) => read(value),
        }
    }

    fn created_at(&self) -> Option<Timestamp> {
        self.fields.get("created_at").and_then(fields::time)
    }

    /// Refuses another id or another `created_at` for an existing entity.
    fn refuse_immutable(&self, (id, created_at): (Uuid, Timestamp)) -> Result<(), Error> {
        let mut wrong = Wrong::default();
        if self.fields.contains_key("id") && self.id("id") != Some(id) {
            wrong.add("id", "id cannot be updated");
        }
        // The time was shown in whole milliseconds.
        let millis = self.created_at().map(Timestamp::as_millis);
        if self.fields.contains_key("created_at") && millis != Some(created_at.as_millis()) {
            wrong.add("created_at", "created_at cannot be updated");
        }
        wrong.check()
    }
}

/// `POST`.
pub(super) fn create<T: Form>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    within: T::Within,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    let given = Given::read::<T>(body, Extent::Whole)?;
    let now = legacy.clock.now();
    let id = given.id("id").unwrap_or_else(new_id);
    if T::is_taken(&set, id) {
        return Err(Error::field(StatusCode::CONFLICT, "id", format!("already exists with value '{id}'")));
    }
    let blank = T::blank(within, id, given.created_at().unwrap_or(now));
    let mut one = blank.fill(within, &Around { legacy, set: &set }, &given)?;
    let put = one.changes(None, now);
    apply(changes, &one, put)?;
    one.made(&given);
    Ok(Reply::created(one.shown(legacy)))
}

/// `PATCH`.
pub(super) fn update<T: Form>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    within: T::Within,
    id_or_name: &str,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let before = T::editable(changes.whole().all(), within, id_or_name)?;
    if body.is_empty() {
        return Err(Error::bad_request("empty body"));
    }
    let given = Given::read::<T>(body, Extent::Part)?;
    replace(legacy, changes, within, &before, &given)
}

/// `PUT`. Without an id in the body it is the same as `POST`.
pub(super) fn put<T: Form>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    within: T::Within,
    body: Map<String, Value>,
) -> Result<Reply, Error> {
    let Some(id) = body.get("id").and_then(Value::as_str).map(str::to_owned) else {
        return create::<T>(legacy, changes, within, body);
    };
    let before = T::editable(changes.whole().all(), within, &id)?;
    let given = Given::read::<T>(body, Extent::Whole)?;
    replace(legacy, changes, within, &before, &given)
}

fn replace<T: Form>(
    legacy: &Legacy,
    changes: &mut dyn Changes,
    within: T::Within,
    before: &T,
    given: &Given,
) -> Result<Reply, Error> {
    let set = changes.whole().all().clone();
    given.refuse_immutable(before.immutable())?;
    let mut after = before.clone().fill(within, &Around { legacy, set: &set }, given)?;
    let put = after.changes(Some(before), legacy.clock.now());
    apply(changes, &after, put)?;
    Ok(Reply::ok(after.shown(legacy)))
}

fn apply<T: Form>(changes: &mut dyn Changes, one: &T, put: Vec<Entity>) -> Result<(), Error> {
    if put.is_empty() {
        return Ok(());
    }
    let refused = match changes.apply(Edit { put, ..Edit::default() }) {
        Ok(_) => return Ok(()),
        Err(refused) => refused,
    };
    if let NotApplied::Refused(refusals) = &refused {
        let mut wrong = Wrong::default();
        for refusal in refusals {
            if let Refusal::Field { kind, error, .. } = refusal {
                one.note(*kind, error, &mut wrong);
            }
        }
        wrong.check()?;
    }
    Err(refused.into())
}
