//! Independent clients and verifiers: small Python scripts over packages from PyPI, in the environment that `cargo xtask test` makes.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Names the interpreter that has the packages.
const VARIABLE: &str = "RETROHOOK_TEST_PYTHON";

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
pub fn command(script: &Path) -> Command {
    let Some(python) = std::env::var_os(VARIABLE) else {
        panic!("{VARIABLE} is not set: run `cargo xtask test`, or eval \"$(cargo xtask tools)\" first");
    };
    let mut command = Command::new(python);
    command.arg(script);
    command
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
