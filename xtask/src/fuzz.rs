//! `cargo xtask fuzz`: libFuzzer over the targets of the crate `fuzzing`, for as long as one likes.
//!
//! cargo-fuzz is built once, pinned, under `target/tools`; what is found and learnt stands under `target/fuzz`. Coverage needs no
//! nightly toolchain as long as no sanitizer is asked for, and our code has no `unsafe` for one to look at: RUSTC_BOOTSTRAP=1 does.

use std::path::Path;
use std::process::Command;

use crate::Places;
use crate::process::show;
use crate::tools::Installed;

const CARGO_FUZZ: Installed = Installed { name: "cargo-fuzz", version: "0.13.2" };

/// For how long each target runs where nobody says, in seconds.
const SECONDS: u32 = 60;

/// An input of more than this is not tried, in seconds: regexes and hubs have their own limits, which are far below.
const SLOW: u32 = 10;

/// Where there is no target of this name.
const KNOWN: &str = "it knows --seconds N, and the names of targets";

/// Which targets, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    seconds: u32,
    targets: Vec<String>,
}

impl Options {
    /// Reads `--seconds N` and names.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { seconds: SECONDS, targets: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = match (word.strip_prefix("--seconds"), word.strip_prefix("--seconds=")) {
                (_, Some(value)) => value,
                (Some(""), None) => words.next().copied().unwrap_or_default(),
                _ if word.starts_with('-') => return Err(format!("`fuzz` knows no `{word}`; {KNOWN}")),
                _ => {
                    options.targets.push((*word).to_owned());
                    continue;
                }
            };
            let seconds = value.parse().ok().filter(|seconds| *seconds > 0);
            options.seconds =
                seconds.ok_or_else(|| format!("`{value}` is not a number of seconds; {KNOWN}"))?;
        }
        Ok(options)
    }
}

/// Runs the targets, one after the other; whether nothing was found.
pub fn run(places: &Places, options: &Options) -> Result<bool, String> {
    let all = targets(&places.root)?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no target `{unknown}`; there are: {}", all.join(", ")));
    }
    let chosen = if options.targets.is_empty() { &all } else { &options.targets };
    let program = CARGO_FUZZ.set_up(places).map_err(|problem| {
        format!("without cargo-fuzz, `cargo test -p fuzzing` runs the same targets: {problem}")
    })?;
    // With the versions that everything else is built with; cargo adds what only the fuzzer needs.
    std::fs::copy(places.root.join("Cargo.lock"), places.root.join("fuzz/Cargo.lock"))
        .map_err(|error| format!("cannot copy Cargo.lock into fuzz: {error}"))?;
    let mut found = Vec::new();
    for name in chosen {
        println!("\n=== {name}, {} s", options.seconds);
        if !show(&mut fuzz(places, &program, name, options.seconds)?)?.ok {
            found.push(name.as_str());
        }
    }
    if found.is_empty() {
        println!("\nnothing was found by {} targets", chosen.len());
    } else {
        println!("\nfound something: {}; the inputs are under target/fuzz/artifacts", found.join(", "));
        println!(
            "mend it, and put the input, made small, into fuzz/corpus-seeds, so that every test runs it"
        );
    }
    Ok(found.is_empty())
}

/// The targets that there are, by their programs.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let files = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.file_stem()?.to_string_lossy().into_owned())).collect();
    names.sort();
    Ok(names)
}

fn fuzz(places: &Places, program: &Path, name: &str, seconds: u32) -> Result<Command, String> {
    let target = places.target.join("fuzz");
    let (corpus, artifacts) = (target.join("corpus").join(name), target.join("artifacts").join(name));
    for folder in [&corpus, &artifacts] {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let mut command = Command::new("nice");
    command.current_dir(&places.root).env("RUSTC_BOOTSTRAP", "1").args(["-n", "10"]).arg(program);
    command
        .args(["run", "--fuzz-dir", "fuzz", "--sanitizer", "none", "--target-dir"])
        .arg(target.join("build"));
    command.arg(name).arg(corpus).arg(places.root.join("fuzz/corpus-seeds").join(name)).arg("--");
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={SLOW}"));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    // One process: `-jobs` would take every core.
    command.args(["-print_final_stats=1", "-verbosity=0"]);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_names() {
        let options = |seconds, targets: &[&str]| {
            Ok(Options { seconds, targets: targets.iter().map(|name| (*name).to_owned()).collect() })
        };
        assert_eq!(Options::parse(&[]), options(SECONDS, &[]));
        assert_eq!(Options::parse(&["guard", "--seconds", "5", "path"]), options(5, &["guard", "path"]));
        assert_eq!(Options::parse(&["--seconds=7"]), options(7, &[]));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for words in
            [&["--seconds"][..], &["--seconds", "long"], &["--seconds=0"], &["--secondss=1"], &["-j2"]]
        {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn finds_the_targets() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let targets = targets(&root).unwrap();
        assert!(targets.contains(&"config_file".to_owned()), "{targets:?}");
    }
}
