//! The metrics: by route and by cause, in both forms, and without a complaint of Prometheus's own lint.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use testkit::client;
use testkit::process::Setup;
use testkit::scene::{Profiles, Scene};
use testkit::{tools, wait};

use super::RETROHOOK;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn scrape(admin: SocketAddr, accept: &str) -> (String, String) {
    let headers = [("host", "localhost"), ("accept", accept)];
    let answer = client::send(admin, "GET", "/metrics", &headers, b"").expect("an answer");
    assert_eq!(answer.status, 200);
    (answer.header("content-type").unwrap_or_default().to_owned(), answer.text())
}

#[test]
fn answers_are_counted_by_service_route_and_status() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    for (method, target) in [
        ("GET", "/mockbin/x"),
        ("PUT", "/mockbin/profile"),
        ("GET", "/mockbin/x?status=404"),
        ("PUT", "/mockbin/profile?script=reset"),
        ("GET", "/elsewhere"),
        ("GET", "/elsewhere/again"),
    ] {
        scene.send(method, target).expect("an answer");
    }
    let admin = scene.admin();
    let series = |name: &str, service: &str, status: &str, le: &str| {
        format!(
            "retrohook_route_request{name}{{service=\"{service}\",route=\"{service}\",status=\"{status}\"{le}}}"
        )
    };
    for (name, service, status, value) in [
        ("s_total", "mockbin", "2xx", 2.0),
        ("s_total", "mockbin", "4xx", 1.0),
        ("s_total", "mockbin", "5xx", 1.0),
        ("s_total", "", "4xx", 2.0),
        ("_duration_seconds_count", "mockbin", "2xx", 2.0),
    ] {
        let series = series(name, service, status, "");
        assert_eq!(admin.metric(&series), Some(value), "{series} in:\n{}", admin.get("/metrics").text());
    }
    let all = r#"retrohook_route_request_duration_seconds_bucket{le="+Inf",service="mockbin",route="mockbin",status="2xx"}"#;
    assert_eq!(admin.metric(all), Some(2.0), "{}", admin.get("/metrics").text());
    for (cause, value) in [("no_route", 2.0), ("bad_gateway", 1.0), ("gateway_timeout", 0.0), ("plugin", 0.0)]
    {
        assert_eq!(admin.metric(&format!("retrohook_own_answers_total{{cause=\"{cause}\"}}")), Some(value));
    }
    assert_eq!(admin.metric(r#"retrohook_requests_total{status="4xx"}"#), Some(3.0), "all of them together");
}

#[test]
fn a_route_keeps_its_counts_over_reloads_and_a_new_one_begins_at_nothing() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let requests = |route: &str| {
        let series = format!("service=\"mockbin\",route=\"{route}\",status=\"2xx\"");
        scene.admin().metric(&format!("retrohook_route_requests_total{{{series}}}"))
    };
    scene.send("GET", "/mockbin/x").expect("an answer");
    let another = "routes: [{ name: another, paths: [/mockbin/another], strip_path: false }, ";
    let told = scene.reload(&scene.setup.config.replacen("routes: [", another, 1));
    assert!(told.contains("reloaded: "), "{told}");
    scene.send("GET", "/mockbin/x").expect("an answer");
    scene.send("GET", "/mockbin/another").expect("an answer");
    assert_eq!((requests("mockbin"), requests("another")), (Some(2.0), Some(1.0)));
}

#[test]
fn the_form_is_the_one_that_is_asked_for() {
    let node = Setup::new(RETROHOOK, "_format_version: \"3.0\"").start();
    let admin = node.address("admin");
    let (kind, text) = scrape(admin, OPEN_METRICS);
    assert_eq!(kind, OPEN_METRICS);
    assert!(text.ends_with("# EOF\n") && text.contains("# TYPE retrohook_connections counter\n"), "{text}");
    for accept in ["*/*", "text/plain", "application/openmetrics-text;q=0.1, text/plain"] {
        let (kind, text) = scrape(admin, accept);
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"), "{text}");
        assert!(text.contains("# TYPE retrohook_connections_total counter\n"), "{text}");
    }
}

#[test]
fn promtool_has_no_complaint() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    scene.put("").expect("an answer");
    scene.send("GET", "/elsewhere").expect("an answer");
    scene.told(1);
    wait::until("the delivery to be counted", || {
        scene.admin().metric(r#"retrohook_deliveries_total{subscription="1",end="delivered"}"#)
    });
    let (_, text) = scrape(scene.gateway().address("admin"), "text/plain");
    let mut lint = Command::new(tools::find("PROMTOOL", "promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    lint.stdin.take().expect("an input").write_all(text.as_bytes()).expect("it reads");
    let said = lint.wait_with_output().expect("it ends");
    let complaints = [said.stdout, said.stderr].concat();
    assert!(said.status.success() && complaints.is_empty(), "{}", String::from_utf8_lossy(&complaints));
}
