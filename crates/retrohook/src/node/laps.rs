//! How long each step of a change of the configuration took, for a log line of level `debug`.

use std::fmt::Write;
use std::time::Instant;

/// The steps of a change so far, and how long each took.
pub struct Laps {
    last: Instant,
    text: String,
}

impl Laps {
    /// The first step begins now.
    pub fn begin() -> Self {
        Self { last: Instant::now(), text: String::new() }
    }

    /// A step ends now; it began when the one before it ended.
    pub fn end(&mut self, part: &str) {
        let now = Instant::now();
        let millis = now.duration_since(self.last).as_secs_f64() * 1e3;
        self.last = now;
        let comma = if self.text.is_empty() { "" } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{comma}{part} {millis:.1} ms");
    }

    /// Writes them as a log line.
    pub fn say(&self) {
        if !self.text.is_empty() {
            tracing::debug!("steps of a change: {}", self.text);
        }
    }
}
