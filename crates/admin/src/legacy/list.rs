//! Lists: `?size=`, `?offset=`, and any field of an entity as a filter.

use std::str::FromStr;

use axum::http::header::HOST;
use axum::http::request::Parts;
use entities::Origin;
use event::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::error::{Error, Wrong};
use super::fields::Field;
use super::request;

/// Rows of a page, where the request does not say.
const SIZE: usize = 100;
/// The most rows of a page.
const MAX_SIZE: usize = 1_000;

/// An entity as it is shown.
pub(super) struct Row {
    pub created_at: Timestamp,
    pub id: Uuid,
    pub origin: Origin,
    pub shown: Map<String, Value>,
}

/// The place of a row in a list: the older first, and of one age by id. A page goes on behind its last row, also when that is gone.
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
pub(super) fn page(head: &Parts, fields: &[&Field], rows: Vec<Row>) -> Result<Value, Error> {
    let asked = Asked::read(head, fields)?;
    let mut rows: Vec<Row> = rows.into_iter().filter(|row| asked.wants(row)).collect();
    rows.sort_by_key(Row::place);
    let total = rows.len();
    let begin = asked.offset.map_or(0, |offset| rows.partition_point(|row| row.place() <= offset));
    let mut data = rows.split_off(begin);
    let is_more = data.len() > asked.size;
    data.truncate(asked.size);
    let next = data.last().filter(|_| is_more).map(|last| asked.next(head, last.place()));
    let data: Vec<Value> = data.into_iter().map(|row| row.shown.into()).collect();
    let mut page = json!({ "data": data, "total": total });
    if let Some(next) = next {
        page["next"] = next.into();
    }
    Ok(page)
}

impl Row {
    fn place(&self) -> Offset {
        Offset(self.created_at, self.id)
    }
}

/// What a query asks for.
struct Asked {
    size: usize,
    offset: Option<Offset>,
    /// `None`: whosever it is.
    origin: Option<Origin>,
    /// All of it but the offset, to be asked again.
    query: Vec<(String, String)>,
    filters: Vec<(String, String)>,
}

impl Asked {
    fn read(head: &Parts, fields: &[&Field]) -> Result<Self, Error> {
        let mut asked = Self {
            size: SIZE,
            offset: None,
            origin: Some(Origin::Api),
            query: Vec::new(),
            filters: Vec::new(),
        };
        let mut wrong = Wrong::default();
        for (name, value) in request::query(head) {
            match name.as_str() {
                "size" => match value.parse() {
                    Ok(size) if size > 0 => asked.size = usize::min(size, MAX_SIZE),
                    _ => wrong.add("size", "size must be an integer between 1 and 1000"),
                },
                "offset" => match value.parse() {
                    Ok(offset) => asked.offset = Some(offset),
                    Err(()) => wrong.add("offset", "offset is none that this list gave"),
                },
                "origin" => match value.as_str() {
                    "api" => {}
                    "file" => asked.origin = Some(Origin::File),
                    "all" => asked.origin = None,
                    _ => wrong
                        .add("origin", r#"origin is not allowed. Allowed values are: "api", "file", "all""#),
                },
                known if fields.iter().any(|field| field.name == known) => {
                    asked.filters.push((name.clone(), value.clone()));
                }
                _ => wrong.add(&name, "unknown field"),
            }
            if name != "offset" {
                asked.query.push((name, value));
            }
        }
        wrong.check().map(|()| asked)
    }

    fn wants(&self, row: &Row) -> bool {
        let has = |(name, wanted): &(String, String)| {
            row.shown.get(name).is_some_and(|value| text(value) == *wanted)
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

/// A value as a query has it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}
