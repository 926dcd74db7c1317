//! Why a handshake failed, in words for whoever runs the gateway, and what to do about it.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

use super::chain::TooDeep;

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Trouble {
    /// What was wrong, about the server: "its certificate has expired".
    pub cause: String,
    /// What to do about it.
    pub remedy: &'static str,
}

const TRUST: &str = "add the authority's certificate to the file's `ca_certificates` and its id to those of the service; or add it to the \
                     system's authorities (or to SSL_CERT_FILE) and restart";
const RENEW: &str = "renew the certificate at the server, and check the clocks of both machines";
const NAME: &str = "let the service's `host` (with `preserve_host`, the client's Host) be a name that the certificate has, or add the name \
                    to the certificate";
const VERSION: &str =
    "the gateway speaks TLS 1.2 and 1.3 with forward secrecy: update the server, or its settings";
const LOOK: &str = "look at the server's own log, and check the service's `host`, `port` and `protocol`: perhaps it speaks http there";

impl Trouble {
    /// Of a handshake that ended with this error.
    pub fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        match tls {
            Some(Error::InvalidCertificate(error)) => of_certificate(error),
            Some(Error::AlertReceived(alert)) => of_alert(*alert),
            Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                Self::new("what it answers is not TLS", LOOK)
            }
            Some(Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)) => {
                Self::new("it speaks only versions of TLS before 1.2", VERSION)
            }
            Some(Error::PeerIncompatible(error)) => {
                Self::new(format!("it has no way of TLS in common with the gateway ({error:?})"), VERSION)
            }
            Some(error) => Self::new(format!("the handshake broke off: {error}"), LOOK),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::new("it closed the connection within the handshake", LOOK)
            }
            None => Self::new(format!("the connection broke within the handshake: {error}"), LOOK),
        }
    }

    /// Of a handshake that did not end within its time.
    pub fn timed_out() -> Self {
        Self::new("it did not end the handshake within the service's `connect_timeout`", LOOK)
    }

    /// Of a host that no certificate can be for.
    pub fn no_name(host: &str) -> Self {
        Self::new(format!("no certificate can be for the host `{host}`"), NAME)
    }

    fn new(cause: impl Into<String>, remedy: &'static str) -> Self {
        Self { cause: cause.into(), remedy }
    }
}

fn of_certificate(error: &CertificateError) -> Trouble {
    match error {
        CertificateError::UnknownIssuer => {
            Trouble::new("its certificate is signed by an authority that is not trusted", TRUST)
        }
        CertificateError::BadSignature => {
            Trouble::new("its certificate is not signed by the authority that it names", TRUST)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Trouble::new("its certificate has expired", RENEW)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Trouble::new("its certificate is not valid yet", RENEW)
        }
        CertificateError::NotValidForName => Trouble::new("its certificate is for another name", NAME),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "no name".to_owned() } else { presented.join(", ") };
            let cause = format!("its certificate is not for `{}`, but for {names}", expected.to_str());
            Trouble::new(cause, NAME)
        }
        CertificateError::Revoked => Trouble::new("its certificate has been revoked", RENEW),
        CertificateError::Other(OtherError(other)) => of_other(&**other),
        other => Trouble::new(format!("its certificate cannot be trusted: {other}"), LOOK),
    }
}

fn of_other(error: &(dyn std::error::Error + 'static)) -> Trouble {
    if let Some(too_deep) = error.downcast_ref::<TooDeep>() {
        return Trouble::new(too_deep.to_string(), "raise the service's `tls_verify_depth`, or remove it");
    }
    match error.downcast_ref::<webpki::Error>() {
        Some(webpki::Error::CaUsedAsEndEntity) => Trouble::new(
            "its certificate is one that it made itself (that of an authority, CA:TRUE), and is not trusted",
            "if it is the right one, add that certificate to the file's `ca_certificates` and its id to those of the service",
        ),
        Some(webpki::Error::UnsupportedCertVersion) => Trouble::new(
            "its certificate has no extensions (X.509 version 1), and so no names that could be verified",
            "make the server a certificate with a subjectAltName",
        ),
        _ => Trouble::new(format!("its certificate cannot be trusted: {error}"), LOOK),
    }
}

fn of_alert(alert: AlertDescription) -> Trouble {
    match alert {
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            Trouble::new(format!("it refused the handshake ({alert:?})"), VERSION)
        }
        AlertDescription::UnrecognisedName => {
            Trouble::new("it does not know the name that it was asked for (SNI)", NAME)
        }
        AlertDescription::CertificateRequired | AlertDescription::BadCertificate => Trouble::new(
            format!("it asks for a certificate of the gateway ({alert:?})"),
            "client certificates are not supported yet: let the server do without",
        ),
        _ => Trouble::new(format!("it refused the handshake ({alert:?})"), LOOK),
    }
}
