//! What else a storm's process has to bear: output that nobody reads, a wall clock that somebody sets, a configuration that changes.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{Process, Setup};
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
    /// The files change and are read anew several times a second: routes, subscriptions (their endpoints, too), queues and topics; and an API
    /// makes and ends others all the time.
    Reloads,
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

/// Changes the files of a setup's processes and has them read anew.
pub(super) struct Reloads {
    /// Without what changes.
    config: String,
    file: PathBuf,
    next: Instant,
    rng: fastrand::Rng,
}

impl Reloads {
    pub(super) fn of(setup: &Setup, seed: u64) -> Self {
        let (config, file) = (setup.config.clone(), setup.config_file());
        Self { config, file, next: Instant::now(), rng: fastrand::Rng::with_seed(seed) }
    }

    /// Once more, if it is time for it.
    pub(super) fn go_on(&mut self, process: &Process) {
        if Instant::now() < self.next {
            return;
        }
        let config = self.changed();
        // Written aside and moved into place, as a careful operator does: no reload reads half a file.
        let aside = self.file.with_extension("new");
        std::fs::write(&aside, config)
            .and_then(|()| std::fs::rename(&aside, &self.file))
            .expect("the file can be written");
        process.signal(Signal::HUP);
        self.next = Instant::now() + Duration::from_millis(self.rng.u64(5..150));
    }

    /// The same promises in other words.
    fn changed(&mut self) -> String {
        let mut config = self.config.clone();
        let number = self.rng.u32(1..60_000);
        config = config.replace("/hear\"", &format!("/hear/{number}\""));
        config = config.replace(
            "  routes:\n  - { name: strict",
            &format!("  read_timeout: {}\n  routes:\n  - {{ name: strict", 60_000 + number),
        );
        if self.rng.bool() {
            config = config.replace("fifo: true", &format!("fifo: true, max_in_flight: {}", 1 + number % 64));
        }
        if self.rng.bool() {
            config = config.replace("visibility_timeout: 2", "visibility_timeout: 1");
        }
        if self.rng.bool() {
            config.push_str("- { name: more }\n");
            let more = "topics:\n- name: more\n  subscriptions: [{ protocol: sqs, endpoint: more }]\n";
            config = config.replace("topics:\n", more);
        }
        config
    }
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
