//! The binary as people meet it: its subcommands, its settings, its start and its end, and what it tells about itself.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::client::{self, Client};
use testkit::process::Setup;
use testkit::receiver::Mood;
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
  - name: jwt
    config: { key_claim_name: iss }
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
    (15, "services[0].plugins[1]", "jwt"),
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
    assert!(run.contains("RETROHOOK_LOG=delivery=debug,info"), "{run}");
    assert!(!run.contains("[FILE]"), "a file without -c is only there to be refused: {run}");
    let flags = [
        ("--data-dir", "RETROHOOK_DATA_DIR", "./retrohook-data"),
        ("--proxy-listen", "RETROHOOK_PROXY_LISTEN", "8000"),
        ("--admin-listen", "RETROHOOK_ADMIN_LISTEN", "127.0.0.1:8001"),
        ("--legacy-admin-listen", "RETROHOOK_LEGACY_ADMIN_LISTEN", "127.0.0.1:8011"),
        ("--hub-listen", "RETROHOOK_HUB_LISTEN", "127.0.0.1:4566"),
        ("--hub-public-listen", "RETROHOOK_HUB_PUBLIC_LISTEN", "off"),
        ("--hub-url", "RETROHOOK_HUB_URL", ""),
        ("--workers", "RETROHOOK_WORKERS", ""),
        ("--account-id", "RETROHOOK_ACCOUNT_ID", "000000000000"),
        ("--region", "RETROHOOK_REGION", "us-east-1"),
        ("--allow-private-endpoints", "RETROHOOK_ALLOW_PRIVATE_ENDPOINTS", ""),
        ("--allow-endpoints", "RETROHOOK_ALLOW_ENDPOINTS", ""),
        ("--min-free", "RETROHOOK_MIN_FREE", "256MiB"),
        ("--max-store", "RETROHOOK_MAX_STORE", "10GiB"),
        ("--log-format", "RETROHOOK_LOG_FORMAT", "text"),
        ("--access-log", "RETROHOOK_ACCESS_LOG", "off"),
        ("--access-log-file", "RETROHOOK_ACCESS_LOG_FILE", ""),
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
        (&["run", "--dashboard-listen", "127.0.0.1:0"], "--dashboard-listen"),
        (&["run", "gateway.yaml"], "retrohook run -c gateway.yaml"),
        (&["run", "--min-free", "1GB"], "`256MiB`"),
        (&["run", "--drain-timeout", "half a minute"], "`30s`"),
        (&["run", "--allow-private-endpoints=perhaps"], "true, yes or on"),
        (&["run", "--account-id", "12"], "twelve digits"),
        (&["run", "--allow-endpoints", "10.0.0.0/99", "--proxy-listen=127.0.0.1:0"], "--allow-endpoints"),
        (&["check"], "<FILE>"),
    ] {
        let place = tempfile::tempdir().expect("a temporary directory");
        let done = Command::new(RETROHOOK)
            .args(words)
            .envs([("RETROHOOK_ADMIN_LISTEN", "127.0.0.1:0"), ("RETROHOOK_HUB_LISTEN", "127.0.0.1:0")])
            .env("RETROHOOK_LEGACY_ADMIN_LISTEN", "127.0.0.1:0")
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
        ("RETROHOOK_LEGACY_ADMIN_LISTEN", "127.0.0.1:0"),
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
    process.wait_until_it_says(data.to_str().expect("UTF-8"));
    assert!(data.join("retrohook.db").is_file());
    let answer = client::send(process.proxy(), "GET", "/", &[], b"").expect("an answer");
    assert_eq!(
        (answer.status, answer.json()["message"].as_str()),
        (404, Some("no Route matched with those values"))
    );
    assert_eq!(process.admin().status().0, 200);
    process.signal(Signal::HUP);
    let nothing = "not reloaded: there is no file to read";
    process.wait_until_it_says(nothing);
    assert_eq!(process.admin().metric("retrohook_config_generation"), Some(1.0));
    assert!(process.terminate().success());
}

#[test]
fn a_yes_or_no_is_read_in_every_spelling() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.flags.retain(|flag| flag != "--allow-private-endpoints");
    let variable = |value: &str| vec![("RETROHOOK_ALLOW_PRIVATE_ENDPOINTS".to_owned(), value.to_owned())];
    for (told, value) in ["1", "yes", "on", "true"].into_iter().enumerate() {
        scene.setup.env = variable(value);
        scene.start_gateway();
        assert_eq!(scene.put("").expect("an answer").status, 200);
        // The receiver is on a loopback address.
        scene.told(told + 1);
        assert!(scene.take_gateway().terminate().success());
    }
    for value in ["0", "no", "off", "false", ""] {
        scene.setup.env = variable(value);
        scene.start_gateway();
        assert!(scene.take_gateway().terminate().success(), "{value:?} is a no");
    }
    // What stands on the command line goes before the environment.
    scene.setup.env = variable("1");
    scene.setup.flags.push("--allow-private-endpoints=no".into());
    scene.start_gateway();
    assert_eq!(scene.put("").expect("an answer").status, 200);
    let event = scene.admin().wait_for_events(5).remove(4);
    let path = format!("/retrohook/events/{}", event["id"].as_str().expect("an id"));
    wait::until("the delivery to be blocked", || {
        scene.admin().get(&path).text().contains("--allow-endpoints").then_some(())
    });
}

/// Standard error of a gateway with this flag and an endpoint elsewhere, once it is ready.
fn warned(subscription: &str, flags: &[&str]) -> String {
    let config = format!(
        "_format_version: \"3.0\"\ntopics:\n- name: changes\n  subscriptions:\n  - {{ protocol: http, {subscription} }}\n"
    );
    let mut setup = Setup::new(RETROHOOK, config);
    setup.flags.push("--allow-endpoints=192.0.2.0/24".into());
    setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let process = setup.start();
    process.output()
}

#[test]
fn an_endpoint_elsewhere_that_cannot_confirm_is_told() {
    // A documentation address: nobody is there, and nothing is sent before a confirmation but the handshake.
    let away = "endpoint: \"http://192.0.2.7/hook\"";
    let output = warned(away, &[]);
    let place = "retrohook.yaml:5:";
    assert!(
        output.contains("warning: ") && output.contains(place) && output.contains("--hub-url"),
        "{output}"
    );
    assert!(!warned(away, &["--hub-url=https://gateway.example.com"]).contains("warning: "));
    assert!(!warned("endpoint: \"http://127.0.0.1:9/hook\"", &[]).contains("warning: "));
    let raw = format!("{away}, raw_message_delivery: true, confirm: skip");
    assert!(!warned(&raw, &[]).contains("warning: "), "its messages have no address of ours");
    let off = warned("endpoint: \"http://127.0.0.1:9/hook\"", &["--hub-listen=off"]);
    assert!(off.contains("warning: ") && off.contains("nothing listens there"), "{off}");
}

#[test]
fn a_doubt_is_told_and_refuses_nothing() {
    let doubtful = Profiles { rule: "region: eu-west-1", ..Profiles::default() }.yaml();
    let doubtful =
        doubtful.replace("{receiver}", "http://127.0.0.1:9").replace("^/profile$", "^/mockbin/profile$");
    let setup = Setup::new(RETROHOOK, doubtful.replace("{upstream}", "127.0.0.1:9"));
    let process = setup.start();
    let file = setup.data.path().join("retrohook.yaml");
    let checked = retrohook(&["check", file.to_str().expect("UTF-8")]);
    assert!(checked.status.success(), "{checked:?}");
    let told = String::from_utf8_lossy(&checked.stderr).into_owned();
    for words in ["matches only paths that repeat `/mockbin`", "`region` has no effect"] {
        for output in [&told, &process.output()] {
            let line = output.lines().find(|line| line.contains(words));
            let line = line.unwrap_or_else(|| panic!("{words} in:\n{output}"));
            assert!(line.starts_with("warning: ") && line.contains("retrohook.yaml:9:"), "{line}");
        }
    }
    assert!(String::from_utf8_lossy(&checked.stdout).starts_with("ok: "));
}

#[test]
fn check_refuses_what_run_cannot_compile() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("gateway.yaml");
    let route = |n: usize| format!("  - {{ paths: ['~/{n}/\\w{{150}}'] }}\n");
    let text = |routes: usize| {
        let routes: String = (0..routes).map(route).collect();
        format!(
            "_format_version: \"3.0\"\nservices:\n- name: s\n  url: http://localhost:1\n  routes:\n{routes}"
        )
    };
    std::fs::write(&file, text(1)).expect("it can be written");
    assert!(stdout(&["check", file.to_str().expect("UTF-8")]).starts_with("ok: "));
    std::fs::write(&file, text(12)).expect("it can be written");
    let done = retrohook(&["check", file.to_str().expect("UTF-8")]);
    let output = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{output}");
    assert!(output.contains("too large") && output.contains("hint: "), "{output}");
}

#[test]
fn a_filter_of_logs_that_is_not_understood_is_told() {
    let mut setup = Setup::new(RETROHOOK, "_format_version: \"3.0\"");
    setup.env.push(("RETROHOOK_LOG".into(), "delivery=loud".into()));
    let output = setup.start().output();
    assert!(output.contains("RETROHOOK_LOG is not understood"), "{output}");
}

#[test]
fn logs_are_json_where_that_is_asked_for() {
    let config = Profiles { subscription: "", ..Profiles::default() }.yaml();
    for (way, is_flag) in [("--log-format=json", true), ("json", false)] {
        let mut scene = Scene::prepare(RETROHOOK, &config);
        let file = scene.setup.data.path().join("log");
        // The log alone: standard error.
        let shell = format!("exec \"$0\" \"$@\" 2>'{}'", file.display());
        scene.setup.wrapper = vec!["sh".into(), "-c".into(), shell];
        if is_flag {
            scene.setup.flags.push(way.into());
        } else {
            scene.setup.env.push(("RETROHOOK_LOG_FORMAT".into(), way.into()));
        }
        scene.start_gateway();
        assert_eq!(scene.put("").expect("an answer").status, 200);
        scene.receiver.wait_for(1);
        scene.receiver.set(Mood::Answers(410));
        assert_eq!(scene.put("").expect("an answer").status, 200);
        let line = wait::until("the dead letter in the log", || {
            let log = std::fs::read_to_string(&file).expect("a log");
            log.lines().find(|line| line.contains("dead letter") && line.ends_with('}')).map(str::to_owned)
        });
        let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON object");
        assert_eq!((&line["level"], &line["fields"]["message"]), (&"WARN".into(), &"dead letter".into()));
        assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
        assert!(line["fields"]["position"].is_string(), "what it is about has a name of its own: {line}");
        assert!(scene.take_gateway().terminate().success());
        for line in std::fs::read_to_string(&file).expect("a log").lines() {
            let parsed = serde_json::from_str::<serde_json::Value>(line);
            assert!(parsed.is_ok_and(|line| line.is_object()), "no JSON: {line}");
        }
    }
}

/// Every line is one of the log's objects; those of this level.
#[track_caller]
fn objects(output: &str, level: &str) -> Vec<String> {
    let lines = output.lines().map(|line| {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        assert!(object["timestamp"].is_string() && object["target"].is_string(), "{line}");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        (text(&object["level"]), text(&object["fields"]["message"]))
    });
    let lines: Vec<_> = lines.collect();
    lines.into_iter().filter(|(found, _)| found == level).map(|(_, message)| message).collect()
}

#[test]
fn both_streams_are_json_from_the_first_line_to_the_last() {
    let subscription = "endpoint: \"https://hooks.example.com/x\"";
    let config = Profiles::default().yaml().replace(
        "protocol: http, endpoint: \"{receiver}\"",
        "protocol: https, endpoint: \"https://hooks.example.com/x\"",
    );
    let mut scene = Scene::prepare(RETROHOOK, &config.replace("confirm: skip", "confirm: required"));
    assert!(scene.setup.config.contains(subscription));
    scene.setup.flags.extend(["--log-format=json", "--admin-listen=0.0.0.0:0"].map(str::to_owned));
    scene.start_gateway();
    scene.reload("services: [");
    let mut gateway = scene.take_gateway();
    gateway.signal(rustix::process::Signal::TERM);
    assert!(gateway.wait().success());
    let output = gateway.output();
    let said = objects(&output, "INFO");
    for line in [concat!("retrohook ", env!("CARGO_PKG_VERSION")), "hub-public off", "stopped"] {
        assert!(said.iter().any(|said| said == line), "no {line} in {said:?}");
    }
    let warnings = objects(&output, "WARN");
    assert!(
        warnings.iter().any(|said| said.starts_with("--admin-listen") && said.contains("\n  hint: ")),
        "{warnings:?}"
    );
    assert!(
        warnings.iter().any(|said| said.contains("messages to https://hooks.example.com/x name")),
        "{warnings:?}"
    );
    let errors = objects(&output, "ERROR");
    assert!(errors.iter().any(|said| said.starts_with("not reloaded: ")), "{errors:?}");
    assert!(
        errors.iter().any(|said| said.contains("retrohook.yaml:1:") && said.contains("\n  hint: ")),
        "{errors:?}"
    );

    // What does not start says so, too; and what is not understood at all.
    for flags in [&["--hub-url=x"][..], &["--workers=x"], &["--no-such-flag"], &["-c", "/no/such/file"]] {
        let output = std::process::Command::new(RETROHOOK)
            .args(["run", "--log-format=json"])
            .args(flags)
            .output()
            .expect("it starts");
        assert!(!output.status.success());
        let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
        assert!(!objects(&text, "ERROR").is_empty(), "{flags:?}: {text}");
    }
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
        ("RETROHOOK_LEGACY_ADMIN_LISTEN", "127.0.0.1:0"),
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
fn a_signal_right_behind_the_start_is_not_missed() {
    let setup = Setup::new(RETROHOOK, "_format_version: \"3.0\"");
    for _ in 0..10 {
        assert_eq!(setup.start().terminate().code(), Some(0), "ready is ready for a drain, too");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let _open = scene.put_and_wait_for_upstream("?script=wait");
    let mut gateway = scene.take_gateway();
    gateway.signal(Signal::TERM);
    gateway.wait_until_it_says("stopping");
    let asked = Instant::now();
    gateway.signal(Signal::INT);
    let status = gateway.wait();
    assert!(asked.elapsed() < Duration::from_secs(10), "the drain may take 30 s, this may not");
    assert_eq!(status.code(), Some(130), "{}", gateway.output());
    scene.start_gateway();
    let event = scene.admin().wait_for_events(1).remove(0);
    assert_eq!(event["reason"], "gateway_restarted", "what was cut off is found by the next start");
    scene.gateway().wait_until_it_says("did not end in order");
}
