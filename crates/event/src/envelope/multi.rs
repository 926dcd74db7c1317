//! Objects of names that may repeat: a name that comes once has its value, one that comes again has an array.

use std::borrow::Cow;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::facts::Text;

/// Named values in order of first appearance, serialised as an object.
pub(super) struct Multi<'a, V>(pub Vec<(Cow<'a, str>, V)>);

impl<V: Serialize> Serialize for Multi<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(pairs) = self;
        let mut map = serializer.serialize_map(None)?;
        // Quadratic on purpose: there are a dozen names as a rule, a hundred at most, and a table would cost more.
        for (index, (name, value)) in pairs.iter().enumerate() {
            let same = |(other, _): &&(Cow<'_, str>, V)| other == name;
            if pairs[..index].iter().any(|pair| same(&pair)) {
                continue;
            }
            if pairs[index + 1..].iter().any(|pair| same(&pair)) {
                let values: Vec<&V> = pairs[index..].iter().filter(same).map(|(_, value)| value).collect();
                map.serialize_entry(name, &values)?;
            } else {
                map.serialize_entry(name, value)?;
            }
        }
        map.end()
    }
}

/// Headers with lower-case names; at most `limit` lines.
pub(super) fn headers<'a>(lines: &'a [(Text<'_>, Text<'_>)], limit: usize) -> Multi<'a, &'a str> {
    Multi(lines.iter().take(limit).map(|(name, value)| (lower_case(name), &**value)).collect())
}

fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}
