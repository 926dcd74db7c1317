//! Where the time of a change of the configuration goes, for the log at level `debug`.

use std::fmt::Write;
use std::time::Instant;

/// What a change has done so far, and how long each part took.
pub struct Laps {
    last: Instant,
    text: String,
}

impl Laps {
    /// Begins now.
    pub fn begin() -> Self {
        Self { last: Instant::now(), text: String::new() }
    }

    /// A part has ended now, which began where the one before it ended.
    pub fn end(&mut self, part: &str) {
        let now = Instant::now();
        let millis = now.duration_since(self.last).as_secs_f64() * 1e3;
        self.last = now;
        let comma = if self.text.is_empty() { "" } else { ", " };
        // A string takes whatever is written to it.
        let _ = write!(self.text, "{comma}{part} {millis:.1} ms");
    }

    /// Writes them to the log.
    pub fn say(&self) {
        if !self.text.is_empty() {
            tracing::debug!("steps of a change: {}", self.text);
        }
    }
}
