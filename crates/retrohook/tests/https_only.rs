//! Routes that take only https, on a listener without TLS: what clients are answered, and whose word is taken for TLS that ended before.

use testkit::client::{self, Answer};
use testkit::scene::{Profiles, Scene};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// The usual arrangement, with these keys on its route.
fn prepare(route: &str) -> Scene {
    let yaml =
        Profiles::default().yaml().replace("paths: [/mockbin]", &format!("paths: [/mockbin], {route}"));
    assert!(yaml.contains(route), "{yaml}");
    Scene::prepare(RETROHOOK, &yaml)
}

fn start(route: &str, flags: &[&str]) -> Scene {
    let mut scene = prepare(route);
    scene.setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    scene.start_gateway();
    scene
}

#[track_caller]
fn put(scene: &Scene, headers: &[(&str, &str)]) -> Answer {
    let target = "/mockbin/profile?a=1";
    client::send(scene.gateway().proxy(), "PUT", target, headers, b"{}").expect("an answer")
}

const OVER_TLS: [(&str, &str); 2] = [("host", "a.example.com:8000"), ("x-forwarded-proto", "https")];

#[test]
fn plain_http_is_answered_with_426_and_nothing_of_it_is_forwarded() {
    let scene = start("protocols: [https]", &[]);
    // Nobody is trusted: whoever says so may have sent it without TLS.
    for headers in [&OVER_TLS[..1], &OVER_TLS] {
        let answer = put(&scene, headers);
        assert_eq!((answer.status, answer.header("connection")), (426, Some("Upgrade")));
        assert_eq!(answer.header("upgrade"), Some("TLS/1.2, HTTP/1.1"));
        assert_eq!(answer.json()["message"], "Please use HTTPS protocol");
    }
    assert_eq!(scene.upstream.executed().len(), 0);
    assert_eq!(scene.admin().events().len(), 0);
}

#[test]
fn plain_http_is_sent_to_the_same_url_over_https() {
    for status in [301, 302, 307, 308] {
        let scene = start(&format!("protocols: [https], https_redirect_status_code: {status}"), &[]);
        let answer = put(&scene, &OVER_TLS);
        assert_eq!((answer.status, answer.text().as_str()), (status, ""));
        assert_eq!(answer.header("location"), Some("https://a.example.com/mockbin/profile?a=1"));
        assert_eq!(scene.upstream.executed().len(), 0);
    }
}

#[test]
fn tls_that_ended_at_a_trusted_peer_is_as_good() {
    let scene = start("protocols: [https]", &["--trusted-ips=192.0.2.0/24,127.0.0.0/8"]);
    assert_eq!(put(&scene, &OVER_TLS[..1]).status, 426, "it says nothing of TLS");
    assert_eq!(put(&scene, &[("x-forwarded-proto", "http")]).status, 426);
    assert_eq!(put(&scene, &OVER_TLS).status, 200);
    assert_eq!(
        scene.upstream.executed()[0].header("x-forwarded-proto"),
        Some("https"),
        "and the service hears of it"
    );
    scene.told(1);
}

#[test]
fn both_protocols_forward_whatever_comes_and_nobody_elses_word_is_passed_on() {
    let scene =
        start("protocols: [http, https], https_redirect_status_code: 301", &["--trusted-ips=192.0.2.1"]);
    assert_eq!(put(&scene, &OVER_TLS).status, 200);
    assert_eq!(scene.upstream.executed()[0].header("x-forwarded-proto"), Some("http"));
    scene.told(1);
}

#[test]
fn a_network_that_is_none_is_refused_at_the_start() {
    let mut scene = prepare("protocols: [https]");
    scene.setup.flags.push("--trusted-ips=10.0.0.1/8".to_owned());
    let mut gateway = scene.setup.start_without_waiting();
    assert!(!gateway.wait().success());
    let output = gateway.output();
    assert!(
        output.contains("--trusted-ips") && output.contains("has address bits after its prefix"),
        "{output}"
    );
}
