//! Where a text can be cut: its long lists in which every element begins on a line of its own, after `- `.

use std::ops::Range;

use super::Place;

/// The fewest elements for which it is worth to cut a list: the first and the last are always read.
const LEAST: usize = 4;

/// Elements of one list, each with its lines. Between two of them the text has nothing else.
pub(super) struct Run {
    /// In their order.
    pub(super) chunks: Vec<Chunk>,
}

/// The lines of one element: from the line with its `- ` to the line of the next element. All lines after the first are indented further than
/// the `- `, are blank or have a comment alone.
pub(super) struct Chunk {
    /// Bytes of the text.
    pub(super) bytes: Range<usize>,
    /// Where the value after the `- ` begins.
    pub(super) place: Place,
}

/// A run to which more lines may belong.
struct Open {
    indent: usize,
    chunks: Vec<Chunk>,
    /// How many runs had been found before it.
    found_before: usize,
}

/// Finds the runs of a text; none of them is inside another. They are a guess that only looks at lines: what looks like a list may be in a block
/// of text.
pub(super) fn find(text: &str) -> Vec<Run> {
    // With these characters, lines and indentation are another matter.
    if text.bytes().any(|byte| matches!(byte, b'\t' | b'\r' | b'\0')) || text.contains('\u{feff}') {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut begin = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let at = begin;
        begin += line.len();
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        if matches!(rest, "" | "\n") || rest.starts_with('#') {
            continue;
        }
        let value = value_after_dash(rest);
        while open.last().is_some_and(|run| run.indent > indent || (run.indent == indent && value.is_none()))
        {
            close(&mut open, at, &mut found);
        }
        let Some(value) = value else { continue };
        if open.last().is_none_or(|run| run.indent < indent) {
            open.push(Open { indent, chunks: Vec::new(), found_before: found.len() });
        }
        if let Some(run) = open.last_mut() {
            end_at(run, at);
            let place = Place { line: number + 1, column: indent + value + 1 };
            run.chunks.push(Chunk { bytes: at..at, place });
        }
    }
    while !open.is_empty() {
        close(&mut open, text.len(), &mut found);
    }
    found
}

/// How many characters are before the value of a line like `- value`; `None` if the line is no such line.
fn value_after_dash(rest: &str) -> Option<usize> {
    let value = rest.strip_prefix("- ")?.trim_start_matches(' ');
    let is_there = !matches!(value, "" | "\n") && !value.starts_with('#');
    is_there.then(|| rest.len() - value.len())
}

fn end_at(run: &mut Open, at: usize) {
    if let Some(last) = run.chunks.last_mut() {
        last.bytes.end = at;
    }
}

/// Ends the innermost run. It counts if it is long, and if no element is most of it: in that one, the runs inside are better.
fn close(open: &mut Vec<Open>, at: usize, found: &mut Vec<Run>) {
    let Some(mut run) = open.pop() else { return };
    end_at(&mut run, at);
    let Open { chunks, found_before, .. } = run;
    let lengths = || chunks.iter().map(|chunk| chunk.bytes.len());
    let is_even = lengths().max().unwrap_or(0) <= lengths().sum::<usize>() / 2;
    if chunks.len() >= LEAST && is_even {
        found.truncate(found_before);
        found.push(Run { chunks });
    }
}
