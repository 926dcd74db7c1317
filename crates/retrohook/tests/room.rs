//! A store that fills up: history makes way, what is owed does not, and a node says how it is.

use testkit::client::Answer;
use testkit::receiver::Mood;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// The line about a store that takes no changes, and the one about its end.
const FULL: &str = "the store takes no changes";
const AGAIN: &str = "the store takes changes again";

fn scene(flags: &[&str]) -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    if flags.iter().any(|flag| flag.starts_with("--min-free")) {
        scene.setup.flags.retain(|flag| !flag.starts_with("--min-free"));
    }
    scene.setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    scene.start_gateway();
    scene
}

/// Puts a profile with so long a query that some fifty of its events are a megabyte.
fn put(scene: &Scene, number: usize) -> Answer {
    scene.put(&format!("?{number}&{}", "x".repeat(5_000))).expect("an answer")
}

fn lines(scene: &Scene, text: &str) -> usize {
    scene.gateway().output().matches(text).count()
}

#[test]
fn history_makes_way_and_requests_go_on() {
    const ALL: usize = 500;
    // Its margin of 8 % has to hold what comes while a slow disk makes room.
    const LIMIT: u32 = 2 << 20;
    let scene = scene(&["--max-store=2MiB"]);
    for number in 1..=ALL {
        let answer = put(&scene, number);
        assert_eq!(answer.status, 200, "{number}: {}\n{}", answer.text(), scene.gateway().output());
        if number % 5 == 0 {
            scene.receiver.wait_for(number);
        }
    }
    let admin = scene.admin();
    let metric = |name: &str| admin.metric(name).unwrap_or_else(|| panic!("no {name}"));
    assert!(metric("retrohook_cleared_rows_total") > 100.0);
    assert_eq!(metric("retrohook_store_limit_bytes"), f64::from(LIMIT));
    wait::until("the store to be below its limit", || {
        (metric("retrohook_store_used_bytes") < 0.92 * f64::from(LIMIT)).then_some(())
    });
    assert_eq!(metric("retrohook_full"), 0.0);
    let left = admin.events();
    assert!((5..220).contains(&left.len()), "{}", left.len());
    let newest = left.last().expect("there are some")["request"]["uri"].as_str().expect("a target");
    assert!(newest.starts_with(&format!("/mockbin/profile?{ALL}&")), "the oldest go first");
    wait::until("the line about it", || (lines(&scene, "the store is nearly full") == 1).then_some(()));
    assert_eq!(scene.receiver.messages().len(), ALL, "each was delivered once");
}

#[test]
fn what_is_owed_fills_the_store_and_is_said_once() {
    let scene = scene(&["--max-store=1MiB"]);
    scene.receiver.set(Mood::Answers(503));
    let taken = (0..1_000).take_while(|number| put(&scene, *number).status == 200).count();
    assert!((10..100).contains(&taken), "{taken}");
    for number in 0..30 {
        let refused = put(&scene, 1_000 + number);
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
    }
    assert_eq!(scene.send("GET", "/mockbin/profile").expect("an answer").status, 200, "others pass");
    let admin = scene.admin();
    let status = admin.status().1["retrohook"].take();
    assert_eq!(status["store"], "full", "{status}");
    let cause = status["space"]["cause"].as_str().expect("a cause");
    assert!(cause.contains("its limit (--max-store) is 1 MiB"), "{cause}");
    assert_eq!(status["space"]["limit_bytes"], 1 << 20);
    assert!(status["space"]["used_bytes"].as_u64() >= Some(1 << 20), "{status}");
    assert!(status["degraded"].to_string().contains("matching requests are refused"), "{status}");
    assert_eq!(admin.metric("retrohook_full"), Some(1.0));
    assert_eq!(admin.events().len(), taken, "nothing that is owed went");
    wait::until("the line about it", || (lines(&scene, FULL) > 0).then_some(()));
    assert_eq!((lines(&scene, FULL), lines(&scene, AGAIN)), (1, 0), "{}", scene.gateway().output());
    let refusals = lines(&scene, "was refused");
    assert!(refusals < 30, "{refusals} lines for 31 refusals");

    scene.receiver.set(Mood::Answers(200));
    wait::until("matching requests to be taken again", || (put(&scene, 2_000).status == 200).then_some(()));
    wait::until("the line about its end", || (lines(&scene, AGAIN) == 1).then_some(()));
    assert_eq!(lines(&scene, FULL), 1, "{}", scene.gateway().output());
    wait::until("all to be delivered", || {
        let done =
            |message: &testkit::server::Request| message.header("x-retrohook-event-id").map(str::to_owned);
        let ids: std::collections::BTreeSet<_> = scene.receiver.messages().iter().filter_map(done).collect();
        (ids.len() > taken).then_some(())
    });
}

#[test]
fn a_start_without_room_says_so_and_names_the_cause() {
    let scene = scene(&["--min-free=1000TiB"]);
    wait::until("the line about it", || (lines(&scene, FULL) == 1).then_some(()));
    assert_eq!(put(&scene, 1).status, 503);
    let status = scene.admin().status().1["retrohook"].take();
    let cause = status["space"]["cause"].as_str().expect("a cause");
    assert!(cause.contains("are kept free (--min-free)"), "{cause}");
    assert_eq!(status["space"]["kept_free_bytes"], 1000u64 << 40);
    let free = status["space"]["disk_free_bytes"].as_u64().expect("a number");
    assert!(free > 0 && free < 1000 << 40);
    assert_eq!(scene.admin().metric("retrohook_disk_kept_free_bytes"), Some((1000u64 << 40) as f64));
    assert_eq!(lines(&scene, FULL), 1);
}
