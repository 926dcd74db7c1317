//! Deliveries that wait: listed with what they wait for, tried again before their time, given up.

use super::*;

#[test]
fn what_waits_is_listed_with_its_cause_and_its_next_try() {
    let hook = Hook::refusing(&["poison", "later"]);
    let mut scene = hook.scene(FIFO);
    scene.start_gateway();
    put(&scene, &["poison", "second", "third"]);
    let admin = scene.admin();
    let all = deliveries(admin, "", 3);
    let states: Vec<&Value> = all.iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["waiting", "behind", "behind"], "{all:#?}");
    let events = admin.events();
    for (one, event) in all.iter().zip(&events) {
        assert_eq!(
            (&one["event"], &one["sequence"], &one["key"]),
            (&event["id"], &event["sequence"], &event["key"])
        );
        assert_eq!((&one["subscription"], &one["name"]), (&json!(1), &json!("expire")));
        assert_eq!((&one["topic"], &one["endpoint"]), (&json!("profile-changes"), &json!(hook.url())));
        assert_eq!(ok(&admin.get(&link(one, "event")))["id"], event["id"]);
    }
    let head = &all[0];
    assert_eq!(
        (&head["cause"], &head["status"], &head["attempts"]),
        (&json!("answered 500"), &json!(500), &json!(1)),
        "{head:#}"
    );
    assert!(head["next_attempt_at"].as_str() > head["last_attempt_at"].as_str(), "{head:#}");
    assert_eq!(all[1]["cause"], "an earlier delivery of its key is not done");
    assert!(
        all[1].get("next_attempt_at").is_none() && all[1]["links"].get("retry").is_none(),
        "{:#}",
        all[1]
    );

    let sequences = |query: &str| -> Vec<i64> {
        let list = ok(&admin.get(&format!("/retrohook/deliveries{query}")));
        let all = list["deliveries"].as_array().expect("a list").iter();
        all.map(|one| one["sequence"].as_i64().expect("a number")).collect()
    };
    let of = |numbers: &[usize]| -> Vec<i64> {
        numbers.iter().map(|number| all[*number]["sequence"].as_i64().expect("a number")).collect()
    };
    assert_eq!(sequences("?state=waiting"), of(&[0]));
    assert_eq!(sequences("?state=behind"), of(&[1, 2]));
    assert_eq!(sequences("?state=dead"), of(&[]));
    assert_eq!(sequences("?subscription=1&limit=2"), of(&[0, 1]));
    assert_eq!(sequences("?subscription=99"), of(&[]));
    let page = ok(&admin.get("/retrohook/deliveries?limit=2"));
    let next = page["next_after"].as_str().expect("there is more");
    assert_eq!(sequences(&format!("?limit=2&after={next}")), of(&[2]));
    assert!(page.get("hint").is_none(), "its limit ended it: {page:#}");
    assert!(ok(&admin.get("/retrohook/deliveries?limit=3")).get("next_after").is_none());
    for wrong in ["?state=lost", "?after=7", "?after=x-1", "?subscription=x", "?colour=red"] {
        let (message, hint) = refused(&admin.get(&format!("/retrohook/deliveries{wrong}")), 400);
        assert!(hint.contains("`state`") && !message.is_empty(), "{wrong}: {message}: {hint}");
    }
}

#[test]
fn a_poisonous_event_is_given_up_and_the_next_one_of_its_key_goes_on() {
    let hook = Hook::refusing(&["poison"]);
    let mut scene = hook.scene(FIFO);
    scene.start_gateway();
    put(&scene, &["poison", "second"]);
    let admin = scene.admin();
    let both = deliveries(admin, "", 2);
    let (head, second) = (&both[0], &both[1]);
    let retry = format!("/retrohook/deliveries/1/{}/retry", second["sequence"]);
    let (message, hint) = refused(&admin.post(&retry), 409);
    let named = format!("waits for delivery {}, the first of its key", head["sequence"]);
    assert!(message.contains(&named) && message.contains("`expire`"), "{message}");
    assert!(hint.contains(&link(head, "retry")), "{hint}");

    let give_up = link(head, "give_up");
    for wrong in [give_up.clone(), format!("{give_up}?reason=%20"), format!("{give_up}?reason=a%0Ab")] {
        let (message, hint) = refused(&admin.post(&wrong), 400);
        assert!(message.contains("`reason`") && hint.contains("?reason="), "{message}: {hint}");
    }
    assert_eq!(deliveries(admin, "", 2)[0]["state"], "waiting", "nothing was given up");
    let given_up = ok(&admin.post(&format!("{give_up}?reason=it%20breaks%20the%20cache")));
    assert_eq!(
        (&given_up["state"], &given_up["reason"]),
        (&json!("dead"), &json!("given up by an operator: it breaks the cache"))
    );
    hook.wait_for(&["second"]);
    let dead = dead_letters(admin);
    assert_eq!(dead.len(), 1, "{dead:#?}");
    assert_eq!(dead[0]["reason"], "given up by an operator: it breaks the cache");
    let listed = deliveries(admin, "?state=dead", 1);
    assert_eq!(listed[0]["cause"], dead[0]["reason"]);
    assert!(listed[0]["died_at"].is_string(), "{listed:#?}");
    let output = scene.gateway().output();
    let line = output.lines().find(|line| line.contains("a delivery is given up")).expect("a line");
    assert!(line.contains("name=\"expire\"") && line.contains("it breaks the cache"), "{line}");

    for again in [format!("{give_up}?reason=again"), link(head, "retry")] {
        let (message, hint) = refused(&admin.post(&again), 409);
        assert!(
            message.contains("is a dead letter since") && message.contains("breaks the cache"),
            "{message}"
        );
        assert!(hint.contains("/redrive"), "{hint}");
    }
    let delivered = format!("/retrohook/deliveries/1/{}/give-up?reason=late", second["sequence"]);
    let (message, _) = refused(&admin.post(&delivered), 409);
    assert!(message.contains("it was delivered"), "{message}");
    let (message, _) = refused(&admin.post("/retrohook/deliveries/1/999/give-up?reason=wrong"), 404);
    assert!(message.contains("has no delivery 999"), "{message}");

    hook.is_well();
    ok(&admin.post(&link(&listed[0], "redrive")));
    hook.wait_for(&["second", "poison"]);
}

#[test]
fn all_that_wait_are_tried_again_at_once_and_a_dry_run_says_how_many() {
    let hook = Hook::refusing(&["down"]);
    let mut scene = hook.scene(RAW);
    scene.start_gateway();
    put(&scene, &["down=1", "down=2", "down=3"]);
    let admin = scene.admin();
    let waiting = deliveries(admin, "?state=waiting", 3);
    let retry = "/retrohook/subscriptions/1/retry";
    let dry = ok(&admin.post(&format!("{retry}?dry_run=true")));
    assert_eq!(dry, json!({ "subscription": 1, "retried": 3, "dry_run": true }));
    hook.is_well();
    assert_eq!(deliveries(admin, "?state=waiting", 3), waiting, "nothing has changed");

    let events = admin.events();
    let since = events[1]["recorded_at"].as_str().expect("a time");
    let since_then = format!("{retry}?since={since}");
    let dry = ok(&admin.post(&format!("{since_then}&dry_run=true")));
    assert_eq!(dry["retried"], 2, "{dry}");
    assert_eq!(ok(&admin.post(&since_then)), json!({ "subscription": 1, "retried": 2 }));
    wait::until("those since then", || (hook.taken().len() == 2).then_some(()));
    assert_eq!(deliveries(admin, "", 1), waiting[..1], "the one before is left");
    assert_eq!(ok(&admin.post(retry)), json!({ "subscription": 1, "retried": 1 }));
    wait::until("all", || (hook.taken().len() == 3).then_some(()));
    assert_eq!(deliveries(admin, "", 0).len(), 0);
    let none = json!({ "subscription": 1, "retried": 0 });
    assert_eq!(ok(&admin.post(retry)), none);
    assert_eq!(ok(&admin.post(&format!("{retry}?since=2999-01-01T00:00:00Z"))), none);
    for wrong in ["?since=yesterday", "?since=1764147209", "?dry_run=perhaps", "?before=1"] {
        let (message, hint) = refused(&admin.post(&format!("{retry}{wrong}")), 400);
        assert!(hint.contains("`since`") && !message.is_empty(), "{wrong}: {message}: {hint}");
    }
}

/// The endpoint takes longer to fail than the first wait of a delivery is: neither that nor the attempts before make the next wait longer.
#[test]
fn the_waits_of_one_that_is_tried_again_begin_anew() {
    let hook = Hook::refusing(&["down"]);
    let mut scene = hook.scene(RAW);
    scene.start_gateway();
    put(&scene, &["down"]);
    let admin = scene.admin();
    let one = deliveries(admin, "?state=waiting", 1).remove(0);
    hook.thinks(Duration::from_secs(5));
    ok(&admin.post(&link(&one, "retry")));
    let one = wait::until("the failure of the second attempt", || {
        let one = deliveries(admin, "?state=waiting", 1).remove(0);
        let is_on_record = one["attempts"] == 2 && one["last_attempt_at"] != json!(null);
        (is_on_record && one["next_attempt_at"] != json!(null) && hook.times("down") == 2).then_some(())?;
        let event = admin.event(one["event"].as_str().expect("an id"));
        let attempt = event["deliveries"][0]["attempts"][1].clone();
        attempt["next_at"].is_string().then_some(attempt)
    });
    let time = |member: &str| -> event::Timestamp {
        one[member].as_str().expect("a time").parse().expect("a time of RFC 3339")
    };
    let (attempt, next) = (time("at"), time("next_at"));
    let took = Duration::from_secs_f64(one["took_ms"].as_f64().expect("a number") / 1_000.0);
    let wait = next.since(attempt).saturating_sub(took).as_secs_f64();
    assert!((4.0..=6.0).contains(&wait), "it waits for {wait} s after attempt {one}");
}
