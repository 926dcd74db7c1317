//! Standard output and standard error, written so that nobody who reads them can harm the process.
//!
//! A line that cannot be written is lost, and nothing else comes of it: whoever read it may have ended (a closed pipe), its disk may be
//! full. A command like `check` writes its lines itself. A running node hands them to a thread of its own ([`Queue::start`]), because a
//! reader that lives and does not read (a terminal that is held, a log shipper that hangs) would stop whichever thread writes next: a
//! core, the writer, the drain. What waits for that thread has a limit; beyond it lines are dropped. Lines that were lost, for either
//! reason, are counted, and the count is written as soon as something can be written again.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use event::timestamp::Clock;
use serde_json::{Map, Value, json};

use crate::cli::LogFormat;
use crate::clock::WallClock;

/// What may wait to be written, in bytes. One more line is dropped.
const MAX_WAITING: usize = 4 << 20;

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How a running node writes. Output is the process's, so this is, too.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// From now on all that is said is written so. A second call is without effect.
pub fn write_as(format: LogFormat) {
    // Whoever was first has it.
    let _ = FORMAT.set(format);
}

/// Whether all that is said is JSON.
pub fn is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// A JSON object as the log has them, with its line's end.
pub fn object(level: &str, message: &str, more: Map<String, Value>) -> String {
    let mut fields = Map::from_iter([("message".to_owned(), message.into())]);
    fields.extend(more);
    let object = json!({ "timestamp": WallClock.now().to_string(), "level": level, "fields": fields, "target": "retrohook" });
    format!("{object}\n")
}

/// The queue of a running node.
static QUEUE: OnceLock<Arc<Queue>> = OnceLock::new();

/// Writes text, which ends with a line's end, at once or by the thread that has the output. Never fails and never panics; waits for a
/// slow reader only as long as no node runs.
pub fn write(stream: Stream, text: &[u8]) {
    match QUEUE.get() {
        Some(queue) => queue.push(stream, text),
        // Nobody may be reading; that is no reason to stop.
        None => drop(write_now(stream, text)),
    }
}

/// Waits until all that was written so far has left, but no longer than this.
pub fn flush(patience: Duration) {
    if let Some(queue) = QUEUE.get() {
        queue.flush(patience);
    }
}

fn write_now(stream: Stream, text: &[u8]) -> std::io::Result<()> {
    fn all(mut to: impl Write, text: &[u8]) -> std::io::Result<()> {
        to.write_all(text)?;
        to.flush()
    }
    match stream {
        Stream::Out => all(std::io::stdout().lock(), text),
        Stream::Err => all(std::io::stderr().lock(), text),
    }
}

/// Lines on their way to a thread that writes them.
pub struct Queue {
    state: Mutex<State>,
    /// The thread has something to do.
    called: Condvar,
    /// The thread has nothing to do.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<(Stream, Vec<u8>)>,
    bytes: usize,
    /// Lines that were not written and of which nobody was told yet.
    lost: u64,
    writing: bool,
}

impl Queue {
    /// Hands the process's output to a thread. A second call is without effect.
    ///
    /// # Errors
    /// If the system gives no thread; lines are then written by whoever has them.
    pub fn start() -> std::io::Result<()> {
        let queue = Arc::new(Self { state: Mutex::default(), called: Condvar::new(), idle: Condvar::new() });
        let writing = queue.clone();
        if QUEUE.get().is_none() {
            std::thread::Builder::new().name("output".into()).spawn(move || writing.run(write_now))?;
            // Whoever was first has it.
            let _ = QUEUE.set(queue);
        }
        Ok(())
    }

    fn push(&self, stream: Stream, text: &[u8]) {
        let mut state = self.state();
        if state.bytes + text.len() > MAX_WAITING {
            state.lost += 1;
            return;
        }
        state.bytes += text.len();
        state.lines.push_back((stream, text.to_vec()));
        drop(state);
        self.called.notify_one();
    }

    fn flush(&self, patience: Duration) {
        let busy = |state: &mut State| state.writing || !state.lines.is_empty();
        drop(self.idle.wait_timeout_while(self.state(), patience, busy));
    }

    /// Writes what comes, for ever.
    fn run(&self, mut write: impl FnMut(Stream, &[u8]) -> std::io::Result<()>) {
        loop {
            let lines = self.take();
            for (stream, text) in lines {
                self.write_one(stream, &text, &mut write);
            }
            self.state().writing = false;
            self.idle.notify_all();
        }
    }

    fn take(&self) -> VecDeque<(Stream, Vec<u8>)> {
        let waiting = self.called.wait_while(self.state(), |state| state.lines.is_empty());
        let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        state.bytes = 0;
        std::mem::take(&mut state.lines)
    }

    fn write_one(
        &self,
        stream: Stream,
        text: &[u8],
        write: &mut impl FnMut(Stream, &[u8]) -> std::io::Result<()>,
    ) {
        let lost = std::mem::take(&mut self.state().lost);
        let told = match lost {
            0 => Ok(()),
            lost => write(Stream::Err, said_lost(lost).as_bytes()),
        };
        if told.is_err() {
            self.state().lost += lost;
        }
        if write(stream, text).is_err() {
            self.state().lost += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn said_lost(lost: u64) -> String {
    let text = format!(
        "{lost} lines of output were lost: whoever reads them was too slow, had ended, or had no space"
    );
    match is_json() {
        true => object("WARN", &text, Map::new()),
        false => format!("retrohook: {text}\n"),
    }
}

/// For `tracing`: each line of the log is one write.
#[derive(Clone, Copy, Debug)]
pub struct LogLines;

impl Write for LogLines {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        write(Stream::Err, text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    fn queue() -> Queue {
        Queue { state: Mutex::default(), called: Condvar::new(), idle: Condvar::new() }
    }

    /// Writes what waits, as the thread does, and returns what was written.
    fn written(queue: &Queue, works: bool) -> Vec<String> {
        let mut seen = Vec::new();
        let mut write = |_: Stream, text: &[u8]| {
            seen.push(String::from_utf8_lossy(text).into_owned());
            if works { Ok(()) } else { Err(ErrorKind::BrokenPipe.into()) }
        };
        for (stream, text) in queue.take() {
            queue.write_one(stream, &text, &mut write);
        }
        seen
    }

    #[test]
    fn lines_that_failed_are_counted_and_the_count_is_said_once() {
        let queue = queue();
        queue.push(Stream::Err, b"one\n");
        queue.push(Stream::Out, b"two\n");
        assert_eq!(written(&queue, false).len(), 3, "two lines, and the count before the second");
        queue.push(Stream::Err, b"three\n");
        let lines = written(&queue, true);
        assert!(lines[0].starts_with("retrohook: 2 lines of output were lost"), "{lines:?}");
        assert_eq!(lines[1], "three\n");
        queue.push(Stream::Err, b"four\n");
        assert_eq!(written(&queue, true), ["four\n"]);
    }

    #[test]
    fn what_waits_has_a_limit() {
        let queue = queue();
        queue.push(Stream::Err, &vec![b'x'; MAX_WAITING - 1]);
        queue.push(Stream::Err, b"y");
        queue.push(Stream::Err, b"z");
        let lines = written(&queue, true);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].starts_with("retrohook: 1 lines"), "{}", &lines[0][..40]);
        assert_eq!(lines[2], "y");
    }

    #[test]
    fn a_flush_waits_for_what_is_being_written_and_not_for_ever() {
        let queue = Arc::new(queue());
        queue.push(Stream::Err, b"one\n");
        let before = Instant::now();
        queue.flush(Duration::from_millis(10));
        assert!(before.elapsed() >= Duration::from_millis(10), "nobody writes");
        let (go, gate) = channel::<()>();
        let writing = queue.clone();
        std::thread::spawn(move || {
            writing.run(|_, _| {
                // The test's end lets go, too.
                let _ = gate.recv();
                Ok(())
            });
        });
        go.send(()).unwrap();
        queue.flush(Duration::from_secs(20));
        assert!(queue.state().lines.is_empty() && !queue.state().writing);
    }
}
