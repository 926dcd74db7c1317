//! Configurations for the tests of this crate.

use config::{Config, Options};
use event::Timestamp;

/// What these files say, without plug-ins.
#[track_caller]
pub(crate) fn config(texts: &[&str]) -> Config {
    let options = Options {
        kinds: &[],
        region: "us-east-1",
        account: "000000000000",
        env: &|_| None,
        now: Timestamp::from_millis(1_700_000_000_000),
    };
    let files: Vec<_> = texts.iter().map(|text| ("f.yaml", *text)).collect();
    config::check(&files, &options).unwrap_or_else(|report| panic!("{report}"))
}
