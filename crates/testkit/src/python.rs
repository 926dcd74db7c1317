//! Independent clients and verifiers: small Python scripts over packages from PyPI, in the environment that `cargo xtask test` makes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Names the interpreter that has the packages.
const VARIABLE: &str = "RETROHOOK_TEST_PYTHON";
/// Names the interpreter that has old ones: an SDK that speaks SQS in the Query protocol.
const OLD_VARIABLE: &str = "RETROHOOK_TEST_OLD_PYTHON";

/// What a script said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it ended with status 0.
    pub ok: bool,
    /// Standard output, then standard error.
    pub text: String,
}

/// A command that runs a script in the environment with the packages.
///
/// # Panics
/// If there is no such environment.
#[track_caller]
pub fn command(script: &Path) -> Command {
    let mut command = interpreter(VARIABLE);
    command.arg(script);
    command
}

/// A command that runs one of the packages as a program, as `python -m` does.
///
/// # Panics
/// If there is no such environment.
#[track_caller]
pub fn module(name: &str) -> Command {
    let mut command = interpreter(VARIABLE);
    command.args(["-m", name]);
    command
}

/// A command that runs a script in the environment with old packages.
///
/// # Panics
/// If there is no such environment.
#[track_caller]
pub fn old_command(script: &Path) -> Command {
    let mut command = interpreter(OLD_VARIABLE);
    command.arg(script);
    command
}

#[track_caller]
fn interpreter(variable: &str) -> Command {
    let Some(python) = std::env::var_os(variable) else {
        panic!("{variable} is not set: run `cargo xtask test`, or eval \"$(cargo xtask tools)\" first");
    };
    Command::new(python)
}

/// Runs a script with a JSON document on its standard input.
///
/// # Panics
/// If it cannot be run.
pub fn run(script: &Path, input: &Value) -> Said {
    let mut child = command(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the interpreter starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A script that ended early has said why.
    let _ = stdin.write_all(input.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = [output.stdout, output.stderr].concat();
    Said { ok: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
}
