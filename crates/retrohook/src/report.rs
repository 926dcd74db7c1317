//! What the program says to people, on standard output and standard error.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what this module is for")]

use std::error::Error;
use std::io::Write;

/// A line of output; flushed, because others wait for it.
pub fn line(text: &str) {
    println!("{text}");
    // Nobody may be reading; that is no reason to stop.
    let _ = std::io::stdout().flush();
}

/// An aligned line: `  proxy      http://127.0.0.1:8000`.
pub fn entry(name: &str, value: &str) {
    line(&format!("  {name:<12} {value}"));
}

/// A line on standard error, written at once: lines of the log may come beside it.
pub fn problem(text: &str) {
    // Nobody may be reading; that is no reason to stop.
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// An error with all its causes.
pub fn failure(what: &str, error: &dyn Error) {
    eprintln!("retrohook: {what}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
