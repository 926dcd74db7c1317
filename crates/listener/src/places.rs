//! Places for connections: a listener serves a limited number at once, and closes connections without a request for new ones.
//!
//! Each connection holds a [`Place`] for as long as it is served. Its [`Seat`] knows how far it is. When all places are taken and one more
//! client connects, the connections that have waited longest for a whole request are closed, as nginx does with its reusable connections.
//! So a client that opens thousands of connections and sends nothing takes places only from itself.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The most of interim answers that waits to be written, in bytes.
const MAX_INTERIM: usize = 16 << 10;
/// The most connections that are asked to leave at once.
const MAX_BATCH: usize = 32;
/// If all other connections are being answered, one whose client has taken nothing of its answer for this long may be closed.
const BLOCKED_TOO_LONG: Duration = Duration::from_secs(10);
/// The wait for a place looks again after this time: meanwhile a client may have been blocked for too long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The places of one listener on one thread.
#[derive(Debug)]
pub struct Places {
    limit: usize,
    seats: RefCell<Vec<Option<Rc<Seat>>>>,
    /// Indices of `seats` that are free.
    free: RefCell<Vec<usize>>,
    taken: Cell<usize>,
    /// Orders connections by how long they have waited.
    ticks: Cell<u64>,
    /// Connections that were asked to leave and have not left.
    leaving: Cell<usize>,
    /// A new connection waits for a place.
    wanted: Cell<bool>,
    /// A place is free, or can be made free.
    changed: Notify,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It waits for a whole request, since this tick.
    Waiting(u64),
    /// A request is being answered.
    Answering,
}

/// What a connection is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Leave at once, unless a request has come meanwhile.
    ToLeave,
    /// Answer the request under way, and take no other.
    ToEnd,
}

/// What is known of one connection.
#[derive(Debug)]
pub struct Seat {
    places: Rc<Places>,
    phase: Cell<Phase>,
    /// Set by the reader of a request's body when it has read all of it.
    is_whole: RefCell<Option<Arc<AtomicBool>>>,
    /// Whether a part of the last request's body was never read.
    left_unread: Cell<bool>,
    /// Changes when a request begins, and when its answer does.
    turn: Cell<u64>,
    /// Interim answers (1xx) that wait to be written.
    interim: RefCell<Vec<u8>>,
    /// Whether all that was to be written has been written.
    is_flushed: Cell<bool>,
    /// Since when bytes of an answer have waited for the client to take any.
    blocked_since: Cell<Option<Instant>>,
    asked: Cell<Option<Asked>>,
    is_leaving: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub struct Place {
    seat: Rc<Seat>,
    index: usize,
}

impl Places {
    /// Places for `limit` connections, at least one.
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self {
            limit: limit.max(1),
            seats: RefCell::default(),
            free: RefCell::default(),
            taken: Cell::new(0),
            ticks: Cell::new(0),
            leaving: Cell::new(0),
            wanted: Cell::new(false),
            changed: Notify::new(),
        })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.get()
    }

    /// Waits for a place. If there is none, connections without a whole request are asked to leave.
    pub async fn take(self: &Rc<Self>) -> Place {
        while self.taken.get() >= self.limit {
            self.wanted.set(true);
            if self.leaving.get() == 0 {
                self.make_room();
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, self.changed.notified()).await;
        }
        self.wanted.set(false);
        self.seat()
    }

    fn seat(self: &Rc<Self>) -> Place {
        let seat = Rc::new(Seat {
            places: self.clone(),
            phase: Cell::new(Phase::Waiting(self.tick())),
            is_whole: RefCell::new(None),
            left_unread: Cell::new(false),
            turn: Cell::new(0),
            interim: RefCell::default(),
            is_flushed: Cell::new(true),
            blocked_since: Cell::new(None),
            asked: Cell::new(None),
            is_leaving: Cell::new(false),
            waker: RefCell::new(None),
        });
        let mut seats = self.seats.borrow_mut();
        let index = match self.free.borrow_mut().pop() {
            Some(index) => {
                seats[index] = Some(seat.clone());
                index
            }
            None => {
                seats.push(Some(seat.clone()));
                seats.len() - 1
            }
        };
        self.taken.set(self.taken.get() + 1);
        Place { seat, index }
    }

    fn tick(&self) -> u64 {
        let tick = self.ticks.get();
        self.ticks.set(tick + 1);
        tick
    }

    /// Asks an eighth of the connections that wait for a whole request to leave, those that have waited longest: at least one, at most
    /// 32. If none waits, asks one whose client has taken nothing of its answer for ten seconds. Returns how many were asked.
    pub fn make_room(&self) -> usize {
        let seats = self.seats.borrow();
        let mut waiting: Vec<(u64, &Rc<Seat>)> = seats
            .iter()
            .flatten()
            .filter(|seat| !seat.is_leaving.get())
            .filter_map(|seat| Some((seat.waits_since()?, seat)))
            .collect();
        if waiting.is_empty() {
            let blocked = seats.iter().flatten().find(|seat| !seat.is_leaving.get() && seat.is_stuck());
            return blocked.map_or(0, |seat| seat.ask_to_leave());
        }
        let batch = (waiting.len() / 8).clamp(1, MAX_BATCH);
        if batch < waiting.len() {
            waiting.select_nth_unstable_by_key(batch - 1, |(since, _)| *since);
        }
        waiting.iter().take(batch).map(|(_, seat)| seat.ask_to_leave()).sum()
    }

    /// How many connections have a request that is being answered, or bytes that wait to be written: if they ended now, clients would lose them.
    pub fn under_way(&self) -> usize {
        self.seats.borrow().iter().flatten().filter(|seat| !seat.is_silent()).count()
    }

    /// Asks all connections to end.
    pub fn end(&self) {
        for seat in self.seats.borrow().iter().flatten() {
            seat.ask(Asked::ToEnd);
        }
    }
}

impl Seat {
    /// A whole request has been read: from now on the connection is not closed to make room, unless its client takes nothing of the answer for
    /// ten seconds.
    pub fn begin_answer(&self) {
        self.phase.set(Phase::Answering);
    }

    /// The same as [`begin_answer`](Self::begin_answer), but only once somebody sets the flag.
    pub fn begin_answer_when(&self, is_whole: Arc<AtomicBool>) {
        self.is_whole.replace(Some(is_whole));
    }

    /// A request begins: of its body, nothing has been left unread.
    pub fn begin_request(&self) {
        self.left_unread.set(false);
        self.next_turn();
    }

    /// The answer begins: from now on, nothing else may be sent before it.
    pub(crate) fn next_turn(&self) {
        self.turn.set(self.turn.get() + 1);
    }

    /// The turn of the request that is being answered, for [`send_interim`](Self::send_interim).
    pub fn turn(&self) -> u64 {
        self.turn.get()
    }

    /// Sends the head of an interim answer (1xx, RFC 9110, 15.2) before the answer to the request of this turn. It is not sent if that answer has
    /// begun, if bytes of the one before it are still to be written, or if the client takes none.
    pub fn send_interim(&self, turn: u64, head: &[u8]) {
        let mut interim = self.interim.borrow_mut();
        if self.turn.get() != turn || !self.is_flushed.get() || interim.len() + head.len() > MAX_INTERIM {
            return;
        }
        interim.extend_from_slice(head);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What is to be sent before all else.
    pub fn take_interim(&self) -> Vec<u8> {
        self.interim.take()
    }

    /// Whether anything is to be sent before all else.
    pub(crate) fn has_interim(&self) -> bool {
        !self.interim.borrow().is_empty()
    }

    /// Notes whether all that was to be written has been written.
    pub(crate) fn set_flushed(&self, is_flushed: bool) {
        self.is_flushed.set(is_flushed);
    }

    /// The rest of the request's body is not read. The connection ends after the answer, and then reads on for a while so that the answer
    /// reaches a client that is still sending.
    pub fn leave_unread(&self) {
        self.left_unread.set(true);
    }

    /// Whether a part of the last request's body was never read.
    pub(crate) fn has_left_unread(&self) -> bool {
        self.left_unread.get()
    }

    /// The answer has been written whole, or was given up.
    pub fn end_answer(&self) {
        if self.is_whole.take().is_some_and(|is_whole| !is_whole.load(Ordering::Relaxed)) {
            self.leave_unread();
        }
        self.phase.set(Phase::Waiting(self.places.tick()));
        if self.places.wanted.get() {
            self.places.changed.notify_one();
        }
    }

    /// The client takes no more bytes for now.
    pub fn set_blocked(&self) {
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(Instant::now()));
        }
    }

    /// The client took bytes.
    pub fn set_unblocked(&self) {
        self.blocked_since.set(None);
    }

    /// Since when it has waited for a whole request, if it does and no bytes wait to be written.
    fn waits_since(&self) -> Option<u64> {
        let is_whole = |flag: &Arc<AtomicBool>| flag.load(Ordering::Relaxed);
        match self.phase.get() {
            Phase::Waiting(_) if self.is_whole.borrow().as_ref().is_some_and(is_whole) => None,
            Phase::Waiting(since) if self.blocked_since.get().is_none() => Some(since),
            _ => None,
        }
    }

    /// Whether nothing is lost by closing it: no request has been read whole, and no bytes wait to be written.
    pub fn is_silent(&self) -> bool {
        self.waits_since().is_some()
    }

    /// Whether its client has taken nothing of an answer for too long.
    fn is_stuck(&self) -> bool {
        self.blocked_since.get().is_some_and(|since| since.elapsed() >= BLOCKED_TOO_LONG)
    }

    /// Whether it may be closed to make room.
    pub fn may_leave(&self) -> bool {
        self.is_silent() || self.is_stuck()
    }

    fn ask_to_leave(&self) -> usize {
        self.is_leaving.set(true);
        self.places.leaving.set(self.places.leaving.get() + 1);
        self.ask(Asked::ToLeave);
        1
    }

    fn ask(&self, what: Asked) {
        self.asked.set(Some(what));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// A request came before it could leave.
    pub fn stay(&self) {
        if self.is_leaving.replace(false) {
            self.places.leaving.set(self.places.leaving.get() - 1);
            self.places.changed.notify_one();
        }
    }

    /// Waits until it is asked for something.
    pub async fn asked(&self) -> Asked {
        poll_fn(|cx| {
            if let Some(asked) = self.asked.take() {
                return Poll::Ready(asked);
            }
            let mut waker = self.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

impl Place {
    /// What is known of its connection.
    pub fn seat(&self) -> &Rc<Seat> {
        &self.seat
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.seat.stay();
        let places = &self.seat.places;
        places.seats.borrow_mut()[self.index] = None;
        places.free.borrow_mut().push(self.index);
        places.taken.set(places.taken.get() - 1);
        places.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn asked(place: &Place) -> Option<Asked> {
        place.seat().asked().now_or_never()
    }

    fn take(places: &Rc<Places>) -> Place {
        places.take().now_or_never().expect("there is a place")
    }

    #[tokio::test]
    async fn at_the_limit_the_one_that_has_waited_longest_leaves() {
        let places = Places::new(3);
        let [first, second, third] = [take(&places), take(&places), take(&places)];
        first.seat().begin_answer();
        assert!(places.take().now_or_never().is_none());
        assert_eq!((asked(&first), asked(&second), asked(&third)), (None, Some(Asked::ToLeave), None));
        drop(second);
        let fourth = take(&places);
        assert_eq!(places.taken(), 3);
        // One that was answered waits from then on.
        first.seat().end_answer();
        assert!(places.take().now_or_never().is_none());
        assert_eq!((asked(&first), asked(&third), asked(&fourth)), (None, Some(Asked::ToLeave), None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leaves_who_is_answered_unless_the_client_does_not_take_the_answer() {
        let places = Places::new(2);
        let [first, second] = [take(&places), take(&places)];
        first.seat().begin_answer();
        second.seat().begin_answer();
        assert_eq!(places.make_room(), 0);
        second.seat().set_blocked();
        tokio::time::advance(BLOCKED_TOO_LONG / 2).await;
        second.seat().set_blocked();
        assert_eq!(places.make_room(), 0);
        tokio::time::advance(BLOCKED_TOO_LONG / 2).await;
        assert_eq!((places.make_room(), asked(&first), asked(&second)), (1, None, Some(Asked::ToLeave)));
    }

    #[tokio::test]
    async fn whoever_waits_for_a_place_gets_it_from_the_next_that_is_answered() {
        let places = Places::new(1);
        let only = take(&places);
        only.seat().begin_answer();
        let next = places.take();
        tokio::pin!(next);
        assert!(next.as_mut().now_or_never().is_none());
        only.seat().end_answer();
        assert!(next.as_mut().now_or_never().is_none());
        assert_eq!(asked(&only), Some(Asked::ToLeave));
        drop(only);
        assert_eq!(next.await.seat().places.taken(), 1);
    }

    #[test]
    fn a_crowd_leaves_in_batches() {
        let places = Places::new(1_000);
        let seated: Vec<_> = (0..1_000).map(|_| take(&places)).collect();
        assert_eq!(places.make_room(), MAX_BATCH);
        let left: Vec<_> = seated.iter().map(|place| asked(place).is_some()).collect();
        assert!(left[..MAX_BATCH].iter().all(|left| *left) && !left[MAX_BATCH..].iter().any(|left| *left));
    }
}
