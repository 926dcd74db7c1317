//! How much the gateway accepts from clients, and how long it waits for them.

use std::time::Duration;

/// Limits of what clients can make the gateway hold. The limits for a service are settings of the service.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many exchanges with an open intent may be under way at the same time, on all cores together. One more is answered with 503.
    pub exchanges: usize,
    /// How many connections one core serves at the same time, at least 1. One more replaces an idle one, or waits until there is one.
    pub connections: usize,
    /// The largest head of a request, in bytes, at least 8 KiB; a larger one is answered with 431.
    pub head_size: usize,
    /// The most headers in a request; more are answered with 431. Above 100, hyper allocates the memory in which it parses a head, for every
    /// request: that alone adds a twentieth to a request's cost.
    pub headers: usize,
    /// How long the whole head of a request may take to arrive, and how long a connection may be idle between two requests. Then it is closed.
    pub head_timeout: Duration,
    /// How long the gateway waits for the next piece of a request's body. Then the answer is 408.
    pub body_patience: Duration,
    /// The longest time for a whole body that is read before anything is sent to the service (64 KiB at most), from the first wait for more of
    /// it; then the answer is 408. This limits how long a client that sends tiny pieces can hold memory for bodies that are read ahead.
    pub body_time: Duration,
    /// How long a client may accept no byte of an answer that is ready for it. Then its connection is closed.
    pub answer_patience: Duration,
    /// The memory for incomplete bodies that are read before anything is sent to the service, in bytes, on all cores together. When it is used
    /// up, bodies are passed on as they come.
    pub read_ahead: usize,
    /// How long a body that is large, or whose length is not known, is read before anything is sent to the service.
    pub read_ahead_time: Duration,
    /// During a drain: how long to wait for the rest of a head, and for the next piece of a body of which nothing was sent upstream.
    pub drain_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            exchanges: 10_000,
            connections: 16_384,
            head_size: 64 << 10,
            headers: 100,
            head_timeout: Duration::from_secs(60),
            body_patience: Duration::from_secs(60),
            body_time: Duration::from_secs(120),
            answer_patience: Duration::from_secs(60),
            read_ahead: 64 << 20,
            read_ahead_time: Duration::from_millis(250),
            drain_grace: Duration::from_secs(1),
        }
    }
}
