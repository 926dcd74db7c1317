//! What the demo prints: a timeline that can be read aloud.

use std::convert::Infallible;
use std::error::Error;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::report;

/// The columns of a narrow terminal: no line is longer, except by a word that is.
const WIDTH: usize = 80;
/// No silence is longer.
const SECOND: Duration = Duration::from_secs(1);
/// Where the text of a step begins: after its time and the name of who acts.
const STEP: usize = 26;
/// Where the place of a part begins, and what is said of it.
const PLACE: usize = 14;
const WHAT: usize = 42;

/// Prints rounds and steps with the time since the round began.
pub struct Timeline {
    round: Instant,
    bold: &'static str,
    dim: &'static str,
    plain: &'static str,
}

impl Timeline {
    pub fn new() -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let (bold, dim, plain) = if colours { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        Self { round: Instant::now(), bold, dim, plain }
    }

    /// A line before the rounds.
    pub fn intro(&self, line: &str) {
        report::line(line);
    }

    /// A part of the cast: who, where, what for.
    pub fn part(&self, name: &str, place: &str, what: &str) {
        let who = format!("  {name:<10}  {place}");
        let said = |line: &str| format!("{}{line}{}", self.dim, self.plain);
        if columns(&who) < WHAT && WHAT + columns(what) <= WIDTH {
            return report::line(&format!("{who:<WHAT$}{}", said(what)));
        }
        report::line(&who);
        for line in folded(what, WIDTH - PLACE) {
            report::line(&format!("{:PLACE$}{}", "", said(line)));
        }
    }

    /// A round begins.
    pub fn round(&mut self, number: usize, title: &str) {
        report::line(&format!("\n{}Round {number} · {title}{}", self.bold, self.plain));
        self.round = Instant::now();
    }

    /// A step happened.
    pub fn step(&self, who: &str, what: &str) {
        let millis = self.round.elapsed().as_secs_f64() * 1_000.0;
        let begin = format!("{}{millis:>9.1} ms{}  {who:<10}  ", self.dim, self.plain);
        for (number, line) in folded(what, WIDTH - STEP).into_iter().enumerate() {
            match number {
                0 => report::line(&format!("{begin}{line}")),
                _ => report::line(&format!("{:STEP$}{line}", "")),
            }
        }
    }

    /// A line under a step.
    pub fn note(&self, what: &str) {
        for line in folded(what, WIDTH - STEP) {
            report::line(&format!("{:STEP$}{}{line}{}", "", self.dim, self.plain));
        }
    }

    /// Says every second that it waits, and for what: `the webhook to hear of /profiles/ada`.
    pub async fn waiting_for(&self, what: &str) -> Infallible {
        let began = tokio::time::Instant::now();
        let mut second = tokio::time::interval_at(began + SECOND, SECOND);
        loop {
            second.tick().await;
            self.note(&format!("{} s: waiting for {what}", began.elapsed().as_secs()));
        }
    }
}

/// The text in lines of at most so many columns, broken at spaces.
fn folded(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while columns(rest) > width {
        let fits = rest.char_indices().nth(width + 1).map_or(rest, |(end, _)| &rest[..end]);
        let Some(at) = fits.rfind(' ').or_else(|| rest.find(' ')) else { break };
        lines.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    lines.push(rest);
    lines
}

/// How wide it is: the demo prints no wide characters.
fn columns(text: &str) -> usize {
    text.chars().count()
}

/// The demo ended before its time.
pub fn failure(error: &dyn Error) {
    report::problem(&format!("\nretrohook demo failed: {}", report::with_causes(error)));
}

#[cfg(test)]
mod tests {
    use super::folded;

    #[test]
    fn a_text_is_folded_at_spaces_and_a_long_word_stays_whole() {
        assert_eq!(folded("one two three", 7), ["one two", "three"]);
        assert_eq!(folded("one two three", 6), ["one", "two", "three"]);
        assert_eq!(folded("→ two", 5), ["→ two"]);
        assert_eq!(folded("a/very/long/path and more", 8), ["a/very/long/path", "and more"]);
        assert_eq!(folded("a/very/long/path", 8), ["a/very/long/path"]);
        assert_eq!(folded("", 8), [""]);
    }
}
