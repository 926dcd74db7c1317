//! What the demo prints: a timeline that can be read aloud.

use std::error::Error;
use std::io::IsTerminal;
use std::time::Instant;

use crate::report;

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
        report::line(&format!("  {name:<16} {place:<28} {}{what}{}", self.dim, self.plain));
    }

    /// A round begins.
    pub fn round(&mut self, number: usize, title: &str) {
        report::line(&format!("\n{}Round {number} · {title}{}", self.bold, self.plain));
        self.round = Instant::now();
    }

    /// A step happened.
    pub fn step(&self, who: &str, what: &str) {
        let millis = self.round.elapsed().as_secs_f64() * 1_000.0;
        report::line(&format!("{}{millis:>9.1} ms{}  {who:<16} {what}", self.dim, self.plain));
    }

    /// A line under a step.
    pub fn note(&self, what: &str) {
        report::line(&format!("{:>12}  {:<16} {}{what}{}", "", "", self.dim, self.plain));
    }
}

/// The demo ended before its time.
pub fn failure(error: &dyn Error) {
    report::problem(&format!("\nretrohook demo failed: {}", report::with_causes(error)));
}
