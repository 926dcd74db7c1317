//! A service behind the gateway, ready for the hot path.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::condition::Condition;
use crate::destination::Destination;

/// A service behind the gateway.
#[derive(Debug)]
pub struct Service {
    /// Its name, or its id if it has none.
    pub name: String,
    /// Where connections to it lead.
    pub destination: Arc<Destination>,
    /// Its host, with `:port` if that is not the scheme's usual one: the Host header that the upstream sees.
    pub host_header: HeaderValue,
    /// The path of its URL, which comes before the service path; `/` if it has none.
    pub path: String,
    /// The longest time to establish a connection.
    pub connect_timeout: Duration,
    /// The longest pause between two pieces of the request.
    pub write_timeout: Duration,
    /// The longest time between the request's last byte and the answer's head, and between two pieces of the answer.
    pub read_timeout: Duration,
    /// How it does. Apart from the rest, which requests only read.
    pub condition: Box<Condition>,
}
