//! How 0.x makes and changes an entity: the same way for each kind, an api, a consumer, a plug-in or a credential.
//!
//! `POST` makes one, `PATCH` changes what the body names, `PUT` makes one or, with an id, replaces all of the one that has it. Nothing is
//! written for what stays as it was.

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
    /// What the path says besides: the api of a plug-in, the consumer of a credential.
    type Within: Copy;

    /// Reads the fields of a body.
    ///
    /// # Errors
    /// All that is wrong with their names and types.
    fn read(body: Map<String, Value>, _: Extent) -> Result<Map<String, Value>, Error> {
        fields::read(Self::FIELDS, body)
    }

    /// What a query asks for, in the form in which fields are shown.
    ///
    /// # Errors
    /// As [`Form::read`].
    fn filters(query: Map<String, Value>) -> Result<Map<String, Value>, Error> {
        Self::read(query, Extent::Part)
    }

    /// One without values.
    fn blank(within: Self::Within, id: Uuid, created_at: Timestamp) -> Self;

    /// The one that a path names, if an API may change it.
    ///
    /// # Errors
    /// There is none, or a file has it.
    fn editable(set: &Set, within: Self::Within, id_or_name: &str) -> Result<Self, Error>;

    fn is_taken(set: &Set, id: Uuid) -> bool;

    /// What nobody changes: its id, and when it was made.
    fn immutable(&self) -> (Uuid, Timestamp);

    /// The entity with what a body says.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn fill(self, within: Self::Within, around: &Around<'_>, given: &Given) -> Result<Self, Error>;

    /// What is to be written so that it is this one from `now` on; nothing if it was before.
    fn changes(&mut self, before: Option<&Self>, now: Timestamp) -> Vec<Entity>;

    /// As it is answered.
    fn shown(&self, legacy: &Legacy) -> Value;

    /// Notes, in 0.x's words, what the gateway's own rules find wrong with it.
    fn note(&self, _: Kind, error: &FieldError, wrong: &mut Wrong) {
        wrong.add(error.path.to_string(), format!("{} ({})", error.message, error.hint));
    }

    /// Says what its maker may not expect.
    fn made(&self, _: &Given) {}
}

/// What an entity is read beside.
pub(super) struct Around<'a> {
    pub legacy: &'a Legacy,
    pub set: &'a Set,
}

/// How much of an entity a body gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it: what is not named has its default.
    Whole,
    /// What is named; the rest stays.
    Part,
}

/// What a body says.
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

    /// What a field is to be; `None` if it stays.
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

    /// Refuses another id or another time for what is there.
    fn refuse_immutable(&self, (id, created_at): (Uuid, Timestamp)) -> Result<(), Error> {
        let mut wrong = Wrong::default();
        if self.fields.contains_key("id") && self.id("id") != Some(id) {
            wrong.add("id", "id cannot be updated");
        }
        // It is shown in whole milliseconds.
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

/// `PUT`: without an id as `POST`.
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
