//! The sink of a build without AWS's SDK: it says so.

use std::sync::Arc;

use delivery::Sink;
use delivery::sink::{Target, TargetError, To};
use storage::entities::Protocol;

use super::ABSENT;
use crate::http::HttpSink;

/// The sink of the protocol `sns`.
pub struct SnsSink;

impl SnsSink {
    /// As with the SDK, whose requests go through the client of webhooks.
    pub fn build(_: &HttpSink) -> Self {
        Self
    }
}

impl Sink for SnsSink {
    fn protocols(&self) -> &'static [Protocol] {
        &[Protocol::Sns]
    }

    fn open(&self, _: To) -> Result<Arc<dyn Target>, TargetError> {
        Err(TargetError(ABSENT.unwrap_or_default().into()))
    }

    fn waiting(&self) -> usize {
        0
    }
}
