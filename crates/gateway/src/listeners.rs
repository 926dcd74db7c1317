//! Where requests come in, as data: what is the same for all requests of one listener.

use std::io;
use std::net::SocketAddr;

use pipeline::context::Scheme;

/// Where requests come in, and what is true of all that come in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, `proxy`: in log lines, and to ask for its address by. No two have the same.
    pub name: &'static str,
    /// Where it is; port 0 takes a free one.
    pub address: SocketAddr,
    /// What is spoken there.
    pub scheme: Scheme,
}

/// A listener whose address is taken, or is not of this machine.
#[derive(Debug, thiserror::Error)]
#[error("the listener `{}` cannot be bound to {}", .listener.name, .listener.address)]
pub struct NotBound {
    /// Which one.
    pub listener: Listener,
    /// Why.
    #[source]
    pub source: io::Error,
}
