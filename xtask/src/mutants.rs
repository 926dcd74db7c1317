//! `cargo xtask mutants`: do a crate's own tests notice a change of its code? cargo-mutants makes the changes, one at a time.
//!
//! A crate is tested by its own tests alone, so that what it promises is held beside its code. Not a part of `cargo xtask test`: a run
//! over a crate takes from minutes to an hour. What must hold is [`CRATES`]: nine of ten mutants caught, those apart that change nothing
//! ([`EQUIVALENT`]).

use std::path::Path;
use std::process::Command;

use crate::Places;
use crate::process::show;
use crate::tools::Installed;

const CARGO_MUTANTS: Installed = Installed { name: "cargo-mutants", version: "27.1.0" };

/// Crates whose tests must catch nine of ten mutants; with none named, all of them. `publish_sns` is a folder of `plugins`.
const CRATES: &[(&str, &str)] = &[
    ("event", "crates/event/src/**"),
    ("storage", "crates/storage/src/**"),
    ("delivery", "crates/delivery/src/**"),
    ("hub", "crates/hub/src/**"),
    ("plugins", "crates/plugins/src/publish_sns/**"),
];

/// How many of a hundred must be caught.
const CAUGHT: usize = 90;

/// Mutants that change nothing that anybody could see, as regular expressions over their names, each with the reason.
const EQUIVALENT: &[(&str, &str)] = &[
    (r"impl (fmt::)?(Debug|Display) for|>::expecting -> ", "texts for people are not promised word by word"),
    (
        r"replace < with <= in Redactor::is_followed",
        "a name below the deepest pointer is kept and never asked for",
    ),
    (r"replace == with != in QueryRedaction::spans", "what holds no secret is looked at in vain"),
    (r"replace > with >= in Utf8::continues", "the text is read byte by byte, with the same end"),
    (r"path_of\(uri\) == request_path with false in text_of", "the same text, put together from its parts"),
    (r"replace \+ with \* in State::ensure_queue", "the numbers begin at 0 then, and each is still its own"),
    (
        r"replace > with >= in State::copy_missed",
        "where nothing more may be copied nothing is, and the gap stays",
    ),
    (r"replace > with >= in Worker<B>::housekept", "two instants that are equal to the nanosecond"),
    (r"guard/address\.rs:.* replace \| with \^ in (embedded|v4)$", "the halves have no bit in common"),
];

/// Files without mutants, each with the reason. As globs: cargo-mutants does not ask [`EQUIVALENT`] before it deletes a field.
const NOT_TRIED: &[(&str, &str)] = &[
    ("crates/storage/src/failpoint.rs", "without its feature a point is nothing"),
    ("crates/*/src/{conformance,testing}{.rs,/**}", "they are tests"),
    ("crates/storage/src/memory/samples.rs", "tests are made with it"),
];

/// Which crate, and which part of its mutants.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    crates: Vec<String>,
    shard: Option<String>,
}

const KNOWN: &str =
    "it knows names of crates (event, storage, delivery, hub, plugins) and --shard K/N, K from 0 to N-1";

impl Options {
    /// Reads names and `--shard K/N`.
    pub fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self { crates: Vec::new(), shard: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let value = match (word.strip_prefix("--shard"), word.strip_prefix("--shard=")) {
                (_, Some(value)) => value,
                (Some(""), None) => words.next().copied().unwrap_or_default(),
                _ if CRATES.iter().any(|(name, _)| name == word) => {
                    options.crates.push((*word).to_owned());
                    continue;
                }
                _ => return Err(format!("`mutants` knows no `{word}`; {KNOWN}")),
            };
            let parts = value
                .split_once('/')
                .and_then(|(part, of)| Some((part.parse::<u32>().ok()?, of.parse::<u32>().ok()?)));
            match parts {
                Some((part, of)) if part < of => options.shard = Some(value.to_owned()),
                _ => return Err(format!("`{value}` is not a part of a whole, like 0/4; {KNOWN}")),
            }
        }
        Ok(options)
    }
}

/// Runs the mutants of the chosen crates; whether enough were caught in each.
pub fn run(places: &Places, options: &Options) -> Result<bool, String> {
    let program = CARGO_MUTANTS.set_up(places)?;
    let chosen = |name: &str| options.crates.is_empty() || options.crates.iter().any(|one| one == name);
    let mut well = true;
    let mut rows = Vec::new();
    for (name, files) in CRATES.iter().filter(|(name, _)| chosen(name)) {
        let output = places.target.join("mutants").join(name);
        // It makes the last folder of a path, and not those above.
        std::fs::create_dir_all(&output)
            .map_err(|error| format!("cannot make {}: {error}", output.display()))?;
        // 2 is its status for mutants that were missed, 3 for those that hung: both are in the lists.
        show(&mut command(places, &program, name, files, options.shard.as_deref(), &output))?;
        let tally = Tally::read(&output.join("mutants.out"))?;
        well &= tally.is_enough();
        rows.push(format!("{name:<10} {tally}"));
    }
    println!("\n{}", rows.join("\n"));
    println!(
        "missed ones are in target/mutants/CRATE/mutants.out/missed.txt; at least {CAUGHT} of 100 must be caught"
    );
    Ok(well)
}

fn command(
    places: &Places,
    program: &Path,
    name: &str,
    files: &str,
    shard: Option<&str>,
    output: &Path,
) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&places.root).args(["mutants", "--package", name, "--file", files, "--no-shuffle"]);
    command.args([
        "--test-package",
        name,
        "--baseline",
        "run",
        "--timeout-multiplier",
        "5",
        // Only what hangs is to end by it, also on a machine with other work.
        "--minimum-test-timeout",
        "60",
        "--colors",
        "never",
    ]);
    command.arg("--output").arg(output).args(["--cap-lints=true", "--copy-target=false"]);
    for (files, _) in NOT_TRIED {
        command.args(["--exclude", files]);
    }
    for (pattern, _) in EQUIVALENT {
        command.args(["--exclude-re", pattern]);
    }
    if let Some(shard) = shard {
        // So that a part is a sample of the whole crate, not of its first files.
        command.args(["--sharding", "round-robin", "--shard", shard]);
    }
    // The dependencies are built once, not in each run's copy of the tree; and nobody reads the backtrace of a mutant.
    command.env("CARGO_TARGET_DIR", places.target.join("mutants/build"));
    command.env("CARGO_PROFILE_DEV_DEBUG", "none");
    // Its own tests: what starts the binary is another crate's.
    command.args(["--", "--lib"]);
    command
}

/// What became of a crate's mutants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    caught: usize,
    missed: usize,
}

impl Tally {
    /// Reads the lists that cargo-mutants leaves.
    fn read(folder: &Path) -> Result<Self, String> {
        let count = |file: &str| {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            Ok::<_, String>(text.lines().filter(|line| !line.is_empty()).count())
        };
        // One that hangs was noticed, too.
        Ok(Self { caught: count("caught.txt")? + count("timeout.txt")?, missed: count("missed.txt")? })
    }

    /// A run that tried nothing has shown nothing.
    fn is_enough(&self) -> bool {
        let all = self.caught + self.missed;
        all > 0 && self.caught * 100 >= all * CAUGHT
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = self.caught + self.missed;
        let share = (self.caught * 100).checked_div(all).unwrap_or(0);
        write!(f, "{} of {all} caught ({share} %)", self.caught)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_crates_and_a_shard() {
        let options = |crates: &[&str], shard: Option<&str>| {
            let crates = crates.iter().map(|name| (*name).to_owned()).collect();
            Ok(Options { crates, shard: shard.map(str::to_owned) })
        };
        assert_eq!(Options::parse(&[]), options(&[], None));
        assert_eq!(
            Options::parse(&["event", "--shard", "0/4", "hub"]),
            options(&["event", "hub"], Some("0/4"))
        );
        assert_eq!(Options::parse(&["--shard=3/4"]), options(&[], Some("3/4")));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for words in [&["gateway"][..], &["--shard"], &["--shard=4/4"], &["--shard", "1"], &["-j2"]] {
            assert!(Options::parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn nine_of_ten_are_enough_and_none_are_not() {
        assert!(Tally { caught: 90, missed: 10 }.is_enough());
        assert!(!Tally { caught: 89, missed: 11 }.is_enough());
        assert!(!Tally::default().is_enough());
        assert_eq!(Tally { caught: 89, missed: 11 }.to_string(), "89 of 100 caught (89 %)");
    }
}
