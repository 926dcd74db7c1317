//! Variables of the environment in a configuration file.
//!
//! Read as: lines `NAME=value`, an empty line, then a file. What must hold: nothing that a variable holds is in what is said of the file; what a start
//! takes a check takes, too; a variable that is not set never ends a check.

use config::{Options, Problem, Tolerance};
use event::Timestamp;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (environment, file) = text.split_once("\n\n").unwrap_or(("", text));
    let held: Vec<(&str, &str)> = environment.lines().filter_map(|line| line.split_once('=')).collect();
    let kinds = plugins::all();
    let env =
        |name: &str| held.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let check = |unset_variables: bool| {
        let options = Options {
            kinds: &kinds,
            region: "us-east-1",
            account: "000000000000",
            hubs: &[],
            env: &env,
            now: Timestamp::from_millis(0),
            tolerance: Tolerance { unset_variables, skip_unsupported: true, skip_plugins: &[] },
        };
        config::check(&[("f.yaml", file)], &options)
    };
    let (start, check) = (check(false), check(true));
    if start.is_ok() {
        assert!(check.is_ok(), "a start takes it: {:?}", check.err());
    }
    for result in [start, check] {
        let said = match &result {
            Ok(config) => &config.warnings,
            Err(report) => &report.problems,
        };
        said.iter().for_each(|problem| shows_nothing(problem, &held, file));
    }
}

/// A short value, or one that stands in the file itself, may be in a message by chance.
fn shows_nothing(problem: &Problem, held: &[(&str, &str)], file: &str) {
    let telling = |value: &&str| {
        value.len() >= 8
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && value.bytes().any(|byte| byte.is_ascii_digit())
            && !file.contains(*value)
    };
    for value in held.iter().map(|(_, value)| *value).filter(telling) {
        let Problem { message, hint, .. } = problem;
        assert!(!message.contains(value) && !hint.contains(value), "{value} is in {problem}");
    }
}
