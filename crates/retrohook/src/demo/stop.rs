//! The signals that end the demo: Ctrl-C, a polite kill, and the terminal's end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::DemoError;

/// Hears of each of them, from the beginning on.
pub struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    /// From now on the signals end nothing by themselves.
    pub fn listen() -> Result<Self, DemoError> {
        let heard = |kind| signal(kind).map_err(DemoError::io("listen for signals"));
        Ok(Self {
            interrupt: heard(SignalKind::interrupt())?,
            terminate: heard(SignalKind::terminate())?,
            hangup: heard(SignalKind::hangup())?,
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
