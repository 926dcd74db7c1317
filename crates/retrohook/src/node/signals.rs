//! SIGTERM and SIGINT: the first drains, the second ends at once.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::report;

/// Listens from when it is made, so that no signal behind it has the system's own effect, which is to kill.
pub struct Stop(Option<(Runtime, Signals)>);

impl Stop {
    pub fn listen() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else {
            tracing::error!("no runtime for signals: stop this process with SIGKILL");
            return Self(None);
        };
        let signals = runtime.block_on(async { Signals::new() });
        Self(Some((runtime, signals)))
    }

    /// Waits for the first signal; from then on a second one ends the process.
    pub fn wait(self) {
        let Some((runtime, mut signals)) = self.0 else {
            loop {
                std::thread::park();
            }
        };
        runtime.block_on(signals.next());
        // The runtime lives on for the second signal, in a thread that the process's end takes with it.
        std::thread::spawn(move || {
            runtime.block_on(signals.next());
            report::line("ended at once");
            end_now();
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a second signal asks for exactly this; the store survives it as it survives kill -9"
)]
fn end_now() -> ! {
    std::process::exit(130)
}

struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
}

impl Signals {
    fn new() -> Self {
        Self {
            terminate: signal(SignalKind::terminate()).ok(),
            interrupt: signal(SignalKind::interrupt()).ok(),
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            () = one(&mut self.terminate) => {}
            () = one(&mut self.interrupt) => {}
        }
    }
}

async fn one(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
