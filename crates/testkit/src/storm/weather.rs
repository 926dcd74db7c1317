//! What else a storm's process has to bear: output that nobody reads, a wall clock that somebody sets.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::process::Setup;
use crate::tools;
use crate::wait::pause;

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

/// Sets the wall clock of processes that are started with its environment, until it is dropped; then they have the right time.
pub(super) struct Jumps {
    file: PathBuf,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Jumps {
    /// Puts what the library needs into the environment, and begins.
    pub(super) fn start(setup: &mut Setup, seed: u64) -> Self {
        let file = setup.data.path().join("clock");
        let library = tools::find("FAKETIME_LIB", "libfaketimeMT.so.1");
        for (name, value) in [
            ("LD_PRELOAD", library.to_str().expect("UTF-8")),
            ("FAKETIME_TIMESTAMP_FILE", file.to_str().expect("UTF-8")),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ] {
            setup.env.push((name.into(), value.into()));
        }
        write(&file, 0);
        let ends = Arc::new(AtomicBool::new(false));
        let (path, ended) = (file.clone(), ends.clone());
        let mut rng = fastrand::Rng::with_seed(seed);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // Every second one is right again.
                write(&path, if rng.bool() { 0 } else { rng.i64(-FURTHEST..=FURTHEST) });
                pause(Duration::from_millis(rng.u64(50..500)));
            }
        });
        Self { file, ends, thread: Some(thread) }
    }
}

impl Drop for Jumps {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the clock's hand does not panic");
        }
        write(&self.file, 0);
    }
}

/// In one step: a process may read it at any time.
fn write(file: &Path, offset: i64) {
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{offset:+}\n")).expect("the offset is written");
    std::fs::rename(new, file).expect("the offset is put in place");
}
