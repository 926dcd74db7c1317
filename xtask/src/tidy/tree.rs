//! The project's files, read once, and what can be said about them.

use std::fmt;
use std::path::Path;
use std::process::Command;

use crate::process::quiet;

/// A file of the project.
pub struct File {
    /// From the project's root, with `/`.
    pub path: String,
    /// Its text; empty if it is not UTF-8.
    pub text: String,
}

impl File {
    /// Whether it is Rust code.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is test code.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

/// All files of the project.
pub struct Tree {
    /// By path.
    pub files: Vec<File>,
}

impl Tree {
    /// What git tracks or would track; without git, whatever is there.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut git = Command::new("git");
        git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut paths: Vec<String> = match quiet(&mut git) {
            Ok(list) => list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect(),
            Err(_) => walk(root)?,
        };
        paths.sort();
        paths.dedup();
        let mut files = Vec::new();
        for path in paths {
            // What was deleted but not committed is still listed.
            if let Ok(bytes) = std::fs::read(root.join(&path)) {
                files.push(File { path, text: String::from_utf8(bytes).unwrap_or_default() });
            }
        }
        if files.is_empty() { Err(format!("no files in {}", root.display())) } else { Ok(Self { files }) }
    }

    /// The file at a path.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether there is a file or a folder at a path; the empty path is the root.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty()
            || self.files.iter().any(|file| {
                file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }

    /// The Rust files.
    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of paths and texts.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Self { files: files.iter().map(file).collect() }
    }
}

fn walk(root: &Path) -> Result<Vec<String>, String> {
    const SKIPPED: [&str; 3] = [".git", "target", "retrohook-data"];
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error| format!("cannot read {folder}: {error}");
        for entry in std::fs::read_dir(root.join(&folder)).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = format!("{folder}{}", entry.file_name().to_string_lossy());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            match is_folder {
                true if SKIPPED.contains(&path.as_str()) => {}
                true => folders.push(format!("{path}/")),
                false => paths.push(path),
            }
        }
    }
    Ok(paths)
}

/// Something that is against the rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    path: String,
    line: usize,
    problem: String,
    advice: String,
}

impl Finding {
    /// In a line of a file, from 1.
    pub fn line(path: &str, line: usize, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, problem: problem.into(), advice: advice.into() }
    }

    /// In a file as a whole.
    pub fn file(path: &str, problem: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::line(path, 1, problem, advice)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.problem, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_files_and_folders() {
        let tree = Tree::of(&[("docs/adr/0001.md", "")]);
        for there in ["", "docs", "docs/", "docs/adr", "docs/adr/0001.md"] {
            assert!(tree.has(there), "{there}");
        }
        assert!(!tree.has("docs/ad"));
    }

    #[test]
    fn a_finding_says_where_what_and_what_to_do() {
        let finding = Finding::line("a.rs", 7, "`todo!`", "do it");
        assert_eq!(finding.to_string(), "a.rs:7: `todo!`: do it");
    }

    #[test]
    fn without_git_it_finds_what_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let paths = walk(root).unwrap();
        assert!(paths.contains(&"src/tidy/tree.rs".to_owned()), "{paths:?}");
    }
}
