//! What the gateway takes at most, and how long it waits for a client.

use std::time::Duration;

/// Bounds of what clients can make the gateway hold. What a service may take is the service's own setting.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Exchanges with an open intent that may be under way at once, on all cores together; one more is answered with 503.
    pub exchanges: usize,
    /// Connections that one core serves at once, at least 1; at the limit it leaves the rest in the kernel's queue.
    pub connections: usize,
    /// The largest head of a request, in bytes, at least 8 KiB; a larger one is answered with 431.
    pub head_size: usize,
    /// Headers in a request; more are answered with 431.
    pub headers: usize,
    /// For the whole head of a request to arrive; and how long a connection may be idle between two. Then it is closed.
    pub head_timeout: Duration,
    /// For the next piece of a body that is read whole before anything is sent; then it is answered with 408.
    pub body_patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exchanges: 10_000,
            connections: 16_384,
            head_size: 64 << 10,
            headers: 128,
            head_timeout: Duration::from_secs(60),
            body_patience: Duration::from_secs(60),
        }
    }
}
