//! TLS on a new connection: whose name is asked for, the sessions that are resumed, and why a handshake failed.

use std::sync::Arc;
use std::time::Duration;

use dialing::tls::Trouble;
use rustls::client::Resumption;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Unsent;
use super::name::Name;
use super::pool::{Kept, Pool};
use super::stream::{Socket, Stream};
use crate::destination::{Destination, Tls};
use crate::table::Service;

/// Sessions that a core can resume at one destination: eight for each name that is asked for there, of which there are several only with
/// `preserve_host`.
const SESSIONS: usize = 256;

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
