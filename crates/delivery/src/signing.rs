//! Signatures: HMAC-SHA256 for Standard Webhooks, RSA for SNS, with SHA-256 (signature version 2) or SHA-1 (version 1).

mod holder;
mod secret;
mod sha1_rsa;
mod sns_key;
mod verify;

pub use entities::SignatureVersion;
pub use holder::KeyHolder;
pub use secret::{ParseSecretError, Secret};
pub use sns_key::{SnsKey, SnsKeyError};
pub use verify::{Unverified, verify_sns};

#[cfg(test)]
mod tests;
