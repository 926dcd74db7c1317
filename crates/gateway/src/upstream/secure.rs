//! TLS on a new connection: the sessions that are resumed, and why a handshake failed.

use std::sync::Arc;
use std::time::Duration;

use dialing::tls::Trouble;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Unsent;
use super::stream::{Socket, Stream};
use crate::destination::Tls;

/// The most sessions that a core can resume at one destination: eight for each server name. Only with `preserve_host` does a destination have
/// several names.
const SESSIONS: usize = 256;

/// A core's own settings for a destination, with its own cache of sessions. So cores do not wait for each other, and a session of another
/// destination, whose certificate may not have been verified, is never resumed.
pub(super) fn of_core(tls: &Tls) -> Arc<ClientConfig> {
    let mut config = (*tls.config).clone();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Arc::new(config)
}

/// The TLS handshake on a connection for this name, with a time limit.
///
/// # Errors
/// If it fails: what that means for the request, and why it failed.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    stream: TcpStream,
    within: Duration,
) -> Result<Stream, (Unsent, Trouble)> {
    let connecting = TlsConnector::from(config).connect(name, Socket::new(stream));
    match tokio::time::timeout(within, connecting).await {
        Ok(Ok(stream)) => Ok(Stream::Tls(Box::new(stream))),
        Ok(Err(error)) => Err((Unsent::Connect, Trouble::of(&error))),
        Err(_) => Err((Unsent::ConnectTimeout, Trouble::timed_out())),
    }
}
