//! Verifiers: chains to a trusted authority, and one that believes whoever answers.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

/// A chain that is longer than its service allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {0} certificates are between the server's and that of a trusted authority")]
pub(super) struct TooDeep(pub u8);

/// As the library verifies, and two things beside: a limit on the certificates between the authority's and the server's, and an authority
/// that is its own server. Such is what `openssl req -x509` makes; whoever trusts that certificate means the server that has its key.
#[derive(Debug)]
pub(super) struct Chains {
    /// `None` where nobody is trusted: the library's own needs somebody.
    inner: Option<Arc<WebPkiServerVerifier>>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
    depth: Option<u8>,
}

impl Chains {
    pub fn new(
        roots: Arc<RootCertStore>,
        depth: Option<u8>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let algorithms = provider.signature_verification_algorithms;
        let inner = match roots.is_empty() {
            true => None,
            false => Some(WebPkiServerVerifier::builder_with_provider(roots.clone(), provider).build()?),
        };
        Ok(Self { inner, roots, algorithms, depth })
    }

    /// Whether it has the name and the key of a trusted authority.
    fn is_trusted_itself(&self, certificate: &CertificateDer<'_>) -> bool {
        let trusted: &[TrustAnchor<'_>] = &self.roots.roots;
        webpki::anchor_from_trusted_cert(certificate).is_ok_and(|anchor| trusted.contains(&anchor))
    }

    fn check_depth(
        &self,
        depth: u8,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let certificate = EndEntityCert::try_from(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let is_short = |path: &VerifiedPath<'_>| {
            let between = path.intermediate_certificates().count();
            if between <= usize::from(depth) { Ok(()) } else { Err(webpki::Error::UnknownIssuer) }
        };
        let (algorithms, anchors) = (self.algorithms.all, &self.roots.roots);
        let usage = KeyUsage::server_auth();
        let path = certificate.verify_for_usage(
            algorithms,
            anchors,
            intermediates,
            now,
            usage,
            None,
            Some(&is_short),
        );
        path.map(drop).map_err(|_| CertificateError::Other(OtherError(Arc::new(TooDeep(depth)))))
    }
}

/// Whether all is well so far, but for that the server's certificate is one of an authority.
fn is_of_authority(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(OtherError(why))) = error else { return false };
    matches!(why.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for Chains {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Err(CertificateError::UnknownIssuer.into()) };
        let verified = inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if verified.as_ref().is_err_and(is_of_authority) && self.is_trusted_itself(end_entity) {
            // The library has looked at the dates by then, and not at the name.
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        let verified = verified?;
        if let Some(depth) = self.depth {
            self.check_depth(depth, end_entity, intermediates, now)?;
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Believes whoever answers. It does not look at signatures either: without a certificate that means anything, a signature by its key
/// means nothing, and certificates that are too old for the library to read must not fail here.
#[derive(Debug)]
pub(super) struct Anyone(Vec<SignatureScheme>);

impl Anyone {
    pub fn new(provider: &CryptoProvider) -> Self {
        Self(provider.signature_verification_algorithms.supported_schemes())
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}
