//! Two recorders and an observer on one route of the real binary: each makes its own event, none is lost or doubled, also when the process is
//! killed between their outcomes. `publish-again` and `tell` are kinds of the builds for tests.

use std::collections::BTreeSet;

use testkit::client;
use testkit::scene::{Scene, Told};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// What the first recorder publishes to, and the second.
const TOPICS: [[&str; 2]; 2] = [["changes", "changes"], ["changes", "audit"]];

fn config([first, second]: [&str; 2], options: &str) -> String {
    let recorder = |name: &str, topic: &str| {
        let routes = r#"[{ method: PUT, matcher: "^/profile$" }]"#;
        format!("{{ name: {name}, config: {{ topic_arn: {topic}, routes: {routes}{options} }} }}")
    };
    let topics: BTreeSet<_> = [first, second].into();
    let topics = topics.iter().map(|topic| {
        let webhook =
            r#"{ protocol: http, endpoint: "{receiver}", raw_message_delivery: true, confirm: skip }"#;
        format!("- {{ name: {topic}, subscriptions: [{webhook}] }}\n")
    });
    format!(
        r#"_format_version: "3.0"
services:
- name: mockbin
  url: "http://{{upstream}}"
  routes: [{{ name: mockbin, paths: [/mockbin] }}]
  plugins:
  - {}
  - {}
plugins:
- {{ name: tell }}
topics:
{}"#,
        recorder("publish-again", second),
        recorder("publish-sns", first),
        topics.collect::<String>()
    )
}

fn topic(told: &Told) -> &str {
    told.event["topic"].as_str().unwrap_or_default()
}

fn id(told: &Told) -> &str {
    told.event["id"].as_str().unwrap_or_default()
}

/// The 48 bits of time of an id: those of a request's events are the same.
fn time_of(id: &str) -> &str {
    &id[..13]
}

/// How often the observer was told.
fn tellings(output: &str) -> usize {
    output.matches("an exchange is over").count()
}

#[test]
fn each_recorder_makes_an_event_of_its_own_and_the_observer_is_told_once() {
    for topics in TOPICS {
        for durability in ["intent", "strict"] {
            let scene = Scene::start(RETROHOOK, &config(topics, &format!(", durability: {durability}")));
            let answer = scene.put("").expect("an answer");
            assert_eq!(answer.status, 200);
            let told = scene.told(2);
            let request = answer.header("x-kong-request-id").expect("an id");
            let plain = |told: &Told| id(told).replace('-', "");
            let first =
                told.iter().find(|told| plain(told) == request).expect("the first has the request's id");
            let second = told.iter().find(|told| plain(told) != request).expect("the second has another");
            assert_eq!([topic(first), topic(second)], topics, "{durability}");
            assert_eq!(time_of(id(first)), time_of(id(second)));
            for told in [first, second] {
                assert_eq!(told.outcome(), "succeeded");
                assert_eq!(told.event["overlapped"], false, "a request does not overlap with itself");
            }
            wait::until("the observer", || (tellings(&scene.gateway().output()) > 0).then_some(()));
            assert_eq!(scene.send("GET", "/mockbin/profile").expect("an answer").status, 200);
            wait::until("the observer", || (tellings(&scene.gateway().output()) > 1).then_some(()));
            assert_eq!(scene.send("GET", "/nowhere").expect("an answer").status, 404);
            wait::until("the observer", || (tellings(&scene.gateway().output()) > 2).then_some(()));
            assert_eq!(tellings(&scene.gateway().output()), 3, "each exchange once, also without a route");
            assert_eq!(scene.told(2).len(), 2, "a GET is nobody's");
        }
    }
}

/// A gateway that was killed when its only request had come to a point, and started again; what it told.
fn killed_at(point: &str, topics: [&str; 2], events_before: usize) -> Vec<Told> {
    let mut scene = Scene::prepare(RETROHOOK, &config(topics, ""));
    scene.setup.env.push(("FAILPOINTS".into(), format!("{point}=1*return->pause")));
    scene.start_gateway();
    let mut client = scene.client();
    client.write(&client::request("PUT", "/mockbin/profile", &[], b"{}")).expect("the proxy reads");
    scene.gateway().wait_until_it_says("failpoint reached");
    scene.admin().wait_for_events(events_before);
    scene.setup.env.clear();
    scene.kill_and_restart();
    let told = scene.told(2);
    assert!(client.answer().is_err(), "it was not told that all is well");
    let times: BTreeSet<_> = told.iter().map(|told| time_of(id(told))).collect();
    assert_eq!(times.len(), 1, "they are of one request");
    assert_eq!(told.iter().map(topic).collect::<BTreeSet<_>>(), topics.into());
    told
}

#[test]
fn killed_between_the_two_outcomes_nothing_is_lost_or_doubled() {
    for topics in TOPICS {
        let told = killed_at("between-outcomes", topics, 1);
        let outcome = |told: &Told| (topic(told).to_owned(), told.outcome().to_owned());
        let outcomes: BTreeSet<_> = told.iter().map(outcome).collect();
        let [first, second] = topics.map(str::to_owned);
        let expected = [(first, "succeeded".to_owned()), (second, "unknown".to_owned())];
        assert_eq!(outcomes, expected.into());
        let unknown = told.iter().find(|told| told.outcome() == "unknown").expect("one");
        assert_eq!(unknown.reason(), Some("gateway_restarted"));
    }
}

#[test]
fn killed_with_both_intents_open_both_are_unknown() {
    for topics in TOPICS {
        let told = killed_at("intent-durable", topics, 0);
        assert!(told.iter().all(|told| told.reason() == Some("gateway_restarted")), "{told:?}");
    }
}
