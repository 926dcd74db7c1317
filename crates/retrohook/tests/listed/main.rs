//! What the admin port lists, and the commands of the binary that print it and act on it.

mod described;
mod lists;
mod operate;

use std::net::SocketAddr;

use serde_json::Value;
use testkit::client;
use testkit::scene::Scene;
use testkit::server::{Server, Then, answer};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// Two topics: one whose webhook keeps the order within a key, and one whose webhook nobody has confirmed.
const CONFIG: &str = r#"_format_version: "3.0"
services:
- name: mockbin
  url: http://{upstream}
  routes:
  - { name: profiles, paths: [/profiles], strip_path: false }
  plugins:
  - { name: publish-sns, config: { topic_arn: profile-changes, routes: [{ method: PUT, matcher: "^/profiles/[a-z]+$" }] } }
- name: orders
  url: http://{upstream}
  routes:
  - { name: orders, paths: [/orders], strip_path: false }
  plugins:
  - { name: publish-sns, config: { topic_arn: orders, durability: outcome, routes: [{ method: PUT, matcher: "^/orders$" }] } }
topics:
- name: profile-changes
  subscriptions:
  - { name: expire, protocol: http, endpoint: "http://{hook}/hook", raw_message_delivery: true, confirm: skip, fifo: true }
- name: orders
  subscriptions:
  - { name: nobody, protocol: http, endpoint: "{receiver}" }
"#;

/// Refuses events whose target has `bad` in it, and wants to be left alone for an hour then.
fn hook() -> Server {
    let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), |request, stream| {
        let uri = request.json()["request"]["uri"].as_str().unwrap_or_default().to_owned();
        let status = if uri.contains("bad") { 500 } else { 200 };
        answer(stream, status, &[("retry-after", "3600")], b"")?;
        Ok(Then::KeepOpen)
    });
    server.expect("a free port")
}

fn scene(hook: &Server) -> Scene {
    let scene = Scene::prepare(RETROHOOK, &CONFIG.replace("{hook}", &hook.address().to_string()));
    scene.receiver.set_confirms(false);
    let mut scene = scene;
    scene.start_gateway();
    scene
}

#[track_caller]
fn put(scene: &Scene, target: &str) {
    let answer = client::send(scene.gateway().proxy(), "PUT", target, &[], b"{}");
    // One that the upstream breaks off is answered by the gateway.
    assert!(matches!(answer.expect("an answer").status, 200 | 502), "{target}");
}

/// Waits until the delivery of the event with this target is in this state.
#[track_caller]
fn delivery_of(scene: &Scene, target: &str, state: &str) -> (Value, Value) {
    let admin = scene.admin();
    wait::until(&format!("{target} to be {state}"), || {
        let event = admin.events().into_iter().find(|event| event["request"]["uri"] == target)?;
        let event = admin.event(event["id"].as_str()?);
        let delivery = event["deliveries"][0].clone();
        let is_tried =
            state != "waiting" || delivery["attempts"].as_array().is_some_and(|all| !all.is_empty());
        (delivery["state"] == state && is_tried).then_some((event, delivery))
    })
}
