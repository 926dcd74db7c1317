//! Tests of signatures: the specification's vector, and verification by the published certificate.

use aws_lc_rs::signature::{self, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;

const VECTOR: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn signed(secret: &str) -> String {
    let mut out = String::new();
    let secret: Secret = secret.parse().unwrap();
    secret.sign_into("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#, &mut out);
    out
}

#[test]
fn signs_the_standard_webhooks_vector() {
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(signed(VECTOR), expected);
    assert_eq!(signed(&format!("whsec_{VECTOR}")), expected);
}

#[test]
fn verifies_its_own_signature_among_several() {
    let (good, bad): (Secret, Secret) = (VECTOR.parse().unwrap(), STANDARD.encode([7; 24]).parse().unwrap());
    let (id, at, body) = ("id", "1614265330", b"body");
    let mut signatures = String::new();
    bad.sign_into(id, at, body, &mut signatures);
    assert!(!good.verifies(id, at, body, &signatures));
    signatures.push(' ');
    good.sign_into(id, at, body, &mut signatures);
    assert!(good.verifies(id, at, body, &signatures) && bad.verifies(id, at, body, &signatures));
    assert!(!good.verifies("i", at, body, &signatures));
    assert!(!good.verifies(id, "1614265331", body, &signatures));
    assert!(!good.verifies(id, at, b"bodies", &signatures));
    assert!(!good.verifies(id, at, body, ""));
}

#[test]
fn refuses_bad_secrets_and_prints_none() {
    let error = |text: &str| text.parse::<Secret>().unwrap_err();
    assert_eq!(error("whsec_!"), ParseSecretError::Base64);
    assert_eq!(error("whsec_c2hvcnQ="), ParseSecretError::Length(5));
    assert_eq!(error(&STANDARD.encode([7; 65])), ParseSecretError::Length(65));
    assert_eq!(error(&STANDARD.encode([7; 23])), ParseSecretError::Length(23));
    for length in [24, 64] {
        assert!(STANDARD.encode(vec![7; length]).parse::<Secret>().is_ok(), "{length}");
    }
    assert_eq!(format!("{:?}", VECTOR.parse::<Secret>().unwrap()), "Secret(…)");
}

#[test]
fn an_sns_key_signs_verifiably_and_survives_storage() {
    let key = SnsKey::generate().unwrap();
    let signature = STANDARD.decode(key.sign(SignatureVersion::Two, b"Message\nhello\n").unwrap()).unwrap();
    assert_eq!(signature.len(), 256);
    let certificate = CertificateDer::from_pem_slice(key.certificate_pem().as_bytes()).unwrap();
    let public = public_key_of(&certificate);
    let verify = |text: &[u8]| {
        UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, &public).verify(text, &signature)
    };
    assert!(verify(b"Message\nhello\n").is_ok());
    assert!(verify(b"Message\nhullo\n").is_err());

    let again = SnsKey::from_pem(key.to_pem().as_bytes()).unwrap();
    assert_eq!(again.file_name(), key.file_name());
    assert_eq!(again.certificate_pem(), key.certificate_pem());
    assert_eq!(
        again.sign(SignatureVersion::Two, b"x").unwrap(),
        key.sign(SignatureVersion::Two, b"x").unwrap()
    );
    assert!(!format!("{key:?}").contains("PRIVATE"));
}

#[test]
fn a_certificate_is_named_as_validators_insist() {
    let key = SnsKey::generate().unwrap();
    let hex =
        key.file_name().strip_prefix("SimpleNotificationService-").unwrap().strip_suffix(".pem").unwrap();
    assert_eq!(hex.len(), 32);
    assert!(hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{hex}");
    assert!(!key.certificate_pem().contains("PRIVATE"));
}

#[test]
fn says_what_is_wrong_with_a_stored_key() {
    let key = SnsKey::generate().unwrap();
    assert!(matches!(SnsKey::from_pem(b"x"), Err(SnsKeyError::Stored("no private key"))));
    let (private, _) = key.to_pem().split_once("-----BEGIN CERTIFICATE").unwrap();
    assert!(matches!(SnsKey::from_pem(private.as_bytes()), Err(SnsKeyError::Stored("no certificate"))));
}

/// The last bit string before the signature: `SubjectPublicKeyInfo`'s key. Enough of DER for a certificate of ours.
fn public_key_of(certificate: &[u8]) -> Vec<u8> {
    // rsaEncryption's OID with its NULL, then BIT STRING, long-form length of two bytes, no unused bits.
    let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82];
    let at = certificate.windows(oid.len()).position(|window| window == oid).unwrap() + oid.len();
    let length = usize::from(certificate[at]) << 8 | usize::from(certificate[at + 1]);
    certificate[at + 3..at + 2 + length].to_vec()
}
