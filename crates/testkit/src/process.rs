//! The binary under test as a process: started, asked where it listens, killed, started again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, PipeReader};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::admin::Admin;
use crate::wait;

/// How to start the binary.
pub struct Setup {
    /// The binary.
    pub program: PathBuf,
    /// Words before the binary (`strace -f …`).
    pub wrapper: Vec<String>,
    /// The configuration, YAML.
    pub config: String,
    /// Whether it is started without its configuration.
    pub without_files: bool,
    /// More flags.
    pub flags: Vec<String>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// Where its data is.
    pub data: Arc<TempDir>,
    /// Where its standard error goes, for one start; with its standard output if not said.
    pub stderr: Option<OwnedFd>,
}

impl Setup {
    /// A binary with a configuration and a data directory of its own. Loopback endpoints are allowed.
    ///
    /// # Panics
    /// If there is no place for temporary files.
    pub fn new(program: impl Into<PathBuf>, config: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            wrapper: Vec::new(),
            config: config.into(),
            without_files: false,
            flags: vec!["--allow-private-endpoints".into(), "--workers=2".into(), "--min-free=0".into()],
            env: Vec::new(),
            data: Arc::new(tempfile::tempdir().expect("a temporary directory")),
            stderr: None,
        }
    }

    /// The same on the same data, to be changed for one more start.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            program: self.program.clone(),
            wrapper: self.wrapper.clone(),
            config: self.config.clone(),
            without_files: self.without_files,
            flags: self.flags.clone(),
            env: self.env.clone(),
            data: self.data.clone(),
            stderr: None,
        }
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// The file of the configuration, as a start writes it.
    pub fn config_file(&self) -> PathBuf {
        self.data.path().join("retrohook.yaml")
    }

    fn command(&self) -> Command {
        let config = self.config_file();
        std::fs::write(&config, &self.config).expect("the configuration can be written");
        let mut words =
            self.wrapper.iter().map(String::as_str).chain([self.program.to_str().expect("UTF-8")]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).arg("run");
        if !self.without_files {
            command.arg("-c").arg(&config);
        }
        if !self.flags.iter().any(|flag| flag.starts_with("--data-dir")) {
            command.arg("--data-dir").arg(self.data_dir());
        }
        for listener in ["proxy", "admin", "legacy-admin", "hub"] {
            if !self.flags.iter().any(|flag| flag.starts_with(&format!("--{listener}-listen"))) {
                command.arg(format!("--{listener}-listen=127.0.0.1:0"));
            }
        }
        command.args(&self.flags).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready: with what it printed.
    #[track_caller]
    pub fn start(&self) -> Process {
        let mut process = self.start_without_waiting();
        wait::until("the gateway to be ready", || {
            if let Some(status) = process.child.try_wait().expect("its status") {
                panic!("the gateway ended with {status}:\n{}", process.output());
            }
            process.listeners().contains_key("ready").then_some(())
        });
        process
    }

    /// Starts it.
    ///
    /// # Panics
    /// If the binary cannot be started.
    pub fn start_without_waiting(&self) -> Process {
        // One pipe for both: what it printed before it said that it is ready is here before that is.
        let (output, input) = std::io::pipe().expect("a pipe");
        let mut command = self.command();
        match &self.stderr {
            Some(stderr) => command.stderr(stderr.try_clone().expect("a descriptor")),
            None => command.stderr(input.try_clone().expect("a pipe's end")),
        };
        command.stdout(input);
        let child = command.spawn().expect("the binary starts");
        // It has the pipe's ends, too, and would keep the output open.
        drop(command);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let manner = Arc::new(Mutex::new(Reading::All));
        let read_so = manner.clone();
        let reader = std::thread::spawn(move || read(output, &kept, &read_so));
        Process { child, lines, manner, reader: Some(reader), hung: None }
    }
}

/// What becomes of the output after the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is read to the end.
    All,
    /// Nobody has it open any more, as when `| grep -m1 ready` has ended.
    Ended,
    /// Somebody has it open and reads nothing, as a log shipper that hangs.
    Hung,
}

/// Reads lines as it is told; what is left open when it reads no more.
fn read(output: PipeReader, lines: &Mutex<Vec<String>>, manner: &Mutex<Reading>) -> Option<PipeReader> {
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).unwrap_or(0) == 0 {
            return None;
        }
        lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim_end_matches('\n').to_owned());
        match *manner.lock().unwrap_or_else(PoisonError::into_inner) {
            Reading::All => {}
            Reading::Ended => return None,
            Reading::Hung => return Some(output.into_inner()),
        }
    }
}

/// What a start names in its output.
const LISTENERS: [&str; 6] = ["proxy", "admin", "legacy-admin", "hub", "hub-public", "ready"];

/// A running binary; killed when dropped.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    manner: Arc<Mutex<Reading>>,
    reader: Option<JoinHandle<Option<PipeReader>>>,
    /// The output, left open by a reader that hangs.
    hung: Option<PipeReader>,
}

impl Process {
    /// All that it printed so far, on standard output and standard error, in the order in which it did.
    pub fn output(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits until it has printed this. What it prints comes here by a thread, and so later than an answer of its.
    ///
    /// # Panics
    /// If it does not print it soon.
    #[track_caller]
    pub fn wait_until_it_says(&self, words: &str) {
        let until = Instant::now() + wait::SOON;
        while !self.output().contains(words) {
            assert!(Instant::now() < until, "it did not say `{words}`:\n{}", self.output());
            wait::pause(Duration::from_millis(5));
        }
    }

    /// Reads its output no longer. The process is made to print a line for that: SIGUSR2 does.
    ///
    /// # Panics
    /// If it prints nothing.
    #[track_caller]
    pub fn stop_reading(&mut self, manner: Reading) {
        *self.manner.lock().unwrap_or_else(PoisonError::into_inner) = manner;
        self.signal(Signal::USR2);
        wait::until("the last line that is read", || self.has_read().then_some(()));
        let reader = self.reader.take().expect("it was read");
        self.hung = reader.join().expect("the reader does not panic");
    }

    /// Whether its output is read no more.
    fn has_read(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What it wrote and nobody has read, in bytes, once [`Reading::Hung`].
    ///
    /// # Panics
    /// If its output is being read.
    pub fn unread_output(&self) -> u64 {
        let hung = self.hung.as_ref().expect("nobody reads");
        rustix::io::ioctl_fionread(hung).expect("a pipe")
    }

    /// The lines that ended reloads, so far.
    pub fn reloads(&self) -> Vec<String> {
        let output = self.output();
        let ends =
            output.lines().filter(|line| line.starts_with("reloaded: ") || line.contains("not reloaded: "));
        ends.map(str::to_owned).collect()
    }

    /// What it said it listens on: `proxy`, `admin`, `legacy-admin`, `hub`, `hub-public`; and `ready` when it is.
    pub fn listeners(&self) -> BTreeMap<String, String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let words = lines.iter().filter_map(|line| {
            // As a line, or as the message of a JSON object.
            let object: Option<serde_json::Value> = serde_json::from_str(line).ok();
            let message = object.as_ref().and_then(|object| object["fields"]["message"].as_str());
            let mut words = message.unwrap_or(line).split_whitespace();
            Some((words.next()?.to_owned(), words.next().unwrap_or_default().to_owned()))
        });
        words.filter(|(name, _)| LISTENERS.contains(&name.as_str())).collect()
    }

    /// Where one of its listeners is.
    ///
    /// # Panics
    /// If it did not say.
    #[track_caller]
    pub fn address(&self, listener: &str) -> SocketAddr {
        let listeners = self.listeners();
        let text = listeners.get(listener).unwrap_or_else(|| panic!("no {listener} in:\n{}", self.output()));
        text.trim_start_matches("http://").parse().expect("an address")
    }

    /// The proxy's address.
    #[track_caller]
    pub fn proxy(&self) -> SocketAddr {
        self.address("proxy")
    }

    /// Its admin API.
    #[track_caller]
    pub fn admin(&self) -> Admin {
        Admin::at(self.address("admin"))
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// If the operating system does not know.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("its status")
    }

    /// SIGKILL, and wait for the end; all that it printed.
    ///
    /// # Panics
    /// If it cannot be waited for.
    #[track_caller]
    pub fn kill(mut self) -> String {
        self.child.kill().expect("it can be killed");
        self.wait();
        self.output()
    }

    /// SIGTERM, and wait for the end.
    ///
    /// # Panics
    /// If it does not end soon.
    #[track_caller]
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it is there");
    }

    /// Waits for the end, and for all that it printed.
    ///
    /// # Panics
    /// If it does not end soon.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = wait::until("the gateway to end", || child.try_wait().expect("its status"));
        wait::until("its output", || self.has_read().then_some(status))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of a file in a data directory, for tests that damage it.
pub fn database(data: &Path) -> PathBuf {
    data.join("retrohook.db")
}
