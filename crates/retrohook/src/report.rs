//! What the program says to people, on standard output and standard error. Best effort: nobody may be reading.

use std::error::Error;
use std::fmt::Write;

use crate::output::{self, Stream};

/// A line of output.
pub fn line(text: &str) {
    output::write(Stream::Out, format!("{text}\n").as_bytes());
}

/// An aligned line: `  proxy      http://127.0.0.1:8000`.
pub fn entry(name: &str, value: &str) {
    line(&format!("  {name:<12} {value}"));
}

/// A line on standard error, written at once: lines of the log may come beside it.
pub fn problem(text: &str) {
    output::write(Stream::Err, format!("{text}\n").as_bytes());
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
