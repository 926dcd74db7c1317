//! Paths that can be read in more than one way: where they are routed, which rules they match, and which key their events have.

use serde_json::Value;
use testkit::client;
use testkit::process::{Process, Setup};
use testkit::upstream::Upstream;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

struct Scene {
    upstream: Upstream,
    gateway: Process,
    /// Has its data.
    _setup: Setup,
}

impl Scene {
    fn start(rule: &str, flags: &[&str]) -> Self {
        let upstream = Upstream::start();
        let config = format!(
            r#"_format_version: "3.0"
services:
- name: pages
  url: http://{upstream}/base
  routes:
  - {{ name: all, paths: [/], strip_path: false }}
  - {{ name: public, paths: [/public], strip_path: false }}
  - name: mockbin
    paths: [/mockbin]
    strip_path: true
    plugins: [{{ name: publish-sns, config: {{ topic_arn: changes, {rule} }} }}]
topics:
- name: changes
"#,
            upstream = upstream.address()
        );
        let mut setup = Setup::new(RETROHOOK, config);
        setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Self { upstream, gateway: setup.start(), _setup: setup }
    }

    #[track_caller]
    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        client::send(self.gateway.proxy(), method, target, headers, b"{}").expect("an answer").status
    }

    /// The keys of all events, once no intent is open.
    #[track_caller]
    fn keys(&self) -> Vec<String> {
        let settled = || (self.gateway.admin().open_intents() == 0).then(|| self.gateway.admin().events());
        let events = testkit::wait::until("all intents to be settled", settled);
        events.iter().map(|event| event["key"].as_str().expect("a key").to_owned()).collect()
    }

    #[track_caller]
    fn last_event(&self) -> Value {
        self.gateway.admin().events().pop().expect("an event")
    }
}

const PROFILES: &str = r#"routes: [{ method: PUT, matcher: "^/profile/([^/]+)$" }]"#;

#[test]
fn two_spellings_of_a_path_have_one_key() {
    let scene = Scene::start(PROFILES, &[]);
    let spellings = [
        "/mockbin/profile/2",
        "/mockbin/profile%2F2",
        "/mockbin/profile%2f2",
        "/mockbin/profile%5c2",
        "/mockbin/profile\\2",
        "/mockbin/x/..%2fprofile%2F2",
        "/mockbin/%70rofile//./2",
        "/mockbin%2fprofile/2",
        "/mockbin/profile;a=b/2;c",
        "/mockbin/profile%252f2",
        "/mockbin/profile/2/",
    ];
    for target in spellings {
        assert_eq!(scene.send("PUT", target, &[]), 200, "{target}");
    }
    assert_eq!(scene.keys(), vec!["pages/profile/2"; spellings.len()]);
    // What is forwarded is the path as it stands.
    assert_eq!(scene.upstream.executed()[1].target, "/base/profile%2F2");
    let event = scene.last_event();
    assert_eq!(event["request"]["service_path"], "/profile/2");
    assert_eq!(event["request"]["uri"], "/mockbin/profile/2/");
}

#[test]
fn groups_come_from_the_reading_that_matches() {
    let scene = Scene::start(&format!("{PROFILES}, key: \"p-{{1}}\""), &[]);
    for (target, key) in [
        ("/mockbin/profile/a%2Fb", Some("p-a%2Fb")),
        ("/mockbin/profile%2Fa%2Fb", None),
        ("/mockbin/profile/AbC/", Some("p-AbC")),
        ("/mockbin/profile/a%20b", Some("p-a%20b")),
        ("/mockbin/profile/x%2f..%2fy", Some("p-y")),
    ] {
        let before = scene.keys().len();
        assert_eq!(scene.send("PUT", target, &[]), 200, "{target}");
        assert_eq!(scene.keys()[before..], key.into_iter().collect::<Vec<_>>(), "{target}");
    }
}

#[test]
fn readings_that_lead_to_different_routes_are_refused() {
    let scene = Scene::start(PROFILES, &[]);
    let crossing = [
        "/public/..%2fmockbin/profile/2",
        "/public/..%2Fprofiles/42",
        "/public%2f..%2fmockbin",
        "/public/..%5cmockbin/profile/2",
        "/public/..\\mockbin/profile/2",
        "/public/..;/mockbin/profile/2",
        "/mockbin/..%2fpublic",
        "/mockbin/%2e%2e%2fpublic",
        "/x/%2e%2e%2fmockbin/profile/2",
    ];
    for target in crossing {
        assert_eq!(scene.send("PUT", target, &[]), 400, "{target}");
    }
    assert!(scene.upstream.executed().is_empty());
    for target in ["/public/x%2fy", "/public/x/..%2fy", "/x%2fy", "/%2e%2e/x", "/@scope%2fname"] {
        assert_eq!(scene.send("PUT", target, &[]), 200, "{target}");
    }
    assert_eq!(scene.send("PUT", "/mockbin/profile/2%00", &[]), 400, "an end within the path");
}

#[test]
fn a_node_may_refuse_paths_with_several_readings() {
    let scene = Scene::start(PROFILES, &["--ambiguous-paths=refuse"]);
    for target in ["/mockbin/profile%2f2", "/@scope%2fname", "/a\\b", "/a%5Cb", "/x/..;/y", "/caf\u{e9}"] {
        assert_eq!(scene.send("PUT", target, &[]), 400, "{target}");
    }
    for target in ["/mockbin/profile/2", "/caf%C3%A9", "/a%20b", "/a;b=c", "/x/%2e%2e/y", "/a%252fb", "//a"] {
        assert_eq!(scene.send("PUT", target, &[]), 200, "{target}");
    }
    assert_eq!(scene.keys(), ["pages/profile/2"]);
}

#[test]
fn every_match_on_is_asked_of_every_reading() {
    for (match_on, matcher) in [
        ("service_path", "^/profile/2$"),
        ("request_path", "^/mockbin/profile/2$"),
        ("request_uri", r"^/mockbin/profile/2(\\?|$)"),
    ] {
        let rule = format!(r#"match_on: {match_on}, routes: [{{ method: PUT, matcher: "{matcher}" }}]"#);
        let scene = Scene::start(&rule, &[]);
        let spellings = [
            "/mockbin/profile%2F2",
            "/mockbin/profile%2F2?a=b%2Fc",
            "/mockbin//profile/./2",
            "/mockbin/%70rofile/2",
            "/mockbin/profile/2/",
            "http://other.example/mockbin/profile%2f2",
            "/mockbin/profile/2#fragment",
        ];
        for target in spellings {
            assert_eq!(scene.send("PUT", target, &[]), 200, "{target}");
        }
        assert_eq!(scene.keys().len(), spellings.len(), "{match_on}");
    }
    let raw = r#"match_on: request_uri, routes: [{ method: PUT, matcher: "^/mockbin//%70" }]"#;
    let scene = Scene::start(raw, &[]);
    assert_eq!(scene.send("PUT", "/mockbin//%70rofile", &[]), 200);
    assert_eq!(scene.keys(), ["pages/profile"], "the target as the client sent it is asked, too");
}

#[test]
fn a_post_that_stands_for_a_put_matches_as_one() {
    let scene = Scene::start(PROFILES, &[]);
    for (method, target, headers, events) in [
        ("POST", "/mockbin/profile/2", &[("X-HTTP-Method-Override", "PUT")][..], 1),
        ("POST", "/mockbin/profile/2", &[("X-HTTP-Method", "put")], 2),
        ("POST", "/mockbin/profile/2", &[("X-Method-Override", "DELETE"), ("X-Method-Override", "PUT")], 3),
        ("POST", "/mockbin/profile/2?a=b&_method=PUT", &[], 4),
        ("POST", "/mockbin/profile/2?a=b&%5Fmethod=%50ut", &[], 5),
        ("POST", "/mockbin/profile/2", &[], 5),
        ("GET", "/mockbin/profile/2", &[("X-HTTP-Method-Override", "PUT")], 5),
        ("POST", "/mockbin/profile/2", &[("X-HTTP-Method-Override", "P\u{e4}T")], 5),
    ] {
        assert_eq!(scene.send(method, target, headers), 200, "{method} {target} {headers:?}");
        assert_eq!(scene.keys().len(), events, "{method} {target} {headers:?}");
    }
    assert_eq!(scene.last_event()["request"]["method"], "POST", "the method is the one that was sent");
}
