//! Every example of the project is a configuration that is accepted, with the plug-ins that there are.

use std::path::{Path, PathBuf};

use event::Timestamp;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of examples")
        .map(|entry| entry.expect("an entry").path().join("retrohook.yaml"))
        .collect();
    found.sort();
    found
}

fn load(path: &Path) -> Result<config::Config, config::Report> {
    let options = config::Options {
        kinds: &plugins::all(),
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &|_| Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()),
        now: Timestamp::from_millis(1_700_000_000_000),
        tolerance: config::Tolerance::default(),
    };
    config::load(&[path], &options)
}

#[test]
fn every_example_is_accepted_and_publishes() {
    let examples = examples();
    assert_eq!(examples.len(), 7, "{examples:?}");
    for path in examples {
        let config = load(&path).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(config.warnings, [], "an example means what it says");
        let route = config.served.routes.first().expect("a route");
        assert_eq!(route.plugins.len(), 1, "{}", path.display());
        assert!(!config.set.subscriptions.is_empty(), "{}", path.display());
        let text = std::fs::read_to_string(&path).expect("the example");
        let is_local = config.set.subscriptions.iter().any(|one| one.endpoint.contains("localhost"));
        assert_eq!(is_local, text.contains("--allow-private-endpoints"), "{}", path.display());
        assert!(path.with_file_name("README.md").exists(), "{}", path.display());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let report = load(Path::new("no/such.yaml")).expect_err("no such file").to_string();
    assert!(report.starts_with("no/such.yaml: cannot be read: there is no such file"), "{report}");
    assert!(report.ends_with("1 problem"), "{report}");
}
