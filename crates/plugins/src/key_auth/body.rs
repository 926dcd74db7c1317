//! Keys in bodies (JSON objects, forms, multipart): finding one, and taking it out without changing any other byte.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::query;

/// What is found under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'t> {
    /// Nothing, or a value that is not a text.
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

/// The kind of a body, by its `Content-Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Arguments,
    Multipart(Vec<u8>),
    /// Multipart, with a boundary that is not a valid one.
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

/// A parsed body, in which values can be looked up by name.
pub(super) enum Parsed<'t> {
    /// The members of a JSON object, in order, their values as they were written.
    Members(Vec<(String, &'t RawValue)>),
    Arguments(&'t [u8]),
    Parts {
        body: &'t [u8],
        parts: Vec<Part<'t>>,
    },
    /// A body without names, in which no key can be.
    Nameless,
}

/// Parses a body of this `Content-Type`.
///
/// # Errors
/// If its `Content-Type` says JSON and it is not JSON, or if the boundary is not a valid one.
pub(super) fn parse<'t>(content_type: &[u8], body: &'t [u8]) -> Result<Parsed<'t>, Unreadable> {
    if body.is_empty() {
        return Ok(Parsed::Nameless);
    }
    match Form::of(content_type) {
        Form::Json => json(body).map_err(|_| Unreadable),
        Form::Arguments => Ok(Parsed::Arguments(body)),
        Form::Multipart(boundary) => Ok(Parsed::Parts { body, parts: parts(body, &boundary) }),
        Form::Unreadable => Err(Unreadable),
        Form::Other => Ok(Parsed::Nameless),
    }
}

fn json(body: &[u8]) -> Result<Parsed<'_>, serde_json::Error> {
    if !body.trim_ascii_start().starts_with(b"{") {
        // JSON other than an object has no names; what is not JSON is an error.
        return serde_json::from_slice::<serde::de::IgnoredAny>(body).map(|_| Parsed::Nameless);
    }
    let Members(members) = serde_json::from_slice(body)?;
    Ok(Parsed::Members(members))
}

impl<'t> Parsed<'t> {
    /// What is found under a name.
    pub fn find(&self, name: &str) -> Found<'t> {
        match self {
            Self::Members(members) => in_members(members, name),
            Self::Arguments(text) => query::find(text, name),
            Self::Parts { parts, .. } => {
                let mut parts = parts.iter().filter(|part| part.name.as_deref() == Some(name));
                match (parts.next(), parts.next()) {
                    (None, _) => Found::Nothing,
                    (Some(one), None) => Found::One(Cow::Borrowed(one.value)),
                    (Some(_), Some(_)) => Found::Several,
                }
            }
            Self::Nameless => Found::Nothing,
        }
    }

    /// The body without the values under these names; `None` if it has none of them.
    pub fn without(&self, names: &[String]) -> Option<Vec<u8>> {
        match self {
            Self::Members(members) => members_without(members, names),
            Self::Arguments(text) => query::without(text, names),
            Self::Parts { body, parts } => parts_without(body, parts, names),
            Self::Nameless => None,
        }
    }
}

fn in_members<'t>(members: &[(String, &'t RawValue)], name: &str) -> Found<'t> {
    let mut found = Found::Nothing;
    for (_, value) in members.iter().filter(|(key, _)| key == name) {
        if found != Found::Nothing || value.get().starts_with('[') {
            return Found::Several;
        }
        if let Ok(text) = serde_json::from_str::<String>(value.get()) {
            found = Found::One(Cow::Owned(text.into_bytes()));
        }
    }
    found
}

fn members_without(members: &[(String, &RawValue)], names: &[String]) -> Option<Vec<u8>> {
    if !members.iter().any(|(key, _)| names.contains(key)) {
        return None;
    }
    let others = members.iter().filter(|(key, _)| !names.contains(key));
    let others =
        others.map(|(key, value)| format!("{}:{}", serde_json::Value::from(key.as_str()), value.get()));
    Some(format!("{{{}}}", others.collect::<Vec<_>>().join(",")).into_bytes())
}

fn parts_without(body: &[u8], parts: &[Part<'_>], names: &[String]) -> Option<Vec<u8>> {
    let is_one = |part: &&Part<'_>| part.name.as_ref().is_some_and(|name| names.contains(name));
    let mut hidden = parts.iter().filter(is_one).peekable();
    hidden.peek()?;
    let mut left = Vec::with_capacity(body.len());
    let mut at = 0;
    for part in hidden {
        left.extend_from_slice(&body[at..part.begin]);
        at = part.end;
    }
    left.extend_from_slice(&body[at..]);
    Some(left)
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
pub(super) struct Part<'t> {
    name: Option<String>,
    value: &'t [u8],
    /// Where the boundary in front of it begins.
    begin: usize,
    /// Where the next boundary begins.
    end: usize,
}

/// The complete parts; `boundary` includes its leading hyphens.
fn parts<'t>(body: &'t [u8], boundary: &[u8]) -> Vec<Part<'t>> {
    let mut marks = Vec::new();
    let mut at = 0;
    while let Some(found) = position(&body[at..], boundary) {
        let begin = at + found;
        // It is a boundary only at the beginning of a line.
        if begin == 0 || body[..begin].ends_with(b"\n") {
            marks.push(begin);
        }
        at = begin + boundary.len();
    }
    let length = boundary.len();
    marks.windows(2).filter_map(|pair| part(body, pair[0], pair[0] + length, pair[1])).collect()
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
