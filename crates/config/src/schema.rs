//! Checks a tree against a JSON Schema and collects everything that does not fit, each with its place.
//!
//! It understands what `schemars` writes for our structs: `type`, `properties`, `required`, `additionalProperties`, `items`, `enum`, `const`,
//! `oneOf` and `anyOf`, `$ref` into `$defs`, bounds of numbers, texts and lists, `pattern`, `format: uuid`. There are three more keywords:
//! * `writeOnly`: the value is a secret and is never shown in a problem.
//! * `x-not-yet`: the key is known but refused with this hint, unless its value is one of the neutral ones in `enum`.
//! * `x-not-yet-values`: Kong's values that are known but refused by name, with the hint `x-not-yet-hint` if there is one.

use std::collections::HashSet;

use pipeline::ConfigProblem;
use regex::Regex;
use serde_json::Value;

use crate::problem::{Problems, Spot};
use crate::tree::{Entry, Kind, Node, TreePath};

mod fits;
mod hint;
mod wanted;

use fits::Fits;

pub(crate) use entities::misspelt::did_you_mean;
pub(crate) use hint::backquoted;
pub(crate) use wanted::{Wanted, wanted_at};

/// Adds to `problems` everything in `node` that does not fit `schema`, and returns where.
pub(crate) fn validate(schema: &Value, node: &Node, spot: &Spot, problems: &mut Problems<'_>) -> Vec<Spot> {
    let fits = Fits::new(schema);
    let mut walker = Walker { root: schema, fits: Some(&fits), misfits: Vec::new() };
    walker.value(schema, node, spot);
    debug_assert_eq!(
        walker.misfits.len(),
        misfits(schema, node).len(),
        "a value fits in one way of checking and not in the other"
    );
    let report = |Misfit { spot, place, message, hint }| {
        match place {
            Some(place) => problems.add_at(&spot, place, message, hint),
            None => problems.add(&spot, message, hint),
        }
        spot
    };
    walker.misfits.into_iter().map(report).collect()
}

/// Everything that does not fit in a value that comes from no file.
pub(crate) fn misfits(schema: &Value, node: &Node) -> Vec<ConfigProblem> {
    // One value is walked at less than it takes to read the schema.
    let mut walker = Walker { root: schema, fits: None, misfits: Vec::new() };
    walker.value(schema, node, &Spot { file: 0, path: TreePath::default() });
    let problem = |Misfit { spot, message, hint, .. }| {
        let pointer = spot.path.to_pointer();
        ConfigProblem { pointer, message, hint }
    };
    walker.misfits.into_iter().map(problem).collect()
}

/// A problem before its file is known.
struct Misfit {
    spot: Spot,
    place: Option<crate::tree::Place>,
    message: String,
    hint: String,
}

struct Walker<'s> {
    root: &'s Value,
    /// What is let pass without a walk.
    fits: Option<&'s Fits<'s>>,
    misfits: Vec<Misfit>,
}

impl<'s> Walker<'s> {
    fn add(&mut self, spot: &Spot, message: impl Into<String>, hint: impl Into<String>) {
        let (message, hint) = (message.into(), hint.into());
        self.misfits.push(Misfit { spot: spot.clone(), place: None, message, hint });
    }

    fn value(&mut self, schema: &'s Value, node: &Node, spot: &Spot) {
        if self.fits.is_some_and(|fits| fits.are_met(schema, node)) {
            return;
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            if let Some(target) = target {
                self.value(target, node, spot);
            }
        }
        if self.is_not_yet(schema, node, spot) {
            return;
        }
        if let Some(variants) = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array()) {
            self.variants(schema, variants, node, spot);
            return;
        }
        if !self.has_type(schema, node, spot) {
            return;
        }
        if let Some(allowed) = allowed_values(schema) {
            self.one_of(schema, &allowed, node, spot);
        }
        match &node.kind {
            Kind::Map(entries) => self.map(schema, entries, node, spot),
            Kind::List(items) => self.list(schema, items, spot),
            Kind::Text(text) => self.text(schema, text, spot),
            Kind::Number(number, text) => self.number(schema, number.as_f64(), text, spot),
            Kind::Null | Kind::Bool(_) => {}
        }
    }

    /// Refuses a key that is known but not served yet. Returns whether the schema is that of such a key.
    fn is_not_yet(&mut self, schema: &Value, node: &Node, spot: &Spot) -> bool {
        let Some(hint) = schema.get("x-not-yet").and_then(Value::as_str) else { return false };
        let neutral = schema.get("enum").and_then(Value::as_array);
        if !neutral.is_some_and(|neutral| neutral.contains(&node.to_json())) {
            self.add(spot, "not supported yet", hint);
        }
        true
    }

    fn has_type(&mut self, schema: &'s Value, node: &Node, spot: &Spot) -> bool {
        let types = types_of(schema);
        if types.is_empty() || types.iter().any(|name| is_of_type(node, name)) {
            return true;
        }
        self.wrong_type(schema, &types, node, spot);
        false
    }

    fn wrong_type(&mut self, schema: &'s Value, types: &[&str], node: &Node, spot: &Spot) {
        let wanted: Vec<_> =
            types.iter().filter(|name| **name != "null").map(|name| hint::type_name(name)).collect();
        let found = hint::found(node, is_secret(schema));
        let mut hint = hint::for_type(types, node, is_secret(schema));
        let needed = schema.get("required").and_then(Value::as_array).filter(|names| !names.is_empty());
        if hint == "write a mapping"
            && let Some(needed) = needed
        {
            hint = format!(
                "write a mapping, which needs {}",
                backquoted(needed.iter().filter_map(Value::as_str))
            );
        }
        // It may be a duration or a size with its unit: the description says which unit is meant.
        if types.contains(&"integer")
            && node.text().is_some_and(|text| text.parse::<i64>().is_err())
            && let Some(about) = self.describe(schema)
        {
            hint = format!("write a whole number without a unit: {about}");
        }
        self.add(spot, format!("expected {}, found {found}", wanted.join(" or ")), hint);
    }

    fn map(&mut self, schema: &'s Value, entries: &[Entry], node: &Node, spot: &Spot) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        for entry in entries {
            let spot = spot.key(&entry.key);
            match (properties.and_then(|known| known.get(&entry.key)), additional) {
                (Some(property), _) => self.value(property, &entry.value, &spot),
                (None, Some(Value::Bool(false))) => {
                    if let Some(hint) = properties.and_then(|known| not_yet_of(known, &entry.key)) {
                        let (message, hint) = ("not supported yet".into(), hint.to_owned());
                        self.misfits.push(Misfit { spot, place: Some(entry.key_place), message, hint });
                        continue;
                    }
                    let known = properties.into_iter().flatten().filter(|(_, schema)| is_offered(schema));
                    let hint = hint::known_keys(&entry.key, known.map(|(key, _)| key.as_str()));
                    let message = format!("unknown field `{}`", entry.key);
                    self.misfits.push(Misfit { spot, place: Some(entry.key_place), message, hint });
                }
                (None, Some(other)) => self.value(other, &entry.value, &spot),
                (None, None) => {}
            }
        }
        for key in strings(schema.get("required")).filter(|key| node.get(key).is_none()) {
            let about = properties.and_then(|known| known.get(key)).and_then(|schema| self.describe(schema));
            let hint = match about {
                Some(about) => format!("add `{key}`: {about}"),
                None => format!("add `{key}`"),
            };
            self.add(spot, format!("required field missing: `{key}`"), hint);
        }
    }

    /// The first sentence of a schema's description.
    fn describe(&self, schema: &'s Value) -> Option<String> {
        let about = schema.get("description")?.as_str()?;
        let sentence = about.split_once(". ").map_or(about, |(first, _)| first);
        let sentence = sentence.trim_end_matches('.').replace('\n', " ");
        let mut letters = sentence.chars();
        let first = letters.next()?;
        let keep = letters.clone().next().is_some_and(char::is_uppercase);
        Some(if keep { sentence } else { first.to_lowercase().chain(letters).collect() })
    }

    fn list(&mut self, schema: &'s Value, items: &[Node], spot: &Spot) {
        if let Some(each) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                self.value(each, item, &spot.index(index));
            }
        }
        let count = items.len() as u64;
        if let Some(least) = bound(schema, "minItems").filter(|least| count < *least) {
            self.add(spot, format!("length must be at least {least}"), format!("it has {count} elements"));
        }
        if let Some(most) = bound(schema, "maxItems").filter(|most| count > *most) {
            self.add(spot, format!("length must be at most {most}"), format!("it has {count} elements"));
        }
    }

    fn text(&mut self, schema: &Value, text: &str, spot: &Spot) {
        let length = text.chars().count() as u64;
        if let Some(least) = bound(schema, "minLength").filter(|least| length < *least) {
            self.add(spot, format!("length must be at least {least}"), format!("it has {length} characters"));
        }
        if let Some(most) = bound(schema, "maxLength").filter(|most| length > *most) {
            self.add(spot, format!("length must be at most {most}"), format!("it has {length} characters"));
        }
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            let fits = Regex::new(pattern).is_ok_and(|regex| regex.is_match(text));
            if !fits {
                self.add(spot, "invalid value", format!("it must match the regular expression {pattern}"));
            }
        }
        let is_uuid = schema.get("format").is_some_and(|format| format == "uuid");
        if is_uuid && uuid::Uuid::try_parse(text).is_err() {
            self.add(spot, "expected a valid UUID", hint::for_uuid(&spot.path.to_string()));
        }
    }

    fn number(&mut self, schema: &Value, number: Option<f64>, text: &str, spot: &Spot) {
        let Some(number) = number else { return };
        let edge = |key| schema.get(key).filter(|edge| edge.is_number());
        let (least, most) = (edge("minimum"), edge("maximum"));
        let below = least.and_then(Value::as_f64).is_some_and(|least| number < least);
        let above = most.and_then(Value::as_f64).is_some_and(|most| number > most);
        if !below && !above {
            return;
        }
        let message = match (least, most) {
            (Some(least), Some(most)) => format!("value should be between {least} and {most}"),
            (Some(least), None) => format!("value must be at least {least}"),
            (_, most) => format!("value must be at most {}", most.unwrap_or(&Value::Null)),
        };
        self.add(spot, message, format!("{text} is {}", if below { "too small" } else { "too large" }));
    }

    fn one_of(&mut self, schema: &Value, allowed: &[&Value], node: &Node, spot: &Spot) {
        if allowed.contains(&&node.to_json()) {
            return;
        }
        let mut shown: Vec<String> =
            allowed.iter().filter(|value| !value.is_null()).map(|v| plain(v)).collect();
        // A number and the same number in quotes are the same value.
        let mut seen = HashSet::new();
        shown.retain(|value| seen.insert(value.clone()));
        let Some(text) = node.text() else {
            let message = format!("unknown value, found {}", hint::found(node, is_secret(schema)));
            self.add(spot, message, hint::one_of(&shown));
            return;
        };
        let not_yet = strings(schema.get("x-not-yet-values")).any(|value| value == text);
        let close = did_you_mean(text, shown.iter().map(String::as_str)).filter(|_| !not_yet);
        let hint = match (close, schema.get("x-not-yet-hint").and_then(Value::as_str)) {
            (Some(close), _) => format!("did you mean `{close}`?"),
            (None, Some(hint)) if not_yet => hint.to_owned(),
            _ => hint::one_of(&shown),
        };
        let message = match (not_yet, close) {
            (true, _) => format!("`{text}` is not supported yet"),
            (false, Some(_)) => format!("unknown value `{text}`"),
            // A text that is not similar to a known value may be a secret in the wrong place, so it is not shown.
            (false, None) => "unknown value".to_owned(),
        };
        self.add(spot, message, hint);
    }

    /// A value that may have one of several forms: an enum, a nullable struct, a text or a mapping.
    fn variants(&mut self, schema: &'s Value, variants: &'s [Value], node: &Node, spot: &Spot) {
        let values: Option<Vec<_>> = variants.iter().map(allowed_values).collect();
        if let Some(values) = values {
            self.one_of(schema, &values.concat(), node, spot);
            return;
        }
        let variants: Vec<_> = variants.iter().map(|variant| self.deref(variant)).collect();
        let fits = |variant: &&Value| match types_of(variant)[..] {
            [] => true,
            ref types => types.iter().any(|name| is_of_type(node, name)),
        };
        let mut candidates: Vec<Vec<Misfit>> = Vec::new();
        for variant in variants.iter().copied().filter(fits) {
            let mut inner = Walker { misfits: Vec::new(), ..*self };
            inner.value(variant, node, spot);
            candidates.push(inner.misfits);
        }
        match candidates.into_iter().min_by_key(Vec::len) {
            Some(fewest) => self.misfits.extend(fewest),
            None => {
                let types: Vec<_> = variants.iter().flat_map(|variant| types_of(variant)).collect();
                self.wrong_type(schema, &types, node, spot);
            }
        }
    }

    fn deref(&self, schema: &'s Value) -> &'s Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }
}

/// The values that `enum`, `const` or a nested choice of these allows; `None` if the schema is not a choice of values.
fn allowed_values(schema: &Value) -> Option<Vec<&Value>> {
    if let Some(only) = schema.get("const") {
        return Some(vec![only]);
    }
    schema.get("enum")?.as_array().map(|values| values.iter().collect())
}

fn types_of(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        types => strings(types).collect(),
    }
}

fn is_of_type(node: &Node, name: &str) -> bool {
    match (&node.kind, name) {
        (Kind::Null, "null") | (Kind::Bool(_), "boolean") | (Kind::Number(..), "number") => true,
        (Kind::Number(number, _), "integer") => number.is_i64() || number.is_u64(),
        (Kind::Text(_), "string") | (Kind::List(_), "array") | (Kind::Map(_), "object") => true,
        _ => false,
    }
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn bound(schema: &Value, key: &str) -> Option<u64> {
    schema.get(key)?.as_u64()
}

fn bound_of(schema: &Value, key: &str) -> Option<i64> {
    schema.get(key)?.as_i64()
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

/// Whether hints name this key: they name no key that is refused anyway.
fn is_offered(schema: &Value) -> bool {
    schema.get("x-not-yet").is_none()
}

/// The hint of a key that is not served yet, found by another spelling: AWS writes `FilterPolicy`.
fn not_yet_of<'s>(known: &'s serde_json::Map<String, Value>, unknown: &str) -> Option<&'s str> {
    let folded = |key: &str| key.replace(['_', '-'], "").to_ascii_lowercase();
    let (_, schema) = known.iter().find(|(key, _)| folded(key) == folded(unknown))?;
    schema.get("x-not-yet")?.as_str()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
