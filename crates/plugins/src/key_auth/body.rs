//! Keys in bodies: JSON objects, forms, multipart; found, and taken out with every other byte left as it was.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::query;

/// What stands under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'t> {
    /// Nothing, or nothing that is a text.
    Nothing,
    /// A text.
    One(Cow<'t, [u8]>),
    /// More than one.
    Several,
}

/// A body that is not what its `Content-Type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The longest boundary of a multipart body, in bytes (RFC 2046, 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// What a body is, by its `Content-Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Arguments,
    Multipart(Vec<u8>),
    /// Multipart, but no boundary can be like that.
    Unreadable,
    Other,
}

impl Form {
    fn of(content_type: &[u8]) -> Self {
        let text = String::from_utf8_lossy(content_type);
        let (kind, parameters) = text.split_once(';').unwrap_or((&text, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Arguments,
            "multipart/form-data" => match parameter(parameters, "boundary") {
                Some(boundary) if boundary.len() > MAX_BOUNDARY => Self::Unreadable,
                Some(boundary) if !boundary.is_empty() => {
                    Self::Multipart([b"--", boundary.as_bytes()].concat())
                }
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// A parameter of a header's value: `name="text"` or `name=text`.
fn parameter(text: &str, name: &str) -> Option<String> {
    text.split(';').find_map(|one| {
        let (found, value) = one.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        found.trim().eq_ignore_ascii_case(name).then(|| value.to_owned())
    })
}

/// What stands under a name in a body of this `Content-Type`.
///
/// # Errors
/// If it says to be JSON and is none, or has a boundary that none can be.
pub(super) fn find<'t>(content_type: &[u8], body: &'t [u8], name: &str) -> Result<Found<'t>, Unreadable> {
    match Form::of(content_type) {
        Form::Json => in_json(body, name).map_err(|_| Unreadable),
        Form::Arguments => Ok(query::find(body, name)),
        Form::Multipart(boundary) => {
            let mut parts = parts(body, &boundary).filter(|part| part.name.as_deref() == Some(name));
            Ok(match (parts.next(), parts.next()) {
                (None, _) => Found::Nothing,
                (Some(one), None) => Found::One(Cow::Borrowed(one.value)),
                (Some(_), Some(_)) => Found::Several,
            })
        }
        Form::Unreadable => Err(Unreadable),
        Form::Other => Ok(Found::Nothing),
    }
}

/// The body without what stands under these names; `None` if there is nothing of it.
///
/// # Errors
/// As [`find`].
pub(super) fn without(
    content_type: &[u8],
    body: &[u8],
    names: &[String],
) -> Result<Option<Vec<u8>>, Unreadable> {
    Ok(match Form::of(content_type) {
        Form::Json => json_without(body, names).map_err(|_| Unreadable)?,
        Form::Arguments => query::without(body, names),
        Form::Multipart(boundary) => {
            let is_one = |part: &Part<'_>| part.name.as_ref().is_some_and(|name| names.contains(name));
            let hidden: Vec<_> = parts(body, &boundary).filter(is_one).collect();
            if hidden.is_empty() {
                return Ok(None);
            }
            let mut left = Vec::with_capacity(body.len());
            let mut at = 0;
            for part in hidden {
                left.extend_from_slice(&body[at..part.begin]);
                at = part.end;
            }
            left.extend_from_slice(&body[at..]);
            Some(left)
        }
        Form::Unreadable => return Err(Unreadable),
        Form::Other => None,
    })
}

fn in_json<'t>(body: &'t [u8], name: &str) -> Result<Found<'t>, serde_json::Error> {
    if !is_object(body) {
        // JSON all the same, or an error.
        return serde_json::from_slice::<serde::de::IgnoredAny>(body).map(|_| Found::Nothing);
    }
    let Members(members) = serde_json::from_slice(body)?;
    let mut found = Found::Nothing;
    for (_, value) in members.iter().filter(|(key, _)| key == name) {
        if found != Found::Nothing || value.get().starts_with('[') {
            return Ok(Found::Several);
        }
        if let Ok(text) = serde_json::from_str::<String>(value.get()) {
            found = Found::One(Cow::Owned(text.into_bytes()));
        }
    }
    Ok(found)
}

fn json_without(body: &[u8], names: &[String]) -> Result<Option<Vec<u8>>, serde_json::Error> {
    if !is_object(body) {
        return serde_json::from_slice::<serde::de::IgnoredAny>(body).map(|_| None);
    }
    let Members(members) = serde_json::from_slice(body)?;
    if !members.iter().any(|(key, _)| names.contains(key)) {
        return Ok(None);
    }
    let others = members.iter().filter(|(key, _)| !names.contains(key));
    let others =
        others.map(|(key, value)| format!("{}:{}", serde_json::Value::from(key.as_str()), value.get()));
    Ok(Some(format!("{{{}}}", others.collect::<Vec<_>>().join(",")).into_bytes()))
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
}

/// The members of an object, in order, their values as they were written.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// A part of a multipart body.
struct Part<'t> {
    name: Option<String>,
    value: &'t [u8],
    /// Where its boundary begins.
    begin: usize,
    /// Where the next one's does.
    end: usize,
}

/// The parts that are whole; `boundary` with its hyphens.
fn parts<'t>(body: &'t [u8], boundary: &[u8]) -> impl Iterator<Item = Part<'t>> {
    let mut marks = Vec::new();
    let mut at = 0;
    while let Some(found) = position(&body[at..], boundary) {
        let begin = at + found;
        // Only at the beginning of a line it is one.
        if begin == 0 || body[..begin].ends_with(b"\n") {
            marks.push(begin);
        }
        at = begin + boundary.len();
    }
    let length = boundary.len();
    let ranges: Vec<_> = marks.windows(2).map(|pair| (pair[0], pair[1])).collect();
    ranges.into_iter().filter_map(move |(begin, end)| part(body, begin, begin + length, end))
}

fn part(body: &[u8], begin: usize, after: usize, end: usize) -> Option<Part<'_>> {
    let text = body.get(after..end)?;
    let (head, value) = match position(text, b"\r\n\r\n") {
        Some(at) => (&text[..at], &text[at + 4..]),
        None => return None,
    };
    let value = value.strip_suffix(b"\r\n").or_else(|| value.strip_suffix(b"\n")).unwrap_or(value);
    let head = String::from_utf8_lossy(head);
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.to_owned())
    });
    let name = disposition.and_then(|value| parameter(&value, "name"));
    Some(Part { name, value, begin, end })
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
