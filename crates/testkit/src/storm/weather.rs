//! What else a storm's process has to bear: output that nobody reads, a wall clock that somebody sets.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::process::Setup;
use crate::wait::pause;
use crate::wall_clock::WallClock;

/// Around a process while it is killed again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// All else is well.
    Calm,
    /// Standard error is a pipe whose reader has ended. Kills come at random moments alone: nobody is told that a point is reached.
    NobodyReads,
    /// The wall clock jumps by up to forty days, forwards and backwards, several times a second; the monotonic clock does not.
    ClockJumps,
}

/// How far a wall clock is off at most, in seconds.
const FURTHEST: i64 = 40 * 86_400;

impl Weather {
    /// For one more start.
    pub(super) fn apply(self, setup: &mut Setup) {
        if self == Self::NobodyReads {
            setup.stderr = Some(unread());
        }
    }
}

/// A pipe that nobody reads: each write to it fails.
fn unread() -> OwnedFd {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Sets the wall clock of a setup's processes again and again, until it is dropped; then they have the right time.
pub(super) struct Jumps {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Jumps {
    pub(super) fn start(setup: &mut Setup, seed: u64) -> Self {
        let clock = WallClock::of(setup);
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        let mut rng = fastrand::Rng::with_seed(seed);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // Every second one is right again.
                let offset = if rng.bool() { 0 } else { rng.i64(-FURTHEST..=FURTHEST) };
                clock.set(&format!("{offset:+}"));
                pause(Duration::from_millis(rng.u64(50..500)));
            }
            clock.set("+0");
        });
        Self { ends, thread: Some(thread) }
    }
}

impl Drop for Jumps {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the clock's hand does not panic");
        }
    }
}
