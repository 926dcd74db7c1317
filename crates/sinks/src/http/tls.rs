//! TLS: the trusted authorities, and the handshake.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use delivery::EndpointHost;
use dialing::tls::{SystemRoots, Verification, client_config, only};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Whose certificates are trusted.
pub enum Roots {
    /// The system's.
    System(SystemRoots),
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
                // There may be hundreds of files to read.
                let roots = tokio::task::spawn_blocking(move || root_store(&roots)).await;
                let verification = Verification::By { roots: roots.map_err(io::Error::other)?, depth: None };
                let config = client_config(verification).map_err(io::Error::other)?;
                Ok(TlsConnector::from(Arc::new(config)))
            })
            .await
    }
}

fn root_store(roots: &Roots) -> Arc<RootCertStore> {
    match roots {
        Roots::System(system) => system.get(),
        Roots::Only(certificates) => Arc::new(only(certificates.iter().cloned())),
    }
}

fn server_name(host: &EndpointHost) -> io::Result<ServerName<'static>> {
    match host {
        EndpointHost::Address(address) => Ok(ServerName::from(IpAddr::to_canonical(address))),
        EndpointHost::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other),
    }
}
