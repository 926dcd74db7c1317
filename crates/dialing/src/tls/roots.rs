//! Whose signatures count.

use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls_native_certs::CertificateResult;
use rustls_pki_types::CertificateDer;

/// What names a file or folders in the place of the system's.
const BY_ENVIRONMENT: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// The system's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`; Mozilla's where the system has none and neither variable is
/// set. Read when they are first asked for, and then kept. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct SystemRoots(Arc<OnceLock<Arc<RootCertStore>>>);

impl SystemRoots {
    /// The authorities. The first call reads files; what is wrong with them is said in the log then.
    pub fn get(&self) -> Arc<RootCertStore> {
        self.0.get_or_init(|| Arc::new(read())).clone()
    }
}

/// These authorities alone. What cannot be read as a certificate is left out.
pub fn only<'c>(certificates: impl IntoIterator<Item = CertificateDer<'c>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates);
    store
}

fn read() -> RootCertStore {
    let by_environment =
        BY_ENVIRONMENT.into_iter().find(|name| std::env::var_os(name).is_some_and(|paths| !paths.is_empty()));
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    let mut store = only(certs);
    for error in errors.iter().take(MOST_SAID) {
        tracing::warn!(%error, "a file of trusted authorities cannot be read; its certificates are not trusted");
    }
    if !store.is_empty() {
        return store;
    }
    match by_environment {
        Some(variable) => tracing::warn!(
            variable,
            "no authority is trusted, because this variable leads to no certificate: no server's certificate can be verified until it \
             names a file or folder with PEM certificates and the process is restarted"
        ),
        None => {
            store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            tracing::warn!(
                authorities = store.len(),
                "the system has no trusted authorities: Mozilla's, as they were when this program was built, are trusted in their place; \
                 install the package ca-certificates, or set SSL_CERT_FILE"
            );
        }
    }
    store
}

/// More errors of one reading are not said.
const MOST_SAID: usize = 8;
