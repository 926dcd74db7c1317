//! Secrets of subscriptions and consumers: checked, never printed.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};

/// The shortest and the longest key of a subscription, in bytes (Standard Webhooks' bounds).
pub const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret: a subscription's `whsec_…`, a consumer's key. Its `Debug` shows nothing of it. Only the store may serialise it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A text that was checked.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether it is this text. For texts of the same length, the comparison always takes the same time.
    pub fn is(&self, text: &[u8]) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), text).is_ok()
    }

    /// The text, of a subscription with its `whsec_`.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
