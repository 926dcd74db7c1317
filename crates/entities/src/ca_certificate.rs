//! Authorities whose certificates are trusted for services over https.

use aws_lc_rs::digest::{SHA256, digest};
use event::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::field::{FieldError, Flaw, Path};
use crate::{Origin, name};

/// An authority whose certificates are trusted for services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaCertificate {
    /// Its id, by which services refer to it.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its certificate, one, in PEM.
    pub cert: String,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The hint how a certificate is written.
const HOW: &str =
    "write it as a block (`cert: |`) from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----";
const BROKEN: &str = "invalid certificate: its lines are joined, or the text between them is not base64";

impl CaCertificate {
    /// Everything that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        name::check_tags(&self.tags, &mut errors);
        errors.extend(self.der().err().map(|flaw| flaw.at(Path::key("cert"))));
        errors
    }

    /// The certificate, in DER.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn der(&self) -> Result<Vec<u8>, Flaw> {
        let mut found = CertificateDer::pem_slice_iter(self.cert.as_bytes());
        let first = match found.next() {
            Some(Ok(first)) => first,
            Some(Err(_)) => return Err(Flaw::invalid(BROKEN, HOW)),
            None if self.cert.contains("PRIVATE KEY-----") => {
                let hint = "put the authority's certificate here; its key belongs in no file of a gateway";
                return Err(Flaw::invalid("invalid certificate: this is a private key", hint));
            }
            None if self.cert.contains("-----BEGIN CERTIFICATE-----") => {
                return Err(Flaw::invalid(BROKEN, HOW));
            }
            None => return Err(Flaw::invalid("invalid certificate: there is none in PEM", HOW)),
        };
        if found.next().is_some() {
            let hint = "give each an entry of its own, with an id";
            return Err(Flaw::invalid("please submit only one certificate at a time", hint));
        }
        if webpki::anchor_from_trusted_cert(&first).is_err() {
            let message = "invalid certificate: what is in it is not a certificate (X.509)";
            return Err(Flaw::invalid(message, HOW));
        }
        Ok(first.as_ref().to_vec())
    }

    /// Kong's `cert_digest`: the SHA-256 of the certificate in DER, in hexadecimal.
    pub fn digest(der: &[u8]) -> String {
        hex::encode(digest(&SHA256, der))
    }
}
