//! Deliveries to webhooks, from a request at the proxy to the endpoint: what arrives, who can verify it, and what happens when the
//! endpoint does not want it. The verifiers are independent libraries, in `tests/python`.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::python::{self, Said};
use testkit::scene::{Profiles, Scene};
use testkit::server::Request;
use testkit::wait;

mod damage;
mod failures;
mod https;
mod lifecycle;
mod many;
mod memory;
mod order;
mod pending;
mod sns;
mod standard_webhooks;

const PROGRAM: &str = env!("CARGO_BIN_EXE_retrohook");

/// The usual arrangement with this subscription.
#[track_caller]
fn scene(subscription: &str) -> Scene {
    Scene::start(PROGRAM, &Profiles { subscription, ..Profiles::default() }.yaml())
}

/// The usual arrangement with another subscription beside it.
fn with_another(subscription: &str, another: &str) -> String {
    let yaml = Profiles { subscription, ..Profiles::default() }.yaml();
    format!("{yaml}  - {{ {another} }}\n")
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/python", name].iter().collect()
}

/// A request as the scripts want it.
fn document(request: &Request) -> Value {
    let headers = request.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let headers: serde_json::Map<_, _> = headers.collect();
    json!({ "headers": headers, "body": String::from_utf8_lossy(&request.body) })
}

/// What a script says of messages.
fn ask(name: &str, mut input: Value, messages: &[Request]) -> Said {
    input["messages"] = messages.iter().map(document).collect();
    python::run(&script(name), &input)
}

/// The request with a part of its body replaced.
#[track_caller]
fn forged(request: &Request, from: &str, to: &str) -> Request {
    let body = String::from_utf8(request.body.clone()).expect("UTF-8");
    assert!(body.contains(from), "{body}");
    Request { body: body.replace(from, to).into_bytes(), ..request.clone() }
}

/// Puts the profile, which must succeed.
#[track_caller]
fn put(scene: &Scene) {
    let answer = scene.put("").expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The only delivery of the only event, once `wanted` holds of it.
#[track_caller]
fn delivery(scene: &Scene, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let admin = scene.admin();
    let events = admin.wait_for_events(1);
    let id = events[0]["id"].as_str().expect("an id").to_owned();
    wait::until(what, || {
        let delivery = admin.event(&id)["deliveries"][0].clone();
        wanted(&delivery).then_some(delivery)
    })
}

/// How many attempts a delivery has had.
fn attempts(delivery: &Value) -> usize {
    delivery["attempts"].as_array().map_or(0, Vec::len)
}
