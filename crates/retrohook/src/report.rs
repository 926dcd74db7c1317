//! What the program says to people, on standard output and standard error. Best effort: nobody may be reading.
//!
//! Where the log is JSON all of it is: each line, or a line with those that are indented below it, is an object like those of the log.

use std::error::Error;
use std::fmt::Write;

use serde_json::{Map, Value};

use crate::output::{self, Stream};

/// A line of output.
pub fn line(text: &str) {
    match output::is_json() {
        true => objects(Stream::Out, "INFO", text),
        false => output::write(Stream::Out, format!("{text}\n").as_bytes()),
    }
}

/// An aligned line: `  proxy      http://127.0.0.1:8000`.
pub fn entry(name: &str, value: &str) {
    if !output::is_json() {
        return line(&format!("  {name:<12} {value}"));
    }
    let named = Map::from_iter(
        [("name", name), ("value", value)].map(|(key, text)| (key.to_owned(), Value::from(text))),
    );
    output::write(Stream::Out, output::object("INFO", &format!("{name} {value}"), named).as_bytes());
}

/// A line on standard error, written at once: lines of the log may come beside it.
pub fn problem(text: &str) {
    match output::is_json() {
        true => objects(Stream::Err, "ERROR", text),
        false => output::write(Stream::Err, format!("{text}\n").as_bytes()),
    }
}

/// An error with all its causes.
pub fn failure(what: &str, error: &dyn Error) {
    problem(&format!("retrohook: {what}: {}", with_causes(error)));
}

/// An error's own words, and each of its causes in a line of its own.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // A string takes whatever is written to it.
        let _ = write!(text, "\n  because: {cause}");
        source = cause.source();
    }
    text
}

/// One object for each line that is not indented, with those below it that are.
fn objects(stream: Stream, level: &str, text: &str) {
    for block in blocks(text) {
        let (level, message) = match block.strip_prefix("warning: ") {
            Some(message) => ("WARN", message),
            None => (level, block.strip_prefix("retrohook: ").unwrap_or(block)),
        };
        output::write(stream, output::object(level, message, Map::new()).as_bytes());
    }
}

fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let whole = std::mem::take(&mut rest).trim_matches('\n');
        if whole.is_empty() {
            return None;
        }
        let begins = |at: &usize| !whole[at + 1..].starts_with([' ', '\n']);
        let end = whole.match_indices('\n').map(|(at, _)| at).find(begins);
        let (block, next) = whole.split_at(end.unwrap_or(whole.len()));
        rest = next;
        Some(block.trim_end_matches('\n'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_is_one_object() {
        let text = "warning: f.yaml:1:2: a\n  hint: b\nf.yaml:3:4: c\n  hint: d\n        e\n\n2 problems\n";
        let found: Vec<&str> = blocks(text).collect();
        assert_eq!(
            found,
            ["warning: f.yaml:1:2: a\n  hint: b", "f.yaml:3:4: c\n  hint: d\n        e", "2 problems"]
        );
        assert_eq!(blocks("").count() + blocks("\n").count(), 0);
    }
}
