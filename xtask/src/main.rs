//! The project's own commands. One file each: `bench`, `dist`, `fuzz`, `mutants`, `services`, `test`, `storm`, `tidy`, `tools`.
//!
//! Built before anything else on every machine, so it depends on the standard library alone.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people prints")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod bench;
mod dist;
mod fuzz;
mod mutants;
mod process;
mod services;
mod storm;
mod test;
mod tidy;
mod tools;

const HELP: &str = "\
cargo xtask COMMAND

  test                 set up what the tests need, then check and test everything
  test --only STEP     one step: fmt, clippy, tidy, unit or blackbox (may be repeated)
  storm --kills N      the crash storm with N kills; --seed S repeats one; --weather nobody-reads, clock-jumps or reloads
  fuzz                 libFuzzer over all targets, a minute each; --seconds N, and names of targets
  mutants              do the crates' own tests notice changes of their code? minutes to an hour for each crate
  mutants CRATE        of one (event, storage, delivery, hub, plugins); --shard K/N tries a part of its mutants
  services             real services with their own clients, direct and through the gateway; more than `test` has
  tidy                 the house rules
  tools                set up what the black-box tests need; prints lines to `eval` in a shell
  bench                measure beside nginx and HAProxy; prints tables (some twenty minutes on a quiet machine)
  bench --against FILE this build beside another binary of Retrohook, ten runs at the same time; fails when a row is slower
  bench --trained      what packages have: this build, trained as `dist` does it
  bench OPTIONS        --quick, --only SECTION, --runs N, --seconds S, --connections N, --pending N, --markdown FILE
  dist                 build what packages have: twice, the second time for the branches that requests took the first time
  help                 this text
";

/// Where the project and its build results are.
pub(crate) struct Places {
    root: PathBuf,
    target: PathBuf,
}

impl Places {
    fn find() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.to_path_buf();
        let target = match std::env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => root.join(dir),
            None => root.join("target"),
        };
        Some(Self { root, target })
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(places) = Places::find() else {
        return refuse("the folder of xtask has no parent");
    };
    match words.as_slice() {
        ["test", options @ ..] => match test::Only::parse(options) {
            Ok(only) => test::run(&places, &only),
            Err(problem) => refuse(&problem),
        },
        ["storm", options @ ..] => match storm::Options::parse(options) {
            Ok(options) => code(storm::run(&places, &options)),
            Err(problem) => refuse(&problem),
        },
        ["fuzz", options @ ..] => {
            let options = fuzz::Options::parse(options);
            match options.and_then(|options| fuzz::run(&places, &options)) {
                Ok(well) => code(well),
                Err(problem) => refuse(&problem),
            }
        }
        ["mutants", options @ ..] => {
            let options = mutants::Options::parse(options);
            match options.and_then(|options| mutants::run(&places, &options)) {
                Ok(well) => code(well),
                Err(problem) => refuse(&problem),
            }
        }
        ["bench", options @ ..] => match bench::run(&places, options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => refuse(&problem),
        },
        ["services"] => match services::run(&places) {
            Ok(well) => code(well),
            Err(problem) => refuse(&problem),
        },
        ["dist"] => match dist::run(&places) {
            Ok(binary) => {
                println!("{}", binary.display());
                ExitCode::SUCCESS
            }
            Err(problem) => refuse(&problem),
        },
        ["tidy"] => code(tidy::run(&places) & tidy::generated(&places)),
        ["tools"] => match tools::set_up(&places) {
            Ok(tools) => {
                print!("{}", tools.exports());
                ExitCode::SUCCESS
            }
            Err(problem) => refuse(&problem),
        },
        [] | ["help" | "--help" | "-h", ..] => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        [other, ..] => refuse(&format!("no such command, or too many arguments: `{other}`\n\n{HELP}")),
    }
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn refuse(problem: &str) -> ExitCode {
    eprintln!("xtask: {problem}");
    ExitCode::FAILURE
}
