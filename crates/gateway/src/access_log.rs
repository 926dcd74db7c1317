//! The access log: one line for each request, made on its core when it is over, and written by whoever takes the pieces.
//!
//! Lines are gathered in a buffer of the core, so that a piece of [`PIECE`] bytes costs one hand-over. Pieces wait in a bounded queue. A request
//! never waits: when the queue is full because a disk or a reader is slow, the piece is dropped, counted and said.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use storage::throttle::Throttle;
use tokio::sync::Notify;

pub(crate) mod line;

pub use line::Form;
use line::{Line, Second};

/// At this size a piece is handed over, in bytes.
const PIECE: usize = 32 << 10;
/// More than a line has, in bytes.
const ROOM: usize = 4 << 10;
/// Pieces that wait to be written, of all cores together: 2 MiB.
const WAITING: usize = 64;
/// A line waits no longer than this for others.
const HAND_OVER_AFTER: Duration = Duration::from_secs(1);

/// Where cores hand their lines over. Clones share it.
#[derive(Clone, Debug)]
pub struct AccessLog {
    form: Form,
    pieces: SyncSender<Piece>,
    lost: Lost,
}

/// Some lines, each with its end.
#[derive(Debug, Default)]
pub struct Piece {
    /// The lines.
    pub text: Vec<u8>,
    /// How many.
    pub lines: u64,
}

/// Lines that were dropped or could not be written. Clones share the count.
#[derive(Clone, Debug, Default)]
pub struct Lost(Arc<AtomicU64>);

impl Lost {
    /// How many, since the process began.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts some more, and says so once a second at most.
    pub fn add(&self, lines: u64, why: &str) {
        static SAID: Throttle = Throttle::new();
        let lost = self.0.fetch_add(lines, Ordering::Relaxed) + lines;
        if SAID.happened().is_some() {
            tracing::warn!(lost, why, "lines of the access log were lost");
        }
    }
}

impl AccessLog {
    /// A log in this form, and the end at which its pieces come out.
    pub fn new(form: Form) -> (Self, Receiver<Piece>) {
        let (pieces, written) = sync_channel(WAITING);
        (Self { form, pieces, lost: Lost::default() }, written)
    }

    /// What was lost of it.
    pub fn lost(&self) -> &Lost {
        &self.lost
    }

    /// Wakes whoever writes, if that one is idle.
    pub fn wake(&self) {
        // A full queue means that nobody sleeps.
        let _ = self.pieces.try_send(Piece::default());
    }
}

/// The lines of one core that have not been handed over.
pub(crate) struct Lines {
    log: AccessLog,
    piece: RefCell<Piece>,
    second: RefCell<Second>,
    begun: Notify,
}

impl Lines {
    pub fn new(log: AccessLog) -> Rc<Self> {
        Rc::new(Self { log, piece: RefCell::default(), second: RefCell::default(), begun: Notify::new() })
    }

    /// Adds a line.
    #[inline(never)]
    pub fn push(&self, line: &Line<'_>) {
        let mut piece = self.piece.borrow_mut();
        if piece.text.is_empty() {
            piece.text.reserve(PIECE + ROOM);
            self.begun.notify_one();
        }
        line.write(self.log.form, &mut self.second.borrow_mut(), &mut piece.text);
        piece.lines += 1;
        if piece.text.len() >= PIECE {
            self.hand_over(&mut piece);
        }
    }

    fn hand_over(&self, piece: &mut Piece) {
        let piece = std::mem::take(piece);
        let lines = piece.lines;
        if lines > 0 && self.log.pieces.try_send(piece).is_err() {
            self.log.lost.add(lines, "what they are written to is too slow");
        }
    }

    /// Hands over what has waited for a second, as long as the core lives.
    pub async fn hand_over_in_time(self: Rc<Self>) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(HAND_OVER_AFTER).await;
            self.hand_over(&mut self.piece.borrow_mut());
        }
    }
}

/// The core ends.
impl Drop for Lines {
    fn drop(&mut self) {
        self.hand_over(&mut self.piece.borrow_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_leave_in_pieces_and_at_the_end_and_what_finds_no_room_is_counted() {
        let (log, pieces) = AccessLog::new(Form::Text);
        let (lines, lost) = (Lines::new(log.clone()), log.lost().clone());
        let line = line::tests::line("/");
        lines.push(&line);
        assert!(pieces.try_recv().is_err(), "it waits for more");
        let mut count = 1;
        while pieces.try_recv().is_err() {
            lines.push(&line);
            count += 1;
        }
        assert!(count > 50, "a piece has many lines: {count}");
        for _ in 0..count * WAITING as u64 {
            lines.push(&line);
        }
        assert_eq!(lost.count(), 0, "as many pieces as may wait");
        lines.push(&line);
        drop(lines);
        assert_eq!(lost.count(), 1, "the last one had no room");
        drop(log);
        let waiting: u64 = pieces.iter().map(|piece| piece.lines).sum();
        assert_eq!(waiting, count * WAITING as u64);
    }
}
