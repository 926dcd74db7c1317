//! `fifo: true`: the order of outcomes within a key, whatever fails.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use testkit::client;
use testkit::server::{Server, Then, answer};

use super::*;

const CONFIG: &str = r#"_format_version: "3.0"
services:
- name: profiles
  url: http://{upstream}
  routes:
  - { name: profiles, paths: [/profiles], strip_path: false }
  plugins:
  - name: publish-sns
    config:
      topic_arn: profile-changes
      routes:
      - { method: PUT, matcher: "^/profiles/[a-z]+$" }
topics:
- name: profile-changes
  subscriptions:
  - { protocol: http, endpoint: "http://{hook}/hook", raw_message_delivery: true, confirm: skip, fifo: true }
"#;

/// `a` fails once; what is behind it in its key waits for it, what is of another key does not.
#[test]
fn a_failure_holds_up_its_own_key_alone() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = heard.clone();
    let hook = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request, stream| {
        let uri = request.json()["request"]["uri"].as_str().unwrap_or_default().to_owned();
        let attempt = request.header("x-retrohook-attempt").unwrap_or_default().to_owned();
        let fails = uri.ends_with("a?1") && attempt == "1";
        kept.lock().unwrap().push(format!("{} {attempt}", uri.replace("/profiles/", "")));
        answer(stream, if fails { 500 } else { 200 }, &[], b"")?;
        Ok(Then::KeepOpen)
    });
    let hook = hook.expect("a free port");
    let scene = Scene::start(PROGRAM, &CONFIG.replace("{hook}", &hook.address().to_string()));
    let proxy = scene.gateway().proxy();
    for target in ["a?1", "a?2", "b?1", "a?3", "b?2"] {
        let answer =
            client::send(proxy, "PUT", &format!("/profiles/{target}"), &[], b"{}").expect("an answer");
        assert_eq!(answer.status, 200);
    }
    let all = wait::until("all six attempts", || {
        let heard = heard.lock().unwrap().clone();
        (heard.len() >= 6).then_some(heard)
    });
    let of_key = |key: char| -> Vec<&str> {
        all.iter().filter(|line| line.starts_with(key)).map(String::as_str).collect()
    };
    assert_eq!(of_key('a'), ["a?1 1", "a?1 2", "a?2 1", "a?3 1"]);
    assert_eq!(of_key('b'), ["b?1 1", "b?2 1"]);
    let place = |line: &str| all.iter().position(|heard| heard == line).expect("it was heard");
    assert!(place("b?2 1") < place("a?1 2"), "the other key waited: {all:?}");
    let blocked = delivery(&scene, "the first delivery's end", |delivery| delivery["state"] == "delivered");
    assert_eq!(blocked["protocol"], "http");
}
