//! Events by what they are and by what became of their deliveries, open intents, and keys that are blocked, each in pages that go on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testkit::admin::Admin;
use testkit::{client, wait};

use super::*;

/// The targets of a list of events, the newest first.
#[track_caller]
fn targets(admin: &Admin, query: &str) -> Vec<String> {
    let answer = admin.get(&format!("/retrohook/events?{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    let events = answer.json()["events"].as_array().expect("a list").clone();
    events.iter().map(|event| event["request"]["uri"].as_str().expect("a target").to_owned()).collect()
}

#[test]
fn events_are_found_by_topic_key_outcome_time_and_delivery() {
    let hook = hook();
    let scene = scene(&hook);
    let admin = scene.admin();
    for target in [
        "/profiles/a?1",
        "/profiles/b?bad",
        "/profiles/b?2",
        "/orders",
        "/profiles/a?script=reset",
        "/profiles/a?3",
    ] {
        put(&scene, target);
    }
    admin.wait_for_events(6);
    delivery_of(&scene, "/profiles/b?bad", "waiting");
    delivery_of(&scene, "/profiles/b?2", "behind");
    delivery_of(&scene, "/profiles/a?3", "delivered");
    let newest = [
        "/profiles/a?3",
        "/profiles/a?script=reset",
        "/orders",
        "/profiles/b?2",
        "/profiles/b?bad",
        "/profiles/a?1",
    ];
    assert_eq!(targets(&admin, ""), newest);
    assert_eq!(targets(&admin, "topic=orders"), ["/orders"]);
    assert_eq!(targets(&admin, "key=profiles/profiles/b"), Vec::<String>::new());
    let key = admin.events()[1]["key"].as_str().expect("a key").to_owned();
    let of_key = form_urlencoded::Serializer::new(String::new()).append_pair("key", &key).finish();
    assert_eq!(targets(&admin, &of_key), ["/profiles/b?2", "/profiles/b?bad"]);
    assert_eq!(targets(&admin, "outcome=unknown"), ["/profiles/a?script=reset"]);
    assert_eq!(targets(&admin, "outcome=succeeded&topic=profile-changes").len(), 4);
    assert_eq!(targets(&admin, "delivery=waiting"), ["/profiles/b?bad"]);
    assert_eq!(targets(&admin, "delivery=behind"), ["/profiles/b?2"]);
    assert_eq!(targets(&admin, "delivery=behind&topic=orders"), Vec::<String>::new());
    assert_eq!(targets(&admin, "delivery=pending"), ["/orders"]);
    assert_eq!(targets(&admin, "delivery=dead"), Vec::<String>::new());
    let all = admin.events();
    let time = |index: usize| all[index]["recorded_at"].as_str().expect("a time").to_owned();
    // Times are shown in milliseconds and kept in microseconds.
    let since = targets(&admin, &format!("since={}", time(3)));
    assert!(
        since.contains(&"/orders".to_owned()) && !since.contains(&"/profiles/a?1".to_owned())
            || time(0) == time(3)
    );
    assert_eq!(targets(&admin, "since=2999-01-01T00:00:00Z"), Vec::<String>::new());
    assert_eq!(targets(&admin, "until=2999-01-01T00:00:00Z"), newest);
    assert_eq!(targets(&admin, "until=2000-01-01T00:00:00%2B01:00"), Vec::<String>::new());
    for (wrong, said) in [
        ("outcome=good", "succeeded"),
        ("since=yesterday", "2026-11-26T09:42:02Z"),
        ("delivery=delivered", "pending"),
        ("colour=red", "`topic`"),
    ] {
        let answer = admin.get(&format!("/retrohook/events?{wrong}"));
        let text = answer.text();
        assert!(answer.status == 400 && text.contains(said), "{wrong}: {text}");
    }
    let nowhere = admin.get("/retrohook/events?topic=nowhere");
    assert_eq!(
        (nowhere.status, nowhere.json()["message"].as_str()),
        (404, Some("there is no topic `nowhere`"))
    );
}

#[test]
fn a_filtered_list_goes_on_page_by_page() {
    let hook = hook();
    let scene = scene(&hook);
    let admin = scene.admin();
    for n in 0..5 {
        put(&scene, "/orders");
        put(&scene, &format!("/profiles/a?{n}"));
    }
    admin.wait_for_events(10);
    let (mut found, mut before, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = admin.get(&format!("/retrohook/events?topic=orders&limit=2{before}")).json();
        let events = page["events"].as_array().expect("a list");
        assert!(events.len() <= 2 && page["hint"].is_null(), "{page}");
        found.extend(events.iter().map(|event| event["sequence"].as_i64().expect("a number")));
        pages += 1;
        match page["next_before"].as_i64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!((found.len(), pages), (5, 3), "{found:?}");
    assert!(found.is_sorted_by(|first, second| first > second), "{found:?}");
}

#[test]
fn an_event_says_when_its_parts_were_written_and_what_its_deliveries_wait_for() {
    let hook = hook();
    let scene = scene(&hook);
    put(&scene, "/profiles/b?bad");
    let (head, waiting) = delivery_of(&scene, "/profiles/b?bad", "waiting");
    put(&scene, "/profiles/b?2");
    put(&scene, "/orders");
    assert_eq!(waiting["waits_for"]["what"], "next_attempt", "{waiting}");
    let text = waiting["waits_for"]["text"].as_str().expect("a text");
    assert!(text.contains(waiting["next_attempt_at"].as_str().expect("a time")), "{waiting}");
    let (_, behind) = delivery_of(&scene, "/profiles/b?2", "behind");
    let waits_for = &behind["waits_for"];
    assert_eq!(waits_for["what"], "earlier_delivery", "{behind}");
    assert_eq!((&waits_for["event"], &waits_for["sequence"]), (&head["id"], &head["sequence"]), "{behind}");
    let (order, pending) = delivery_of(&scene, "/orders", "pending");
    assert_eq!(pending["waits_for"]["what"], "confirmation", "{pending}");
    // The wall clock's times, in their order: what one rule kept before the request went out, another did not.
    let at = |event: &Value, name: &str| event[name].as_str().map(str::to_owned);
    let (intent_at, outcome_at) =
        (at(&head, "intent_at").expect("a time"), at(&head, "outcome_at").expect("a time"));
    assert!(intent_at <= outcome_at, "{head}");
    assert_eq!(Some(outcome_at), at(&head, "recorded_at"));
    assert_eq!((at(&order, "intent_at"), at(&order, "outcome_at")), (None, at(&order, "recorded_at")));
    put(&scene, "/profiles/c");
    let (_, done) = delivery_of(&scene, "/profiles/c", "delivered");
    assert!(done["waits_for"].is_null(), "{done}");
}

#[test]
fn open_intents_are_listed_with_their_age() {
    let hook = hook();
    let scene = scene(&hook);
    let admin = scene.admin();
    let none = admin.get("/retrohook/intents").json();
    assert_eq!(none, json!({ "intents": [] }));
    put(&scene, "/profiles/a");
    let mut waiting = Vec::new();
    for n in 1..=3 {
        let before = scene.upstream.executed().len();
        let mut client = scene.client();
        let target = format!("/profiles/{}?script=wait", ["x", "y", "z"][n - 1]);
        client.write(&client::request("PUT", &target, &[], b"{}")).expect("the proxy reads");
        wait::until("the upstream to be asked", || (scene.upstream.executed().len() > before).then_some(()));
        waiting.push(client);
    }
    let whole = admin.get("/retrohook/intents").json();
    let intents = whole["intents"].as_array().expect("a list").clone();
    let uri = |intent: &Value| intent["request"]["uri"].as_str().expect("a target").to_owned();
    let expected = ["/profiles/x?script=wait", "/profiles/y?script=wait", "/profiles/z?script=wait"];
    assert_eq!(intents.iter().map(uri).collect::<Vec<_>>(), expected, "the oldest first");
    assert_eq!((&intents[0]["topic"], &whole["next_after"]), (&json!("profile-changes"), &json!(null)));
    let ages: Vec<f64> =
        intents.iter().map(|intent| intent["age_seconds"].as_f64().expect("an age")).collect();
    assert!(ages.is_sorted_by(|first, second| first >= second) && ages[2] < 60.0, "{ages:?}");
    let first = admin.get("/retrohook/intents?limit=2").json();
    assert_eq!(first["intents"].as_array().map(Vec::len), Some(2));
    let rest = admin.get(&format!("/retrohook/intents?limit=2&after={}", first["next_after"])).json();
    assert_eq!(rest["intents"][0]["event"], intents[2]["event"], "{rest}");
    assert!(rest["next_after"].is_null() && rest["hint"].is_null(), "{rest}");
    scene.upstream.release();
    for mut client in waiting {
        assert_eq!(client.answer().expect("an answer").status, 200);
    }
    let ids: BTreeSet<String> = intents.iter().map(|intent| intent["event"].to_string()).collect();
    wait::until("the intents to become events", || {
        let events: BTreeSet<String> = admin.events().iter().map(|event| event["id"].to_string()).collect();
        events.is_superset(&ids).then_some(())
    });
    wait::until("no intent to be open", || {
        (admin.get("/retrohook/intents").json() == json!({ "intents": [] })).then_some(())
    });
}

#[test]
fn blocked_keys_come_with_the_delivery_at_their_head() {
    let hook = hook();
    let scene = scene(&hook);
    let admin = scene.admin();
    for target in ["/profiles/a?bad", "/profiles/a?2", "/profiles/a?3", "/profiles/b?bad", "/profiles/c?1"] {
        put(&scene, target);
    }
    let (head, _) = delivery_of(&scene, "/profiles/a?bad", "waiting");
    delivery_of(&scene, "/profiles/a?3", "behind");
    delivery_of(&scene, "/profiles/b?bad", "waiting");
    delivery_of(&scene, "/profiles/c?1", "delivered");
    let path = "/retrohook/subscriptions/1/blocked-keys";
    let whole = admin.get(path).json();
    let keys = whole["keys"].as_array().expect("a list");
    assert_eq!(keys.len(), 2, "{whole}");
    assert_eq!((&keys[0]["key"], &keys[0]["behind"]), (&head["key"], &json!(2)), "{whole}");
    assert_eq!(keys[1]["behind"], 0, "{whole}");
    let at_head = &keys[0]["head"];
    assert_eq!((&at_head["event"], &at_head["sequence"]), (&head["id"], &head["sequence"]));
    assert_eq!((&at_head["status"], &at_head["cause"]), (&json!(500), &json!("answered 500")), "{whole}");
    assert!(at_head["attempts"] == 1 && at_head["next_attempt_at"].is_string(), "{whole}");
    let first = admin.get(&format!("{path}?limit=1")).json();
    assert_eq!(first["keys"][0]["key"], head["key"]);
    let after = form_urlencoded::Serializer::new(String::new())
        .append_pair("after", first["next_after"].as_str().expect("a key"))
        .finish();
    let rest = admin.get(&format!("{path}?{after}")).json();
    assert_eq!((&rest["keys"][0], &rest["next_after"]), (&keys[1], &json!(null)), "{rest}");
    // One that keeps no order says so.
    let unordered = admin.get("/retrohook/subscriptions/2/blocked-keys").json();
    assert!(unordered["hint"].as_str().is_some_and(|hint| hint.contains("keeps no order")), "{unordered}");
    let missing = admin.get("/retrohook/subscriptions/99/blocked-keys");
    assert_eq!(
        (missing.status, missing.json()["message"].as_str()),
        (404, Some("there is no subscription 99"))
    );
}
