//! TLS: whom we trust, and the handshake.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use delivery::EndpointHost;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whose certificates are trusted.
pub enum Roots {
    /// The system's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`; Mozilla's where there are none.
    System,
    /// These alone.
    Only(Vec<CertificateDer<'static>>),
}

/// The client's side of TLS; its roots are read at the first handshake.
pub(super) struct Client {
    roots: Arc<Roots>,
    connector: OnceCell<TlsConnector>,
}

impl Client {
    pub(super) fn new(roots: Roots) -> Self {
        Self { roots: Arc::new(roots), connector: OnceCell::new() }
    }

    pub(super) async fn handshake(
        &self,
        host: &EndpointHost,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = server_name(host)?;
        self.connector().await?.connect(name, stream).await
    }

    async fn connector(&self) -> io::Result<&TlsConnector> {
        self.connector
            .get_or_try_init(|| async {
                let roots = self.roots.clone();
                // Hundreds of files, perhaps.
                let built = tokio::task::spawn_blocking(move || client_config(&roots)).await;
                Ok(TlsConnector::from(Arc::new(built.map_err(io::Error::other)??)))
            })
            .await
    }
}

fn client_config(roots: &Roots) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(builder.with_root_certificates(root_store(roots)).with_no_client_auth())
}

fn root_store(roots: &Roots) -> RootCertStore {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
        Roots::Only(certificates) => {
            store.add_parsable_certificates(certificates.iter().cloned());
        }
    }
    store
}

fn server_name(host: &EndpointHost) -> io::Result<ServerName<'static>> {
    match host {
        EndpointHost::Address(address) => Ok(ServerName::from(IpAddr::to_canonical(address))),
        EndpointHost::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
    }
}

#[cfg(test)]
pub(super) fn root_count(roots: &Roots) -> usize {
    root_store(roots).len()
}
