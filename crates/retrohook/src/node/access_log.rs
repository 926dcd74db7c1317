//! Writes the access log, on a thread of its own, to standard output or to a file that SIGUSR1 has opened anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use gateway::access_log::{self, Form, Lost, Piece};

use super::StartError;

/// A new file can be read by its owner and group: it has the addresses of clients.
const MODE: u32 = 0o640;

/// The access log of a node.
pub struct AccessLog {
    log: access_log::AccessLog,
    file: Option<PathBuf>,
    reopen: Arc<AtomicBool>,
    /// Closed when the last line is written.
    written: Receiver<()>,
}

impl AccessLog {
    /// Begins to write in this form, to this file or to standard output.
    ///
    /// # Errors
    /// If the file cannot be opened, or the system gives no thread.
    pub fn start(form: Form, file: Option<PathBuf>) -> Result<Self, StartError> {
        let (log, pieces) = access_log::AccessLog::new(form);
        let reopen = Arc::new(AtomicBool::new(false));
        let to = match &file {
            None => To::Out,
            Some(path) => {
                let opened = open(path);
                let file = opened.map_err(|source| StartError::AccessLog { path: path.clone(), source })?;
                To::File { path: path.clone(), file }
            }
        };
        let (writing, written) = sync_channel(0);
        let mut writer = Writer { to, is_torn: false, lost: log.lost().clone() };
        let asked = reopen.clone();
        let run = move || {
            let _writing = writing;
            for piece in pieces {
                if asked.swap(false, Ordering::Relaxed) {
                    writer.reopen();
                }
                writer.write(&piece);
            }
        };
        let thread = std::thread::Builder::new().name("access-log".into()).spawn(run);
        thread.map_err(StartError::part("start a thread"))?;
        Ok(Self { log, file, reopen, written })
    }

    /// Where the cores hand their lines over.
    pub fn log(&self) -> &access_log::AccessLog {
        &self.log
    }

    /// Opens the file anew, before the next line: somebody has moved the old one. Returns its path; `None` if there is no file.
    pub fn reopen(&self) -> Option<&Path> {
        self.reopen.store(true, Ordering::Relaxed);
        self.log.wake();
        self.file.as_deref()
    }

    /// Waits until all lines are written, but no longer than this. The cores must have ended.
    pub fn finish(self, patience: Duration) {
        let Self { log, written, .. } = self;
        let lost = log.lost().clone();
        drop(log);
        if let Err(std::sync::mpsc::RecvTimeoutError::Timeout) = written.recv_timeout(patience) {
            let lost = lost.count();
            tracing::warn!(lost, "the last lines of the access log could not be written in time");
        }
    }
}

struct Writer {
    to: To,
    /// A piece was written in part: what comes next begins a line.
    is_torn: bool,
    lost: Lost,
}

enum To {
    Out,
    File { path: PathBuf, file: File },
}

impl Writer {
    fn write(&mut self, piece: &Piece) {
        if piece.lines == 0 {
            return;
        }
        let mend: &[u8] = if self.is_torn { b"\n" } else { b"" };
        let done = match &mut self.to {
            To::Out => all(&mut io::stdout().lock(), mend, &piece.text),
            To::File { file, .. } => all(file, mend, &piece.text),
        };
        self.is_torn = done.is_err();
        if let Err(error) = done {
            self.lost.add(piece.lines, &error.to_string());
        }
    }

    fn reopen(&mut self) {
        let To::File { path, file } = &mut self.to else { return };
        match open(path) {
            Ok(opened) => {
                *file = opened;
                self.is_torn = false;
                tracing::info!(path = %path.display(), "the access log's file was opened anew");
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the access log's file cannot be opened anew: the old one is written on");
            }
        }
    }
}

fn all(to: &mut impl Write, mend: &[u8], text: &[u8]) -> io::Result<()> {
    to.write_all(mend)?;
    to.write_all(text)?;
    to.flush()
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(MODE).open(path)
}
