//! Upstreams: requests for a service whose host is the name of one are spread over its targets, in turns by their weights.

use std::collections::BTreeMap;

use testkit::client;
use testkit::scene::Scene;
use testkit::server::{Server, Then, answer};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// A target whose answers are its name and the Host that it was asked for.
fn target(name: &'static str) -> Server {
    let any = ([127, 0, 0, 1], 0).into();
    Server::start(any, move |request, stream| {
        let host = request.header("host").unwrap_or_default();
        answer(stream, 200, &[], format!("{name} {host}").as_bytes()).map(|()| Then::KeepOpen)
    })
    .expect("a free port")
}

fn file(targets: &str, more: &str) -> String {
    format!(
        "_format_version: \"3.0\"\nupstreams:\n- {{ name: Spread, {more} targets: [{targets}] }}\nservices:\n\
         - {{ name: s, url: \"http://spread:1/base\", routes: [{{ paths: [/s] }}] }}\n"
    )
}

/// How often each body comes in as many requests on one connection, which one core serves.
#[track_caller]
fn bodies(scene: &Scene, requests: usize) -> BTreeMap<String, usize> {
    let mut client = scene.client();
    let mut bodies = BTreeMap::new();
    for _ in 0..requests {
        let answer = client.send("GET", "/s/x", &[], b"").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        *bodies.entry(answer.text()).or_insert(0) += 1;
    }
    bodies
}

#[test]
fn targets_take_turns_by_their_weights_and_a_reload_changes_them() {
    let (one, two) = (target("one"), target("two"));
    let [a, b] = [&one, &two].map(|target| target.address().to_string());
    let weighted = |first: u16, second: u16| {
        file(&format!("{{ target: \"{a}\", weight: {first} }}, {{ target: \"{b}\", weight: {second} }}"), "")
    };
    let mut scene = Scene::prepare(RETROHOOK, &weighted(300, 100));
    scene.start_gateway();
    let both = |first: usize, second: usize| {
        BTreeMap::from([(format!("one {a}"), first), (format!("two {b}"), second)])
    };
    assert_eq!(bodies(&scene, 12), both(9, 3));
    let printed = scene.reload(&weighted(50, 50));
    assert!(printed.contains("reloaded: "), "{printed}");
    assert_eq!(bodies(&scene, 12), both(6, 6));
    // A start without files goes on with them.
    scene.setup.without_files = true;
    scene.kill_and_restart();
    assert_eq!(bodies(&scene, 12), both(6, 6));
    scene.setup.without_files = false;
    scene.kill_and_restart();
    let printed = scene.reload(&weighted(0, 1));
    assert!(printed.contains("reloaded: "), "{printed}");
    assert_eq!(bodies(&scene, 3), BTreeMap::from([(format!("two {b}"), 3)]));
    // Nobody is left.
    scene.reload(&weighted(0, 0));
    let headers = [("host", "x"), ("accept", "application/json")];
    let answer = client::send(scene.gateway().proxy(), "GET", "/s/x", &headers, b"").expect("an answer");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("failure to get a peer from the ring-balancer"), "{}", answer.text());
}

#[test]
fn targets_see_the_host_of_their_upstream_if_it_has_one() {
    let one = target("one");
    let scene = Scene::start(
        RETROHOOK,
        &file(&format!("{{ target: \"{}\" }}", one.address()), "host_header: spread.example.com,"),
    );
    assert_eq!(bodies(&scene, 2), BTreeMap::from([("one spread.example.com".to_owned(), 2)]));
    scene.gateway().wait_until_it_says("1 upstream");
}
