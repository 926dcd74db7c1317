//! Confirmation tokens: opaque, and not to be guessed.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

use crate::{HubError, Result};

/// Random bytes of a token: guessing one is as hard as guessing a key.
const BYTES: usize = 32;
/// The length of a token, in hexadecimal digits.
pub const LENGTH: usize = 2 * BYTES;

/// A new token, for a subscription that is to be confirmed.
///
/// # Errors
/// If the operating system gives no random bytes.
pub fn random() -> Result<String> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| HubError::NoRandomness { what: "a token" })?;
    Ok(hex::encode(bytes))
}

/// Whether a text has the form of a token of ours. The store is not asked about others.
pub fn is_well_formed(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_well_formed_and_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert!(is_well_formed(&one) && is_well_formed(&other));
        assert_ne!(one, other);
        for bad in ["", "abc", &one.to_uppercase(), &format!("{one}0"), &one.replace(&one[..1], "x")] {
            // A token of digits alone has no upper case.
            assert!(bad == one || !is_well_formed(bad), "{bad}");
        }
    }
}
