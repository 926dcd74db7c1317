//! Receipts: how a caller learns that its change is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use super::bell::{Bell, Rings};
use super::sync::{Arc, Mutex, MutexGuard, Thread, bell_of_this_thread, current, park};
use crate::{Result, StoreError};

/// Resolves when the change is durable, or with an error if it was refused. Dropping it changes nothing: the change is queued already.
#[must_use = "await it for the change to be durable, or drop it on purpose"]
pub struct Receipt<T>(State<T>);

enum State<T> {
    Waiting(Arc<Shared<T>>),
    Refused(Option<StoreError>),
}

/// The writer's end of a receipt. If it is dropped without an answer, the receipt resolves with [`StoreError::Closed`].
pub(super) struct Reply<T>(Arc<Shared<T>>);

struct Shared<T> {
    answer: Mutex<Answer<T>>,
}

enum Answer<T> {
    Awaited(Waiting),
    Given(Result<T>),
    Taken,
}

enum Waiting {
    Nobody,
    Task(Waker, Option<Bell>),
    Thread(Thread),
}

/// A receipt and what resolves it.
pub(super) fn receipt<T>() -> (Reply<T>, Receipt<T>) {
    let shared = Arc::new(Shared { answer: Mutex::new(Answer::Awaited(Waiting::Nobody)) });
    (Reply(shared.clone()), Receipt(State::Waiting(shared)))
}

impl<T> Shared<T> {
    fn answer(&self) -> MutexGuard<'_, Answer<T>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the answer, unless there was one before. Returns what waits for it.
    fn give(&self, result: Result<T>) -> Waiting {
        let mut answer = self.answer();
        match std::mem::replace(&mut *answer, Answer::Taken) {
            Answer::Awaited(waiting) => {
                *answer = Answer::Given(result);
                waiting
            }
            before => {
                *answer = before;
                Waiting::Nobody
            }
        }
    }
}

impl<T> Reply<T> {
    /// Resolves the receipt. A waiting thread is woken at once, a waiting task when `rings` is dropped.
    pub(super) fn send(self, result: Result<T>, rings: &mut Rings) {
        match self.0.give(result) {
            Waiting::Nobody => {}
            Waiting::Task(waker, bell) => rings.wake(waker, bell),
            Waiting::Thread(thread) => thread.unpark(),
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        match self.0.give(Err(StoreError::Closed)) {
            Waiting::Nobody => {}
            Waiting::Task(waker, _) => waker.wake(),
            Waiting::Thread(thread) => thread.unpark(),
        }
    }
}

impl<T> Receipt<T> {
    pub(super) fn refused(error: StoreError) -> Self {
        Self(State::Refused(Some(error)))
    }

    /// Blocks this thread until the change is durable. Do not call it on a runtime's threads.
    ///
    /// # Errors
    /// If the change was refused, or the writer has ended.
    pub fn wait(self) -> Result<T> {
        let shared = match self.0 {
            State::Waiting(shared) => shared,
            State::Refused(error) => return Err(error.unwrap_or(StoreError::Closed)),
        };
        loop {
            let mut answer = shared.answer();
            match std::mem::replace(&mut *answer, Answer::Taken) {
                Answer::Given(result) => return result,
                Answer::Taken => return Err(StoreError::Closed),
                Answer::Awaited(_) => {
                    *answer = Answer::Awaited(Waiting::Thread(current()));
                }
            }
            drop(answer);
            park();
        }
    }
}

impl<T> Unpin for Receipt<T> {}

impl<T> Future for Receipt<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = match &mut self.0 {
            State::Waiting(shared) => shared,
            State::Refused(error) => return Poll::Ready(Err(error.take().unwrap_or(StoreError::Closed))),
        };
        let mut answer = shared.answer();
        match std::mem::replace(&mut *answer, Answer::Taken) {
            Answer::Given(result) => Poll::Ready(result),
            Answer::Taken => Poll::Ready(Err(StoreError::Closed)),
            Answer::Awaited(_) => {
                *answer = Answer::Awaited(Waiting::Task(cx.waker().clone(), bell_of_this_thread()));
                Poll::Pending
            }
        }
    }
}
