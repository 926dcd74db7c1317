//! What the steps came to: the table at the end and the line that counts.

use std::fmt::{self, Write};
use std::time::Duration;

/// What the test runners of one step said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and runners that failed without naming a test: a crash, a compile error.
    pub failed: u64,
    /// Tests that were not run.
    pub skipped: u64,
    /// The names of those that failed, as far as their runner named them.
    pub named: Vec<String>,
}

impl Counts {
    /// Adds up the closing lines of `cargo test`: `test result: ok. 3 passed; 0 failed; 0 ignored; …`. A runner that began and has
    /// none has crashed, and counts as one failure.
    pub fn read(output: &str) -> Self {
        let mut counts = Self::default();
        let mut open = 0_u64;
        for line in output.lines() {
            if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
                open += 1;
            }
            if let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) {
                counts.named.push(name.to_owned());
            }
            let Some((_, line)) = line.split_once("test result: ") else { continue };
            open = open.saturating_sub(1);
            for part in line.split(['.', ';']) {
                match part.trim().split_once(' ') {
                    Some((number, "passed")) => counts.passed += number.parse().unwrap_or(0),
                    Some((number, "failed")) => counts.failed += number.parse().unwrap_or(0),
                    Some((number, "ignored")) => counts.skipped += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        counts.failed += open;
        counts
    }

    /// Adds a runner's counts. One that failed without naming a failed test (a crash, a compile error) counts as one.
    pub fn add(&mut self, more: &Self, ok: bool) {
        self.passed += more.passed;
        self.failed += if ok { more.failed } else { more.failed.max(1) };
        self.skipped += more.skipped;
        self.named.extend_from_slice(&more.named);
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well.
    Well,
    /// It is not, and what to do about it.
    Failed(String),
    /// There was nothing to do, and why.
    Nothing(String),
    /// Tests ran.
    Counted(Counts),
}

impl Verdict {
    /// Whether the whole run has failed by it.
    pub fn failed(&self) -> bool {
        match self {
            Self::Well | Self::Nothing(_) => false,
            Self::Failed(_) => true,
            Self::Counted(counts) => counts.failed > 0,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Well => f.write_str("ok"),
            Self::Failed(why) => write!(f, "FAILED: {why}"),
            Self::Nothing(why) => write!(f, "NOTHING TO RUN: {why}"),
            Self::Counted(counts) if counts.failed > 0 => write!(f, "FAILED: {counts}"),
            Self::Counted(counts) => counts.fmt(f),
        }
    }
}

/// A step that ended.
pub struct Row {
    /// The step.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub verdict: Verdict,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9}{:>8.1} s  {}", self.name, self.took.as_secs_f64(), self.verdict)
    }
}

/// One row a step, the tests that failed, and the closing line: what the runners counted, and one failure for every other step that failed.
pub fn table(rows: &[Row], total: Duration) -> String {
    let mut table = String::new();
    let mut sum = Counts::default();
    for row in rows {
        let _ = writeln!(table, "{row}");
        match &row.verdict {
            Verdict::Counted(counts) => sum.add(counts, true),
            Verdict::Failed(_) => sum.failed += 1,
            Verdict::Well | Verdict::Nothing(_) => {}
        }
    }
    let _ = writeln!(table, "{:<9}{:>8.1} s\n", "total", total.as_secs_f64());
    for name in &sum.named {
        let _ = writeln!(table, "failed: {name}");
    }
    let _ = write!(table, "{sum}");
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 2 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
running 8 tests
test b::c ... FAILED
test result: FAILED. 3 passed; 1 failed; 4 ignored; 0 measured; 0 filtered out; finished in 1.25s
";

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped, named: Vec::new() }
    }

    #[test]
    fn adds_up_the_closing_lines() {
        assert_eq!(Counts::read(OUTPUT), Counts { named: vec!["b::c".into()], ..counts(5, 1, 4) });
        assert_eq!(Counts::read("nothing was run"), counts(0, 0, 0));
    }

    #[test]
    fn a_crash_counts_beside_a_failed_test() {
        let crashed = format!("running 1 test\n{OUTPUT}");
        let read = Counts::read(&crashed);
        assert_eq!((read.passed, read.failed, read.skipped), (5, 2, 4));
    }

    #[test]
    fn a_runner_that_failed_without_a_failed_test_counts_as_one() {
        let mut sum = counts(1, 0, 0);
        sum.add(&counts(2, 0, 0), false);
        assert_eq!(sum, counts(3, 1, 0));
        sum.add(&counts(0, 2, 0), false);
        assert_eq!(sum, counts(3, 3, 0));
    }

    #[test]
    fn the_last_line_is_the_one_that_counts() {
        let row = |name, verdict| Row { name, took: Duration::from_millis(1250), verdict };
        let rows = [
            row("fmt", Verdict::Well),
            row("tidy", Verdict::Failed("see the findings above".into())),
            row("unit", Verdict::Counted(Counts { named: vec!["a::b".into()], ..counts(7, 1, 0) })),
            row("blackbox", Verdict::Nothing("no file".into())),
        ];
        let expected = "\
fmt           1.2 s  ok
tidy          1.2 s  FAILED: see the findings above
unit          1.2 s  FAILED: 7 passed, 1 failed
blackbox      1.2 s  NOTHING TO RUN: no file
total         5.0 s

failed: a::b
7 passed, 2 failed";
        assert_eq!(table(&rows, Duration::from_secs(5)), expected);
    }

    #[test]
    fn a_failed_test_fails_the_run() {
        assert!(Verdict::Counted(counts(9, 1, 0)).failed());
        assert!(!Verdict::Counted(counts(9, 0, 0)).failed());
        assert!(Verdict::Failed(String::new()).failed());
    }
}
