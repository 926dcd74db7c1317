//! Which steps there are, and which of them a person asked for.

use std::path::Path;

/// One row of the summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Set-up.
    Tools,
    /// Formatting.
    Fmt,
    /// Lints.
    Clippy,
    /// House rules.
    Tidy,
    /// The binary and the tests.
    Build,
    /// Tests inside the crates, and those in the docs.
    Unit,
    /// Tests that start the binary.
    Blackbox,
}

impl Step {
    const ALL: [Self; 7] =
        [Self::Tools, Self::Fmt, Self::Clippy, Self::Tidy, Self::Build, Self::Unit, Self::Blackbox];

    /// As in `--only` and in the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Tidy => "tidy",
            Self::Build => "build",
            Self::Unit => "unit",
            Self::Blackbox => "blackbox",
        }
    }

    /// What it does, for people.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Tools => "set up what the black-box tests need",
            Self::Fmt => "the code is formatted",
            Self::Clippy => "no warning from compiler or clippy",
            Self::Tidy => "the house rules",
            Self::Build => "build the binary and all tests",
            Self::Unit => "tests inside the crates",
            Self::Blackbox => "tests that start the binary",
        }
    }

    /// The steps that `--only` with this step's name runs; none for those that nobody asks for alone.
    fn chosen(self) -> &'static [Self] {
        match self {
            Self::Tools | Self::Build => &[],
            Self::Fmt => &[Self::Fmt],
            Self::Clippy => &[Self::Clippy],
            Self::Tidy => &[Self::Tidy],
            Self::Unit => &[Self::Unit],
            Self::Blackbox => &[Self::Tools, Self::Build, Self::Blackbox],
        }
    }
}

/// What `--only` left over: everything when it was not given.
#[derive(Debug, PartialEq, Eq)]
pub struct Only(Vec<Step>);

impl Only {
    /// Reads `--only STEP`, which may be repeated.
    pub fn parse(options: &[&str]) -> Result<Self, String> {
        let mut chosen = Vec::new();
        let mut rest = options;
        while let [first, tail @ ..] = rest {
            let (name, tail) = match (first.strip_prefix("--only="), tail) {
                (Some(name), tail) => (name, tail),
                (None, [name, tail @ ..]) if *first == "--only" => (*name, tail),
                _ => return Err(format!("`test` knows no `{first}`; it knows --only STEP")),
            };
            let steps = Step::ALL.into_iter().find(|step| step.name() == name).map(Step::chosen);
            match steps {
                Some(steps) if !steps.is_empty() => chosen.extend(steps),
                _ => return Err(format!("no such step: `{name}`; fmt, clippy, tidy, unit or blackbox")),
            }
            rest = tail;
        }
        Ok(Self(chosen))
    }

    /// The steps in their order, each once.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        Step::ALL.into_iter().filter(|step| self.0.is_empty() || self.0.contains(step))
    }
}

/// Whether any crate has a test target of its own: cargo takes it for an error when `--test '*'` finds none.
pub fn has_black_box_tests(root: &Path) -> bool {
    let folders = std::fs::read_dir(root.join("crates")).into_iter().flatten().flatten();
    folders
        .flat_map(|folder| std::fs::read_dir(folder.path().join("tests")).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .any(|path| path.extension().is_some_and(|end| end == "rs") || path.join("main.rs").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &[&str]) -> Result<Vec<&'static str>, String> {
        Ok(Only::parse(options)?.steps().map(Step::name).collect())
    }

    #[test]
    fn everything_unless_told_otherwise() {
        assert_eq!(names(&[]).unwrap(), ["tools", "fmt", "clippy", "tidy", "build", "unit", "blackbox"]);
    }

    #[test]
    fn only_keeps_the_order_and_brings_what_a_step_needs() {
        assert_eq!(names(&["--only", "tidy", "--only=fmt"]).unwrap(), ["fmt", "tidy"]);
        assert_eq!(names(&["--only", "blackbox"]).unwrap(), ["tools", "build", "blackbox"]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for options in [&["--only"][..], &["--only", "build"], &["--only", "lint"], &["--fast"]] {
            assert!(names(options).is_err(), "{options:?}");
        }
    }
}
