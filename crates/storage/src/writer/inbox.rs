//! The ordered queue of the writer.
//!
//! Made for one reader that takes all that is there, and sleeps as long as nobody waits for it: who puts something in for which nobody
//! waits does not wake a reader that is gathering such things ([`Inbox::take`]). A lock is held for a push or a swap alone.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);
    const AWAITED: Urgency = Urgency { awaited: true, owed: false };
    const UNAWAITED: Urgency = Urgency { awaited: false, owed: false };

    fn taken(found: Found<u32>) -> Vec<u32> {
        match found {
            Found::Some(things) => things.into(),
            Found::Ended => panic!("there are senders"),
        }
    }

    #[test]
    fn keeps_the_order_and_takes_no_more_than_asked() {
        let (outbox, inbox) = inbox(10);
        assert_eq!(taken(inbox.take(9, NOW, LONG)), [0; 0]);
        for n in 1..=5 {
            outbox.send(n, AWAITED).unwrap();
        }
        assert_eq!(taken(inbox.take(3, LONG, LONG)), [1, 2, 3]);
        assert_eq!(taken(inbox.take(3, LONG, LONG)), [4, 5], "what was left behind is not gathered");
    }

    #[test]
    fn at_its_limit_it_takes_only_what_is_owed() {
        let (outbox, inbox) = inbox(2);
        outbox.send(1, AWAITED).unwrap();
        outbox.send(2, UNAWAITED).unwrap();
        assert_eq!(outbox.refuses(), Some(Refused::Full));
        assert_eq!(outbox.send(3, AWAITED), Err(Refused::Full));
        outbox.send(4, Urgency { owed: true, ..UNAWAITED }).unwrap();
        assert_eq!(taken(inbox.take(9, LONG, LONG)), [1, 2, 4]);
        assert_eq!(outbox.refuses(), None);
        outbox.send(5, AWAITED).unwrap();
        assert_eq!(outbox.refuses(), None, "one more is taken");
        outbox.send(6, AWAITED).unwrap();
        drop(inbox);
        assert_eq!(outbox.refuses(), Some(Refused::Closed), "however full it was");
        assert_eq!(outbox.send(7, AWAITED), Err(Refused::Closed));
    }

    #[test]
    fn gathers_until_somebody_waits_or_enough_are_there() {
        for (last, urgency, most) in [(4, AWAITED, 9), (4, UNAWAITED, 4)] {
            let (outbox, inbox) = inbox(10);
            let reader = std::thread::spawn(move || taken(inbox.take(most, LONG, LONG)));
            outbox.send(1, UNAWAITED).unwrap();
            // Or the reader would find all of them there.
            while !matches!(outbox.0.state().reader, Reader::Gathering(_)) {
                std::thread::yield_now();
            }
            for n in 2..last {
                outbox.send(n, UNAWAITED).unwrap();
            }
            outbox.send(last, urgency).unwrap();
            assert_eq!(reader.join().unwrap(), [1, 2, 3, 4]);
        }
        let (outbox, inbox) = inbox(10);
        outbox.send(1, UNAWAITED).unwrap();
        assert_eq!(taken(inbox.take(9, LONG, Duration::from_millis(1))), [1], "it does not wait for ever");
    }

    #[test]
    fn enough_things_are_not_gathered_any_more() {
        let (outbox, inbox) = inbox(10);
        for n in 1..=4 {
            outbox.send(n, UNAWAITED).unwrap();
        }
        assert_eq!(taken(inbox.take(4, NOW, LONG)), [1, 2, 3, 4]);
    }

    #[test]
    fn what_was_waited_for_and_taken_hurries_nothing_after_it() {
        let (outbox, inbox) = inbox(10);
        outbox.send(1, AWAITED).unwrap();
        assert_eq!(taken(inbox.take(9, NOW, LONG)), [1]);
        outbox.send(2, UNAWAITED).unwrap();
        let reader = std::thread::spawn(move || taken(inbox.take(9, LONG, LONG)));
        outbox.send(3, UNAWAITED).unwrap();
        outbox.send(4, AWAITED).unwrap();
        assert_eq!(reader.join().unwrap(), [2, 3, 4]);
    }

    #[test]
    fn what_is_in_it_is_dropped_with_its_reader() {
        let (outbox, inbox) = inbox(10);
        let thing = Arc::new(());
        outbox.send(thing.clone(), AWAITED).unwrap();
        drop(inbox);
        assert_eq!(Arc::strong_count(&thing), 1);
    }

    #[test]
    fn ends_with_its_last_sender_and_not_before_it_is_empty() {
        let (outbox, inbox) = inbox(10);
        let other = outbox.clone();
        outbox.send(1, UNAWAITED).unwrap();
        drop(outbox);
        let reader = std::thread::spawn(move || (inbox.take(9, LONG, LONG), inbox.take(9, LONG, LONG)));
        drop(other);
        assert_eq!(reader.join().unwrap(), (Found::Some([1].into()), Found::Ended));
    }

    #[test]
    fn an_idle_reader_is_woken_by_anything() {
        let (outbox, inbox) = inbox(10);
        let reader = std::thread::spawn(move || taken(inbox.take(9, LONG, NOW)));
        outbox.send(1, UNAWAITED).unwrap();
        assert_eq!(reader.join().unwrap(), [1]);
    }
}
