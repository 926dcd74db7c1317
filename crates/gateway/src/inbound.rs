//! The connection that a request came in on: its listener and its two ends.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use pipeline::context::Scheme;

use crate::access_log::Lines;
use crate::headers;
use crate::stats::CoreStats;

/// The connection that a request came in on.
pub(crate) struct Connection {
    pub scheme: Scheme,
    /// Whether the peer is a trusted proxy, whose headers are believed about how a request came to it.
    pub peer_is_trusted: bool,
    pub peer: SocketAddr,
    /// Where the client connected to.
    pub local: SocketAddr,
    /// The peer's address as a header value, which every request's upstream gets.
    pub peer_ip: HeaderValue,
    /// The local port as a header value.
    pub port: HeaderValue,
    /// The counts of its core.
    pub stats: Arc<CoreStats>,
    /// Where its requests are written down, if they are.
    pub access_log: Option<Rc<Lines>>,
}

impl Connection {
    pub fn new(
        scheme: Scheme,
        peer_is_trusted: bool,
        peer: SocketAddr,
        local: SocketAddr,
        (stats, access_log): (Arc<CoreStats>, Option<Rc<Lines>>),
    ) -> Rc<Self> {
        let (peer_ip, port) = (headers::address(peer.ip()), HeaderValue::from(local.port()));
        Rc::new(Self { scheme, peer_is_trusted, peer, local, peer_ip, port, stats, access_log })
    }
}
