//! What the gateway takes at most, and how long it waits for a client.

use std::time::Duration;

/// Bounds of what clients can make the gateway hold. What a service may take is the service's own setting.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many exchanges with an open intent may be under way at the same time, on all cores together. One more is answered with 503.
    pub exchanges: usize,
    /// How many connections one core serves at the same time, at least 1. One more takes the place of an idle one, or waits for a place.
    pub connections: usize,
    /// The largest head of a request, in bytes, at least 8 KiB; a larger one is answered with 431.
    pub head_size: usize,
    /// Headers in a request; more are answered with 431. Above 100, hyper takes the memory that it parses a head in from the heap, for
    /// every request: that alone costs a twentieth of what a request does.
    pub headers: usize,
    /// How long the whole head of a request may take to arrive, and how long a connection may be idle between two requests. Then it is closed.
    pub head_timeout: Duration,
    /// How long the gateway waits for the next piece of a request's body. Then the answer is 408.
    pub body_patience: Duration,
    /// For all of a body that is read whole before the service is asked (64 KiB at most), from the first wait for more of it; then it is
    /// answered with 408. However often a piece comes, nobody holds room among the bodies that are read ahead for longer.
    pub body_time: Duration,
    /// How long a client may take none of the bytes of an answer that are ready for it. Then its connection is closed.
    pub answer_patience: Duration,
    /// What is held of bodies that are read before the service is asked and are not whole yet, in bytes, on all cores together; when it
    /// is used up, bodies flow as they come.
    pub read_ahead: usize,
    /// How long a body that is large, or whose length is not known, is read before the service is asked.
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
