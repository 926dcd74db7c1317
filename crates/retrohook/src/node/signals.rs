//! What ends a node: signals, or the death of a part without which it is useless.
//!
//! SIGTERM, SIGINT and SIGQUIT drain; a second one of them ends the process at once. SIGHUP makes the node read its configuration files again;
//! if it comes during the start, that happens after the start. SIGUSR1 has the access log's file opened anew; where there is none, it
//! only writes a log line, as SIGUSR2 does, because by default each of them would kill the process. So does SIGXFSZ, which comes when a log file grows beyond its size limit.

use std::time::Duration;

use admin::reload::Reloads;
use storage::vital::{Death, Deaths};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::access_log::AccessLog;
use crate::{output, report};

/// How long the last lines may take to be written when a second signal ends the process.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// From the beginning it handles the signals that must not kill, and from [`Signals::drain_too`] on those that drain. Until then, while the node
/// starts, the latter have the system's effect, which is to kill.
pub struct Signals(Option<(Runtime, Listening)>);

/// Why a node ends.
pub enum Ending {
    /// A signal asked for it.
    Asked,
    /// A part without which it is useless has ended.
    Died(Death),
}

impl Signals {
    pub fn listen() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else {
            tracing::error!("no runtime for signals: stop this process with SIGKILL");
            return Self(None);
        };
        let signals = runtime.block_on(async { Listening::new() });
        Self(Some((runtime, signals)))
    }

    /// The node serves now: from here on, a signal that asks it to end makes it drain.
    pub fn drain_too(&mut self) {
        if let Some((runtime, signals)) = &mut self.0 {
            runtime.block_on(async { signals.drain_too() });
        }
    }

    /// Waits for the first signal that drains, or for the death of a part. After that, such a signal ends the process at once, and nothing is
    /// reloaded.
    pub fn wait(self, mut deaths: Deaths, reloads: Reloads, access_log: Option<&AccessLog>) -> Ending {
        let Some((runtime, mut signals)) = self.0 else {
            // The reporters of deaths hold the other end as long as they live.
            return deaths.blocking_recv().map_or(Ending::Asked, Ending::Died);
        };
        let ending = runtime.block_on(async {
            tokio::select! {
                biased;
                () = signals.stop(Some(&reloads), access_log) => Ending::Asked,
                Some(death) = deaths.recv() => Ending::Died(death),
            }
        });
        // The runtime lives on for the second signal, in a thread that the process's end takes with it.
        let second = std::thread::Builder::new().name("signals".into()).spawn(move || {
            runtime.block_on(signals.stop(None, None));
            report::line("ended at once");
            output::flush(LAST_WORDS);
            end_now();
        });
        if let Err(error) = second {
            tracing::warn!(%error, "a second signal will not end this process at once: SIGKILL will");
        }
        ending
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a second signal asks for exactly this; the store survives it as it survives kill -9"
)]
fn end_now() -> ! {
    std::process::exit(130)
}

/// Linux's number of the signal that comes when a file would grow beyond the process's limit.
const XFSZ: i32 = 25;

#[derive(Default)]
struct Listening {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    quit: Option<Signal>,
    hangup: Option<Signal>,
    user1: Option<Signal>,
    user2: Option<Signal>,
    file_size: Option<Signal>,
}

impl Listening {
    fn new() -> Self {
        Self {
            hangup: listen(SignalKind::hangup()),
            user1: listen(SignalKind::user_defined1()),
            user2: listen(SignalKind::user_defined2()),
            file_size: listen(SignalKind::from_raw(XFSZ)),
            ..Self::default()
        }
    }

    fn drain_too(&mut self) {
        self.terminate = listen(SignalKind::terminate());
        self.interrupt = listen(SignalKind::interrupt());
        self.quit = listen(SignalKind::quit());
    }

    /// Resolves at a signal that drains; notes the others, and reloads where that is still possible.
    async fn stop(&mut self, reloads: Option<&Reloads>, access_log: Option<&AccessLog>) {
        loop {
            tokio::select! {
                biased;
                () = one(&mut self.terminate) => return,
                () = one(&mut self.interrupt) => return,
                () = one(&mut self.quit) => return,
                () = one(&mut self.hangup) => match reloads.map(Reloads::ask) {
                    Some(Ok(())) => {}
                    Some(Err(error)) => tracing::error!(%error, "SIGHUP: not reloaded"),
                    None => tracing::info!("SIGHUP: this process stops, and the configuration is not read anew"),
                },
                () = one(&mut self.user1) => match access_log.and_then(AccessLog::reopen) {
                    Some(path) => tracing::info!(path = %path.display(), "SIGUSR1: the access log's file is opened anew"),
                    None => tracing::info!("SIGUSR1: there are no log files to reopen"),
                },
                () = one(&mut self.user2) => tracing::info!("SIGUSR2: it has no meaning here"),
                () = one(&mut self.file_size) => {
                    tracing::warn!("SIGXFSZ: a file has reached the size that this process may write (`ulimit -f`)");
                }
            }
        }
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    match signal(kind) {
        Ok(signal) => Some(signal),
        Err(error) => {
            tracing::warn!(%error, ?kind, "a signal cannot be listened for: it has the system's own effect");
            None
        }
    }
}

async fn one(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
