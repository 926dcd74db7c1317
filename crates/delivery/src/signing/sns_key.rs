//! The key that signs SNS messages, with the certificate that subscribers fetch.
//!
//! Stored as one PEM text, key and certificate together: every message signed with it has the certificate's name, so the certificate is never
//! made again from the key.

use std::fmt;
use std::sync::OnceLock;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, PKCS_RSA_SHA256};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::SignatureVersion;
use super::sha1_rsa::Sha1Key;

/// The common name in the certificate.
const COMMON_NAME: &str = "sns.retrohook.local";

/// An RSA-2048 key and its self-signed certificate.
pub struct SnsKey {
    key: KeyPair,
    /// The same key for version 1, read at its first signature: few subscriptions ask for it.
    sha1: OnceLock<Option<Sha1Key>>,
    pem: String,
    certificate_pem: String,
    file_name: String,
}

/// Which operation with the key failed.
#[derive(Debug, thiserror::Error)]
pub enum SnsKeyError {
    /// Making the key failed.
    #[error("the SNS signing key could not be generated")]
    Generate,
    /// Making the certificate failed.
    #[error("the SNS signing certificate could not be made")]
    Certify(#[source] rcgen::Error),
    /// What is stored is not what [`SnsKey::to_pem`] wrote.
    #[error("the stored SNS signing key cannot be read: {0}")]
    Stored(&'static str),
    /// The library refused to sign.
    #[error("the SNS signature could not be made")]
    Sign,
}

impl SnsKey {
    /// Makes a new key. Takes about a tenth of a second of CPU and sometimes much longer: not for a runtime's threads.
    ///
    /// # Errors
    /// If the library fails.
    pub fn generate() -> Result<Self, SnsKeyError> {
        let key = KeyPair::generate(KeySize::Rsa2048).map_err(|_| SnsKeyError::Generate)?;
        let pkcs8 = key.as_der().map_err(|_| SnsKeyError::Generate)?;
        let certificate = certify(pkcs8.as_ref())?;
        let key_pem = pem("PRIVATE KEY", pkcs8.as_ref());
        Ok(Self::assemble(key, &key_pem, &certificate))
    }

    /// Reads what [`SnsKey::to_pem`] wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn from_pem(text: &[u8]) -> Result<Self, SnsKeyError> {
        let pkcs8 =
            PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| SnsKeyError::Stored("no private key"))?;
        let certificate =
            CertificateDer::from_pem_slice(text).map_err(|_| SnsKeyError::Stored("no certificate"))?;
        let key = KeyPair::from_pkcs8(pkcs8.secret_pkcs8_der())
            .map_err(|_| SnsKeyError::Stored("the private key is damaged"))?;
        let key_pem = pem("PRIVATE KEY", pkcs8.secret_pkcs8_der());
        Ok(Self::assemble(key, &key_pem, &certificate))
    }

    fn assemble(key: KeyPair, key_pem: &str, certificate: &[u8]) -> Self {
        let certificate_pem = pem("CERTIFICATE", certificate);
        let hash = digest::digest(&digest::SHA256, certificate);
        let hex = hex::encode(&hash.as_ref()[..16]);
        Self {
            key,
            sha1: OnceLock::new(),
            pem: format!("{key_pem}{certificate_pem}"),
            certificate_pem,
            file_name: format!("SimpleNotificationService-{hex}.pem"),
        }
    }

    /// Key and certificate, to be stored. Secret.
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The certificate, to be served.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The name that the certificate is served under, `SimpleNotificationService-<32 hexadecimal digits>.pem`.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The base64 signature of a text. Takes 0.3 ms: not for the data cores.
    ///
    /// # Errors
    /// If the library fails.
    pub fn sign(&self, version: SignatureVersion, text: &[u8]) -> Result<String, SnsKeyError> {
        let signature = match version {
            SignatureVersion::One => self.sign_with_sha1(text)?,
            SignatureVersion::Two => self.sign_with_sha256(text)?,
        };
        Ok(STANDARD.encode(signature))
    }

    fn sign_with_sha1(&self, text: &[u8]) -> Result<Vec<u8>, SnsKeyError> {
        let read = || {
            let pkcs8 = self.key.as_der().ok()?;
            Sha1Key::from_pkcs8(pkcs8.as_ref())
        };
        let key = self.sha1.get_or_init(read).as_ref().ok_or(SnsKeyError::Sign)?;
        key.sign(text).ok_or(SnsKeyError::Sign)
    }

    fn sign_with_sha256(&self, text: &[u8]) -> Result<Vec<u8>, SnsKeyError> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|_| SnsKeyError::Sign)?;
        Ok(signature)
    }
}

impl fmt::Debug for SnsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SnsKey").field("file_name", &self.file_name).finish_non_exhaustive()
    }
}

fn certify(pkcs8: &[u8]) -> Result<CertificateDer<'static>, SnsKeyError> {
    let key =
        rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_RSA_SHA256)
            .map_err(SnsKeyError::Certify)?;
    let mut params = CertificateParams::new(Vec::new()).map_err(SnsKeyError::Certify)?;
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    let certificate = params.self_signed(&key).map_err(SnsKeyError::Certify)?;
    Ok(certificate.der().clone())
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().map(|&byte| char::from(byte)));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
