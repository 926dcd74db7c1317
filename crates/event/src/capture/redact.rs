//! Redaction of JSON by JSON Pointer (RFC 6901).
//!
//! `/user/password` names a member; `/users/0/token` an element; a segment `*` names every element or member. (A member whose name
//! is `*` is therefore reached by the wildcard alone, together with its siblings.) What a pointer names is replaced by the string
//! `REDACTED`, whatever it was, in every one of several members of the same name. All else stays as it was written, numbers to the
//! last digit.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::facts::REDACTED;

/// Deeper pointers are refused.
const MAX_DEPTH: usize = 32;

/// Why a text is no pointer for a redaction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Neither empty nor with a slash in front.
    #[error("a JSON Pointer begins with `/`")]
    NoSlash,
    /// A `~` without `0` or `1` behind it.
    #[error("`~` in a JSON Pointer must be written `~0`, and `/` within a name `~1`")]
    BadEscape,
    /// Too many segments.
    #[error("the JSON Pointer has more than {MAX_DEPTH} segments")]
    TooDeep,
}

/// What is to be redacted in JSON bodies; compiled from pointers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonRedaction {
    pointers: Vec<Vec<Segment>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Any,
    Name(String),
}

impl Segment {
    fn names(&self, member: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Name(name) => name == member,
        }
    }
}

impl JsonRedaction {
    /// Adds what a pointer names.
    ///
    /// # Errors
    /// If it is no JSON Pointer, or has more than 32 segments.
    pub fn add(&mut self, pointer: &str) -> Result<(), PointerError> {
        let mut segments = pointer.split('/');
        if segments.next() != Some("") {
            return Err(PointerError::NoSlash);
        }
        let segments = segments.map(segment).collect::<Result<Vec<_>, _>>()?;
        if segments.len() > MAX_DEPTH {
            return Err(PointerError::TooDeep);
        }
        self.pointers.push(segments);
        Ok(())
    }

    /// Whether there is nothing to redact.
    pub fn is_empty(&self) -> bool {
        self.pointers.is_empty()
    }

    /// The document with everything named replaced; `None` if it cannot be read to the depth that the pointers reach.
    pub(super) fn apply(&self, json: &RawValue) -> Option<String> {
        let rest: Vec<&[Segment]> = self.pointers.iter().map(Vec::as_slice).collect();
        let mut out = String::with_capacity(json.get().len());
        write_value(&mut out, json, &rest).ok()?;
        Some(out)
    }
}

fn segment(text: &str) -> Result<Segment, PointerError> {
    if text == "*" {
        return Ok(Segment::Any);
    }
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '~' => match chars.next() {
                Some('0') => '~',
                Some('1') => '/',
                _ => return Err(PointerError::BadEscape),
            },
            other => other,
        });
    }
    Ok(Segment::Name(name))
}

/// Writes `json` without what the rests of the pointers name in it.
fn write_value(out: &mut String, json: &RawValue, rests: &[&[Segment]]) -> serde_json::Result<()> {
    if rests.iter().any(|rest| rest.is_empty()) {
        return write_text(out, REDACTED);
    }
    let text = json.get();
    match text.as_bytes().first() {
        Some(b'{') if !rests.is_empty() => {
            let Members(members) = serde_json::from_str(text)?;
            write_all(out, ('{', '}'), members.len(), |out, index| {
                let (name, value) = &members[index];
                write_text(out, name)?;
                out.push(':');
                write_value(out, value, &below(rests, name))
            })
        }
        Some(b'[') if !rests.is_empty() => {
            let elements: Vec<&RawValue> = serde_json::from_str(text)?;
            write_all(out, ('[', ']'), elements.len(), |out, index| {
                write_value(out, elements[index], &below(rests, &index.to_string()))
            })
        }
        _ => {
            out.push_str(text);
            Ok(())
        }
    }
}

/// What is left of the pointers that lead through `member`.
fn below<'p>(rests: &[&'p [Segment]], member: &str) -> Vec<&'p [Segment]> {
    rests
        .iter()
        .filter_map(|rest| rest.split_first())
        .filter(|(first, _)| first.names(member))
        .map(|(_, rest)| rest)
        .collect()
}

fn write_all(
    out: &mut String,
    (open, close): (char, char),
    count: usize,
    mut write: impl FnMut(&mut String, usize) -> serde_json::Result<()>,
) -> serde_json::Result<()> {
    out.push(open);
    for index in 0..count {
        if index > 0 {
            out.push(',');
        }
        write(out, index)?;
    }
    out.push(close);
    Ok(())
}

fn write_text(out: &mut String, text: &str) -> serde_json::Result<()> {
    out.push_str(&serde_json::to_string(text)?);
    Ok(())
}

/// An object's members in order, equal names and all.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
