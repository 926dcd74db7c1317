//! Files as people have them, through the binary: variables, plug-ins that are not served, routes that lead nowhere.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use testkit::client;
use testkit::process::Setup;
use testkit::upstream::Upstream;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A service behind a variable, with a route for each plug-in that is not served.
const FILE: &str = r#"_format_version: 2.1
services:
- name: profiles
  url: http://$PROFILES_HOST:$PROFILES_PORT
  protocol: ws
  routes:
  - { name: free, paths: [/free], plugins: [{ name: cors }] }
  - { name: limited, paths: [/limited], plugins: [{ name: ip-restriction, config: { allow: [10.0.0.1] } }] }
  - { name: unknown, paths: [/unknown], plugins: [{ name: our-own-auth }] }
  - { name: "off", paths: [/off], plugins: [{ name: our-own-auth, enabled: false }] }
  - { name: regex, paths: ["/items/[0-9]+$"], strip_path: false }
routes:
- { name: nowhere, paths: [/nowhere] }
"#;

fn setup(upstream: &Upstream, flags: &[&str]) -> Setup {
    let mut setup = Setup::new(RETROHOOK, FILE);
    let address = upstream.address();
    setup.env.push(("PROFILES_HOST".into(), address.ip().to_string()));
    setup.env.push(("PROFILES_PORT".into(), address.port().to_string()));
    setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    setup
}

/// What a start that must be refused says.
fn refused(setup: &Setup) -> String {
    let mut gateway = setup.start_without_waiting();
    assert!(!gateway.wait().success(), "{}", gateway.output());
    gateway.output()
}

/// What `check` says of a file that comes on the standard input.
fn check(words: &[&str], file: &str) -> Output {
    let mut command = Command::new(RETROHOOK);
    command.arg("check").args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.take().expect("its input").write_all(file.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn what_may_protect_closes_its_routes_and_what_cannot_is_left_out() {
    let upstream = Upstream::start();
    let gateway = setup(&upstream, &["--skip-unsupported"]).start();
    let send = |path: &str| client::send(gateway.proxy(), "GET", path, &[], b"").expect("an answer");
    for (path, plugin) in [("/limited", "ip-restriction"), ("/unknown/x", "our-own-auth")] {
        let answer = send(path);
        let message = format!("closed: the plug-in {plugin} is not served");
        assert_eq!(
            (answer.status, answer.json()["message"].as_str()),
            (503, Some(message.as_str())),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(answer.json()["request_id"].as_str().map(str::len), Some(32));
    }
    let text = client::send(gateway.proxy(), "GET", "/limited", &[("accept", "text/plain")], b"")
        .expect("an answer");
    assert_eq!((text.status, text.header("content-type")), (503, Some("text/plain; charset=utf-8")));
    assert!(text.text().starts_with("closed: the plug-in ip-restriction is not served\n"), "{}", text.text());
    assert_eq!(upstream.executed().len(), 0, "no closed route leads to the service");
    for path in ["/free", "/off", "/items/42"] {
        assert_eq!(send(path).status, 200, "{path}");
    }
    assert_eq!(send("/items/x").status, 404, "a path of format 2.1 is a regular expression");
    let nowhere = send("/nowhere");
    let message = "no Service found with those values";
    assert_eq!((nowhere.status, nowhere.json()["message"].as_str()), (503, Some(message)));
    assert_eq!(upstream.executed().len(), 3);
    gateway.wait_until_it_says("the plug-in `cors` is not served; it is left out");
    let output = gateway.output();
    assert_eq!(output.matches("its routes answer 503").count(), 2, "{output}");
}

#[test]
fn one_is_opened_by_its_name_and_all_others_are_refused() {
    let upstream = Upstream::start();
    let refused = refused(&setup(&upstream, &["--skip-plugin=our-own-auth"]));
    assert!(
        refused.contains("`ip-restriction` is a plug-in of Kong's that Retrohook does not have yet"),
        "{refused}"
    );
    assert!(!refused.contains("no plug-in `our-own-auth`"), "{refused}");
    let flags = ["--skip-plugin=our-own-auth", "--skip-plugin=ip-restriction", "--skip-unsupported"];
    let gateway = setup(&upstream, &flags).start();
    for path in ["/limited", "/unknown", "/free"] {
        let answer = client::send(gateway.proxy(), "GET", path, &[], b"").expect("an answer");
        assert_eq!(answer.status, 200, "{path}");
    }
    let warned = "the plug-in `our-own-auth` is not served; it is left out because --skip-plugin names it";
    gateway.wait_until_it_says(warned);
}

#[test]
fn a_variable_that_is_not_set_ends_a_start_and_is_a_warning_of_check() {
    let upstream = Upstream::start();
    let mut setup = setup(&upstream, &["--skip-unsupported"]);
    setup.env.clear();
    let refused = refused(&setup);
    let said = "the environment variable PROFILES_HOST is not set";
    assert!(refused.contains(said), "{refused}");
    for (words, code) in [
        (&["-", "--skip-unsupported"][..], 0),
        (&["-c", "-", "--skip-unsupported"], 0),
        (&["-", "--skip-unsupported", "--strict"], 1),
        (&["-"], 1),
    ] {
        let done = check(words, FILE);
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{words:?}: {stderr}");
        // Beside problems, too.
        assert!(stderr.contains(said), "{words:?}: {stderr}");
        assert!(stderr.contains("standard input:"), "{stderr}");
    }
}
