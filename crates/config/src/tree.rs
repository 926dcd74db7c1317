//! A YAML document as a tree of our own in which every value knows its line and column.
//!
//! A [`TreePath`] finds a name or value of the file again, so that a check that works on typed data can still say where a problem is. Depth,
//! size and the number of values (after aliases are resolved) are bounded.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Number, Value};

mod again;
mod parse;
mod read;
mod runs;
mod seams;

pub(crate) use again::{Known, Shape, parse_again};
pub(crate) use parse::{Fault, parse};
pub(crate) use read::Reading;

/// The largest file, in bytes.
pub const MAX_FILE: usize = 16 * 1024 * 1024;
/// How deep values may nest.
pub const MAX_DEPTH: usize = 64;
/// The most values in a file; each use of an anchor counts again.
pub const MAX_NODES: usize = 1_000_000;

/// Line and column, both from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

impl Place {
    /// The beginning of a file.
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// A file's name and its content.
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) root: Node,
    /// What was replaced in the tree: the value's path, and what the file has there.
    pub(crate) replaced: Vec<(TreePath, Kind)>,
}

impl Source {
    /// A file in which nothing was replaced yet.
    pub(crate) fn new(name: &str, root: Node) -> Self {
        Self { name: name.to_owned(), root, replaced: Vec::new() }
    }

    /// The tree as the file has it.
    pub(crate) fn into_written(mut self) -> Node {
        while let Some((path, kind)) = self.replaced.pop() {
            if let Some(node) = self.root.at_mut(&path) {
                node.kind = kind;
            }
        }
        self.root
    }
}

/// A value and its place. No `Debug`: it may hold secrets.
#[derive(Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

/// The kind of a value, by YAML's core schema.
#[derive(Clone, PartialEq)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    /// With its text as written (`3.0`).
    Number(Number, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a mapping with its value.
#[derive(Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// A value that is in no file: its places mean nothing.
    pub(crate) fn of_json(value: &Value) -> Self {
        let kind = match value {
            Value::Null => Kind::Null,
            Value::Bool(bool) => Kind::Bool(*bool),
            Value::Number(number) => Kind::Number(number.clone(), number.to_string()),
            Value::String(text) => Kind::Text(text.clone()),
            Value::Array(items) => Kind::List(items.iter().map(Self::of_json).collect()),
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| Entry {
                    key: key.clone(),
                    key_place: Place::START,
                    value: Self::of_json(value),
                };
                Kind::Map(entries.iter().map(entry).collect())
            }
        };
        Self { place: Place::START, kind }
    }

    /// The value under `key`, if this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        let Kind::Map(entries) = &self.kind else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Like `get`, to change it.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Kind::Map(entries) = &mut self.kind else { return None };
        entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value)
    }

    /// The elements of the list under `key`, to change them.
    pub(crate) fn items_mut(&mut self, key: &str) -> &mut [Node] {
        match self.get_mut(key).map(|node| &mut node.kind) {
            Some(Kind::List(items)) => items,
            _ => &mut [],
        }
    }

    /// The elements, if this is a list.
    pub(crate) fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// An element, if this is a list that has it, to change it.
    pub(crate) fn item_mut(&mut self, index: usize) -> Option<&mut Node> {
        let Kind::List(items) = &mut self.kind else { return None };
        items.get_mut(index)
    }

    /// The value with its places in other lines: line `from` is now line `to`.
    fn move_lines(&mut self, from: usize, to: usize) {
        let moved = |place: &mut Place| place.line = place.line + to - from;
        moved(&mut self.place);
        match &mut self.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| item.move_lines(from, to)),
            Kind::Map(entries) => {
                for entry in entries {
                    moved(&mut entry.key_place);
                    entry.value.move_lines(from, to);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Number(..) | Kind::Text(_) => {}
        }
    }

    /// The text, if this is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    fn step(&self, step: &Step) -> Option<&Node> {
        match step {
            Step::Key(key) => self.get(key),
            Step::Index(index) => self.items().get(*index),
        }
    }

    /// The value at `path`, if there is one.
    pub(crate) fn at(&self, path: &TreePath) -> Option<&Node> {
        path.0.iter().try_fold(self, |node, step| node.step(step))
    }

    /// Like `at`, to change it.
    pub(crate) fn at_mut(&mut self, path: &TreePath) -> Option<&mut Node> {
        path.0.iter().try_fold(self, |node, step| match (step, &mut node.kind) {
            (Step::Key(key), Kind::Map(entries)) => {
                entries.iter_mut().find(|entry| *entry.key == **key).map(|entry| &mut entry.value)
            }
            (Step::Index(index), Kind::List(items)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// The place of the value at `path`, or of the innermost one around it that exists. For a block, which begins below its key, it is the place
    /// of the key, where people look for it.
    pub(crate) fn place_of(&self, path: &TreePath) -> Place {
        let (mut node, mut place) = (self, self.place);
        for step in &path.0 {
            match (step, &node.kind) {
                (Step::Key(key), Kind::Map(entries)) => {
                    let Some(entry) = entries.iter().find(|entry| *entry.key == **key) else { break };
                    let is_below = entry.value.place.line > entry.key_place.line;
                    place = if is_below { entry.key_place } else { entry.value.place };
                    node = &entry.value;
                }
                _ => {
                    let Some(inner) = node.step(step) else { break };
                    (node, place) = (inner, inner.place);
                }
            }
        }
        place
    }

    /// The value without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(bool) => Value::Bool(*bool),
            Kind::Number(number, _) => Value::Number(number.clone()),
            Kind::Text(text) => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(_) => Value::Object(self.to_json_without(&[])),
        }
    }

    /// The mapping without places and without some of its keys; empty if this is not a mapping.
    pub(crate) fn to_json_without(&self, keys: &[&str]) -> Map<String, Value> {
        let Kind::Map(entries) = &self.kind else { return Map::new() };
        let kept = entries.iter().filter(|entry| !keys.contains(&entry.key.as_str()));
        kept.map(|entry| (entry.key.clone(), entry.value.to_json())).collect()
    }

    /// The path to which a JSON Pointer leads from this value.
    pub(crate) fn resolve_pointer(&self, base: &TreePath, pointer: &str) -> TreePath {
        let mut path = base.clone();
        let mut node = Some(self);
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let is_list = matches!(node.map(|node| &node.kind), Some(Kind::List(_)));
            let step = match part.parse() {
                Ok(index) if is_list => Step::Index(index),
                _ => Step::Key(part.into()),
            };
            node = node.and_then(|node| node.step(&step));
            path.0.push(step);
        }
        path
    }
}

/// The steps from the document to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct TreePath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// Shared by the paths of all that is behind it.
    Key(Arc<str>),
    Index(usize),
}

impl TreePath {
    pub(crate) fn key(&self, key: &str) -> Self {
        self.then(Step::Key(key.into()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        Self(steps)
    }

    /// As a JSON Pointer.
    pub(crate) fn to_pointer(&self) -> String {
        let part = |step: &Step| match step {
            Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => format!("/{index}"),
        };
        self.0.iter().map(part).collect()
    }

    /// The path of these steps.
    pub(crate) fn of(steps: &[Step]) -> Self {
        Self(steps.to_vec())
    }

    /// Its steps, from the `begin`th on.
    pub(crate) fn steps_from(&self, begin: usize) -> &[Step] {
        self.0.get(begin..).unwrap_or_default()
    }

    /// How many steps it has.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The plug-in whose settings contain this path.
    pub(crate) fn plugin_of_settings(&self) -> Option<Self> {
        let in_settings = |steps: &[Step]| matches!(steps, [Step::Key(list), Step::Index(_), Step::Key(key)] if **list == *"plugins" && **key == *"config");
        let at = self.0.windows(3).position(in_settings)?;
        Some(Self(self.0[..at + 2].to_vec()))
    }

    /// The longest beginning made of elements of the given lists: the entity that contains this path.
    pub(crate) fn within(&self, lists: &[&str]) -> Self {
        let in_list =
            |pair: &&[Step]| matches!(pair, [Step::Key(key), Step::Index(_)] if lists.contains(&&**key));
        let pairs = self.0.chunks(2).take_while(in_list).count();
        Self(self.0[..2 * pairs].to_vec())
    }

    /// The key that this path takes after one of its beginnings.
    pub(crate) fn key_behind(&self, beginning: &Self) -> Option<&str> {
        match self.0.get(beginning.0.len()) {
            Some(Step::Key(key)) => Some(key),
            _ => None,
        }
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{key:?}]")?,
                Step::Key(key) if i == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests;
