//! Running other programs.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program that ran to its end.
pub struct Finished {
    /// Whether it said that all is well.
    pub ok: bool,
    /// What it printed.
    pub stdout: String,
}

/// Runs a command without input; shows what it prints as it comes, and keeps it.
pub fn show(command: &mut Command) -> Result<Finished, String> {
    let shown = describe(command);
    println!("$ {shown}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    let mut kept = String::new();
    if let Some(pipe) = child.stdout.take() {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).map_err(|error| format!("`{shown}`: {error}"))? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            let _ = std::io::stdout().flush();
            kept.push_str(&text);
            line.clear();
        }
    }
    let status = child.wait().map_err(|error| format!("`{shown}`: {error}"))?;
    Ok(Finished { ok: status.success(), stdout: kept })
}

/// Runs a command without input and shows nothing; what it printed, or its last words as the error.
pub fn quiet(command: &mut Command) -> Result<String, String> {
    let shown = describe(command);
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("cannot start `{shown}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = words.lines().collect();
    let last = lines[lines.len().saturating_sub(12)..].join("\n    ");
    Err(format!("`{shown}` failed ({}):\n    {last}", output.status))
}

/// The cargo that runs us.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Where a program is, if it is installed.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn describe(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let mut words = vec![program.file_name().unwrap_or_default().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_printed_and_tells_failure_apart() {
        let well = show(Command::new("sh").args(["-c", "echo one; echo two"])).unwrap();
        assert!(well.ok);
        assert_eq!(well.stdout, "one\ntwo\n");
        assert!(!show(Command::new("sh").args(["-c", "exit 3"])).unwrap().ok);
    }

    #[test]
    fn a_quiet_failure_carries_the_last_words() {
        let problem = quiet(Command::new("sh").args(["-c", "echo 'no route' >&2; exit 7"])).unwrap_err();
        assert!(problem.contains("no route"), "{problem}");
        assert!(problem.contains('7'), "{problem}");
    }

    #[test]
    fn gives_no_input() {
        let finished = show(Command::new("cat").arg("-")).unwrap();
        assert!(finished.ok);
        assert_eq!(finished.stdout, "");
    }
}
