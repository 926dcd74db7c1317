//! A service that names its own address sends its clients past the gateway: that is said, once, in the log, in the status and in a metric, and
//! `preserve_host` is the remedy; or the gateway says it in the client's terms (`rewrite_location`, `rewrite_cookies`). The services are Flask and Django.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value;
use testkit::client::{self, Answer};
use testkit::scene::Scene;
use testkit::{python, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// The headers in which a service tells a client where to go on.
const HEADERS: [&str; 4] = ["location", "content-location", "link", "refresh"];

/// A service of its own process; ended with the test.
struct Service {
    child: Child,
    address: SocketAddr,
}

impl Service {
    fn start(name: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/addresses.py");
        let mut child = python::command(&script).arg(name).stdout(Stdio::piped()).spawn().expect("python");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let port = line.trim().parse().expect("a port");
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It serves until it is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a route of the service has besides its path.
fn config(service: &Service, route: &str) -> String {
    format!(
        r#"_format_version: "3.0"
services:
- name: profiles
  url: http://{}
  routes: [{{ name: profiles, paths: [/profiles, /login, /cookie], strip_path: false, {route} }}]
  plugins:
  - name: publish-sns
    config: {{ topic_arn: changes, routes: [{{ method: PUT, matcher: ^/profiles/ }}], statuses: [200, 303] }}
topics:
- name: changes
  subscriptions: [{{ protocol: http, endpoint: "{{receiver}}", raw_message_delivery: true, confirm: skip }}]
"#,
        service.address
    )
}

/// The arrangement, with a log of JSON.
fn scene(service: &Service, route: &str) -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, &config(service, route));
    scene.setup.flags.push("--log-format=json".into());
    scene.start_gateway();
    scene
}

/// The fields of the log's lines that say it.
fn lines(scene: &Scene) -> Vec<Value> {
    let output = scene.gateway().output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let fields = lines.map(|line| line["fields"].clone());
    let said = |fields: &Value| {
        fields["message"].as_str().is_some_and(|text| text.contains("names its own address"))
    };
    fields.filter(said).collect()
}

/// What the status says of the service, if it does.
fn cause(scene: &Scene) -> Option<String> {
    let status = scene.admin().status().1;
    let degraded = status["retrohook"]["degraded"].as_array().expect("a list").clone();
    let of_service = degraded.into_iter().find(|part| part["part"] == "service profiles");
    of_service.map(|part| part["cause"].as_str().expect("a text").to_owned())
}

fn counted(scene: &Scene, header: &str) -> Option<f64> {
    let labels = format!("{{service=\"profiles\",header=\"{header}\"}}");
    scene.admin().metric(&format!("retrohook_own_address_answers_total{labels}"))
}

/// Asks for this target with this Host.
#[track_caller]
fn ask(scene: &Scene, target: &str, host: &str) -> Answer {
    let answer = client::send(scene.gateway().proxy(), "PUT", target, &[("host", host)], b"");
    answer.expect("an answer")
}

#[test]
fn a_service_that_names_its_own_address_is_named_once_with_the_remedy_that_helps() {
    for name in ["flask", "django"] {
        let service = Service::start(name);
        let own = service.address.to_string();
        let mut scene = scene(&service, "");
        let public = scene.gateway().proxy().to_string();
        for (count, header) in HEADERS.into_iter().enumerate() {
            let answer = ask(&scene, &format!("/profiles/1?in={header}"), &public);
            let named = answer.header(header).expect("it is there");
            assert!(named.contains(&format!("http://{own}/profiles/next")), "{name}, {header}: {named}");
            assert_eq!(counted(&scene, header), Some(1.0), "{name}, {header}");
            let cause = cause(&scene).expect("the service is named");
            assert!(cause.contains(&own) && cause.contains(&format!("`{header}`")), "{cause}");
            assert!(cause.contains("`preserve_host: true`"), "{cause}");
            let said = wait::until("a line", || Some(lines(&scene)).filter(|lines| !lines.is_empty()));
            assert_eq!(said.len(), 1, "{name}: after {count} more it is said once");
            assert_eq!((&said[0]["service"], &said[0]["header"]), (&"profiles".into(), &"location".into()));
            assert_eq!((&said[0]["address"], &said[0]["times"]), (&own.as_str().into(), &1.into()));
            assert!(said[0]["hint"].as_str().is_some_and(|hint| hint.contains("`preserve_host: true`")));
        }
        assert!(scene.told(4).iter().all(|told| told.outcome() == "succeeded"));

        // The remedy.
        let mut remedied = Scene::prepare(RETROHOOK, &config(&service, "preserve_host: true"));
        remedied.setup.flags.push("--log-format=json".into());
        remedied.start_gateway();
        scene = remedied;
        let public = scene.gateway().proxy().to_string();
        for header in HEADERS {
            let answer = ask(&scene, &format!("/profiles/1?in={header}"), &public);
            let named = answer.header(header).expect("it is there");
            assert!(named.contains(&format!("http://{public}/profiles/next")), "{name}, {header}: {named}");
        }
        assert_eq!((cause(&scene), lines(&scene).len()), (None, 0), "{name}");
        assert!(HEADERS.iter().all(|header| counted(&scene, header).is_none()), "{name}");
    }
}

#[test]
fn a_service_that_gets_its_clients_host_and_names_another_one_has_another_remedy() {
    let service = Service::start("flask");
    let scene = scene(&service, "preserve_host: true");
    ask(&scene, "/profiles/1?in=link&own=1", "public.example.com");
    let said = wait::until("a line", || lines(&scene).into_iter().next());
    let hint = said["hint"].as_str().expect("a hint");
    assert!(hint.contains("in its own settings") && !hint.contains("`preserve_host: true`"), "{hint}");
    assert!(cause(&scene).is_some_and(|cause| cause.contains("in its own settings")));
}

#[test]
fn nothing_is_said_of_paths_of_other_hosts_or_to_clients_that_ask_for_the_service_itself() {
    let service = Service::start("flask");
    let scene = scene(&service, "");
    let own = service.address.to_string();
    for (target, host) in [
        ("/profiles/1?in=location", own.as_str()),
        ("/profiles/1?in=link", own.as_str()),
        // Its port is another one.
        ("/profiles/1", "127.0.0.1"),
    ] {
        assert!(ask(&scene, target, host).status < 400, "{target}");
    }
    let answer = client::send(scene.gateway().proxy(), "GET", "/login", &[], b"").expect("an answer");
    assert_eq!(answer.header("location"), Some("/profiles/next"));
    assert!(HEADERS.iter().all(|header| counted(&scene, header).is_none()));
    assert_eq!((cause(&scene), lines(&scene).len()), (None, 0));
}

/// The service below `/shop`, which it does not know of.
fn shop(service: &Service, base: &str, route: &str) -> Scene {
    let config = config(service, route)
        .replace("paths: [/profiles, /login, /cookie], strip_path: false", "paths: [/shop]");
    let url = format!("url: http://{}", service.address);
    let matcher = if base.is_empty() { "^/profiles/" } else { "^/" };
    let config = config.replace(&url, &format!("{url}{base}")).replace("^/profiles/", matcher);
    let mut scene = Scene::prepare(RETROHOOK, &config);
    scene.setup.flags.push("--log-format=json".into());
    scene.start_gateway();
    scene
}

#[test]
fn a_service_below_a_prefix_sends_its_clients_there_and_events_come_of_what_they_do() {
    for name in ["flask", "django"] {
        let service = Service::start(name);
        for (base, asked, next) in
            [("", "/shop/profiles", "/shop/profiles/next"), ("/profiles", "/shop", "/shop/next")]
        {
            for keeps in ["", "preserve_host: true, "] {
                let scene = shop(&service, base, &format!("{keeps}rewrite_location: true"));
                let public = scene.gateway().proxy().to_string();
                for header in HEADERS {
                    let answer = ask(&scene, &format!("{asked}/1?in={header}"), &public);
                    let named = answer.header(header).expect("it is there");
                    let expected = format!("http://{public}{next}");
                    assert!(named.contains(&expected), "{name}{base} {keeps}{header}: {named}");
                    assert!(!named.contains(&format!("{}/", service.address)), "{named}");
                    let followed = client::get(&expected).expect("it leads to the gateway");
                    assert_eq!((followed.status, followed.text().as_str()), (200, "next"), "{name}{base}");
                }
                assert_eq!(ask(&scene, next, &public).status, 200);
                assert_eq!((cause(&scene), lines(&scene).len()), (None, 0), "{name}{base} {keeps}");
                assert_eq!(scene.told(5).len(), 5, "one of each request");
            }
        }
        // By its path alone.
        let scene = shop(&service, "", "rewrite_location: true");
        let login = |scene: &Scene| client::send(scene.gateway().proxy(), "GET", "/shop/login", &[], b"");
        assert_eq!(
            login(&scene).expect("an answer").header("location"),
            Some("/shop/profiles/next"),
            "{name}"
        );
        let scene = shop(&service, "", "");
        assert_eq!(
            login(&scene).expect("an answer").header("location"),
            Some("/profiles/next"),
            "only if asked"
        );
    }
}

#[test]
fn a_cookie_of_a_service_below_a_prefix_comes_back_to_it_and_to_no_other() {
    for name in ["flask", "django"] {
        let service = Service::start(name);
        for (route, session, plain) in [
            ("", "Domain=127.0.0.1; HttpOnly; Path=/", "Path=/profiles"),
            ("rewrite_cookies: true", "HttpOnly; Path=/shop", "Path=/shop/profiles"),
        ] {
            let scene = shop(&service, "", route);
            let answer = ask(&scene, "/shop/cookie", "api.example.com:8000");
            let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
            let cookies: Vec<_> = cookies.map(|(_, value)| value.as_str()).collect();
            let attributes = |cookie: &str| {
                let mut parts: Vec<_> = cookie.split("; ").skip(1).map(str::to_owned).collect();
                parts.sort();
                parts.join("; ")
            };
            let of = |name: &str| {
                cookies.iter().find(|cookie| cookie.starts_with(name)).map(|one| attributes(one))
            };
            assert_eq!(of("session=1").as_deref(), Some(session), "{name} {route}: {cookies:?}");
            assert_eq!(of("plain=2").as_deref(), Some(plain), "{name} {route}: {cookies:?}");
        }
    }
}
