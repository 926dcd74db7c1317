//! Changes of the configuration that fail half-way, in each of the ways in which one is made: by SIGHUP, `POST /config`, the 0.x Admin API and SNS's
//! Subscribe. The old configuration or the new one is served, and no mixture of them.

mod full;
mod killed;

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::aws;
use testkit::client::{self, Answer};
use testkit::scene::{Profiles, Scene};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A configuration with so many subscriptions of a topic to which nothing is published: more of them than one commit takes.
fn with_subscriptions(config: &str, count: usize) -> String {
    let one = |number| {
        format!(
            "  - {{ name: idle-{number}, protocol: http, endpoint: \"http://127.0.0.1:9/idle/{number}\", confirm: skip }}\n"
        )
    };
    let all: String = (0..count).map(one).collect();
    format!("{config}- name: idle\n  subscriptions:\n{all}")
}

/// How many subscriptions of that topic the node has.
#[track_caller]
fn idle(scene: &Scene) -> usize {
    let (mut count, mut after) = (0, 0);
    loop {
        let page = scene.admin().get(&format!("/retrohook/subscriptions?topic=idle&limit=500&after={after}"));
        let page = page.json();
        let list = page["subscriptions"].as_array().expect("a list");
        count += list.iter().filter(|one| one["state"] != "removed").count();
        match page["next_after"].as_i64() {
            Some(next) => after = next,
            None => return count,
        }
    }
}

/// Makes the rule's route one that the usual request does not find.
fn without_the_route(config: &str) -> String {
    config.replace("paths: [/mockbin]", "paths: [/elsewhere]")
}

/// Whether the usual request finds its route.
#[track_caller]
fn finds_the_route(scene: &Scene) -> bool {
    match scene.send("GET", "/mockbin/x").expect("an answer").status {
        200 => true,
        404 => false,
        other => panic!("answered with {other}"),
    }
}

/// A way in which a configuration is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Signal,
    Post,
    LegacyAdmin,
    Subscribe,
}

const WAYS: [Way; 4] = [Way::Signal, Way::Post, Way::LegacyAdmin, Way::Subscribe];

impl Way {
    /// Asks for the change and does not wait for what becomes of it.
    fn ask(self, scene: &Scene) {
        let process = scene.gateway();
        match self {
            Self::Signal => {
                let changed = without_the_route(&scene.setup.config);
                std::fs::write(scene.setup.config_file(), changed).expect("the file can be written");
                process.signal(Signal::HUP);
            }
            Self::Post => {
                let (admin, changed) = (process.address("admin"), without_the_route(&scene.setup.config));
                std::thread::spawn(move || post(admin, &changed));
            }
            Self::LegacyAdmin => {
                let (admin, upstream) = (process.address("legacy-admin"), scene.upstream.address());
                std::thread::spawn(move || make_api(admin, "made", upstream));
            }
            Self::Subscribe => {
                let hub = process.address("hub");
                std::thread::spawn(move || subscribe(hub, "made"));
            }
        }
    }

    /// Whether the change is served.
    #[track_caller]
    fn is_made(self, scene: &Scene) -> bool {
        match self {
            Self::Signal | Self::Post => !finds_the_route(scene),
            Self::LegacyAdmin => {
                let status = scene.send("GET", "/made/x").expect("an answer").status;
                assert!(matches!(status, 200 | 404), "{status}");
                status == 200
            }
            Self::Subscribe => {
                let list = scene.admin().get("/retrohook/subscriptions?topic=profile-changes").json();
                let all = list["subscriptions"].as_array().expect("a list").clone();
                all.iter().any(|one| one["endpoint"].as_str().is_some_and(|url| url.ends_with("/made")))
            }
        }
    }
}

fn post(admin: SocketAddr, config: &str) -> std::io::Result<Answer> {
    let headers = [("host", "localhost"), ("content-type", "text/yaml")];
    client::send(admin, "POST", "/config", &headers, config.as_bytes())
}

fn make_api(admin: SocketAddr, name: &str, upstream: SocketAddr) -> std::io::Result<Answer> {
    let api =
        json!({ "name": name, "uris": format!("/{name}"), "upstream_url": format!("http://{upstream}") });
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    client::send(admin, "POST", "/apis", &headers, api.to_string().as_bytes())
}

fn subscribe(hub: SocketAddr, path: &str) -> std::io::Result<Answer> {
    let topic = "arn:aws:sns:us-east-1:000000000000:profile-changes";
    let endpoint = format!("http://127.0.0.1:9/{path}");
    let parameters = [("TopicArn", topic), ("Protocol", "http"), ("Endpoint", endpoint.as_str())];
    aws::query(hub, aws::SNS, "Subscribe", &parameters, &[])
}

fn prepared() -> Scene {
    Scene::prepare(RETROHOOK, &Profiles::default().yaml())
}

/// Waits until a point is reached at which the process stops.
#[track_caller]
fn wait_for_the_point(scene: &Scene) {
    scene.gateway().wait_until_it_says("failpoint reached");
}

/// What `/status` names as not being as it should be.
#[track_caller]
fn degraded(scene: &Scene) -> Value {
    scene.admin().status().1["retrohook"]["degraded"].clone()
}
