//! `cargo xtask test`: everything that must hold, with one command, on a machine that has only a toolchain.
//!
//! All steps run even when one fails, so that everything that is wrong is seen at once. Only what cannot run is left out, and that
//! counts as failed: no tools, no black-box tests; no build, no tests.

use std::ffi::OsStr;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::process::{cargo, quiet, show};
use crate::tools::{self, Tools};
use crate::{Places, tidy};

mod binaries;
mod steps;
mod summary;

use binaries::Binary;
pub use steps::Only;
use steps::Step;
use summary::{Counts, Row, Verdict};

/// The binary that tests start has the points at which the crash storm kills it, and AWS's SDKs. Everywhere, so that nothing is built twice.
pub const FEATURES: &str = "--features=retrohook/failpoints,retrohook/aws";

/// Tests that start the binary wait more than they compute; and two programs run side by side.
const THREADS_A_CORE: usize = 2;

/// How long the tests of one step may take on CI before they count as hung.
const LIMIT: Duration = Duration::from_secs(25 * 60);

/// Runs the steps and prints the summary.
pub fn run(places: &Places, only: &Only) -> ExitCode {
    let began = Instant::now();
    let mut run = Run { places, tools: None, built: None };
    let mut rows = Vec::new();
    for step in only.steps() {
        println!("\n=== {}: {}", step.name(), step.purpose());
        let start = Instant::now();
        let verdict = run.step(step);
        let row = Row { name: step.name(), took: start.elapsed(), verdict };
        println!("=== {row}");
        rows.push(row);
    }
    println!("\n{}", summary::table(&rows, began.elapsed()));
    crate::code(rows.iter().all(|row| !row.verdict.failed()))
}

struct Run<'a> {
    places: &'a Places,
    tools: Option<Tools>,
    /// `None` until tried.
    built: Option<bool>,
}

impl Run<'_> {
    fn step(&mut self, step: Step) -> Verdict {
        match step {
            Step::Tools => self.set_up_tools(),
            Step::Fmt => self.check(&["fmt", "--all", "--", "--check"], "run `cargo fmt --all`"),
            Step::Clippy => {
                let words = ["clippy", "--workspace", "--all-targets", FEATURES, "--", "-D", "warnings"];
                self.check(&words, "see the warnings above")
            }
            Step::Tidy if tidy::run(self.places) => Verdict::Well,
            Step::Tidy => Verdict::Failed("see the findings above".into()),
            Step::Build => self.build(),
            Step::Unit => self.unit(),
            Step::Blackbox => self.blackbox(),
        }
    }

    fn set_up_tools(&mut self) -> Verdict {
        match tools::set_up(self.places) {
            Ok(tools) => {
                self.tools = Some(tools);
                Verdict::Well
            }
            Err(problem) => {
                println!("{problem}");
                Verdict::Failed("see above".into())
            }
        }
    }

    fn check(&self, words: &[&str], advice: &str) -> Verdict {
        match show(self.cargo().args(words)) {
            Ok(finished) if finished.ok => Verdict::Well,
            Ok(_) => Verdict::Failed(advice.into()),
            Err(problem) => Verdict::Failed(problem),
        }
    }

    /// First the binary alone, without and with AWS's SDKs, as far as the compiler has something to say; then all tests. The build of the tests
    /// unites the features of all crates and of their dev-dependencies: alone it would hide a feature that the binary forgot to ask for.
    fn build(&mut self) -> Verdict {
        let shipped = |features: &[&str]| {
            let words = [&["clippy", "-p", "retrohook"], features, &["--", "-D", "warnings"]].concat();
            self.check(&words, "the binary does not build")
        };
        let binary = match shipped(&[]) {
            Verdict::Well => shipped(&["--features=aws"]),
            failed => failed,
        };
        let verdict = match binary {
            Verdict::Well => {
                self.check(&["test", "--workspace", FEATURES, "--no-run"], "the tests do not build")
            }
            failed => failed,
        };
        self.built = Some(!verdict.failed());
        verdict
    }

    fn unit(&self) -> Verdict {
        if self.built == Some(false) {
            return Verdict::Failed("not run: the build failed".into());
        }
        self.tests(&[&["--lib", "--bins"], &["--doc"]])
    }

    fn blackbox(&self) -> Verdict {
        if self.built == Some(false) {
            return Verdict::Failed("not run: the build failed".into());
        }
        if self.tools.is_none() {
            return Verdict::Failed("not run: the tools are missing".into());
        }
        if !steps::has_black_box_tests(&self.places.root) {
            return Verdict::Nothing("no file in any crates/*/tests".into());
        }
        let words = ["test", "--workspace", FEATURES, "--test", "*", "--no-run", "--message-format=json"];
        let binaries = match quiet(self.cargo().args(words)) {
            Ok(messages) => Binary::read(&messages),
            Err(problem) => return Verdict::Failed(problem),
        };
        println!("{} programs with tests, each is printed when it has ended", binaries.len());
        Self::counted(binaries::run(binaries, |program| {
            self.test_runner(program.as_os_str(), THREADS_A_CORE)
        }))
    }

    /// Runs `cargo test --workspace` once for each choice of targets and adds up what the runners say.
    fn tests(&self, choices: &[&[&str]]) -> Verdict {
        let mut counts = Counts::default();
        for targets in choices {
            let mut command = self.test_runner(cargo().get_program(), 1);
            command.args(["test", "--workspace", FEATURES, "--no-fail-fast"]).args(*targets);
            match show(&mut command) {
                Ok(finished) => counts.add(&Counts::read(&finished.stdout), finished.ok),
                Err(problem) => return Verdict::Failed(problem),
            }
        }
        Self::counted(counts)
    }

    fn counted(counts: Counts) -> Verdict {
        match counts == Counts::default() {
            true => Verdict::Failed("no test ran".into()),
            false => Verdict::Counted(counts),
        }
    }

    /// A program with what tests find in their environment. On CI with a limit in time: a hung test must not hang the run. Not for people,
    /// because `timeout` keeps Ctrl-C from the tests.
    fn test_runner(&self, program: &OsStr, threads_a_core: usize) -> Command {
        let mut command = Command::new(program);
        if std::env::var_os("CI").is_some() {
            command = Command::new("timeout");
            command.arg("--kill-after=10").arg(LIMIT.as_secs().to_string()).arg(program);
        }
        command.current_dir(&self.places.root).env("RUST_BACKTRACE", "1");
        if std::env::var_os("RUST_TEST_THREADS").is_none() {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            command.env("RUST_TEST_THREADS", (cores * threads_a_core).to_string());
        }
        if let Some(tools) = &self.tools {
            command.envs(tools.variables());
        }
        command
    }

    fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.places.root);
        command
    }
}
