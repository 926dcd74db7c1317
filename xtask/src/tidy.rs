//! `cargo xtask tidy`: the house rules as a test. All findings at once, each with its place and what to do.
//!
//! The checks are pure: a [`Tree`] of files in, [`Finding`]s out. Exceptions stand in [`rules`], each with its reason.

use std::process::Command;

use crate::Places;
use crate::process::{cargo, quiet};

mod circles;
mod crates;
mod lexer;
mod lockfile;
mod markdown;
mod rules;
mod size;
mod sources;
mod toml;
mod tree;

use tree::{Finding, Tree};

/// Prints all findings; whether there are none.
pub fn run(places: &Places) -> bool {
    let findings = match look(places) {
        Ok(findings) => findings,
        Err(problem) => {
            println!("tidy: {problem}");
            return false;
        }
    };
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => println!("tidy: nothing to say"),
        1 => println!("tidy: 1 finding"),
        many => println!("tidy: {many} findings"),
    }
    findings.is_empty()
}

/// The tests that hold generated files against what the code makes: package, test.
const GENERATED: &[(&str, &str)] = &[
    ("config", "the_checked_in_schema_is_current"),
    ("plugins", "every_schema_is_the_one_that_is_checked_in"),
    ("fuzzing", "what_cargo_fuzz_wants_is_up_to_date"),
];

/// Whether generated files are fresh, which only the code that makes them can tell. `cargo xtask test` runs the same tests with all others.
pub fn generated(places: &Places) -> bool {
    let stale = GENERATED.iter().filter(|(package, test)| {
        let mut command = cargo();
        command.current_dir(&places.root).args(["test", "--quiet", "--package", package, "--", test]);
        match quiet(&mut command) {
            // A test that is not there holds nothing.
            Ok(words) if words.contains("test result: ok. 1 passed") => false,
            Ok(_) => {
                println!(
                    "tidy: {package} has no test `{test}` any more: correct the list in xtask/src/tidy.rs"
                );
                true
            }
            Err(problem) => {
                println!(
                    "tidy: a generated file is stale: UPDATE_GENERATED=1 cargo test -p {package}\n  {problem}"
                );
                true
            }
        }
    });
    stale.count() == 0
}

fn look(places: &Places) -> Result<Vec<Finding>, String> {
    let tree = Tree::read(&places.root)?;
    let mut findings = Vec::new();
    crates::check(&tree, &mut findings);
    circles::check(&tree, &mut findings);
    sources::check(&tree, &mut findings);
    size::check(&tree, &mut findings);
    markdown::check(&tree, &mut findings);
    lockfile::check_sources(&tree, &mut findings);
    lockfile::check_graph(&dependency_graph(places)?, &mut findings);
    if std::env::var_os("CI").is_some() && lock_changed(places) {
        let advice = "commit the Cargo.lock that cargo writes";
        findings.push(Finding::file("Cargo.lock", "does not fit the manifests", advice));
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// The packages that are really built, one a line. Cargo.lock would not do: it also names optional packages that no feature turns on.
fn dependency_graph(places: &Places) -> Result<String, String> {
    let words = ["tree", "--workspace", "--target", "all", "--edges", "normal,build,dev", "--prefix", "none"];
    quiet(cargo().current_dir(&places.root).args(words).args(["--format", "{p}"]))
}

/// Cargo has just brought the lock file up to date, to build this program: on CI it must not have had to.
fn lock_changed(places: &Places) -> bool {
    let mut git = Command::new("git");
    git.current_dir(&places.root).args(["status", "--porcelain", "--", "Cargo.lock"]);
    quiet(&mut git).is_ok_and(|changes| !changes.trim().is_empty())
}
