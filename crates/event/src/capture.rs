//! Captured bodies: what a rule keeps of a request's or an answer's body, and what it must never keep.
//!
//! Pure: fed with pieces, asked once at the end. Redaction happens here, before anything is stored.

use serde_json::value::RawValue;

use crate::facts::{BodyEncoding, CapturedBody};

mod redact;

pub use redact::{JsonRedaction, PointerError};

/// Keeps the beginning of a body up to a cap and counts all of it.
#[derive(Debug)]
pub struct BodyCapture {
    cap: usize,
    kept: Vec<u8>,
    size: u64,
}

impl BodyCapture {
    /// Keeps at most `cap` bytes.
    pub fn new(cap: usize) -> Self {
        Self { cap, kept: Vec::new(), size: 0 }
    }

    /// The next piece of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        self.size = self.size.saturating_add(chunk.len() as u64);
        let room = self.cap - self.kept.len();
        self.kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }

    /// What is to be stored of the body.
    ///
    /// Text stays text; other bodies become base64. A text that the cap cut within a character ends before that character.
    ///
    /// With a redaction, only a body that is there as a whole and is one JSON document is kept, redacted. Of any other (cut at the cap,
    /// broken off, compressed, a form, several documents) nobody can tell where the secrets are, so nothing is kept: `content` is
    /// empty and `truncated` is true. An empty body has no secrets and stays what it is.
    pub fn finish(self, redaction: &JsonRedaction) -> CapturedBody {
        let Self { kept, size, .. } = self;
        let cut = kept.len() as u64 != size;
        if size == 0 || redaction.is_empty() {
            return whole(kept, size, cut);
        }
        let redacted = if cut { None } else { parse(&kept).and_then(|json| redaction.apply(json)) };
        CapturedBody {
            truncated: redacted.is_none(),
            content: redacted.unwrap_or_default(),
            encoding: BodyEncoding::Utf8,
            size,
        }
    }
}

fn parse(bytes: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(bytes).ok()
}

fn whole(kept: Vec<u8>, size: u64, truncated: bool) -> CapturedBody {
    let (content, encoding) = match String::from_utf8(kept) {
        Ok(text) => (text, BodyEncoding::Utf8),
        Err(error) => not_quite_utf8(error, truncated),
    };
    CapturedBody { content, encoding, truncated, size }
}

fn not_quite_utf8(error: std::string::FromUtf8Error, truncated: bool) -> (String, BodyEncoding) {
    use base64::Engine;
    let wrong = error.utf8_error();
    let mut bytes = error.into_bytes();
    // No length: the bytes end within a character, which only the cap can have cut.
    if truncated && wrong.error_len().is_none() {
        bytes.truncate(wrong.valid_up_to());
        if let Ok(text) = String::from_utf8(bytes) {
            return (text, BodyEncoding::Utf8);
        }
        return (String::new(), BodyEncoding::Utf8);
    }
    (base64::engine::general_purpose::STANDARD.encode(bytes), BodyEncoding::Base64)
}

#[cfg(test)]
mod tests;
