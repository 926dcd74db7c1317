//! Listeners as data: what is the same for all requests of one listener.

use std::io;
use std::net::SocketAddr;

use pipeline::context::Scheme;

/// An address at which requests come in, and what is the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, `proxy`: in log lines, and to ask for its address by. No two have the same.
    pub name: &'static str,
    /// Its address; port 0 takes a free port.
    pub address: SocketAddr,
    /// The scheme of requests there.
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
