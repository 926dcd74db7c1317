//! TLS on a new connection: whose name is asked for, the sessions that are resumed, and why a handshake failed.

use std::sync::Arc;
use std::time::Duration;

use dialing::tls::Trouble;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::{Socket, Stream};
use super::{Kept, Pool, Unsent};
use crate::destination::{Destination, Tls};
use crate::table::Service;

/// Sessions that a core can resume at one destination: eight for each name that is asked for there, of which there are several only with
/// `preserve_host`.
const SESSIONS: usize = 256;

/// The name that is asked for within TLS, where it is not the destination's own: that of the request, with `preserve_host`. As in Kong, a
/// connection is for the host that its requests are for. What a client can choose with it is the certificate that its own requests are
/// sent under: no other request takes that connection.
pub(super) type Name = Option<ServerName<'static>>;

/// The name for a request with these headers.
pub(super) fn name_of(service: &Service, headers: &HeaderMap) -> Result<Name, Trouble> {
    if service.destination.tls.is_none() {
        return Ok(None);
    }
    match headers.get(HOST) {
        Some(host) if host != service.host_header => name_of_client(host),
        _ => Ok(None),
    }
}

fn name_of_client(host: &HeaderValue) -> Result<Name, Trouble> {
    let authority = Authority::try_from(host.as_bytes()).ok();
    let name =
        authority.as_ref().map(|authority| authority.host().trim_start_matches('[').trim_end_matches(']'));
    match name.map(|name| ServerName::try_from(name.to_owned())) {
        Some(Ok(name)) => Ok(Some(name)),
        _ => Err(Trouble::no_name(&String::from_utf8_lossy(host.as_bytes()))),
    }
}

impl Pool {
    /// TLS on a connection that was made for this name, if TLS is spoken there; within what is left of the service's timeout.
    pub(super) async fn secure(
        &self,
        service: &Service,
        name: &Name,
        stream: TcpStream,
        within: Duration,
    ) -> Result<Stream, Unsent> {
        let Some(tls) = &service.destination.tls else { return Ok(Stream::Plain(stream)) };
        let connector = self.connector(&service.destination, tls);
        let name = name.as_ref().unwrap_or(&tls.name).clone();
        match tokio::time::timeout(within, connector.connect(name, Socket::new(stream))).await {
            Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                self.insecure(service, &Trouble::of(&error));
                Err(Unsent::Connect)
            }
            Err(_) => {
                self.insecure(service, &Trouble::timed_out());
                Err(Unsent::ConnectTimeout)
            }
        }
    }

    /// The core's own settings for a destination, with its own cache of sessions: no other core waits for it, and no session of another
    /// destination, whose certificate was perhaps not verified, is resumed.
    fn connector(&self, destination: &Arc<Destination>, tls: &Tls) -> TlsConnector {
        let mut kept = self.kept.borrow_mut();
        let kept = kept.entry(destination.id()).or_insert_with(|| Kept::of(destination));
        let config = kept.tls.get_or_insert_with(|| {
            let mut config = (*tls.config).clone();
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            Arc::new(config)
        });
        TlsConnector::from(config.clone())
    }

    /// Says in the log why there is no TLS, and what to do; at most once a second, whatever the failures are.
    pub(super) fn insecure(&self, service: &Service, trouble: &Trouble) {
        if let Some(times) = self.failures.happened() {
            let Destination { host, port, .. } = &*service.destination;
            let Trouble { cause, remedy } = trouble;
            tracing::warn!(
                service = %service.name, %host, port, %cause, hint = remedy, times,
                "a service is reached over https, and its TLS handshake failed: nothing was sent to it"
            );
        }
    }
}
