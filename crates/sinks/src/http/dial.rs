//! A new connection to a vetted address.

use std::io;
use std::net::{IpAddr, SocketAddr};

use delivery::guard::{Blocked, vet, vet_name, vet_resolved};
use delivery::sink::{AttemptError, Failure};
use delivery::{Endpoint, EndpointHost, Scheme};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::{HttpSink, share};

impl HttpSink {
    /// Dials the endpoint's addresses one after the other until one takes the connection.
    pub(super) async fn dial(
        &self,
        endpoint: &Endpoint,
        deadline: Instant,
    ) -> Result<Connection, AttemptError> {
        let addresses = self.vetted(&endpoint.host).await?;
        let (stream, address) = connect(&addresses, endpoint.port, deadline).await?;
        // Without it a small request waits for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(not_connected)?;
        match endpoint.scheme {
            Scheme::Http => Ok(Connection::new(stream, address)),
            Scheme::Https => {
                let stream = self.tls.handshake(&endpoint.host, stream).await.map_err(|error| {
                    AttemptError { kind: Failure::Tls, text: format!("the TLS handshake failed: {error}") }
                })?;
                Ok(Connection::new(stream, address))
            }
        }
    }

    /// A kept connection was vetted when it was made; the rules are asked again all the same.
    pub(super) fn may_still_be_used(&self, endpoint: &Endpoint, kept: &Connection) -> bool {
        match &endpoint.host {
            EndpointHost::Address(_) => vet(kept.address(), &self.allow).is_ok(),
            EndpointHost::Name(name) => vet_resolved(name, [kept.address()], &self.allow).is_ok(),
        }
    }

    async fn vetted(&self, host: &EndpointHost) -> Result<Vec<IpAddr>, AttemptError> {
        let name = match host {
            EndpointHost::Address(address) => {
                vet(*address, &self.allow).map_err(blocked)?;
                return Ok(vec![*address]);
            }
            EndpointHost::Name(name) => name,
        };
        vet_name(name, &self.allow).map_err(blocked)?;
        let addresses = self.resolver.lookup(self.question(name)).await;
        let addresses = addresses.ok().filter(|addresses| !addresses.is_empty()).ok_or_else(|| {
            AttemptError { kind: Failure::Dns, text: "the endpoint's name could not be resolved".into() }
        })?;
        vet_resolved(name, addresses.iter().copied(), &self.allow).map_err(blocked)?;
        Ok(addresses)
    }

    /// A public name is asked for as it stands, without search domains; a name that may be at home, as the system would.
    fn question(&self, name: &str) -> String {
        if self.allow.private || self.allow.names(name) { name.to_owned() } else { format!("{name}.") }
    }
}

/// Every address gets an equal share of the time that is left.
async fn connect(
    addresses: &[IpAddr],
    port: u16,
    deadline: Instant,
) -> Result<(TcpStream, IpAddr), AttemptError> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let patience = share(deadline, addresses.len() - tried);
        match timeout(patience, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(not_connected(last))
}

/// The kind alone: the system's words could tell an address.
fn not_connected(error: io::Error) -> AttemptError {
    let kind = if error.kind() == io::ErrorKind::TimedOut { Failure::Timeout } else { Failure::Connect };
    AttemptError { kind, text: format!("could not connect: {}", error.kind()) }
}

fn blocked(blocked: Blocked) -> AttemptError {
    AttemptError { kind: Failure::Blocked, text: blocked.to_string() }
}
