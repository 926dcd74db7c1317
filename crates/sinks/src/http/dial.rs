//! New connections to checked addresses.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use delivery::guard::{Blocked, vet, vet_name, vet_resolved};
use delivery::sink::Failure;
use delivery::{Endpoint, EndpointHost, Scheme};
use dialing::Asked;
use tokio::time::Instant;

use super::connection::Connection;
use super::{Attempt, AttemptError, Client};

impl Client {
    /// Dials checked addresses. If a second one is tried at the same time, it needs a turn of its own.
    pub(super) async fn dial(
        &self,
        endpoint: &Arc<Endpoint>,
        addresses: &[IpAddr],
        deadline: Instant,
    ) -> Result<Connection, AttemptError> {
        self.pool.shrink_to(self.turns.room_for_idle());
        let within = deadline.saturating_duration_since(Instant::now());
        let place = || {
            let turn = self.turns.try_take(endpoint)?;
            self.pool.shrink_to(self.turns.room_for_idle());
            Some(turn)
        };
        let connected = dialing::connect(addresses, endpoint.port, within, place).await;
        let (stream, address) = connected.map_err(not_connected)?;
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

    /// The address of a kept connection was checked when it was made, and is checked again here.
    pub(super) fn may_still_be_used(&self, endpoint: &Endpoint, kept: &Connection) -> bool {
        match &endpoint.host {
            EndpointHost::Address(_) => vet(kept.address(), &self.allow).is_ok(),
            EndpointHost::Name(name) => vet_resolved(name, [kept.address()], &self.allow).is_ok(),
        }
    }

    /// Starts a look-up of the name in time for the connection that replaces this one.
    pub(super) fn refresh_name_of(&self, endpoint: &Endpoint, kept: &mut Connection) {
        if kept.life.wants_refresh(Instant::now().into_std())
            && let EndpointHost::Name(name) = &endpoint.host
        {
            self.names.refresh(&self.question(name));
        }
    }

    /// All addresses of the endpoint, all of them checked. If a name must be looked up, the attempt gives its turn back meanwhile, and its
    /// deadline moves by the time of the wait.
    pub(super) async fn addresses(&self, attempt: &mut Attempt<'_>) -> Result<Vec<IpAddr>, AttemptError> {
        let endpoint = &attempt.request.endpoint;
        let name = match &endpoint.host {
            EndpointHost::Address(address) => {
                vet(*address, &self.allow).map_err(blocked)?;
                return Ok(vec![address.to_canonical()]);
            }
            EndpointHost::Name(name) => name,
        };
        vet_name(name, &self.allow).map_err(blocked)?;
        let question = self.question(name);
        let addresses = match self.names.ask(&question) {
            Asked::Known(known) => known,
            Asked::Pending(pending) => {
                let asked = Instant::now();
                drop(attempt.turn.take());
                let found = pending.wait().await;
                attempt.turn = Some(self.turns.take(endpoint).await);
                attempt.deadline += asked.elapsed();
                found
            }
        };
        let addresses = addresses.map_err(|error| AttemptError {
            kind: Failure::Dns,
            text: format!("the endpoint's name could not be resolved: {error}"),
        })?;
        vet_resolved(name, addresses.iter().copied(), &self.allow).map_err(blocked)?;
        Ok(addresses)
    }

    /// The name to look up: a public name without search domains; a name that the operator allowed as the system would look it up.
    fn question(&self, name: &str) -> String {
        if self.allow.private || self.allow.names(name) { name.to_owned() } else { format!("{name}.") }
    }
}

/// Only the kind of the error, because the system's message could contain an address.
fn not_connected(error: io::Error) -> AttemptError {
    let kind = if error.kind() == io::ErrorKind::TimedOut { Failure::Timeout } else { Failure::Connect };
    AttemptError { kind, text: format!("could not connect: {}", error.kind()) }
}

fn blocked(blocked: Blocked) -> AttemptError {
    AttemptError { kind: Failure::Blocked, text: blocked.to_string() }
}
