//! Lists: `?size=`, `?offset=`, and any field of an entity as a filter.

use std::str::FromStr;

use axum::http::header::HOST;
use axum::http::request::Parts;
use entities::{Item, Origin};
use event::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::{Error, Wrong};
use super::form::Form;
use super::request;

/// How many rows a page has if the request does not say.
const SIZE: usize = 100;
/// The most rows of a page.
const MAX_SIZE: usize = 1_000;

/// An entity in a list.
pub(super) struct Row {
    pub created_at: Timestamp,
    pub id: Uuid,
    pub origin: Origin,
    pub shown: Map<String, Value>,
}

/// The sort key of a list: older rows first, and rows of the same time by id. A page begins after the last row of the previous page, even if that row
/// was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offset(Timestamp, Uuid);

impl FromStr for Offset {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (micros, id) = text.split_once('.').ok_or(())?;
        let micros = micros.parse().map_err(|_| ())?;
        Ok(Self(Timestamp::from_micros(micros), Uuid::try_parse(id).map_err(|_| ())?))
    }
}

/// A page of those rows that the request's query asks for.
pub(super) fn page<T: Form>(head: &Parts, rows: Vec<Row>) -> Result<Value, Error> {
    let is_field = |name: &str| T::FIELDS.iter().any(|field| field.name == name);
    let (mut asked, query) = Asked::read(head, is_field)?;
    asked.filters = T::filters(query)?;
    Ok(asked.page(head, rows))
}

/// An empty list.
pub(super) fn nothing(head: &Parts) -> Result<Value, Error> {
    let (asked, _) = Asked::read(head, |_| false)?;
    Ok(asked.page(head, Vec::new()))
}

impl Row {
    /// The row of an entity.
    pub(super) fn of<T: Item>(one: &T, shown: Map<String, Value>) -> Self {
        Self { created_at: one.created_at(), id: one.id(), origin: one.origin(), shown }
    }

    fn offset(&self) -> Offset {
        Offset(self.created_at, self.id)
    }
}

/// What a query asks for.
struct Asked {
    size: usize,
    offset: Option<Offset>,
    /// Only entities of this origin; `None` for all.
    origin: Option<Origin>,
    /// The whole query except the offset, for the address of the next page.
    query: Vec<(String, String)>,
    /// The values that fields must have, in the form in which they are shown.
    filters: Map<String, Value>,
}

impl Asked {
    /// Reads a query. Also returns the arguments that are filters.
    fn read(head: &Parts, is_field: impl Fn(&str) -> bool) -> Result<(Self, Map<String, Value>), Error> {
        let mut asked = Self {
            size: SIZE,
            offset: None,
            origin: Some(Origin::Api),
            query: Vec::new(),
            filters: Map::new(),
        };
        let mut filters = Map::new();
        let mut wrong = Wrong::default();
        for (name, value) in request::query(head) {
            match name.as_str() {
                "size" => match value.parse() {
                    Ok(size) if size > 0 => asked.size = usize::min(size, MAX_SIZE),
                    _ => wrong.add("size", "size must be an integer between 1 and 1000"),
                },
                "offset" => match value.parse() {
                    Ok(offset) => asked.offset = Some(offset),
                    Err(()) => wrong.add("offset", "offset is not one that this list gave"),
                },
                "origin" => match value.as_str() {
                    "api" => {}
                    "file" => asked.origin = Some(Origin::File),
                    "all" => asked.origin = None,
                    _ => wrong
                        .add("origin", r#"origin is not allowed. Allowed values are: "api", "file", "all""#),
                },
                known if is_field(known) => request::add(&mut filters, name.clone(), value.clone()),
                _ => wrong.add(&name, "unknown field"),
            }
            if name != "offset" {
                asked.query.push((name, value));
            }
        }
        wrong.check().map(|()| (asked, filters))
    }

    fn page(&self, head: &Parts, rows: Vec<Row>) -> Value {
        let mut rows: Vec<Row> = rows.into_iter().filter(|row| self.wants(row)).collect();
        rows.sort_by_key(Row::offset);
        let total = rows.len();
        let begin = self.offset.map_or(0, |offset| rows.partition_point(|row| row.offset() <= offset));
        let mut data = rows.split_off(begin);
        let is_more = data.len() > self.size;
        data.truncate(self.size);
        let next = data.last().filter(|_| is_more).map(|last| self.next(head, last.offset()));
        let data: Vec<Value> = data.into_iter().map(|row| row.shown.into()).collect();
        let mut page = json!({ "data": data, "total": total });
        if let Some(next) = next {
            page["next"] = next.into();
        }
        page
    }

    fn wants(&self, row: &Row) -> bool {
        let has = |(name, wanted): (&String, &Value)| {
            row.shown.get(name).is_some_and(|value| is_same(value, wanted))
        };
        self.origin.is_none_or(|origin| origin == row.origin) && self.filters.iter().all(has)
    }

    /// The address of the next page: absolute, because kongfig asks for it as it is.
    fn next(&self, head: &Parts, Offset(created_at, id): Offset) -> String {
        let in_target = head.uri.authority().map(|authority| authority.as_str());
        let host = in_target.or_else(|| head.headers.get(HOST)?.to_str().ok()).unwrap_or("localhost");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query);
        query.append_pair("offset", &format!("{}.{id}", created_at.as_micros()));
        let path = head.uri.path().trim_end_matches('/');
        format!("http://{host}{path}?{}", query.finish())
    }
}

/// Whether two values are the same. The order of two lists does not matter.
fn is_same(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Array(items), Value::Array(wanted)) => {
            items.len() == wanted.len() && wanted.iter().all(|one| items.contains(one))
        }
        (value, wanted) => value == wanted,
    }
}
