//! The receiver's side of signatures: whether a message was signed with the key of a certificate, or with a shared secret.

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use webpki::EndEntityCert;

use super::SignatureVersion;

/// Why a signature is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The certificate is not one in PEM.
    #[error("what should be its certificate cannot be read")]
    Certificate,
    /// The signature is not base64.
    #[error("the signature is not base64")]
    Encoding,
    /// The key did not sign this.
    #[error("the key of the certificate did not sign this message")]
    Mismatch,
}

/// Checks the signature of an SNS message. It proves that the holder of the certificate's key has signed the text, and nothing about who that is.
///
/// # Errors
/// If it is not proven.
pub fn verify_sns(
    version: SignatureVersion,
    text: &str,
    signature: &str,
    certificate_pem: &str,
) -> Result<(), Unverified> {
    let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
    let certificate = certificate.map_err(|_| Unverified::Certificate)?;
    let parsed = EndEntityCert::try_from(&certificate).map_err(|_| Unverified::Certificate)?;
    let public = parsed.subject_public_key_info();
    let signature = STANDARD.decode(signature).map_err(|_| Unverified::Encoding)?;
    let algorithm: &'static RsaParameters = match version {
        SignatureVersion::One => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        SignatureVersion::Two => &RSA_PKCS1_2048_8192_SHA256,
    };
    UnparsedPublicKey::new(algorithm, &*public)
        .verify(text.as_bytes(), &signature)
        .map_err(|_| Unverified::Mismatch)
}
