//! Headers on their way into the facts: redacted, and no more of them than an event needs.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::{REDACTED, text_of};
use crate::redaction::Redactor;

/// What an event has of the headers of a request, and of those of an answer: the bytes of names and values together.
pub const MAX_HEADERS: usize = 16 * 1024;
/// Headers of this size fit, whatever becomes of them: neither Latin-1 nor redaction makes one more than four times as long.
pub(super) const SURELY_FITS: usize = MAX_HEADERS / 4;

/// Headers that are written as `[name, value]` pairs: secrets redacted, at most [`MAX_HEADERS`] bytes.
///
/// Where there are more, the longest lines are left out, and of equally long ones the last, until the rest fits: many small headers say
/// more of a request than a large one.
#[derive(Debug)]
pub struct HeadersView<'a> {
    headers: &'a HeaderMap,
    redactor: Redactor<'a>,
    /// By their place, in order.
    left_out: Vec<usize>,
}

impl<'a> HeadersView<'a> {
    /// Decides what is left out.
    pub fn new(headers: &'a HeaderMap, redactor: impl Into<Redactor<'a>>) -> Self {
        let mut view = Self { headers, redactor: redactor.into(), left_out: Vec::new() };
        let raw: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if raw > SURELY_FITS {
            let sizes =
                headers.iter().map(|(name, value)| name.as_str().len() + view.text(name, value).len());
            view.left_out = too_many(sizes.collect(), MAX_HEADERS);
        }
        view
    }

    /// Whether some are left out.
    pub fn is_truncated(&self) -> bool {
        !self.left_out.is_empty()
    }

    fn text(&self, name: &HeaderName, value: &'a HeaderValue) -> Cow<'a, str> {
        if self.redactor.covers(name) {
            return Cow::Borrowed(REDACTED);
        }
        match text_of(value.as_bytes()) {
            Cow::Borrowed(text) => self.redactor.value(text),
            Cow::Owned(text) => Cow::Owned(self.redactor.value(&text).into_owned()),
        }
    }
}

impl Serialize for HeadersView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pairs = serializer.serialize_seq(Some(self.headers.len() - self.left_out.len()))?;
        for (place, (name, value)) in self.headers.iter().enumerate() {
            if self.left_out.binary_search(&place).is_err() {
                pairs.serialize_element(&(name.as_str(), self.text(name, value)))?;
            }
        }
        pairs.end()
    }
}

/// The places of the largest sizes without which the rest fits; of equal ones the last go first. In order.
fn too_many(sizes: Vec<usize>, most: usize) -> Vec<usize> {
    let mut total: usize = sizes.iter().sum();
    let mut by_size: Vec<usize> = (0..sizes.len()).collect();
    by_size.sort_by_key(|place| std::cmp::Reverse((sizes[*place], *place)));
    let mut left_out = Vec::new();
    for place in by_size {
        if total <= most {
            break;
        }
        total -= sizes[place];
        left_out.push(place);
    }
    left_out.sort_unstable();
    left_out
}
