//! Signatures: HMAC-SHA256 for Standard Webhooks, RSA with SHA-256 for SNS (signature version 2).

mod holder;
mod secret;
mod sns_key;

pub use holder::KeyHolder;
pub use secret::{ParseSecretError, Secret};
pub use sns_key::{SnsKey, SnsKeyError};

#[cfg(test)]
mod tests;
