//! 63 configurations of Kong's as people have them, their names replaced by made-up words: which are taken, and what keeps the others from it.
//!
//! What is served next moves the numbers of these tables: a blocker goes when its last file passes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use config::{Config, Report, Tolerance};
use event::Timestamp;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    let entries = std::fs::read_dir(folder).expect("the folder of configurations");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn check(path: &Path, skip_unsupported: bool) -> Result<Config, Report> {
    let options = config::Options {
        kinds: &plugins::all(),
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &|_| None,
        now: Timestamp::from_millis(1_700_000_000_000),
        tolerance: Tolerance { unset_variables: true, skip_unsupported, skip_plugins: &[] },
    };
    config::load(&[path], &options)
}

/// What a problem is one of: the plug-in that is not served, the key, or the words of it.
fn blocker(problem: &config::Problem) -> String {
    let quoted = problem.message.split('`').nth(1).unwrap_or_default();
    if problem.message.starts_with("no plug-in") {
        return "a plug-in of one's own or of Kong Enterprise".into();
    }
    if problem.message.contains("a plug-in of Kong's") {
        return format!("plug-in {quoted}");
    }
    let key = problem.path.rsplit('.').next().unwrap_or_default();
    let key: String = key.chars().filter(|c| !c.is_ascii_digit()).collect();
    format!("{}: {}", key.replace("[]", ""), problem.message)
}

/// In how many files each blocker is, and which files have none.
fn tally(skip_unsupported: bool) -> (BTreeMap<String, usize>, Vec<String>) {
    let mut blockers = BTreeMap::new();
    let mut passed = Vec::new();
    for path in files() {
        match check(&path, skip_unsupported) {
            Ok(_) => passed.push(path.file_stem().expect("a name").to_string_lossy().into_owned()),
            Err(report) => {
                let of_file: BTreeSet<_> = report.problems.iter().map(blocker).collect();
                of_file.into_iter().for_each(|blocker| *blockers.entry(blocker).or_insert(0) += 1);
            }
        }
    }
    (blockers, passed)
}

/// The table as text, a line each, so that a difference is read at once.
fn shown(blockers: &BTreeMap<String, usize>) -> String {
    blockers.iter().map(|(blocker, files)| format!("{files:>3}  {blocker}\n")).collect()
}

#[test]
fn what_keeps_the_files_of_the_field() {
    assert_eq!(files().len(), 63);
    let (blockers, passed) = tally(false);
    assert_eq!(shown(&blockers), BLOCKERS.trim_start_matches('\n'));
    assert_eq!(passed.join(" "), PASSED);
}

#[test]
fn what_keeps_them_when_plug_ins_that_are_not_served_are_left_out() {
    let (blockers, passed) = tally(true);
    assert_eq!(shown(&blockers), BLOCKERS_BESIDE_PLUGINS.trim_start_matches('\n'));
    assert_eq!(passed.len(), PASSED_BESIDE_PLUGINS);
}

/// Blockers, with the number of files that each is in.
const BLOCKERS: &str = "
  1  : duplicate key `hour`
  1  _services: unknown field `_services`
 14  a plug-in of one's own or of Kong Enterprise
  3  basicauth_credentials: not supported yet
  1  destinations: not supported yet
  1  id: expected a valid UUID
  1  identity_realms: unknown field `identity_realms`
  8  jwt_secrets: not supported yet
  4  plug-in acl
  1  plug-in acme
  1  plug-in ai-proxy
  3  plug-in basic-auth
  1  plug-in bot-detection
  4  plug-in correlation-id
 20  plug-in cors
  4  plug-in file-log
  2  plug-in grpc-gateway
  3  plug-in http-log
  1  plug-in ip-restriction
  9  plug-in jwt
  1  plug-in oauth2
  1  plug-in openid-connect
  5  plug-in prometheus
  1  plug-in proxy-cache
  1  plug-in rate-limiting-advanced
  3  plug-in request-size-limiting
  1  plug-in request-termination
  4  plug-in request-transformer
  1  plug-in response-transformer
  1  policy: `cluster` is not supported yet
  1  principals: unknown field `principals`
  1  protocol: `grpc` is not supported yet
  1  protocol: `tcp` is not supported yet
  1  protocols: `tcp` is not supported yet
  1  service: value must be null
  1  url: `grpc` is not supported yet
";

/// The files that are taken as they are.
const PASSED: &str = "004 008 030 042 046 052 056 058 060 064 066 076 080 094 110 114 122";

/// As [`BLOCKERS`], with `--skip-unsupported`.
const BLOCKERS_BESIDE_PLUGINS: &str = "
  1  : duplicate key `hour`
  1  _services: unknown field `_services`
  3  basicauth_credentials: not supported yet
  1  destinations: not supported yet
  1  id: expected a valid UUID
  1  identity_realms: unknown field `identity_realms`
  8  jwt_secrets: not supported yet
  1  policy: `cluster` is not supported yet
  1  principals: unknown field `principals`
  1  protocol: `grpc` is not supported yet
  1  protocol: `tcp` is not supported yet
  1  protocols: `tcp` is not supported yet
  1  service: value must be null
  1  url: `grpc` is not supported yet
";

/// How many files are taken with `--skip-unsupported`.
const PASSED_BESIDE_PLUGINS: usize = 46;
