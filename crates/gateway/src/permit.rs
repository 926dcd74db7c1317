//! How many exchanges with an open intent there are, on all cores together: each has a place among them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A place among the open exchanges, given back when dropped.
pub(crate) struct ExchangePermit {
    exchanges: Arc<AtomicUsize>,
}

impl ExchangePermit {
    pub fn take(exchanges: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let before = exchanges.fetch_add(1, Ordering::Relaxed);
        let permit = Self { exchanges: exchanges.clone() };
        (before < limit).then_some(permit)
    }
}

impl Drop for ExchangePermit {
    fn drop(&mut self) {
        self.exchanges.fetch_sub(1, Ordering::Relaxed);
    }
}
