//! Captured bodies: what a rule keeps of a request's or an answer's body, and what it must never keep.
//!
//! Pure: fed with pieces, asked once at the end. Redaction happens here, before anything is stored, and piece by piece, because this runs
//! on the thread that serves other requests, too: no piece costs more than its own length, and the end costs nothing but the copy.

use std::sync::Arc;

use crate::facts::{BodyEncoding, CapturedBody};

mod redact;
mod stream;

pub use redact::{JsonRedaction, PointerError};
use stream::Redactor;

/// Keeps the beginning of a body up to a cap and counts all of it.
#[derive(Debug)]
pub struct BodyCapture {
    cap: usize,
    kept: Kept,
    size: u64,
}

#[derive(Debug)]
enum Kept {
    AsItIs(Vec<u8>),
    Redacted(Box<Redactor>),
}

impl BodyCapture {
    /// Keeps at most `cap` bytes. With a redaction, only a body that is there as a whole and is one JSON document is kept, redacted. Of any
    /// other (cut at the cap, broken off, compressed, a form, several documents) nobody can say where the secrets are, so nothing is
    /// kept: `content` is empty and `truncated` is true. An empty body has no secrets and stays what it is. Redaction may make a document
    /// longer, but one of more than twice the cap is not kept either.
    pub fn new(cap: usize, redaction: &Arc<JsonRedaction>) -> Self {
        let kept = match redaction.is_empty() {
            true => Kept::AsItIs(Vec::new()),
            false => Kept::Redacted(Box::new(Redactor::new(redaction.clone(), cap.saturating_mul(2)))),
        };
        Self { cap, kept, size: 0 }
    }

    /// The next piece of the body.
    pub fn push(&mut self, chunk: &[u8]) {
        self.size = self.size.saturating_add(chunk.len() as u64);
        match &mut self.kept {
            Kept::AsItIs(kept) => {
                let room = self.cap - kept.len();
                kept.extend_from_slice(&chunk[..chunk.len().min(room)]);
            }
            Kept::Redacted(redactor) if self.size > self.cap as u64 => redactor.give_up(),
            Kept::Redacted(redactor) => redactor.push(chunk),
        }
    }

    /// What is to be stored of the body.
    ///
    /// Text stays text; other bodies become base64. A text that the cap cut within a character ends before that character.
    pub fn finish(self) -> CapturedBody {
        let Self { kept, size, .. } = self;
        match kept {
            Kept::AsItIs(kept) => {
                let cut = kept.len() as u64 != size;
                whole(kept, size, cut)
            }
            Kept::Redacted(redactor) => {
                let redacted = redactor.finish();
                CapturedBody {
                    truncated: size > 0 && redacted.is_none(),
                    content: redacted.unwrap_or_default(),
                    encoding: BodyEncoding::Utf8,
                    size,
                }
            }
        }
    }
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
