//! Waiting for an upstream's head with two limits: the service's timeouts and the exchange's time limit.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::Exchange;
use crate::snapshot::ServiceRef;
use crate::upstream::failure::Failure;
use crate::upstream::pool::Lease;

/// The upstream is being asked.
pub(super) type Asking = Pin<Box<dyn Future<Output = Result<(Response<Incoming>, Lease), Failure>>>>;

/// What came first.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each exchange, and it is taken apart at once"
)]
pub(crate) enum Waited {
    /// The upstream's head.
    Head(Response<Incoming>, Lease),
    /// There will be none.
    Failed(Failure),
    /// One of the service's timeouts. Comes once.
    TimedOut,
    /// The exchange has reached its time limit, and its client has left.
    BoundReached,
}

/// The timers of the two limits.
pub(crate) struct Patience {
    service: ServiceRef,
    exchange: Rc<Exchange>,
    timeout: Pin<Box<Sleep>>,
    bound_at: Instant,
    client_was_there: bool,
}

impl Patience {
    /// From `now` on.
    pub fn new(exchange: &Rc<Exchange>, service: &ServiceRef, now: std::time::Instant) -> Self {
        let due = Instant::from_std(now) + service.read_timeout.min(service.write_timeout);
        let started = Instant::from_std(exchange.account().context.started);
        let bound_at = started + exchange.watches.borrow().bound();
        Self {
            service: service.clone(),
            exchange: exchange.clone(),
            timeout: Box::pin(tokio::time::sleep_until(due)),
            bound_at,
            client_was_there: true,
        }
    }

    /// Waits for the head, for a timeout, or, after the client has left, for the exchange's time limit. As long as the client waits, that limit
    /// does not apply: the client still expects its answer.
    pub async fn wait(&mut self, asking: &mut Asking) -> Waited {
        poll_fn(|cx| {
            if let Poll::Ready(answer) = asking.as_mut().poll(cx) {
                return Poll::Ready(answer.into());
            }
            if self.client_was_there && self.exchange.client_gone.get() {
                self.client_was_there = false;
                let soonest = self.timeout.deadline().min(self.bound_at);
                self.timeout.as_mut().reset(soonest);
            }
            while self.timeout.as_mut().poll(cx).is_ready() {
                match self.next_due() {
                    Some(due) => self.timeout.as_mut().reset(due),
                    None if self.timed_out() => return Poll::Ready(Waited::TimedOut),
                    None => return Poll::Ready(Waited::BoundReached),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// When to check again; `None` if a limit has been reached.
    fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let timeout_in = self.exchange.progress.remaining(&self.service)?;
        if self.client_was_there {
            return Some(now + timeout_in);
        }
        let bound_in = self.bound_at.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some(now + timeout_in.min(bound_in).max(Duration::from_millis(1)))
    }

    fn timed_out(&self) -> bool {
        self.exchange.progress.remaining(&self.service).is_none()
    }

    /// Waits for the head or the exchange's time limit only.
    pub async fn wait_for_bound(&mut self, asking: &mut Asking) -> Waited {
        match tokio::time::timeout_at(self.bound_at, asking).await {
            Ok(answer) => answer.into(),
            Err(_) => Waited::BoundReached,
        }
    }
}

impl From<Result<(Response<Incoming>, Lease), Failure>> for Waited {
    fn from(answer: Result<(Response<Incoming>, Lease), Failure>) -> Self {
        match answer {
            Ok((response, lease)) => Self::Head(response, lease),
            Err(failure) => Self::Failed(failure),
        }
    }
}
