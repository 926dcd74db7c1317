//! A Standard Webhooks secret: `whsec_` and base64 of the key.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// The shortest and the longest key, in bytes (the specification's bounds).
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs deliveries. Never printed.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// Why a text is not a valid secret. Shows nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSecretError {
    /// Not base64 after `whsec_`.
    #[error("a secret is `whsec_` and base64")]
    Base64,
    /// Too short or too long.
    #[error("a secret has 24 to 64 bytes, not {0}")]
    Length(usize),
}

impl FromStr for Secret {
    type Err = ParseSecretError;

    fn from_str(text: &str) -> Result<Self, ParseSecretError> {
        let encoded = text.strip_prefix("whsec_").unwrap_or(text);
        let key = STANDARD
            .decode(encoded)
            .or_else(|_| STANDARD_NO_PAD.decode(encoded))
            .map_err(|_| ParseSecretError::Base64)?;
        if !KEY_BYTES.contains(&key.len()) {
            return Err(ParseSecretError::Length(key.len()));
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }
}

impl Secret {
    /// Whether one of the signatures in a `webhook-signature` header is this secret's over `id.timestamp.body`. Takes the same time for any wrong one.
    pub fn verifies(&self, id: &str, timestamp: &str, body: &[u8], signatures: &str) -> bool {
        let mut expected = String::new();
        self.sign_into(id, timestamp, body, &mut expected);
        let is_it = |given: &str| {
            aws_lc_rs::constant_time::verify_slices_are_equal(given.as_bytes(), expected.as_bytes()).is_ok()
        };
        signatures.split(' ').any(is_it)
    }

    /// Appends `v1,<base64>` over `id.timestamp.body` to `out`.
    pub fn sign_into(&self, id: &str, timestamp: &str, body: &[u8], out: &mut String) {
        let mut mac = hmac::Context::with_key(&self.0);
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        out.push_str("v1,");
        STANDARD.encode_string(mac.sign().as_ref(), out);
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
