//! Every target over its seeds and over random changes of them, and what cargo-fuzz wants, in step with [`TARGETS`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::{TARGETS, Target};

mod change;

/// Random inputs of each target, and how to take others: RETROHOOK_FUZZ_ROUNDS and RETROHOOK_FUZZ_SEED.
const ROUNDS: u64 = 400;
const SEED: u64 = 2016;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = folder().join("corpus-seeds").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // So that a round is the same one everywhere.
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number"))
}

/// Runs a target; if it panics, says by what.
fn run(target: &Target, input: &[u8]) {
    let done = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    assert!(
        done.is_ok(),
        "{} breaks a promise (see above) by this input:\n{}",
        target.name,
        input.escape_ascii()
    );
}

#[track_caller]
fn well(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let seeds = seeds(name);
    assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
    run(target, b"");
    seeds.iter().for_each(|seed| run(target, seed));
    let mut random = fastrand::Rng::with_seed(setting("RETROHOOK_FUZZ_SEED", SEED));
    for _ in 0..setting("RETROHOOK_FUZZ_ROUNDS", ROUNDS) {
        run(target, &change::change(&mut random, &seeds));
    }
}

macro_rules! each {
    ($($name:ident)*) => {
        $(#[test] fn $name() { well(stringify!($name)); })*

        #[test]
        fn every_target_is_tested() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
        }
    };
}

each!(answer capture config_file facts forwarding guard interim keep_alive legacy_admin names path protocol queries render rereading rewriting spelling variables);

fn manifest() -> String {
    let mut text = String::from(
        "# Made from the list in crates/fuzzing: UPDATE_GENERATED=1 cargo test -p fuzzing. A workspace of its own, so that nothing else\n\
         # builds libFuzzer.\n\
         [workspace]\n\n\
         [package]\nname = \"retrohook-fuzz\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
         [package.metadata]\ncargo-fuzz = true\n\n\
         [dependencies]\nfuzzing = { path = \"../crates/fuzzing\" }\nlibfuzzer-sys = \"0.4.13\"\n\n\
         [profile.release]\ndebug = \"line-tables-only\"\n",
    );
    for Target { name, .. } in &TARGETS {
        text.push_str(&format!(
            "\n[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n"
        ));
    }
    text
}

fn program(name: &str) -> String {
    format!(
        "//! libFuzzer over `fuzzing::{name}`.\n#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::{name}::target(data));\n"
    )
}

#[test]
fn what_cargo_fuzz_wants_is_up_to_date() {
    let mut wanted = vec![(folder().join("Cargo.toml"), manifest())];
    let programs = folder().join("fuzz_targets");
    wanted.extend(
        TARGETS.iter().map(|target| (programs.join(format!("{}.rs", target.name)), program(target.name))),
    );
    for (file, text) in &wanted {
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::create_dir_all(&programs).expect("the folder");
            std::fs::write(file, text).expect("it can be written");
        }
        let found = std::fs::read_to_string(file).unwrap_or_default();
        assert_eq!(found, *text, "{}: UPDATE_GENERATED=1 cargo test -p fuzzing", file.display());
    }
    let found = std::fs::read_dir(programs).expect("the folder").count();
    assert_eq!(found, TARGETS.len(), "a program of a target that is gone");
}
