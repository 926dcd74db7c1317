//! Whole files in, whole reports out, as a user sees them.

use event::Timestamp;

use super::Options;
use crate::loaded::Config;
use crate::problem::Report;

mod consumers;
mod doubts;
mod files;
mod formats;
mod fuzz;
mod hints;
mod plugins;
mod resolved;
mod routes;
mod secrets;
mod services;
mod structure;
mod stub;
mod tls;
mod topics;
mod upstreams;

use stub::Stub;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What the files are called in reports.
const NAMES: [&str; 2] = ["gateway.yaml", "topics.yaml"];

/// Checks files with two kinds of plug-in and an environment with one good and one bad secret.
fn run(texts: &[&str]) -> Result<Config, Report> {
    let env = |name: &str| match name {
        "WEBHOOK_SECRET" => Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        "SHORT_SECRET" => Some("whsec_aGFsbG8=".to_owned()),
        _ => None,
    };
    let options = Options {
        kinds: &[&Stub("publish-sns"), &Stub("tap")],
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &env,
        now: NOW,
        tolerance: super::Tolerance::default(),
    };
    let files: Vec<_> = NAMES.into_iter().zip(texts.iter().copied()).collect();
    super::check(&files, &options)
}

/// Texts that begin with an empty line for the eye's sake, and the report that they must make. What its hints show can be pasted.
#[track_caller]
fn check(texts: &[&str], expected: &str) {
    let texts: Vec<_> = texts.iter().map(|text| text.strip_prefix('\n').unwrap_or(text)).collect();
    let report = run(&texts).expect_err("the files must be refused");
    hints::parse(&report);
    let report = report.to_string();
    assert_eq!(report, expected.trim(), "\n--- the report is\n{report}\n---");
}

/// A configuration that must be accepted. What the hints of its warnings show can be pasted.
#[track_caller]
fn accept(texts: &[&str]) -> Config {
    let config = run(texts).unwrap_or_else(|report| panic!("{report}"));
    hints::parse(&Report { problems: config.warnings.clone(), warnings: Vec::new() });
    config
}
