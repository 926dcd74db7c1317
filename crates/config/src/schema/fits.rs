//! Whether a value fits, without the words for what does not: a schema that is read once, and walked without a path or an allocation.
//!
//! Nearly all of a configuration fits. What does not is walked again by the [`Walker`](super::Walker), which has the words; the two judge alike.

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

use super::{allowed_values, bound, is_of_type, strings, types_of};
use crate::tree::{Entry, Kind, Node};

/// A schema and all that it is made of.
pub(super) struct Fits<'s> {
    shapes: Vec<Shape<'s>>,
    /// The index of each part among the shapes. A part is known by its address in the schema, which is borrowed for as long.
    indices: HashMap<*const Value, usize>,
}

/// One part of a schema; it refers to others by their indices.
#[derive(Default)]
struct Shape<'s> {
    /// What it refers to, which has to fit, too.
    target: Option<usize>,
    /// Of a key that is not built yet, with the values that change nothing.
    not_yet: Option<&'s [Value]>,
    choice: Option<Choice<'s>>,
    types: Vec<&'s str>,
    allowed: Option<Vec<&'s Value>>,
    properties: HashMap<&'s str, usize>,
    others: Others,
    required: Vec<&'s str>,
    items: Option<usize>,
    /// How many elements, the least and the most.
    count: [Option<u64>; 2],
    /// How many characters, the least and the most.
    length: [Option<u64>; 2],
    /// Nothing matches one that is no regular expression.
    pattern: Option<Option<Regex>>,
    is_uuid: bool,
    /// The least and the most.
    range: [Option<f64>; 2],
}

/// One of several shapes.
enum Choice<'s> {
    Values(Vec<&'s Value>),
    Variants(Vec<usize>),
}

/// Keys that have no property.
#[derive(Default)]
enum Others {
    #[default]
    Free,
    Refused,
    Shaped(usize),
}

impl<'s> Fits<'s> {
    /// Reads a schema.
    pub(super) fn new(root: &'s Value) -> Self {
        let mut fits = Self { shapes: Vec::new(), indices: HashMap::new() };
        fits.add(root, root);
        fits
    }

    fn add(&mut self, root: &'s Value, schema: &'s Value) -> usize {
        let key = std::ptr::from_ref(schema);
        if let Some(index) = self.indices.get(&key) {
            return *index;
        }
        let index = self.shapes.len();
        // Before what it is made of, which may refer to it.
        self.indices.insert(key, index);
        self.shapes.push(Shape::default());
        self.shapes[index] = self.read(root, schema);
        index
    }

    fn read(&mut self, root: &'s Value, schema: &'s Value) -> Shape<'s> {
        let target = target_of(root, schema);
        let variants = ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array());
        let choice = variants.map(|variants| {
            let values: Option<Vec<_>> = variants.iter().map(allowed_values).collect();
            match values {
                Some(values) => Choice::Values(values.concat()),
                None => {
                    let inner = variants.iter().map(|variant| target_of(root, variant).unwrap_or(variant));
                    Choice::Variants(inner.map(|variant| self.add(root, variant)).collect())
                }
            }
        });
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let edge = |key| schema.get(key).filter(|edge| edge.is_number()).and_then(Value::as_f64);
        let is_not_yet = schema.get("x-not-yet").is_some_and(Value::is_string);
        let neutral = schema.get("enum").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Shape {
            target: target.map(|target| self.add(root, target)),
            not_yet: is_not_yet.then_some(neutral),
            choice,
            types: types_of(schema),
            allowed: allowed_values(schema),
            properties: properties.map(|(key, one)| (key.as_str(), self.add(root, one))).collect(),
            others: match schema.get("additionalProperties") {
                None => Others::Free,
                Some(Value::Bool(false)) => Others::Refused,
                Some(other) => Others::Shaped(self.add(root, other)),
            },
            required: strings(schema.get("required")).collect(),
            items: schema.get("items").map(|each| self.add(root, each)),
            count: ["minItems", "maxItems"].map(|key| bound(schema, key)),
            length: ["minLength", "maxLength"].map(|key| bound(schema, key)),
            pattern: schema.get("pattern").and_then(Value::as_str).map(|pattern| Regex::new(pattern).ok()),
            is_uuid: schema.get("format").is_some_and(|format| format == "uuid"),
            range: ["minimum", "maximum"].map(edge),
        }
    }

    /// Whether a value fits a part of the schema; `false` for a part of another one.
    pub(super) fn are_met(&self, schema: &Value, node: &Node) -> bool {
        self.indices.get(&std::ptr::from_ref(schema)).is_some_and(|index| self.fits(*index, node))
    }

    fn fits(&self, index: usize, node: &Node) -> bool {
        let shape = &self.shapes[index];
        if shape.target.is_some_and(|target| !self.fits(target, node)) {
            return false;
        }
        if let Some(neutral) = shape.not_yet {
            return neutral.iter().any(|value| is(node, value));
        }
        match &shape.choice {
            Some(Choice::Values(allowed)) => return allowed.iter().any(|value| is(node, value)),
            Some(Choice::Variants(variants)) => {
                return variants
                    .iter()
                    .any(|variant| self.has_type(*variant, node) && self.fits(*variant, node));
            }
            None => {}
        }
        let is_allowed = |allowed: &Vec<&Value>| allowed.iter().any(|value| is(node, value));
        self.has_type(index, node)
            && shape.allowed.as_ref().is_none_or(is_allowed)
            && match &node.kind {
                Kind::Map(entries) => self.map(shape, entries, node),
                Kind::List(items) => {
                    is_within(items.len() as u64, shape.count)
                        && shape.items.is_none_or(|each| items.iter().all(|item| self.fits(each, item)))
                }
                Kind::Text(text) => shape.takes_text(text),
                Kind::Number(number, _) => {
                    number.as_f64().is_none_or(|number| is_within(number, shape.range))
                }
                Kind::Null | Kind::Bool(_) => true,
            }
    }

    fn has_type(&self, index: usize, node: &Node) -> bool {
        let types = &self.shapes[index].types;
        types.is_empty() || types.iter().any(|name| is_of_type(node, name))
    }

    fn map(&self, shape: &Shape<'_>, entries: &[Entry], node: &Node) -> bool {
        let fits = |entry: &Entry| match (shape.properties.get(entry.key.as_str()), &shape.others) {
            (Some(property), _) => self.fits(*property, &entry.value),
            (None, Others::Free) => true,
            (None, Others::Refused) => false,
            (None, Others::Shaped(other)) => self.fits(*other, &entry.value),
        };
        entries.iter().all(fits) && shape.required.iter().all(|key| node.get(key).is_some())
    }
}

impl Shape<'_> {
    fn takes_text(&self, text: &str) -> bool {
        let is_long_enough = || is_within(text.chars().count() as u64, self.length);
        let matches = |regex: &Option<Regex>| regex.as_ref().is_some_and(|regex| regex.is_match(text));
        (self.length == [None; 2] || is_long_enough())
            && self.pattern.as_ref().is_none_or(matches)
            && (!self.is_uuid || uuid::Uuid::try_parse(text).is_ok())
    }
}

fn target_of<'s>(root: &'s Value, schema: &'s Value) -> Option<&'s Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

fn is_within<N: PartialOrd>(number: N, [least, most]: [Option<N>; 2]) -> bool {
    !least.is_some_and(|least| number < least) && !most.is_some_and(|most| number > most)
}

fn is(node: &Node, value: &Value) -> bool {
    match (&node.kind, value) {
        (Kind::Text(text), Value::String(value)) => text == value,
        (Kind::Number(number, _), Value::Number(value)) => number == value,
        (Kind::Bool(bool), Value::Bool(value)) => bool == value,
        (Kind::Null, Value::Null) => true,
        (Kind::List(_), Value::Array(_)) | (Kind::Map(_), Value::Object(_)) => node.to_json() == *value,
        _ => false,
    }
}
