//! The binary as people meet it: its subcommands, its settings, its start and its end, and what it tells about itself.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::client::{self, Client};
use testkit::process::Setup;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

fn retrohook(words: &[&str]) -> Output {
    Command::new(RETROHOOK).args(words).output().expect("the binary starts")
}

#[track_caller]
fn stdout(words: &[&str]) -> String {
    let done = retrohook(words);
    assert!(done.status.success(), "{words:?}: {done:?}");
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// A file with one mistake of each kind; every one must be told at its line.
const MISTAKES: &str = r#"_format_version: "3.0"
services:
- name: profiles
  url: "nowhere"
  routes:
  - name: profiles
    paths: [/profiles]
    strip_paths: false
  plugins:
  - name: publish-sns
    config:
      topic_arn: arn:aws:nothing
      routes:
      - { method: PUT, matcher: "^/profiles/(" }
  - name: rate-limiting
    config: { minute: 5 }
topics:
- name: profile-changes
  subscriptions:
  - { protocol: http, endpoint: "no url" }
  - { protocol: sqs, endpoint: no-such-queue }
"#;

/// Where each of the mistakes is, and a word of what must be said of it.
const FOUND: [(u32, &str, &str); 7] = [
    (4, "services[0].url", "http://"),
    (8, "services[0].routes[0]", "strip_paths"),
    (12, "topic_arn", "arn:aws:nothing"),
    (14, "matcher", "does not compile"),
    (15, "services[0].plugins[1]", "rate-limiting"),
    (20, "topics[0].subscriptions[0].endpoint", "URL"),
    (21, "topics[0].subscriptions[1]", "no-such-queue"),
];

#[track_caller]
fn tells_every_mistake(file: &Path, output: &str) {
    let lines: Vec<_> = output.lines().collect();
    for (line, path, word) in FOUND {
        let place = format!("{}:{line}:", file.display());
        let told = lines
            .iter()
            .position(|text| text.starts_with(&place) && text.contains(path) && text.contains(word));
        let told = told.unwrap_or_else(|| panic!("{place} {path} … {word} in:\n{output}"));
        assert!(lines[told + 1].trim_start().starts_with("hint: "), "{}", lines[told + 1]);
    }
    assert!(output.contains(&format!("{} problems", FOUND.len())), "{output}");
}

#[test]
fn check_lists_all_problems_with_place_and_hint() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("gateway.yaml");
    std::fs::write(&file, MISTAKES).expect("it can be written");
    let done = retrohook(&["check", file.to_str().expect("UTF-8")]);
    assert_eq!(done.status.code(), Some(1));
    tells_every_mistake(&file, &String::from_utf8_lossy(&done.stderr));

    std::fs::write(&file, Profiles::default().yaml().replace("{receiver}", "http://localhost:9100"))
        .expect("it can be written");
    let good = stdout(&["check", file.to_str().expect("UTF-8")]);
    assert_eq!(good.trim(), "ok: 1 service, 1 route, 1 plug-in, 1 topic, 1 subscription, 0 queues");
    let missing = retrohook(&["check", "no-such-file.yaml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.yaml"));
}

#[test]
fn a_bad_file_starts_nothing() {
    let setup = Setup::new(RETROHOOK, MISTAKES);
    let mut process = setup.start_without_waiting();
    assert_eq!(process.wait().code(), Some(1));
    let output = process.output();
    tells_every_mistake(&setup.data.path().join("retrohook.yaml"), &output);
    assert!(output.contains("nothing was started"), "{output}");
    assert!(process.listeners().is_empty(), "{output}");
    assert!(!setup.data_dir().exists(), "not even a data directory");
}

#[test]
fn every_subcommand_explains_itself_with_examples() {
    let main = stdout(&["--help"]);
    for subcommand in ["run", "demo", "check", "version"] {
        assert!(
            main.lines().any(|line| line.trim_start().starts_with(subcommand)),
            "{subcommand} in:\n{main}"
        );
    }
    assert!(main.contains("Examples:"), "{main}");
    for subcommand in ["run", "demo", "check"] {
        let help = stdout(&[subcommand, "--help"]);
        assert!(help.contains("Examples:") && help.contains(&format!("retrohook {subcommand}")), "{help}");
    }
    assert!(stdout(&["version", "--help"]).contains("version"));
    let run = stdout(&["run", "--help"]);
    let flags = [
        ("--data-dir", "RETROHOOK_DATA_DIR", "./retrohook-data"),
        ("--proxy-listen", "RETROHOOK_PROXY_LISTEN", "8000"),
        ("--proxy-tls-listen", "RETROHOOK_PROXY_TLS_LISTEN", "off"),
        ("--admin-listen", "RETROHOOK_ADMIN_LISTEN", "127.0.0.1:8001"),
        ("--dashboard-listen", "RETROHOOK_DASHBOARD_LISTEN", "off"),
        ("--legacy-admin-listen", "RETROHOOK_LEGACY_ADMIN_LISTEN", "off"),
        ("--hub-listen", "RETROHOOK_HUB_LISTEN", "127.0.0.1:4566"),
        ("--hub-public-listen", "RETROHOOK_HUB_PUBLIC_LISTEN", "off"),
        ("--hub-url", "RETROHOOK_HUB_URL", ""),
        ("--workers", "RETROHOOK_WORKERS", ""),
        ("--account-id", "RETROHOOK_ACCOUNT_ID", "000000000000"),
        ("--region", "RETROHOOK_REGION", "us-east-1"),
        ("--allow-private-endpoints", "RETROHOOK_ALLOW_PRIVATE_ENDPOINTS", ""),
        ("--allow-endpoints", "RETROHOOK_ALLOW_ENDPOINTS", ""),
        ("--min-free", "RETROHOOK_MIN_FREE", "256MiB"),
        ("--log-format", "RETROHOOK_LOG_FORMAT", "text"),
    ];
    for (flag, variable, default) in flags {
        for word in [flag, variable, default] {
            assert!(run.contains(word), "{word} in:\n{run}");
        }
    }
}

#[test]
fn the_version_is_told() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(stdout(&["version"]).trim(), format!("retrohook/{version}"));
    assert_eq!(stdout(&["--version"]).trim(), format!("retrohook {version}"));
}

#[test]
fn what_it_does_not_know_is_refused_by_name() {
    for (words, said) in [
        (&["serve"][..], "serve"),
        (&["run", "--proxy-lissten", "off"], "--proxy-listen"),
        (&["run", "--proxy-listen", "8000"], "127.0.0.1:8000"),
        (&["run", "--dashboard-listen", "127.0.0.1:0"], "--dashboard-listen is not built yet"),
        (&["run", "--min-free", "1GB"], "GiB"),
        (&["run", "--account-id", "12"], "twelve digits"),
        (&["run", "--allow-endpoints", "10.0.0.0/99", "--proxy-listen=127.0.0.1:0"], "--allow-endpoints"),
        (&["check"], "<FILE>"),
    ] {
        let place = tempfile::tempdir().expect("a temporary directory");
        let done = Command::new(RETROHOOK)
            .args(words)
            .envs([("RETROHOOK_ADMIN_LISTEN", "127.0.0.1:0"), ("RETROHOOK_HUB_LISTEN", "127.0.0.1:0")])
            .env("RETROHOOK_DATA_DIR", place.path().join("data"))
            .output()
            .expect("the binary starts");
        assert!(matches!(done.status.code(), Some(1 | 2)), "{words:?}: {done:?}");
        let output = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(output.contains(said), "{words:?}: {said} in:\n{output}");
    }
}

#[test]
fn it_starts_empty_and_takes_its_settings_from_the_environment() {
    let mut setup = Setup::new("env", "");
    // Words of a shell without the shell: no file, no flag, everything by variable.
    let data = setup.data.path().join("elsewhere");
    setup.wrapper = vec!["sh".into(), "-c".into(), format!("exec {RETROHOOK} run")];
    setup.env = [
        ("RETROHOOK_DATA_DIR", data.to_str().expect("UTF-8")),
        ("RETROHOOK_PROXY_LISTEN", "127.0.0.1:0"),
        ("RETROHOOK_ADMIN_LISTEN", "127.0.0.1:0"),
        ("RETROHOOK_HUB_LISTEN", "off"),
        ("RETROHOOK_MIN_FREE", "0"),
        ("RETROHOOK_WORKERS", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let process = setup.start();
    let listeners = process.listeners();
    assert_eq!(listeners["hub"], "off");
    assert_ne!(process.proxy().port(), 0, "the port that was picked is printed");
    assert!(process.output().contains(data.to_str().expect("UTF-8")), "{}", process.output());
    assert!(data.join("retrohook.db").is_file());
    let answer = client::send(process.proxy(), "GET", "/", &[], b"").expect("an answer");
    assert_eq!(
        (answer.status, answer.json()["message"].as_str()),
        (404, Some("no Route matched with those values"))
    );
    assert_eq!(process.admin().status().0, 200);
    assert!(process.terminate().success());
}

#[test]
fn configuration_files_are_read_together_from_the_environment() {
    let scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let (services, topics) = scene.setup.config.split_once("topics:").expect("both");
    let place = scene.setup.data.path();
    let topics = format!("_format_version: \"3.0\"\ntopics:{topics}");
    for (name, text) in [("kong.yaml", services), ("topics.yaml", &topics)] {
        std::fs::write(place.join(name), text).expect("it can be written");
    }
    let mut setup = Setup::new("env", "");
    setup.wrapper = vec!["sh".into(), "-c".into(), format!("exec {RETROHOOK} run")];
    let files =
        ["kong.yaml", "topics.yaml"].map(|name| place.join(name).to_string_lossy().into_owned()).join(",");
    setup.env = [
        ("RETROHOOK_CONFIG", files.as_str()),
        ("RETROHOOK_DATA_DIR", setup.data_dir().to_str().expect("UTF-8")),
        ("RETROHOOK_PROXY_LISTEN", "127.0.0.1:0"),
        ("RETROHOOK_ADMIN_LISTEN", "127.0.0.1:0"),
        ("RETROHOOK_HUB_LISTEN", "127.0.0.1:0"),
        ("RETROHOOK_MIN_FREE", "0"),
        ("RETROHOOK_ALLOW_PRIVATE_ENDPOINTS", "true"),
        ("RETROHOOK_REGION", "eu-west-1"),
        ("RETROHOOK_ACCOUNT_ID", "123456789012"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    let process = setup.start();
    let answer = client::send(process.proxy(), "PUT", "/mockbin/profile", &[], b"{}").expect("an answer");
    assert_eq!(answer.status, 200);
    let message = scene.receiver.wait_for(1).remove(0);
    assert_eq!(
        message.header("x-amz-sns-topic-arn"),
        Some("arn:aws:sns:eu-west-1:123456789012:profile-changes")
    );
}

#[test]
fn sigterm_lets_requests_end() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let mut idle = scene.client();
    assert_eq!(idle.send("GET", "/mockbin/x", &[], b"").expect("an answer").status, 200);
    let mut open = scene.put_and_wait_for_upstream("?script=wait");
    let mut gateway = scene.take_gateway();
    let proxy = gateway.proxy();
    gateway.signal(Signal::TERM);
    wait::until("the proxy to accept nobody", || Client::connect(proxy).err());
    scene.upstream.release();
    assert_eq!(open.answer().expect("the request under way ends well").status, 200);
    // It may still get an answer that crossed the signal; then it is closed behind that.
    wait::until("an idle connection to be closed", || idle.send("GET", "/mockbin/x", &[], b"").err());
    let status = gateway.wait();
    assert_eq!(status.code(), Some(0), "{}", gateway.output());
    assert!(gateway.output().ends_with("stopped"), "{}", gateway.output());
    scene.start_gateway();
    assert_eq!(scene.admin().events()[0]["outcome"], "succeeded");
    assert!(!scene.gateway().output().contains("did not end in order"));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let _open = scene.put_and_wait_for_upstream("?script=wait");
    let mut gateway = scene.take_gateway();
    gateway.signal(Signal::TERM);
    wait::until("the drain to begin", || gateway.output().contains("stopping").then_some(()));
    let asked = Instant::now();
    gateway.signal(Signal::INT);
    let status = gateway.wait();
    assert!(asked.elapsed() < Duration::from_secs(10), "the drain may take 30 s, this may not");
    assert_eq!(status.code(), Some(130), "{}", gateway.output());
    scene.start_gateway();
    let event = scene.admin().wait_for_events(1).remove(0);
    assert_eq!(event["reason"], "gateway_restarted", "what was cut off is found by the next start");
    assert!(scene.gateway().output().contains("did not end in order"), "{}", scene.gateway().output());
}
