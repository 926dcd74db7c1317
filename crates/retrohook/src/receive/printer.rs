//! The thread that prints, so that a reader of the output that is slow can stop no answer to a signal; and that notices when nobody reads.

use std::io::Write;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Lines that wait for the reader. More than these wait with their requests: what is received is not faster than its reader.
const WAITING: usize = 1_024;
/// How long the last lines may take.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Takes what is to be printed. Clones share the thread.
#[derive(Clone)]
pub struct Printer {
    lines: mpsc::Sender<String>,
    pub is_json: bool,
}

/// The thread.
pub struct Printing {
    end: oneshot::Receiver<()>,
    has_ended: bool,
}

impl Printer {
    pub fn start(is_json: bool) -> std::io::Result<(Self, Printing)> {
        let (lines, mut waiting) = mpsc::channel::<String>(WAITING);
        let (ended, end) = oneshot::channel();
        std::thread::Builder::new().name("printer".into()).spawn(move || {
            while let Some(text) = waiting.blocking_recv() {
                let mut out = std::io::stdout().lock();
                if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                    // Nobody reads any more.
                    break;
                }
            }
            // Nobody may wait for it.
            let _ = ended.send(());
        })?;
        Ok((Self { lines, is_json }, Printing { end, has_ended: false }))
    }

    /// Prints whole lines; each call's lines stay together.
    pub async fn print(&self, lines: String) {
        // The thread has ended if nobody reads, and then the process ends.
        let _ = self.lines.send(lines).await;
    }
}

impl Printing {
    /// Resolves when nobody reads the output any more.
    pub async fn closed(&mut self) {
        let _ = (&mut self.end).await;
        self.has_ended = true;
    }

    /// Waits a moment for the last lines.
    pub async fn finish(self) {
        if !self.has_ended {
            let _ = tokio::time::timeout(LAST_WORDS, self.end).await;
        }
    }
}
