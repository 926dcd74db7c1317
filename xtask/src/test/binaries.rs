//! Test programs side by side: most of a black-box test's time is waiting, and the last slow test of one program kept all others waiting.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::summary::Counts;

/// How many programs run side by side.
const LANES: usize = 2;

/// A program with tests.
#[derive(Debug, PartialEq, Eq)]
pub struct Binary {
    /// Where it is.
    executable: PathBuf,
    /// The folder of its package, in which cargo runs it.
    package: PathBuf,
}

impl Binary {
    /// The black-box tests among cargo's messages (`--message-format=json`), one object in each line.
    pub fn read(messages: &str) -> Vec<Self> {
        let of = |line: &str| {
            if !line.contains(r#""kind":["test"]"#) {
                return None;
            }
            let executable = PathBuf::from(text(line, "executable")?);
            let package = Path::new(&text(line, "manifest_path")?).parent()?.to_path_buf();
            Some(Self { executable, package })
        };
        messages.lines().filter_map(of).collect()
    }
}

/// The text of a member of an object. Paths are all that is asked for: what they escape are quotes and backslashes.
fn text(line: &str, member: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!(r#""{member}":""#))?;
    let mut text = String::new();
    let mut characters = rest.chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
}

/// Runs all of them, and prints what each said when it has ended. `prepare` makes the command of a program.
pub fn run(binaries: Vec<Binary>, prepare: impl Fn(&Path) -> Command + Sync) -> Counts {
    let waiting = Mutex::new(VecDeque::from(binaries));
    let counts = Mutex::new(Counts::default());
    let next = || waiting.lock().ok()?.pop_front();
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(Binary { executable, package }) = next() {
                    let (output, ok) = run_one(prepare(&executable).current_dir(&package));
                    let name = executable.file_name().unwrap_or_default().to_string_lossy();
                    if let Ok(mut counts) = counts.lock() {
                        println!("     Ran {name}\n{output}");
                        counts.add(&Counts::read(&output), ok);
                    }
                }
            });
        }
    });
    counts.into_inner().unwrap_or_default()
}

/// What it said, and whether all went well.
fn run_one(command: &mut Command) -> (String, bool) {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].concat();
            (String::from_utf8_lossy(&said).into_owned(), output.status.success())
        }
        Err(error) => (format!("cannot start: {error}"), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tests_among_what_cargo_says() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/a \"b\"/crates/x/Cargo.toml","target":{"kind":["test"],"name":"t"},"executable":"/t/deps/t-1"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"kind":["bin"]},"executable":"/t/x"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/a/Cargo.toml","target":{"kind":["test"]},"executable":null}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#
        );
        let binary = Binary { executable: "/t/deps/t-1".into(), package: r#"/a "b"/crates/x"#.into() };
        assert_eq!(Binary::read(messages), [binary]);
    }

    #[test]
    fn counts_what_all_of_them_said_and_a_crash_too() {
        let binaries =
            ["ok", "failed", "crash"].map(|name| Binary { executable: name.into(), package: "/".into() });
        let counts = run(binaries.into(), |executable| {
            let script = match executable.to_str() {
                Some("ok") => "echo 'running 2 tests'; echo 'test result: ok. 2 passed; 0 failed; 0 ignored'",
                Some("failed") => {
                    "echo 'running 1 test'; echo 'test result: FAILED. 0 passed; 1 failed'; exit 101"
                }
                _ => "echo 'running 7 tests'; kill -9 $$",
            };
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        });
        assert_eq!(counts, Counts { passed: 2, failed: 2, skipped: 0, named: Vec::new() });
    }
}
