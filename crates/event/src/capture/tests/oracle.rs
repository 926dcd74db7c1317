//! Redaction of a whole document at once, by serde_json and recursion: slow, plain, and what the redaction of pieces is compared with.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::redact::Segment;
use super::JsonRedaction;
use crate::facts::REDACTED;

/// The document with everything named replaced; `None` if it is none, or cannot be read to the depth that the pointers reach.
pub(super) fn redacted(body: &[u8], redaction: &JsonRedaction) -> Option<String> {
    let json: &RawValue = serde_json::from_slice(body).ok()?;
    let rest: Vec<&[Segment]> = redaction.pointers().iter().map(Vec::as_slice).collect();
    let mut out = String::with_capacity(json.get().len());
    write_value(&mut out, json, &rest).ok()?;
    Some(out)
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
