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
        hubs: &[],
        env: &|_| None,
        now: Timestamp::from_millis(1_700_000_000_000),
        tolerance: config::Tolerance::default(),
    };
    let files: Vec<_> = texts.iter().map(|text| ("f.yaml", *text)).collect();
    config::check(&files, &options).unwrap_or_else(|report| panic!("{report}"))
}

/// The text of a file with an authority, and a service `s` that trusts it.
pub(crate) fn trusting() -> String {
    let pem = include_str!("../../config/src/check/tests/authorities/one.pem");
    let id = "6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001";
    format!(
        "_format_version: '3.0'\nca_certificates: [{{ id: {id}, cert: {pem:?} }}]\n\
         services: [{{ name: s, url: 'https://x', ca_certificates: [{id}], tls_verify_depth: 2 }}]\n"
    )
}
