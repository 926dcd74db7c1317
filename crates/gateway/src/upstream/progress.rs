//! How much of a request has been sent to the upstream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::failure::Lost;
use super::interim;
use super::wire::Wire;
use crate::body::upload::Upload;
use crate::service::Service;

/// How much of a request has been sent; shared by the caller, the request's body and its timers.
pub(crate) struct Progress {
    sent: Cell<bool>,
    sending: Cell<bool>,
    broken: Cell<Option<Lost>>,
    last: Cell<Instant>,
    pub(super) wire: RefCell<Option<Rc<Wire>>>,
    /// The rest of a body that is passed on as it comes from the client.
    pub(crate) rest: RefCell<Option<Upload>>,
    stopped: Cell<bool>,
    /// The client that gets interim answers.
    interim: Option<interim::Audience>,
}

impl Progress {
    /// For a request that arrived at this time, whose client gets interim answers or does not.
    pub fn new(started: Instant, interim: Option<interim::Audience>) -> Rc<Self> {
        Rc::new(Self {
            sent: Cell::new(false),
            sending: Cell::new(true),
            broken: Cell::new(None),
            last: Cell::new(started),
            wire: RefCell::new(None),
            rest: RefCell::new(None),
            stopped: Cell::new(false),
            interim,
        })
    }

    /// Notes that nothing of it was sent after all.
    pub(super) fn is_unsent(&self) {
        self.sent.set(false);
    }

    /// How the client's body broke off, if it did.
    pub fn broken(&self) -> Option<Lost> {
        self.broken.get()
    }

    /// Whether there is more of the body to come.
    pub(super) fn is_sending(&self) -> bool {
        self.sending.get()
    }

    /// Stops sending: the service has answered and takes no more of the body. So the client is not held up by it.
    pub(super) fn stop(&self) {
        self.stopped.set(true);
        self.rest.take();
    }

    /// Whether the body was not sent to its end because the service answered before.
    pub fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Whether any byte may have reached the upstream.
    pub fn is_sent(&self) -> bool {
        self.sent.get()
    }

    /// Notes that the body's last piece was passed on.
    pub fn body_ended(&self) {
        self.sending.set(false);
        self.last.set(Instant::now());
    }

    /// Notes that the client's body broke off, or made no progress for too long.
    pub fn body_broke(&self, how: Lost) {
        self.broken.set(Some(how));
    }

    /// What is waited for, in words.
    pub fn waits_for(&self) -> &'static str {
        if !self.sent.get() {
            return "a connection";
        }
        let wire = self.wire.borrow();
        match wire.as_ref().and_then(|wire| wire.blocked_since()) {
            Some(_) => "the service to take more of the request (write_timeout)",
            None => "the head of its answer (read_timeout)",
        }
    }

    pub(super) fn begin(&self, now: Instant, wire: &Rc<Wire>, streams: bool, service: &Service) {
        wire.begin(now, service.write_timeout, self.interim.clone());
        self.wire.replace(Some(wire.clone()));
        self.sending.set(streams);
        self.last.set(now);
        self.sent.set(true);
    }

    /// What is left of the timeout that applies now; `None` if it has passed.
    ///
    /// The write timeout runs only while bytes wait for the upstream, and the read timeout only after it has all of them. In between, the client
    /// is waited for; the body has its own timer for that, so no timeout applies here.
    pub fn remaining(&self, service: &Service) -> Option<Duration> {
        if !self.sent.get() {
            // The connection's own timeout applies.
            return Some(service.connect_timeout + service.read_timeout);
        }
        let wire = self.wire.borrow();
        let blocked = wire.as_ref().and_then(|wire| wire.blocked_since());
        let unblocked = wire.as_ref().and_then(|wire| wire.unblocked_at());
        let (limit, since) = match blocked {
            Some(since) => (service.write_timeout, since),
            None if self.sending.get() => return Some(service.write_timeout.min(service.read_timeout)),
            None => (service.read_timeout, unblocked.map_or(self.last.get(), |at| at.max(self.last.get()))),
        };
        limit.checked_sub(since.elapsed()).filter(|left| !left.is_zero())
    }
}
