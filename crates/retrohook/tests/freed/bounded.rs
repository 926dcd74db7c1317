//! However much waits or is dead, a page looks at so much and no more and says how to go on, and a count that was cut off says so.

use super::*;

/// A webhook with 100,001 dead letters, and one that nobody confirmed, with 6,000 deliveries that wait before one that is dead.
#[track_caller]
fn overfull() -> Scene {
    let yaml = Profiles::default().yaml();
    let never = "  - { protocol: http, endpoint: \"http://127.0.0.1:9/never\" }\n";
    let mut scene = Scene::start(RETROHOOK, &format!("{yaml}{never}"));
    scene.take_gateway().terminate();
    let database = testkit::process::database(&scene.setup.data_dir());
    let store = rusqlite::Connection::open(database).expect("the database opens");
    let rows = |subscription: i64, from: i64, to: i64, state: &str| {
        let reason = if state == "dead" { "'gone', 1, stamp, wall" } else { "NULL, 1, stamp, NULL" };
        format!(
            "WITH RECURSIVE n (i) AS (VALUES ({from}) UNION ALL SELECT i + 1 FROM n WHERE i < {to})
             INSERT INTO deliveries (subscription, position, key, state, at, reason, attempts, since, died_at)
             SELECT {subscription}, i, 'k', '{state}', stamp, {reason} FROM n, clock;"
        )
    };
    let all = [rows(1, 1, 100_001, "dead"), rows(2, 1, 6_000, "retry"), rows(2, 6_001, 6_001, "dead")];
    store.execute_batch(&format!("BEGIN; {} COMMIT;", all.concat())).expect("the rows are inserted");
    drop(store);
    scene.start_gateway();
    scene
}

/// A dry run counts 100,000 deliveries and no more. It must not be slow, nor say a number that is not true.
#[test]
fn a_dry_run_of_a_retry_says_that_there_may_be_more() {
    let hook = Hook::refusing(&["poison"]);
    let mut scene = hook.scene(FIFO);
    scene.start_gateway();
    put(&scene, &["poison"]);
    let head = deliveries(scene.admin(), "?state=waiting", 1).remove(0);
    scene.take_gateway().terminate();
    let database = testkit::process::database(&scene.setup.data_dir());
    // Rows of the same key: none of them is looked at before the first one is done.
    let behind = |from: i64, to: i64| {
        let rows = "WITH RECURSIVE n (i) AS (VALUES (?1) UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
             INSERT INTO deliveries (subscription, position, key, state, attempts, since)
             SELECT 1, i, ?3, 'behind', 0, stamp FROM n, clock";
        let key = head["key"].as_str().expect("a key");
        let store = rusqlite::Connection::open(&database).expect("the database opens");
        store.execute(rows, (from, to, key)).expect("the rows are inserted");
    };
    let first = head["sequence"].as_i64().expect("a number");
    let mut dry_run = || {
        scene.start_gateway();
        deliveries(scene.admin(), "?state=waiting", 1);
        let answer = ok(&scene.admin().post("/retrohook/subscriptions/1/retry?dry_run=true"));
        scene.take_gateway().terminate();
        answer
    };
    behind(first + 1, first + 99_998);
    assert_eq!(dry_run(), json!({ "subscription": 1, "retried": 99_999, "dry_run": true }));
    behind(first + 99_999, first + 100_001);
    assert_eq!(
        dry_run(),
        json!({ "subscription": 1, "retried": 100_000, "at_least": true, "dry_run": true })
    );
}

#[test]
fn lists_end_early_and_go_on_and_counts_say_that_there_may_be_more() {
    let scene = overfull();
    let admin = scene.admin();
    let dead = "/retrohook/deliveries?subscription=2&state=dead";
    let first = ok(&admin.get(dead));
    assert_eq!(first["deliveries"], json!([]), "{first:#}");
    let next = first["next_after"].as_str().expect("a place");
    let hint = first["hint"].as_str().expect("a hint");
    assert!(hint.contains("ends early") && hint.contains(&format!("after={next}")), "{hint}");
    let (mut path, mut pages) = (format!("{dead}&after={next}"), 1);
    let last = loop {
        let page = ok(&admin.get(&path));
        pages += 1;
        match page["next_after"].as_str() {
            Some(next) => path = format!("{dead}&after={next}"),
            None => break page,
        }
    };
    assert!(pages < 10, "{pages} pages");
    assert_eq!(last["deliveries"][0]["sequence"], 6_001, "{last:#}");
    let waiting = ok(&admin.get("/retrohook/deliveries?subscription=2&state=waiting&limit=500"));
    assert_eq!(waiting["deliveries"].as_array().map(Vec::len), Some(500), "nothing is in the way of these");

    let others = ok(&admin.get("/retrohook/dead-letters?subscription=1&reason=no-such-reason"));
    assert_eq!(others["dead_letters"], json!([]), "{others:#}");
    let next = others["next_before"].as_str().expect("a place");
    let hint = others["hint"].as_str().expect("a hint");
    assert!(hint.contains("ends early") && hint.contains(&format!("before={next}")), "{hint}");
    let page = ok(&admin.get("/retrohook/dead-letters?subscription=1&limit=500"));
    assert_eq!(page["dead_letters"].as_array().map(Vec::len), Some(500));
    assert!(page.get("hint").is_none(), "its limit ended it");

    let redrive = "/retrohook/dead-letters/1/redrive?dry_run=true";
    let dry = ok(&admin.post(redrive));
    assert_eq!((&dry["dry_run"], &dry["at_least"]), (&json!(true), &json!(true)), "{dry}");
    assert!(dry["redriven"].as_u64().is_some_and(|count| (500..=100_001).contains(&count)), "{dry}");
    let none = ok(&admin.post(&format!("{redrive}&reason=no-such-reason")));
    assert_eq!((&none["redriven"], &none["at_least"]), (&json!(0), &json!(true)), "{none}");
}
