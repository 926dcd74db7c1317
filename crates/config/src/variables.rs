//! Environment variables in scalar values: they are replaced by their values before anything is checked.
//!
//! `${NAME}` anywhere in a value; `$NAME` as a whole value, and as a whole user, password, host or port of a URL; decK's `${{ env "NAME" }}`
//! anywhere; Kong's `{vault://env/name}` as a whole value. A NAME has capital letters, digits and underscores, and does not begin with a digit.
//! `$$` is a dollar. Any other text with a dollar stays as it is written: `$1`, `${name}`, `$(…)`.
//!
//! Nothing is replaced in keys, in values whose key begins with an underscore (`_comment`), in a `matcher`, in a path that is a regular
//! expression, in the templates of a plug-in, or in the settings of a plug-in that is not served.
//!
//! A variable that is not set is reported once, where it is used first. Its value is then a harmless placeholder that can be nobody's name
//! (`NAME.unset.invalid`), and other problems with values that need it are not reported.

use std::collections::{HashMap, HashSet};

use serde_json::{Number, Value};

use crate::dialect;
use crate::problem::Spot;
use crate::schema;
use crate::tree::{Kind, MAX_FILE, Node, Source, Step, TreePath};

mod pieces;

use pieces::{Piece, Place};

/// The settings of a plug-in that are templates, by its name; `None` if there is no such plug-in.
pub(crate) type Templates<'a> = &'a dyn Fn(&str) -> Option<&'static [&'static str]>;
/// Looks up an environment variable.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Values shorter than this many bytes are not searched for in messages: they may be there by chance.
const SHORTEST: usize = 6;
/// Keys whose value is a secret. A vault reference in it is resolved later, when the secret is read, so that the messages can say what a secret
/// must be.
const READ_LATER: [&str; 3] = ["secret", "secrets", "key"];

/// The variables that were found in all files.
#[derive(Default)]
pub(crate) struct Variables {
    /// Each variable that is not set, with the place where it is used first and the number of places.
    pub(crate) unset: Vec<Unset>,
    /// Values that cannot be replaced, each with message and hint.
    pub(crate) faults: Vec<(Spot, &'static str, &'static str)>,
    /// Values that need a variable which is not set.
    unknown: HashSet<(usize, TreePath)>,
    /// Values in which something was replaced.
    filled: Vec<Spot>,
    /// The values of the variables, by name.
    values: HashMap<String, String>,
}

/// A variable that is not set.
pub(crate) struct Unset {
    pub(crate) name: String,
    pub(crate) first: Spot,
    pub(crate) places: usize,
}

impl Variables {
    /// Whether anything was replaced.
    pub(crate) fn are_some(&self) -> bool {
        !self.filled.is_empty()
    }

    /// Whether this value needs a variable that is not set: its problems cannot be known.
    pub(crate) fn are_unset_at(&self, spot: &Spot) -> bool {
        !self.unknown.is_empty() && self.unknown.contains(&(spot.file, spot.path.clone()))
    }

    /// A text with the names of variables instead of their values.
    pub(crate) fn shown(&self, text: String) -> String {
        let mut held: Vec<_> = self.values.iter().filter(|(_, value)| value.len() >= SHORTEST).collect();
        held.retain(|(_, value)| text.contains(value.as_str()));
        // The longest first: one may be a part of another.
        held.sort_unstable_by_key(|(name, value)| (std::cmp::Reverse(value.len()), name.as_str()));
        held.iter().fold(text, |text, (name, value)| text.replace(value.as_str(), &format!("${{{name}}}")))
    }
}

/// Replaces the variables in all files by their values.
pub(crate) fn fill(
    sources: &mut [Source],
    env: Env<'_>,
    tolerant: bool,
    templates: Templates<'_>,
) -> Variables {
    let mut found = Variables::default();
    for (file, source) in sources.iter_mut().enumerate().filter(|(_, source)| may_be_some(&source.root)) {
        let is_old = dialect::is_old(&source.root);
        let (path, replaced, found) = (Vec::new(), &mut source.replaced, &mut found);
        let mut filler = Filler { env, tolerant, templates, is_old, path, file, grown: 0, replaced, found };
        filler.node(&mut source.root, &Within::default());
    }
    found
}

/// Whether any value looks like one with a variable.
fn may_be_some(node: &Node) -> bool {
    match &node.kind {
        Kind::Text(text) => looks_like_one(text),
        Kind::List(items) => items.iter().any(may_be_some),
        Kind::Map(entries) => entries.iter().any(|entry| may_be_some(&entry.value)),
        Kind::Null | Kind::Bool(_) | Kind::Number(..) => false,
    }
}

fn looks_like_one(text: &str) -> bool {
    text.contains('$') || text.starts_with("{vault:")
}

/// Where a value is, as far as it decides what may be replaced in it.
#[derive(Clone, Copy, Default)]
struct Within {
    /// Keys whose values are templates.
    templates: &'static [&'static str],
    /// Vault references in the values are resolved later.
    read_later: bool,
    /// The values are the paths of a route.
    paths: bool,
}

struct Filler<'a> {
    env: Env<'a>,
    /// A variable that is not set is a warning, wherever it is used.
    tolerant: bool,
    templates: Templates<'a>,
    is_old: bool,
    path: Vec<Step>,
    file: usize,
    /// By how many bytes the file has grown.
    grown: usize,
    /// What the file has where something was replaced.
    replaced: &'a mut Vec<(TreePath, Kind)>,
    found: &'a mut Variables,
}

impl Filler<'_> {
    fn node(&mut self, node: &mut Node, within: &Within) {
        match &mut node.kind {
            Kind::Text(text) => {
                if let Some(filled) = self.text(text, within) {
                    let written = Kind::Text(std::mem::replace(text, filled));
                    self.replaced.push((TreePath::of(&self.path), written));
                }
            }
            Kind::List(items) => {
                let are_plugins = matches!(self.path.last(), Some(Step::Key(key)) if **key == *"plugins");
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(Step::Index(index));
                    if are_plugins {
                        self.plugin(item, within)
                    } else {
                        self.node(item, within)
                    }
                    self.path.pop();
                }
            }
            Kind::Map(_) => self.map(node, within, &[]),
            Kind::Null | Kind::Bool(_) | Kind::Number(..) => {}
        }
    }

    /// A plug-in; its kind decides which of its settings are templates.
    fn plugin(&mut self, node: &mut Node, within: &Within) {
        let templates = node.get("name").and_then(Node::text).and_then(|name| (self.templates)(name));
        self.map(node, within, &["config"]);
        if let (Some(templates), Some(config)) = (templates, node.get_mut("config")) {
            self.path.push(Step::Key("config".into()));
            self.node(config, &Within { templates, ..Within::default() });
            self.path.pop();
        }
    }

    fn map(&mut self, node: &mut Node, within: &Within, without: &[&str]) {
        let Kind::Map(entries) = &mut node.kind else { return };
        for entry in entries {
            let key = entry.key.as_str();
            let is_left = without.contains(&key) || key.starts_with('_') || key == "matcher";
            if is_left || within.templates.contains(&key) {
                continue;
            }
            let within = Within { read_later: READ_LATER.contains(&key), paths: key == "paths", ..*within };
            self.path.push(Step::Key(entry.key.as_str().into()));
            self.node(&mut entry.value, &within);
            self.path.pop();
        }
    }

    /// The text with its variables replaced; `None` if it stays as it is.
    fn text(&mut self, text: &str, within: &Within) -> Option<String> {
        if !looks_like_one(text) {
            return None;
        }
        let pieces = match pieces::of(text) {
            Ok(pieces) => pieces,
            // It is reported when the secret is read.
            Err(_) if within.read_later && text.starts_with("{vault:") => return None,
            Err((message, hint)) => {
                self.fault(message, hint);
                return None;
            }
        };
        if within.paths && self.is_regex(text, &pieces) {
            return None;
        }
        let mut filled = String::with_capacity(text.len());
        let mut has_variable = false;
        for piece in pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Variable { name, place } => {
                    has_variable = true;
                    self.variable(name, place, &mut filled);
                }
                Piece::Vault { name } => {
                    let is_set = (self.env)(&name).is_some();
                    if within.read_later && (is_set || !self.tolerant) {
                        return None;
                    }
                    has_variable = true;
                    self.variable(&name, Place::Whole, &mut filled);
                }
            }
            if self.grown.saturating_add(filled.len()) > MAX_FILE {
                self.fault(
                    "the values of the variables make the file larger than 16 MiB",
                    "split the file, or check the values of the variables",
                );
                return None;
            }
        }
        self.grown += filled.len();
        if has_variable {
            let spot = self.spot();
            self.found.filled.push(spot);
        }
        Some(filled)
    }

    /// Appends the value of a variable to a text.
    fn variable(&mut self, name: &str, place: Place, filled: &mut String) {
        if let Some(value) = (self.env)(name) {
            filled.push_str(&value);
            self.found.values.insert(name.to_owned(), value);
            return;
        }
        let spot = self.spot();
        self.found.unknown.insert((spot.file, spot.path.clone()));
        match self.found.unset.iter_mut().find(|unset| unset.name == name) {
            Some(unset) => unset.places += 1,
            None => self.found.unset.push(Unset { name: name.to_owned(), first: spot, places: 1 }),
        }
        let key = self.path.iter().rev().find_map(|step| match step {
            Step::Key(key) => Some(&**key),
            Step::Index(_) => None,
        });
        filled.push_str(&place.stand_in(name, key.unwrap_or_default()));
    }

    /// Whether a path is a regular expression, whatever its variables hold.
    fn is_regex(&self, text: &str, pieces: &[Piece<'_>]) -> bool {
        let is_text = |piece: &&str| dialect::is_regex(piece);
        let texts = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(*text),
            _ => None,
        });
        text.starts_with('~') || (self.is_old && texts.clone().any(|text| is_text(&text)))
    }

    fn spot(&self) -> Spot {
        Spot { file: self.file, path: TreePath::of(&self.path) }
    }

    fn fault(&mut self, message: &'static str, hint: &'static str) {
        let spot = self.spot();
        // If the file is too large here, it is too large everywhere after; report it once.
        if self.found.faults.last().is_none_or(|(_, last, _)| *last != message) {
            self.found.faults.push((spot, message, hint));
        }
    }
}

/// Turns values that come from variables into numbers or booleans where the schema wants one, because the environment has only texts.
pub(crate) fn give_types(
    sources: &mut [Source],
    found: &Variables,
    file: &Value,
    plugins: &HashMap<&str, Value>,
) {
    for spot in &found.filled {
        let Source { root, replaced, .. } = &mut sources[spot.file];
        let (schema, from) = match spot.path.plugin_of_settings() {
            Some(plugin) => {
                // After the key `config`.
                let name = root.at(&plugin).and_then(|node| node.get("name")).and_then(Node::text);
                let Some(schema) = name.and_then(|name| plugins.get(name)) else { continue };
                (schema, plugin.len() + 1)
            }
            None => (file, 0),
        };
        let wanted = schema::wanted_at(schema, spot.path.steps_from(from));
        let is_unset = found.are_unset_at(spot);
        if let Some(node) = root.at_mut(&spot.path)
            && let Kind::Text(text) = &node.kind
            && let Some(kind) = typed(text, &wanted, is_unset)
        {
            replaced.push((spot.path.clone(), std::mem::replace(&mut node.kind, kind)));
        }
    }
}

/// The text as a value of the type that is wanted, if a text does not fit.
fn typed(text: &str, wanted: &schema::Wanted<'_>, is_unset: bool) -> Option<Kind> {
    if wanted.types.is_empty() || wanted.types.contains(&"string") {
        return None;
    }
    if wanted.types.contains(&"boolean") {
        return match text {
            "true" => Some(Kind::Bool(true)),
            "false" => Some(Kind::Bool(false)),
            _ => is_unset.then_some(Kind::Bool(false)),
        };
    }
    let number = |number: Number| Kind::Number(number.clone(), number.to_string());
    if wanted.types.iter().any(|name| matches!(*name, "integer" | "number")) {
        let whole = text.parse::<i64>().ok().map(Number::from);
        let read = whole.or_else(|| text.parse().ok().and_then(Number::from_f64));
        let least = is_unset.then(|| Number::from(wanted.least.unwrap_or(1).max(1)));
        return read.or(least).map(number);
    }
    None
}

#[cfg(test)]
mod tests;
