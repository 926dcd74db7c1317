//! Counts of one core: only that core writes them, any thread may read them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use storage::writer::Histogram;

/// One core's counts.
#[derive(Default)]
pub struct CoreStats {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// Answers by the class of their status. 1xx is never sent, so that class counts requests without an answer.
    classes: [AtomicU64; 6],
    /// From the head of the request to the head of the answer, in microseconds.
    pub micros: Histogram,
    /// Requests that matched a rule.
    pub matched: AtomicU64,
    /// Requests that matched a rule and were refused because their intent was not stored.
    pub refused: AtomicU64,
    /// Connections to upstreams opened.
    pub upstream_connections: AtomicU64,
    /// Requests that the drain's deadline cut off.
    pub(crate) cut: AtomicU64,
    /// Exchanges of all cores that were open when this one came to the drain's deadline.
    pub(crate) left_open: AtomicU64,
}

impl CoreStats {
    pub(crate) fn answered(&self, status: StatusCode, took: Duration) {
        self.classes[usize::from(status.as_u16() / 100).min(5)].fetch_add(1, Ordering::Relaxed);
        self.micros.observe(took.as_micros() as u64);
    }

    /// Answers by the first digit of their status, `2` to `5`.
    pub fn answers(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.classes.iter().enumerate().skip(2).map(|(class, count)| (class, count.load(Ordering::Relaxed)))
    }
}
