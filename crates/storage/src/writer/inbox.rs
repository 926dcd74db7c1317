//! The ordered queue of the writer.
//!
//! Made for one reader that takes all that is there, and sleeps as long as nobody waits for it: who puts something in for which nobody
//! waits does not wake a reader that is gathering such things ([`Inbox::take`]). A lock is held for a push or a swap alone.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Duration;

use super::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The senders' end; it ends with its last clone.
pub(super) struct Outbox<T>(Arc<Queue<T>>);

/// The reader's end. What is in it when it is dropped is dropped too.
pub(super) struct Inbox<T>(Arc<Queue<T>>);

/// What a thing in the queue may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Urgency {
    /// Somebody waits for it.
    pub(super) awaited: bool,
    /// It gets in however many there are.
    pub(super) owed: bool,
}

/// Why a thing was not taken; it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There are as many as there may be.
    Full,
    /// The reader is gone.
    Closed,
}

/// What a reader found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// These, in order; none if its patience was over.
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
    /// Of those, some are waited for.
    awaited: bool,
    senders: usize,
    reader: Reader,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    Busy,
    /// Wants anything.
    Idle,
    /// Has something, and wakes for what is waited for, or for as many as these.
    Gathering(usize),
    /// Was woken: once is enough.
    Called,
    Gone,
}

/// A queue of at most `limit` things, but for those that are owed.
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
    /// Whether the reader must be woken for what is there now.
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
    /// Puts a thing in. Never waits.
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

    /// Why it would not take a thing that is not owed; `None` if it would.
    pub(super) fn refuses(&self) -> Option<Refused> {
        let state = self.0.state();
        if state.reader == Reader::Gone {
            return Some(Refused::Closed);
        }
        (state.things.len() >= self.0.limit).then_some(Refused::Full)
    }
}

impl<T> Inbox<T> {
    /// Takes up to `most` things, in order, as soon as there is one, or nothing when `patience` is over. Things that nobody waits for
    /// are gathered for `linger` before they are taken.
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
        // Senders would make it longer bit by bit, each while the others wait for the lock.
        behind.reserve(count);
        // Which of them were waited for is not known: what is left behind counts as waited for if anything was.
        state.awaited &= !behind.is_empty();
        Found::Some(std::mem::replace(&mut state.things, behind))
    }

    /// Whether the reader of this queue has something and waits for more.
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
