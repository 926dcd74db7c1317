//! From text to tree, event by event. The limits are checked while the text is read, and nothing here recurses.

use std::collections::HashMap;

use event::size::Size;
use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use serde_json::Number;

use super::seams::Seams;
use super::{Entry, Kind, MAX_DEPTH, MAX_FILE, MAX_NODES, Node, Place, Step, TreePath};

/// Something wrong with the text itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Fault {
    fn new(place: Place, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: hint.into() }
    }
}

/// Reads a text that holds one YAML document. Problems with keys are collected; a syntax error or a limit ends the reading.
pub(crate) fn parse(text: &str) -> Result<Node, Vec<Fault>> {
    let text = content(text)?;
    let mut builder = Builder::new(end(text));
    builder.read(text);
    builder.finish().map(|(root, _)| root)
}

/// The text without a byte order mark.
pub(super) fn content(text: &str) -> Result<&str, Vec<Fault>> {
    if text.len() > MAX_FILE {
        let hint = "split it: `-c` may be given several times";
        return Err(vec![Fault::new(Place::START, format!("larger than {}", Size(MAX_FILE as u64)), hint)]);
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The place after the last character.
pub(super) fn end(text: &str) -> Place {
    let mut breaks = text.matches('\n').count();
    breaks += text.match_indices('\r').filter(|(at, _)| !text[at + 1..].starts_with('\n')).count();
    let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
    Place { line: breaks + 1, column: last.chars().count() + 1 }
}

/// A list or mapping that is still open.
struct Frame {
    place: Place,
    anchor: usize,
    open: Open,
}

enum Open {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merged: Vec<Entry>, key: Key },
}

/// What was read so far of the next entry of an open mapping.
enum Key {
    None,
    Some(String, Place),
    /// `<<`: the value is merged into the mapping.
    Merge,
    /// The key was refused; its value is read and dropped.
    Refused,
}

/// Makes a tree of what the parser finds.
pub(super) struct Builder {
    /// The largest place that a problem can have: for what is missing at the end, the parser reports a line that does not exist.
    end: Place,
    root: Option<Node>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    faults: Vec<Fault>,
    seams: Seams,
    /// How many lines are missing before a line of the text and after the one before it: the text's line, and all lines missing so far.
    missing: Vec<(usize, usize)>,
}

impl Builder {
    /// For a text that ends at this place.
    pub(super) fn new(end: Place) -> Self {
        let (stack, anchors, faults) = (Vec::new(), HashMap::new(), Vec::new());
        let (seams, missing) = (Seams::default(), Vec::new());
        Self { end, root: None, stack, anchors, nodes: 0, faults, seams, missing }
    }

    /// The same, for a text with these seams in which lines are missing.
    pub(super) fn with(self, seams: Seams, missing: Vec<(usize, usize)>) -> Self {
        Self { seams, missing, ..self }
    }

    /// Reads a text.
    pub(super) fn read(&mut self, text: &str) {
        for event in Parser::new_from_str(text) {
            let taken = match event {
                Ok((event, span)) => self.take(event, span),
                Err(error) => {
                    let hint = match error.info().contains("tab") {
                        true => "YAML is indented with spaces: replace the tabs",
                        false => "check the indentation, quotes and brackets here and in the line above",
                    };
                    Err(Fault::new(self.place(error.marker()), format!("not YAML: {}", error.info()), hint))
                }
            };
            if let Err(fault) = taken {
                self.faults.push(fault);
                break;
            }
        }
        self.seams.end();
    }

    /// What was read, and the seams that were met in it.
    pub(super) fn finish(self) -> Result<(Node, Seams), Vec<Fault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        Ok((self.root.unwrap_or(Node { place: Place::START, kind: Kind::Null }), self.seams))
    }

    fn place(&self, marker: &Marker) -> Place {
        let line = marker.line().max(1);
        let before = self.missing.partition_point(|(first, _)| *first <= line);
        let missing = before.checked_sub(1).map_or(0, |last| self.missing[last].1);
        Place { line: line + missing, column: marker.col() + 1 }.min(self.end)
    }

    /// A value begins here. If it is an element of a long list, those before it are put in that the text was left without.
    fn begin(&mut self, at: Place, is_bare: bool) {
        // What an anchor stands for may be anywhere in the file.
        self.seams.failed |= !is_bare;
        let is_element = matches!(self.stack.last(), Some(Frame { open: Open::List(_), .. }));
        let Some(seam) = self.seams.due(at, is_element) else { return };
        let depth = self.stack.len();
        if let Some((Frame { place, open: Open::List(items), .. }, around)) = self.stack.split_last_mut() {
            self.seams.meet(seam, (*place, depth), || path_of(around), items, &mut self.nodes);
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = self.place(&span.start);
        match event {
            Event::SequenceStart(anchor, tag) => {
                self.begin(at, anchor == 0 && tag.is_none());
                self.refuse_tag(tag.as_deref(), at);
                self.open(at, anchor, Open::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(at, anchor == 0 && tag.is_none());
                self.refuse_tag(tag.as_deref(), at);
                self.open(at, anchor, Open::Map { entries: Vec::new(), merged: Vec::new(), key: Key::None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Scalar(text, style, anchor, tag) => {
                self.begin(at, anchor == 0 && tag.is_none());
                self.count(1, at)?;
                let kind = self.scalar(&text, style, tag.as_deref(), at);
                let is_merge = style == ScalarStyle::Plain && text == "<<";
                self.place_node(Node { place: self.scalar_place(&kind, &text, at), kind }, anchor, is_merge)
            }
            Event::Alias(anchor) => {
                self.begin(at, false);
                self.alias(anchor, at)
            }
            Event::DocumentStart(_) if self.root.is_some() => Err(Fault::new(
                at,
                "a second document in one file",
                "put it into a file of its own: `-c` may be given several times",
            )),
            _ => Ok(()),
        }
    }

    fn open(&mut self, at: Place, anchor: usize, open: Open) -> Result<(), Fault> {
        self.count(1, at)?;
        if self.stack.len() == MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.stack.push(Frame { place: at, anchor, open });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Frame { place, anchor, open }) = self.stack.pop() else { return Ok(()) };
        let kind = match open {
            Open::List(items) => Kind::List(items),
            Open::Map { mut entries, merged, .. } => {
                for entry in merged {
                    if entries.iter().all(|own| own.key != entry.key) {
                        entries.push(entry);
                    }
                }
                Kind::Map(entries)
            }
        };
        self.place_node(Node { place, kind }, anchor, false)
    }

    fn alias(&mut self, anchor: usize, at: Place) -> Result<(), Fault> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(Fault::new(at, "an alias of the value that contains it", "write the value out"));
        };
        let node = node.clone();
        self.count(size(&node), at)?;
        if self.stack.len() + height(&node) > MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.place_node(node, 0, false)
    }

    /// Puts a finished value where it belongs: into the innermost open list or mapping.
    fn place_node(&mut self, node: Node, anchor: usize, is_merge: bool) -> Result<(), Fault> {
        if anchor > 0 {
            self.count(size(&node), node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map { entries, merged, key } => match std::mem::replace(key, Key::None) {
                Key::None => match read_key(node, entries, is_merge) {
                    Ok(read) => *key = read,
                    Err(fault) => {
                        *key = Key::Refused;
                        self.faults.push(fault);
                    }
                },
                Key::Merge => match merge_source(node) {
                    Ok(found) => merged.extend(found),
                    Err(fault) => self.faults.push(fault),
                },
                Key::Some(name, key_place) => entries.push(Entry { key: name, key_place, value: node }),
                Key::Refused => {}
            },
        }
        Ok(())
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Place) -> Kind {
        self.refuse_tag(tag, at);
        if tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str") {
            return Kind::Text(text.to_owned());
        }
        match Scalar::parse_from_cow_and_metadata(text.into(), style, None) {
            Some(Scalar::Null) => Kind::Null,
            Some(Scalar::Boolean(bool)) => Kind::Bool(bool),
            Some(Scalar::Integer(integer)) => Kind::Number(integer.into(), text.to_owned()),
            Some(Scalar::FloatingPoint(float)) => match Number::from_f64(float.into_inner()) {
                Some(number) => Kind::Number(number, text.to_owned()),
                None => Kind::Text(text.to_owned()),
            },
            Some(Scalar::String(text)) => Kind::Text(text.into_owned()),
            None => Kind::Text(text.to_owned()),
        }
    }

    /// The place of an absent value is that of its key. The parser reports a place after the key, often in another line.
    fn scalar_place(&self, kind: &Kind, text: &str, at: Place) -> Place {
        match self.stack.last().map(|frame| &frame.open) {
            Some(Open::Map { key: Key::Some(_, key_place), .. })
                if text.is_empty() && matches!(kind, Kind::Null) =>
            {
                *key_place
            }
            _ => at,
        }
    }

    /// Refuses all tags except `!!str` and those that say what the value is anyway.
    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Place) {
        let Some(tag) = tag else { return };
        if !tag.is_yaml_core_schema() || !matches!(tag.suffix.as_str(), "str" | "map" | "seq") {
            let fault =
                Fault::new(at, "YAML tags are not supported", "remove the `!…` in front of the value");
            self.faults.push(fault);
        }
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), Fault> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("more than {MAX_NODES} values, aliases resolved");
            return Err(Fault::new(at, message, "split the file, or use fewer aliases of aliases"));
        }
        Ok(())
    }
}

/// The path of the value that is read next; `None` if it is no value of its own.
fn path_of(stack: &[Frame]) -> Option<TreePath> {
    let step = |frame: &Frame| match &frame.open {
        Open::List(items) => Some(Step::Index(items.len())),
        Open::Map { key: Key::Some(name, _), .. } => Some(Step::Key(name.as_str().into())),
        Open::Map { .. } => None,
    };
    stack.iter().map(step).collect::<Option<Vec<_>>>().map(|steps| TreePath::of(&steps))
}

fn read_key(node: Node, entries: &[Entry], is_merge: bool) -> Result<Key, Fault> {
    let Kind::Text(text) = node.kind else {
        let hint = "put a number, `true` or `null` that is meant as a key in quotes";
        return Err(Fault::new(node.place, "a key must be a string", hint));
    };
    if is_merge {
        return Ok(Key::Merge);
    }
    if let Some(first) = entries.iter().find(|entry| entry.key == text) {
        let message = format!("duplicate key `{text}`");
        let hint = format!("it is in line {} already: keep one of the two", first.key_place.line);
        return Err(Fault::new(node.place, message, hint));
    }
    Ok(Key::Some(text, node.place))
}

/// The entries that `<<` merges: those of a mapping, or of a list of mappings.
fn merge_source(node: Node) -> Result<Vec<Entry>, Fault> {
    let place = node.place;
    match node.kind {
        Kind::Map(entries) => Ok(entries),
        Kind::List(items) if items.iter().all(|item| matches!(item.kind, Kind::Map(_))) => {
            Ok(items.into_iter().filter_map(|item| merge_source(item).ok()).flatten().collect())
        }
        _ => Err(Fault::new(place, "`<<` merges a mapping", "give it an alias of a mapping: `<<: *name`")),
    }
}

fn too_deep(at: Place) -> Fault {
    let hint = "no configuration needs that: look for brackets that are not closed";
    Fault::new(at, format!("nested deeper than {MAX_DEPTH} levels"), hint)
}

/// How many levels `node` has.
fn height(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|entry| height(&entry.value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// How many values `node` has, itself included.
fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.value)).sum::<usize>(),
        _ => 1,
    }
}
