//! Reading a file again: what is as before in its long lists is not parsed again.
//!
//! A file that is read again is nearly always the same but for a few lines, and parsing is most of what reading costs. So the tree of a file is
//! kept with its text. The next text is cut at the elements of its long lists ([`super::runs`]). Those whose lines are in the earlier text, too,
//! are left out of what is parsed, and their trees are moved to where they belong.
//!
//! Why the tree is that of the whole text, with all places: the parser is the same wherever an element of a block list begins. It has no key
//! open, all that is indented further has ended, and the lines of an element cannot end anything around it, because they are indented further
//! than its `- `. So an element takes the parser from such a place to the next one, whatever the elements around it are. That an element begins
//! where the text was cut is not assumed: it must have been met there as an element of one and the same list ([`super::seams`]), in the earlier
//! text and in this one, before what was left out and after it. Anchors, tags, tabs and other line ends than `\n` would need more care than
//! this, so no element is left out of files with any of them. Whatever does not fit, a problem first of all, is left to the whole text.

use std::ops::Range;

use foldhash::HashMap;

use super::parse::{Builder, Fault, content, end, parse};
use super::runs::{self, Run};
use super::seams::{LeftOut, Met, Seam, Seams};
use super::{Kind, Node, Place, TreePath};

/// A file as it was read: its text and its tree. No `Debug`: it may hold secrets.
pub(crate) struct Known {
    text: String,
    root: Node,
    lists: Vec<Long>,
}

/// A long list.
struct Long {
    path: TreePath,
    /// In how many lists and mappings its elements are.
    depth: usize,
    /// The index of the first of the elements.
    first: usize,
    elements: Vec<Element>,
}

/// An element of a long list.
struct Element {
    bytes: Range<usize>,
    line: usize,
    /// How many values it has, keys included.
    values: usize,
}

/// What was found about a text beside its tree.
#[derive(Default)]
pub(crate) struct Shape {
    lists: Vec<Long>,
}

impl Known {
    /// To be kept for the next reading. `None` if that could not use it.
    pub(crate) fn new(text: &str, root: Node, shape: Shape) -> Option<Self> {
        let text = content(text).ok().filter(|_| !shape.lists.is_empty())?;
        Some(Self { text: text.to_owned(), root, lists: shape.lists })
    }
}

/// Like [`parse`], with the same result, of a file that was read before.
pub(crate) fn parse_again(text: &str, known: Option<Known>) -> Result<(Node, Shape), Vec<Fault>> {
    let text = content(text)?;
    let runs = runs::find(text);
    if runs.is_empty() {
        return parse(text).map(|root| (root, Shape::default()));
    }
    if let Some(read) = known.and_then(|known| Cut::new(text, &runs, known).read(text, &runs)) {
        debug_assert!(parse(text).is_ok_and(|root| root == read.0), "a file is read differently again");
        return Ok(read);
    }
    let mut builder = Builder::new(end(text)).with(Seams::new(all_seams(&runs), runs.len()), Vec::new());
    builder.read(text);
    builder.finish().map(|(root, seams)| (root, shape(&runs, seams)))
}

/// The seams of a text of which nothing is left out.
fn all_seams(runs: &[Run]) -> Vec<Seam> {
    let mut seams = Vec::new();
    for (run, Run { chunks }) in runs.iter().enumerate() {
        let seam = |(index, chunk): (usize, &runs::Chunk)| Seam {
            place: chunk.place,
            run,
            index,
            left_out: Vec::new(),
        };
        seams.extend(chunks.iter().enumerate().map(seam));
    }
    seams
}

/// The long lists of a text, after it was read.
fn shape(runs: &[Run], seams: Seams) -> Shape {
    if seams.failed {
        return Shape::default();
    }
    let long = |(run, met): (&Run, Option<Met>)| {
        let met = met.filter(|met| met.count == run.chunks.len())?;
        let values = met.values.into_iter().chain([0]);
        let element = |(chunk, values): (&runs::Chunk, usize)| Element {
            bytes: chunk.bytes.clone(),
            line: chunk.place.line,
            values,
        };
        let elements = run.chunks.iter().zip(values).map(element).collect();
        Some(Long { path: met.path, depth: met.depth, first: met.first, elements })
    };
    Shape { lists: runs.iter().zip(seams.met).filter_map(long).collect() }
}

/// A text without the elements that are known.
struct Cut {
    text: String,
    seams: Vec<Seam>,
    /// As [`Builder::with`] wants them.
    missing: Vec<(usize, usize)>,
}

impl Cut {
    fn new(text: &str, runs: &[Run], mut known: Known) -> Self {
        let mut places = elements_by_text(&known);
        let found = runs.iter().map(|run| find(text, run, &mut places)).collect::<Vec<_>>();
        drop(places);
        let mut cut = Self { text: String::new(), seams: Vec::new(), missing: Vec::new() };
        let (mut copied, mut missing) = (0, 0);
        for (run, (Run { chunks }, found)) in runs.iter().zip(found).enumerate() {
            let mut left_out = Vec::new();
            for (index, (chunk, found)) in chunks.iter().zip(found).enumerate() {
                if let Some((list, element)) = found {
                    cut.text.push_str(&text[copied..chunk.bytes.start]);
                    copied = chunk.bytes.end;
                    left_out.push(known.take(list, element, chunk.place.line));
                    continue;
                }
                if !left_out.is_empty() {
                    let first_left_out = &chunks[index - left_out.len()];
                    let shown = first_left_out.place.line - missing;
                    missing += chunk.place.line - first_left_out.place.line;
                    cut.missing.push((shown, missing));
                }
                let left_out = std::mem::take(&mut left_out);
                cut.seams.push(Seam { place: chunk.place, run, index, left_out });
            }
        }
        cut.text.push_str(&text[copied..]);
        cut
    }

    /// Reads it. `None` if it is not certain that the whole text gives the same.
    fn read(self, whole: &str, runs: &[Run]) -> Option<(Node, Shape)> {
        if self.missing.is_empty() {
            return None;
        }
        let seams = Seams::new(self.seams, runs.len());
        let mut builder = Builder::new(end(whole)).with(seams, self.missing);
        builder.read(&self.text);
        let (root, seams) = builder.finish().ok().filter(|(_, seams)| !seams.failed)?;
        Some((root, shape(runs, seams)))
    }
}

/// Where the elements of the long lists are, list and element, by their lines. The first and the last of a list are not there: what is before or
/// after them is not an element.
fn elements_by_text(known: &Known) -> HashMap<&str, (usize, usize)> {
    let mut places = HashMap::default();
    for (list, long) in known.lists.iter().enumerate() {
        let inner = 1..long.elements.len().saturating_sub(1);
        let element = |index: usize| (&known.text[long.elements[index].bytes.clone()], (list, index));
        places.extend(inner.map(element));
    }
    places
}

/// Where each element of a run is known, except for the first and the last. What is found is not found again.
fn find(text: &str, run: &Run, places: &mut HashMap<&str, (usize, usize)>) -> Vec<Option<(usize, usize)>> {
    let last = run.chunks.len() - 1;
    let find = |(index, chunk): (usize, &runs::Chunk)| {
        let is_inner = 0 < index && index < last;
        if is_inner { places.remove(&text[chunk.bytes.clone()]) } else { None }
    };
    run.chunks.iter().enumerate().map(find).collect()
}

impl Known {
    /// Takes an element of a long list, for a text in which it begins in another line.
    fn take(&mut self, list: usize, element: usize, line: usize) -> LeftOut {
        let Long { path, depth, first, elements } = &self.lists[list];
        let Element { line: was, values, .. } = elements[element];
        let absent = Node { place: Place::START, kind: Kind::Null };
        let node = self.root.at_mut(path).and_then(|node| node.item_mut(first + element));
        let mut node = node.map_or(absent.clone(), |node| std::mem::replace(node, absent));
        if was != line {
            node.move_lines(was, line);
        }
        LeftOut { node, values, depth: *depth }
    }
}

#[cfg(test)]
mod tests;
