//! RSA signatures with SHA-1 (PKCS #1 v1.5): version 1 of SNS's signature, which AWS's topics have by default and old validators ask for.
//!
//! aws-lc-rs verifies such signatures and does not make them, so AWS-LC's own interface makes them here, in the one module of Retrohook that has
//! `unsafe` ([why](../../../../docs/adr/0021-sha1-signatures-by-aws-lc-itself.md)). Nothing that is unsafe leaves it: a [`Sha1Key`] owns its
//! `EVP_PKEY` from the moment AWS-LC returns it until it is dropped, and nobody else has the pointer.
#![expect(
    unsafe_code,
    reason = "AWS-LC's C interface; the module's comment says why and what keeps it sound"
)]

use std::ptr::{self, NonNull};

use aws_lc_sys::{
    CBS, CBS_init, EVP_DigestSign, EVP_DigestSignInit, EVP_MD_CTX, EVP_MD_CTX_free, EVP_MD_CTX_new, EVP_PKEY,
    EVP_PKEY_RSA, EVP_PKEY_free, EVP_PKEY_id, EVP_PKEY_size, EVP_parse_private_key, EVP_sha1,
};

/// An RSA key that signs with SHA-1.
pub(super) struct Sha1Key(NonNull<EVP_PKEY>);

// SAFETY: the pointer is the only one to its key, so the key can move to another thread with it.
unsafe impl Send for Sha1Key {}
// SAFETY: AWS-LC allows any number of threads to sign with one key at the same time; its count of references is atomic, and nothing here changes
// the key after it was read.
unsafe impl Sync for Sha1Key {}

impl Sha1Key {
    /// Reads a private key in PKCS #8. `None` if it is something else, or not for RSA.
    pub(super) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let mut input = CBS { data: ptr::null(), len: 0 };
        // SAFETY: `der` is valid for its length and outlives `input`, which only this function uses.
        let read = unsafe {
            CBS_init(&raw mut input, der.as_ptr(), der.len());
            EVP_parse_private_key(&raw mut input)
        };
        let key = Self(NonNull::new(read)?);
        // SAFETY: the key is valid until `Self` is dropped.
        let kind = unsafe { EVP_PKEY_id(key.0.as_ptr()) };
        (kind == EVP_PKEY_RSA && input.len == 0).then_some(key)
    }

    /// The signature of a text, as long as the key's modulus. `None` if AWS-LC refuses, which a valid key gives no reason for.
    pub(super) fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        // SAFETY: the key is valid until `self` is dropped.
        let longest = usize::try_from(unsafe { EVP_PKEY_size(self.0.as_ptr()) }).ok()?;
        let mut signature = vec![0; longest];
        let mut length = signature.len();
        let context = Context::new()?;
        // SAFETY: the context and the key are valid for both calls, which take a reference of their own to the key and leave it as it is. `text`
        // and `signature` are valid for their lengths, and `length` says how much may be written.
        let signed = unsafe {
            let (context, no_engine) = (context.0.as_ptr(), ptr::null_mut());
            let ready = EVP_DigestSignInit(context, ptr::null_mut(), EVP_sha1(), no_engine, self.0.as_ptr());
            ready == 1
                && EVP_DigestSign(context, signature.as_mut_ptr(), &raw mut length, text.as_ptr(), text.len())
                    == 1
        };
        signature.truncate(length);
        signed.then_some(signature)
    }
}

impl Drop for Sha1Key {
    fn drop(&mut self) {
        // SAFETY: the pointer came from AWS-LC, and this is its only owner.
        unsafe { EVP_PKEY_free(self.0.as_ptr()) }
    }
}

/// The state of one signature.
struct Context(NonNull<EVP_MD_CTX>);

impl Context {
    fn new() -> Option<Self> {
        // SAFETY: it takes nothing, and returns null if there is no memory.
        NonNull::new(unsafe { EVP_MD_CTX_new() }).map(Self)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer came from AWS-LC, and this is its only owner.
        unsafe { EVP_MD_CTX_free(self.0.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::{
        KeyPair as _, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey,
    };

    use super::*;

    #[test]
    fn signs_what_verifies_from_many_threads() {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let pkcs8 = pair.as_der().expect("PKCS #8");
        let key = Sha1Key::from_pkcs8(pkcs8.as_ref()).expect("it is one");
        let public =
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, pair.public_key().as_ref());
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (key, public) = (&key, &public);
                scope.spawn(move || {
                    for length in [0, 1, 19, 20, 21, 4_096, 300_000] {
                        let text = vec![number; length];
                        let signature = key.sign(&text).expect("a signature");
                        assert_eq!(signature.len(), 256);
                        assert_eq!(public.verify(&text, &signature), Ok(()), "{length}");
                        assert!(public.verify(&[&text[..], b"."].concat(), &signature).is_err());
                    }
                });
            }
        });
    }

    #[test]
    fn takes_no_other_keys() {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let pkcs8 = pair.as_der().expect("PKCS #8").as_ref().to_vec();
        assert!(Sha1Key::from_pkcs8(b"").is_none());
        assert!(Sha1Key::from_pkcs8(&pkcs8[..100]).is_none(), "it breaks off");
        assert!(Sha1Key::from_pkcs8(&[&pkcs8[..], b"x"].concat()).is_none(), "something follows it");
        let curve = aws_lc_rs::signature::EcdsaKeyPair::generate(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        );
        let curve = curve.expect("a key").to_pkcs8v1().expect("PKCS #8");
        assert!(Sha1Key::from_pkcs8(curve.as_ref()).is_none(), "not for RSA");
    }
}
