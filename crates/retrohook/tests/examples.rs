//! Every example under `examples/` starts, and serves what it says it serves.

use std::path::PathBuf;

use testkit::client;
use testkit::process::Setup;

fn examples() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let entries = std::fs::read_dir(folder).expect("the examples' folder");
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(path.join("retrohook.yaml")).expect("a configuration");
        (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
    };
    entries.map(read).collect()
}

/// The first path of `paths: [/profiles]`.
fn first_path(config: &str) -> Option<String> {
    let (_, rest) = config.split_once("paths: [")?;
    Some(rest.split([',', ']']).next()?.to_owned())
}

#[test]
fn every_example_starts_and_routes() {
    let examples = examples();
    assert!(examples.len() >= 5, "{examples:?}");
    for (name, config) in examples {
        let path = first_path(&config).unwrap_or_else(|| panic!("{name} has no route"));
        let mut setup = Setup::new(env!("CARGO_BIN_EXE_retrohook"), config);
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        setup.env.push(("WEBHOOK_SECRET".into(), secret));
        let process = setup.start();
        let missing = client::send(process.proxy(), "GET", "/no-such-route", &[], b"").expect("an answer");
        assert_eq!(missing.status, 404, "{name}");
        // The example's service is not there, but its route is.
        let routed = client::send(process.proxy(), "GET", &path, &[], b"").expect("an answer");
        assert_ne!(routed.status, 404, "{name}: {routed:?}");
        assert_eq!(process.terminate().code(), Some(0), "{name}");
    }
}
