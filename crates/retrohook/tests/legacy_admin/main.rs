//! Kong's 0.x Admin API, over its own listener: kongfig's recorded requests, what they make, and every refusal in 0.x's words.

mod consumers;
mod kongfig;
mod leftovers;
mod lists;
mod refusals;
mod serving;

use std::net::SocketAddr;

use serde_json::{Value, json};
use testkit::aws;
use testkit::client::{self, Answer};
use testkit::scene::Scene;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// A gateway without files, of the account and region that the recorded ARNs have.
fn prepared() -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, "");
    scene.setup.without_files = true;
    scene.setup.flags.extend(["--region=eu-west-1", "--account-id=123456789012"].map(str::to_owned));
    scene
}

fn scene() -> Scene {
    let mut scene = prepared();
    scene.start_gateway();
    scene
}

fn address(scene: &Scene) -> SocketAddr {
    scene.gateway().address("legacy-admin")
}

/// Asks the API, with a Host of its own.
#[track_caller]
fn ask(scene: &Scene, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let headers = [&[("host", "localhost:8011")], headers].concat();
    client::send(address(scene), method, target, &headers, body).expect("an answer")
}

#[track_caller]
fn get(scene: &Scene, target: &str) -> Value {
    let answer = ask(scene, "GET", target, &[], b"");
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    answer.json()
}

/// Sends JSON; the answer's status and body, null if it has none.
#[track_caller]
fn send(scene: &Scene, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = ask(scene, method, target, &[JSON], body.as_bytes());
    (answer.status, if answer.body.is_empty() { Value::Null } else { answer.json() })
}

/// Sends JSON that is taken.
#[track_caller]
fn make(scene: &Scene, target: &str, body: &Value) -> Value {
    let (status, answer) = send(scene, "POST", target, body);
    assert_eq!(status, 201, "{target} {body}: {answer}");
    answer
}

/// An api that leads to the scene's upstream, at these uris.
fn api(scene: &Scene, name: &str, uri: &str) -> Value {
    json!({ "name": name, "upstream_url": format!("http://{}", scene.upstream.address()), "uris": [uri] })
}

/// A rule that publishes each PUT of a path to the topic.
fn rule(topic: &str, matcher: &str) -> Value {
    json!({ "name": "publish-sns", "config": { "topic_arn": topic, "routes": [{ "method": "PUT", "matcher": matcher }] } })
}

/// Has SNS make a topic.
#[track_caller]
fn make_topic(scene: &Scene, name: &str) {
    let hub = scene.gateway().address("hub");
    let answer = aws::query(hub, aws::SNS, "CreateTopic", &[("Name", name)], &[]).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The generation that is served: every change that is stored makes another one.
#[track_caller]
fn generation(scene: &Scene) -> u64 {
    let (_, status) = scene.admin().status();
    status["retrohook"]["configuration"]["generation"].as_u64().expect("a number")
}
