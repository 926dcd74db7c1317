//! The ordered queue of the writer.
//!
//! It has one reader, which takes everything that is in the queue. Sending an item that nobody waits for does not wake a reader that is already
//! gathering such items ([`Inbox::take`]). The lock is held only for a push or a swap.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use super::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The senders' end. The queue is closed when the last clone is dropped.
pub(super) struct Outbox<T>(Arc<Queue<T>>);

/// The reader's end. When it is dropped, the items in the queue are dropped, too.
pub(super) struct Inbox<T>(Arc<Queue<T>>);

/// How urgent an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Urgency {
    /// Whether somebody waits for it.
    pub(super) awaited: bool,
    /// Whether it is accepted even if the queue is full.
    pub(super) owed: bool,
}

/// Why an item was not accepted; it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The queue is full.
    Full,
    /// The reader is gone.
    Closed,
}

/// The result of [`Inbox::take`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// These items, in order; none if the time was over.
    Some(VecDeque<T>),
    /// Nothing, and nobody is left to send more.
    Ended,
}

struct Queue<T> {
    limit: usize,
    state: Mutex<State<T>>,
    called: Condvar,
}

struct State<T> {
    things: VecDeque<T>,
    /// Whether somebody waits for any of the items.
    awaited: bool,
    senders: usize,
    reader: Reader,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Busy,
    /// Waits for any item.
    Idle,
    /// Has items, and wants to be woken only for an item that somebody waits for, or when there are this many.
    Gathering(usize),
    /// Has been woken; once is enough.
    Called,
    Gone,
}

/// A queue of at most `limit` items, not counting those that are always accepted.
pub(super) fn inbox<T>(limit: usize) -> (Outbox<T>, Inbox<T>) {
    let state = State { things: VecDeque::new(), awaited: false, senders: 1, reader: Reader::Busy };
    let queue = Arc::new(Queue { limit, state: Mutex::new(state), called: Condvar::new() });
    (Outbox(queue.clone()), Inbox(queue))
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    /// Whether the reader must be woken now.
    fn call(&mut self) -> bool {
        let call = match self.reader {
            Reader::Busy | Reader::Called | Reader::Gone => false,
            Reader::Idle => !self.things.is_empty(),
            Reader::Gathering(most) => self.awaited || self.things.len() >= most,
        };
        if call {
            self.reader = Reader::Called;
        }
        call
    }
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        self.0.state().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Outbox<T> {
    fn drop(&mut self) {
        self.0.state().senders -= 1;
        self.0.called.notify_one();
    }
}

impl<T> Outbox<T> {
    /// Adds an item. Never waits.
    pub(super) fn send(&self, thing: T, urgency: Urgency) -> Result<(), Refused> {
        let mut state = self.0.state();
        if state.reader == Reader::Gone {
            return Err(Refused::Closed);
        }
        if state.things.len() >= self.0.limit && !urgency.owed {
            return Err(Refused::Full);
        }
        state.things.push_back(thing);
        state.awaited |= urgency.awaited;
        let call = state.call();
        drop(state);
        if call {
            self.0.called.notify_one();
        }
        Ok(())
    }

    /// Why it would refuse an item that is not owed; `None` if it would accept one.
    pub(super) fn refuses(&self) -> Option<Refused> {
        let state = self.0.state();
        if state.reader == Reader::Gone {
            return Some(Refused::Closed);
        }
        (state.things.len() >= self.0.limit).then_some(Refused::Full)
    }
}

impl<T> Inbox<T> {
    /// Takes up to `most` items, in order, as soon as there is one, or nothing when `patience` is over. Items that nobody waits for are gathered
    /// for `linger` before they are taken.
    pub(super) fn take(&self, most: usize, patience: Duration, linger: Duration) -> Found<T> {
        let mut state = self.0.state();
        if state.things.is_empty() {
            state.reader = Reader::Idle;
            state = self.sleep(state, patience);
        }
        if !state.things.is_empty() && !state.awaited && state.things.len() < most {
            state.reader = Reader::Gathering(most);
            state = self.sleep(state, linger);
        }
        state.reader = Reader::Busy;
        if state.things.is_empty() {
            return if state.senders == 0 { Found::Ended } else { Found::Some(VecDeque::new()) };
        }
        let count = state.things.len().min(most);
        let mut behind = state.things.split_off(count);
        // Otherwise senders would grow it step by step while the others wait for the lock.
        behind.reserve(count);
        // It is not known which items somebody waits for: if it was any of them, the rest counts as waited for, too.
        state.awaited &= !behind.is_empty();
        Found::Some(std::mem::replace(&mut state.things, behind))
    }

    /// Whether the reader of this queue has items and gathers more.
    #[cfg(test)]
    pub(super) fn is_gathering(outbox: &Outbox<T>) -> bool {
        matches!(outbox.0.state().reader, Reader::Gathering(_))
    }

    fn sleep<'q>(&'q self, state: MutexGuard<'q, State<T>>, patience: Duration) -> MutexGuard<'q, State<T>> {
        let sleeps = |state: &mut State<T>| state.reader != Reader::Called && state.senders > 0;
        self.0.called.wait_timeout_while(state, patience, sleeps).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.reader = Reader::Gone;
        let left = std::mem::take(&mut state.things);
        drop(state);
        drop(left);
    }
}
