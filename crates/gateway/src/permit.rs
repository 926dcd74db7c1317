//! Limits the exchanges with an open intent, on all cores together: each holds a permit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The permit of one open exchange, given back when it is dropped.
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
