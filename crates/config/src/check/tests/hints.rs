//! Whatever a hint shows of YAML can be pasted: the reader of files reads it.

use std::path::Path;

use super::NOW;
use crate::problem::Report;
use crate::{Options, Tolerance, tree};

/// Reads all YAML that the hints of a report show.
#[track_caller]
pub(super) fn parse(report: &Report) {
    for problem in &report.problems {
        for shown in yaml(&problem.hint) {
            let read = tree::parse(shown);
            assert!(read.is_ok(), "`{shown}` cannot be pasted, and is the hint of: {problem}");
        }
    }
}

/// What stands in backquotes and is a mapping or a list.
fn yaml(hint: &str) -> impl Iterator<Item = &str> {
    let quoted = hint.split('`').skip(1).step_by(2);
    quoted.filter(|text| text.contains(": ") || text.ends_with(':') || text.starts_with(['[', '{', '-']))
}

#[test]
fn yaml_is_found_in_a_hint() {
    let found: Vec<_> = yaml("add `url: http://host:port`, or `host` and `port`, or `- { a: b }`").collect();
    assert_eq!(found, ["url: http://host:port", "- { a: b }"]);
}

#[test]
fn the_hints_that_the_files_of_the_field_get_can_be_pasted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    let mut refused = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of configurations") {
        let options = Options {
            kinds: &plugins::all(),
            region: "us-east-1",
            account: "000000000000",
            hubs: &[],
            env: &|_| None,
            now: NOW,
            tolerance: Tolerance::default(),
        };
        let path = entry.expect("an entry").path();
        if let Err(report) = crate::load(&[path], &options) {
            parse(&report);
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
}
