//! The signals that end a command which runs until it is told to stop: Ctrl-C, a polite kill, and the terminal's end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears of each of them, from the beginning on.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    /// From now on the signals end nothing by themselves.
    ///
    /// # Errors
    /// If the system refuses to tell.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves when one of them came: with its number.
    pub async fn asked(&mut self) -> u8 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hangup.recv() => 1,
        }
    }
}
