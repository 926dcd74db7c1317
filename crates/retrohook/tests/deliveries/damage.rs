//! Events that the store cannot read: set aside, each with a line and a number, and the rest goes on.

use testkit::client;
use testkit::process::database;
use testkit::receiver::Mood;

use super::*;

/// Makes the answer of an event what no text is.
fn damage(scene: &Scene, position: i64) {
    let database = rusqlite::Connection::open(database(&scene.setup.data_dir())).expect("the database");
    let sql = "UPDATE events SET answer = CAST(x'ff' AS TEXT) WHERE position = ?1";
    assert_eq!(database.execute(sql, [position]).expect("it can be written"), 1);
}

#[track_caller]
fn dead_letter(scene: &Scene) -> Value {
    wait::until("the dead letter", || {
        let answer = scene.admin().get("/retrohook/dead-letters");
        // The event beside it cannot be shown; the letter can.
        let listed = (answer.status == 200).then(|| answer.json()["dead_letters"].as_array().cloned())??;
        listed.into_iter().next()
    })
}

#[track_caller]
fn check_what_is_said(scene: &Scene, position: i64) {
    let letter = dead_letter(scene);
    assert_eq!(letter["sequence"], position);
    let reason = letter["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("the store cannot read its event: "), "{reason}");
    let series = r#"retrohook_set_aside_events_total{subscription="1"}"#;
    assert_eq!(scene.admin().metric(series), Some(1.0));
    let (code, status) = scene.admin().status();
    assert_eq!((code, &status["retrohook"]["degraded"]), (200, &json!([])), "all is well again");
}

#[test]
fn a_damaged_event_is_set_aside_and_the_rest_is_delivered() {
    let mut scene = Scene::prepare(PROGRAM, &Profiles { subscription: "", ..Profiles::default() }.yaml());
    scene.receiver.set_confirms(false);
    scene.start_gateway();
    for _ in 0..5 {
        put(&scene);
    }
    scene.admin().wait_for_events(5);
    scene.take_gateway().terminate();
    damage(&scene, 3);
    // From now on what it is owed is read from the log.
    scene.setup.config = scene.setup.config.replace("/hook\",", "/hook\", confirm: skip");
    scene.start_gateway();
    let messages = scene.receiver.wait_for(4);
    let sequences: Vec<_> =
        messages.iter().filter_map(|message| message.header("x-retrohook-sequence")).collect();
    for position in ["1", "2", "4", "5"] {
        assert!(sequences.contains(&position), "{sequences:?}");
    }
    check_what_is_said(&scene, 3);
    scene.gateway().wait_until_it_says("its delivery is set aside");
    put(&scene);
    scene.receiver.wait_for(5);
}

#[test]
fn a_damaged_event_among_retries_is_set_aside_and_the_others_are_tried() {
    let mut scene = scene("raw_message_delivery: true, confirm: skip");
    scene.receiver.set(Mood::Answers(500));
    for _ in 0..3 {
        put(&scene);
    }
    wait::until("the failures on record", || {
        let answer = scene.admin().get("/retrohook/subscriptions/1");
        (answer.json()["retrying"] == 3).then_some(())
    });
    scene.take_gateway().terminate();
    damage(&scene, 2);
    check_the_others_arrive(&mut scene);
    check_what_is_said(&scene, 2);
}

/// Of three that failed the second is broken: after a start the first and the third come again, and well. How many attempts came
/// before.
fn check_the_others_arrive(scene: &mut Scene) -> usize {
    let failed = scene.receiver.messages().len();
    scene.receiver.set(Mood::Answers(200));
    scene.start_gateway();
    let again = scene.receiver.wait_for(failed + 2).split_off(failed);
    let mut sequences: Vec<_> =
        again.iter().filter_map(|message| message.header("x-retrohook-sequence")).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, ["1", "3"]);
    failed
}

/// Rows of retries, the one in the middle made unreadable or without its event while the process is down.
fn check_a_broken_row(subscription: &str, sql: &str, text: &str) -> Scene {
    let mut scene = scene(subscription);
    scene.receiver.set(Mood::Answers(500));
    for _ in 0..3 {
        put(&scene);
    }
    wait::until("three deliveries to wait", || {
        let answer = scene.admin().get("/retrohook/subscriptions/1");
        let waits = answer.json()["retrying"].as_u64()? + answer.json()["behind"].as_u64().unwrap_or(0);
        (waits == 3).then_some(())
    });
    scene.take_gateway().terminate();
    let database = rusqlite::Connection::open(database(&scene.setup.data_dir())).expect("the database");
    database.execute_batch(sql).expect("it can be written");
    assert_eq!(database.changes(), 1);
    drop(database);
    let failed = check_the_others_arrive(&mut scene);
    let series = r#"retrohook_set_aside_events_total{subscription="1"}"#;
    let admin = scene.admin();
    wait::until("it to be counted", || (admin.metric(series) == Some(1.0)).then_some(()));
    scene.gateway().wait_until_it_says(text);
    put(&scene);
    scene.receiver.wait_for(failed + 3);
    scene
}

const NO_TEXT: &str = "UPDATE deliveries SET key = CAST(x'ff' AS TEXT) WHERE position = 2";

#[test]
fn a_damaged_row_is_set_aside_and_can_be_sent_again() {
    for fifo in [false, true] {
        let subscription = format!("raw_message_delivery: true, confirm: skip, fifo: {fifo}");
        let scene = check_a_broken_row(&subscription, NO_TEXT, "the store cannot read the row of a delivery");
        let letter = dead_letter(&scene);
        assert_eq!(letter["sequence"], 2);
        let reason = letter["reason"].as_str().expect("a reason");
        assert!(reason.starts_with("the store cannot read its row: "), "{reason}");
        assert_eq!(scene.admin().status().1["retrohook"]["degraded"], json!([]), "all is well again");
        let sent = scene.receiver.messages().len();
        assert_eq!(scene.admin().post("/retrohook/dead-letters/1/2/redrive").status, 200);
        let again = scene.receiver.wait_for(sent + 1);
        assert_eq!(again[sent].header("x-retrohook-sequence"), Some("2"));
    }
}

/// Such a row can neither be sent nor become a dead letter. It must not keep its worker busy for ever.
#[test]
fn a_retry_whose_event_is_missing_is_dropped_and_the_others_are_tried() {
    for fifo in [false, true] {
        let subscription = format!("raw_message_delivery: true, confirm: skip, fifo: {fifo}");
        let sql = "DELETE FROM intents WHERE seq = (SELECT intent FROM events WHERE position = 2);
                   DELETE FROM events WHERE position = 2";
        let scene = check_a_broken_row(&subscription, sql, "the event of a delivery is missing from the log");
        let answer = scene.admin().get("/retrohook/subscriptions/1");
        assert_eq!(answer.json()["retrying"], 0, "{}", answer.text());
    }
}

#[test]
fn a_damaged_message_is_counted_and_the_others_are_received() {
    let yaml = with_another("", "protocol: sqs, endpoint: worker") + "queues:\n- name: worker\n";
    let mut scene = Scene::start(PROGRAM, &yaml);
    for _ in 0..3 {
        put(&scene);
    }
    scene.admin().wait_for_events(3);
    scene.take_gateway().terminate();
    damage(&scene, 2);
    scene.start_gateway();
    let series = r#"retrohook_set_aside_messages_total{queue="worker"}"#;
    assert_eq!(scene.admin().metric(series), Some(0.0));
    let hub = scene.gateway().address("hub");
    let ask = json!({ "QueueUrl": format!("http://{hub}/000000000000/worker"), "MaxNumberOfMessages": 10 });
    let headers = [
        ("host", "localhost"),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "AmazonSQS.ReceiveMessage"),
    ];
    let answer = client::send(hub, "POST", "/", &headers, ask.to_string().as_bytes()).expect("an answer");
    assert_eq!(answer.json()["Messages"].as_array().map(Vec::len), Some(2), "{}", answer.text());
    assert_eq!(scene.admin().metric(series), Some(1.0));
    scene.gateway().wait_until_it_says("a message is damaged");
    let output = scene.gateway().output();
    let line = output.lines().find(|line| line.contains("a message is damaged")).expect("it was said");
    assert!(line.contains("queue=\"worker\""), "{line}");
}

#[test]
fn a_stored_signing_key_that_cannot_be_read_is_said_until_it_is_mended() {
    let mut scene = scene("");
    put(&scene);
    scene.receiver.wait_for(1);
    scene.take_gateway().terminate();
    let file = database(&scene.setup.data_dir());
    let open = || rusqlite::Connection::open(&file).expect("the database");
    let sql = "UPDATE small_values SET value = CAST('no key' AS BLOB) WHERE name = 'sns-signing-key'";
    assert_eq!(open().execute(sql, []).expect("it can be written"), 1);
    scene.start_gateway();
    put(&scene);
    let admin = scene.admin();
    wait::until("the key to be said to be missing", || {
        let (code, status) = admin.status();
        assert_eq!(code, 200, "{status}");
        let all = status["retrohook"]["degraded"].as_array().expect("a list").clone();
        let key = all.into_iter().find(|one| one["part"] == "signing key")?;
        key["cause"].as_str().is_some_and(|cause| cause.contains("cannot be read")).then_some(())
    });
    assert_eq!(scene.receiver.messages().len(), 1, "what is to be signed waits");
    let sql = "DELETE FROM small_values WHERE name = 'sns-signing-key'";
    assert_eq!(open().execute(sql, []).expect("it can be written"), 1);
    scene.receiver.wait_for(2);
    wait::until("all to be well", || (admin.status().1["retrohook"]["degraded"] == json!([])).then_some(()));
}
