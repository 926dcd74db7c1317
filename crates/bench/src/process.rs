//! Measured programs as processes: bound to a core, ended whatever happens to us.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Between two looks at a process that somebody waits for.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Last lines of a log that an error shows.
const LAST_WORDS: usize = 12;

/// Where a process runs.
#[derive(Clone, Copy, Debug)]
pub enum Cores {
    /// On this one only.
    One(usize),
    /// As the machine likes.
    All,
}

/// Binds the calling thread to a core.
pub fn bind(core: usize) -> Result<(), String> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(|error| format!("cannot bind to core {core}: {error}"))
}

/// The cores that this process may use now.
pub fn allowed() -> Result<CpuSet, String> {
    sched_getaffinity(None).map_err(|error| format!("cannot read the affinity: {error}"))
}

/// A running process; killed when dropped. If we are killed, the kernel kills it.
pub struct Process {
    child: Child,
    began: Instant,
    lines: Receiver<(Instant, String)>,
    log: PathBuf,
}

impl Process {
    /// Starts a program. What it prints as errors goes to `log`.
    pub fn start(words: &[String], everywhere: &CpuSet, cores: Cores, log: &Path) -> Result<Self, String> {
        let errors = File::create(log).map_err(|error| format!("cannot write {}: {error}", log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        // A child inherits the affinity of the thread that starts it.
        let ours = allowed()?;
        match cores {
            Cores::One(core) => bind(core)?,
            Cores::All => sched_setaffinity(None, everywhere).map_err(|error| error.to_string())?,
        }
        let began = Instant::now();
        let spawned = command.spawn();
        sched_setaffinity(None, &ours).map_err(|error| error.to_string())?;
        let program = words.first().map(String::as_str).unwrap_or_default();
        let mut child = spawned.map_err(|error| format!("cannot start {program} with setpriv: {error}"))?;
        let (sender, lines) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    // Once nobody listens the pipe is still to be emptied.
                    let _ = sender.send((Instant::now(), line));
                }
            });
        }
        Ok(Self { child, began, lines, log: log.to_owned() })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines up to the first that begins with this word, and how long after the start that one came.
    pub async fn lines_until(
        &mut self,
        word: &str,
        patience: Duration,
    ) -> Result<(Vec<String>, Duration), String> {
        let mut lines = Vec::new();
        let asked = Instant::now();
        while asked.elapsed() < patience {
            while let Ok((at, line)) = self.lines.try_recv() {
                let found = line.split_whitespace().next() == Some(word);
                lines.push(line);
                if found {
                    return Ok((lines, at.saturating_duration_since(self.began)));
                }
            }
            self.still_runs()?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("no `{word}` after {} s: {}", patience.as_secs(), self.last_words()))
    }

    /// An error if it has ended.
    pub fn still_runs(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("it ended with {status}: {}", self.last_words())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// When it was started.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// SIGHUP: it is to read its configuration anew.
    pub fn hang_up(&self) -> Result<(), String> {
        self.signal(Signal::HUP)
    }

    fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
        kill_process(pid, signal).map_err(|error| error.to_string())
    }

    /// SIGTERM, and wait for the end; how long that took.
    pub async fn terminate(mut self, patience: Duration) -> Result<Duration, String> {
        self.signal(Signal::TERM)?;
        let began = Instant::now();
        while began.elapsed() < patience {
            if self.child.try_wait().map_err(|error| error.to_string())?.is_some() {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(format!("still there {} s after SIGTERM: {}", patience.as_secs(), self.last_words()))
    }

    /// The last line of its log that has these words; `None` without such a line.
    pub fn last_line_with(&self, words: &str) -> Option<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().rfind(|line| line.contains(words)).map(str::to_owned)
    }

    /// The end of its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n    ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
