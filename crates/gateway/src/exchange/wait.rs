//! Waiting for an upstream's head, with two clocks: the service's timeouts and the exchange's bound.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::{Asking, Exchange, Plan};
use crate::table::Service;
use crate::upstream::{Failure, Lease, Progress};

/// What came first.
pub(crate) enum Waited {
    /// The upstream's head.
    Head(Response<Incoming>, Lease),
    /// There will be none.
    Failed(Failure),
    /// One of the service's timeouts. Comes once.
    TimedOut,
    /// The exchange's bound. Comes once.
    BoundReached,
}

/// The clocks.
pub(crate) struct Patience {
    service: Arc<Service>,
    progress: Rc<Progress>,
    timeout: Pin<Box<Sleep>>,
    bound_at: Instant,
    bound_told: bool,
}

impl Patience {
    pub fn new(exchange: &Exchange, plan: &Plan) -> Self {
        let bound_at = Instant::from_std(plan.started) + plan.bound;
        let first = plan.service.read_timeout.min(plan.bound);
        Self {
            service: plan.service.clone(),
            progress: exchange.progress.clone(),
            timeout: Box::pin(tokio::time::sleep(first)),
            bound_at,
            bound_told: false,
        }
    }

    /// Waits for the head, a timeout or the bound.
    pub async fn wait(&mut self, asking: &mut Asking) -> Waited {
        poll_fn(|cx| {
            if let Poll::Ready(answer) = asking.as_mut().poll(cx) {
                return Poll::Ready(answer.into());
            }
            while self.timeout.as_mut().poll(cx).is_ready() {
                if let Some(due) = self.next_due() {
                    self.timeout.as_mut().reset(due);
                    continue;
                }
                if self.progress.remaining(&self.service).is_none() {
                    return Poll::Ready(Waited::TimedOut);
                }
                self.bound_told = true;
                return Poll::Ready(Waited::BoundReached);
            }
            Poll::Pending
        })
        .await
    }

    /// When to look again; `None` if something is due now.
    fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        let timeout_in = self.progress.remaining(&self.service)?;
        if self.bound_told {
            return Some(now + timeout_in);
        }
        let bound_in = self.bound_at.checked_duration_since(now).filter(|left| !left.is_zero())?;
        Some(now + timeout_in.min(bound_in).max(Duration::from_millis(1)))
    }

    /// Waits for the head or the bound alone.
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
