//! The demo as people run it: it tells whether every step happened, its lines work as they are printed, and it leaves nothing behind.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;
use testkit::{tools, wait};

/// A demo with a directory for temporary files of its own.
struct Demo {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
    temporary: TempDir,
}

impl Demo {
    fn start(flags: &[&str]) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let (output, input) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_retrohook"));
        command.arg("demo").args(flags).env("TMPDIR", temporary.path()).stdin(Stdio::null());
        command.stdout(input.try_clone().expect("a pipe's end")).stderr(input);
        let child = command.spawn().expect("the binary starts");
        drop(command);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Self { child, lines, reader, temporary }
    }

    fn output(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    #[track_caller]
    fn wait_for(&self, words: &str) {
        wait::within(Duration::from_secs(60), words, || self.output().contains(words).then_some(()));
    }

    /// The process of its gateway.
    #[track_caller]
    fn gateway(&self) -> Pid {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.expect("the system tells of processes");
        let only = children.split_whitespace().next().and_then(|pid| pid.parse().ok());
        only.and_then(Pid::from_raw).unwrap_or_else(|| panic!("no gateway runs:\n{}", self.output()))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("it is there");
    }

    /// Waits for its end, and that this gateway is gone, and all files.
    #[track_caller]
    fn ends_cleanly(&mut self, gateway: Option<Pid>) -> ExitStatus {
        let child = &mut self.child;
        let status = wait::within(Duration::from_secs(60), "the demo to end", || {
            child.try_wait().expect("its status")
        });
        if let Some(gateway) = gateway {
            wait::until("its gateway to be gone", || test_kill_process(gateway).err());
        }
        let reader = &self.reader;
        wait::until("its last lines to be read", || reader.is_finished().then_some(()));
        let left: Vec<PathBuf> = std::fs::read_dir(self.temporary.path())
            .expect("the directory for temporary files")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert!(left.is_empty(), "{left:?} left behind:\n{}", self.output());
        status
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It has ended, unless the test failed: then it cleans up behind itself.
        if self.child.try_wait().ok().flatten().is_none() {
            self.signal(Signal::TERM);
            let _ = self.child.wait();
        }
    }
}

#[test]
fn once_is_the_whole_story() {
    let mut demo = Demo::start(&["--once"]);
    let status = demo.ends_cleanly(None);
    let output = demo.output();
    assert_eq!(status.code(), Some(0), "{output}");
    let (_, last) = output.split_once("All 6 rounds happened: ").unwrap_or_else(|| panic!("{output}"));
    let (executed, rest) = last.split_once(" changes executed, ").expect("a count");
    assert!(
        rest.starts_with(&format!("{executed} events delivered,\nnone lost, one of them unknown")),
        "{output}"
    );
    // The four of the other rounds, and at least ten before each of the ten times that the api moved.
    assert!(executed.parse::<usize>().expect("a count") >= 104, "{output}");
    assert!(output.contains(" requests answered with 200, 0 failed"), "{output}");
    assert!(output.contains("--allow-endpoints=127.0.0.1/32"), "{output}");
    fits_a_terminal(&output);
    // The retry after five seconds is not waited for in silence.
    let waiting = output.lines().filter(|line| line.contains(" s: waiting for webhook to hear of"));
    assert!(waiting.count() >= 3, "{output}");
}

/// No line is longer than 80 columns, unless it is one path.
#[track_caller]
fn fits_a_terminal(output: &str) {
    for line in output.lines().filter(|line| line.split_whitespace().count() > 1) {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn a_step_that_does_not_happen_is_told_by_the_status() {
    let mut demo = Demo::start(&["--once"]);
    demo.wait_for("its webhook refuses connections");
    let gateway = demo.gateway();
    // The webhook's next attempt is five seconds away: nobody will make it.
    kill_process(gateway, Signal::KILL).expect("it is there");
    let status = demo.ends_cleanly(Some(gateway));
    let output = demo.output();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("retrohook demo failed: ") && !output.contains("rounds happened"), "{output}");
}

#[test]
fn whoever_stops_it_in_its_rounds_finds_nothing_left() {
    for (signal, status) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut demo = Demo::start(&[]);
        demo.wait_for("Round 1");
        let gateway = demo.gateway();
        demo.signal(signal);
        assert_eq!(demo.ends_cleanly(Some(gateway)).code(), Some(status), "{signal:?}: {}", demo.output());
    }
}

#[test]
fn its_lines_work_and_a_signal_is_its_good_end() {
    let curl = tools::find("CURL", "curl");
    let mut demo = Demo::start(&[]);
    demo.wait_for("  cat ");
    let output = demo.output();
    fits_a_terminal(&output);
    let (_, lines) = output.split_once("Go on by hand").expect("lines to go on with");
    let run = |line: &str| {
        let line = line.trim().replacen("curl ", &format!("'{}' -sS -f ", curl.display()), 1);
        let done = Command::new("sh").arg("-c").arg(&line).output().expect("a shell");
        assert!(done.status.success(), "{line}: {done:?}");
        String::from_utf8(done.stdout).expect("UTF-8")
    };
    let lines = lines.replace("\\\n", "");
    let lines: Vec<&str> = lines.lines().filter(|line| line.starts_with("  ")).collect();
    let [page, change, changed, events, metrics, queue, kill, config] = lines[..] else {
        panic!("{lines:#?}")
    };
    assert_eq!(run(page).trim(), "ada, Analyst (cached)");
    run(change);
    wait::until("the page to be fresh", || run(changed).contains("ada, Engineer").then_some(()));
    assert!(run(events).contains("\"/profiles/ada\""));
    assert!(run(metrics).contains("retrohook_"));
    assert!(run(queue).contains("ApproximateNumberOfMessages<"));
    assert!(run(config).contains("profile-changes"));
    run(kill);
    demo.wait_for("is back, process");
    let gateway = demo.gateway();
    demo.signal(Signal::HUP);
    assert_eq!(demo.ends_cleanly(Some(gateway)).code(), Some(0), "{}", demo.output());
}
