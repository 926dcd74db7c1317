//! The promise of a commit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use crate::{Result, StoreError};

/// Resolves when the change is durable, or refused. Dropping it changes nothing: the change is queued already.
#[must_use = "await it for the change to be durable, or drop it on purpose"]
pub struct Receipt<T>(State<T>);

enum State<T> {
    Waiting(oneshot::Receiver<Result<T>>),
    Refused(Option<StoreError>),
}

impl<T> Receipt<T> {
    pub(super) fn waiting(receiver: oneshot::Receiver<Result<T>>) -> Self {
        Self(State::Waiting(receiver))
    }

    pub(super) fn refused(error: StoreError) -> Self {
        Self(State::Refused(Some(error)))
    }

    /// Blocks this thread until the change is durable. Not for a runtime's threads.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or(Err(StoreError::Closed)),
            State::Refused(error) => Err(error.unwrap_or(StoreError::Closed)),
        }
    }
}

impl<T> Unpin for Receipt<T> {}

impl<T> Future for Receipt<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Waiting(receiver) => {
                let answer = ready!(Pin::new(receiver).poll(cx));
                Poll::Ready(answer.unwrap_or(Err(StoreError::Closed)))
            }
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or(StoreError::Closed))),
        }
    }
}
