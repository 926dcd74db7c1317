//! Events that the store cannot read: set aside, each with a line and a number, and the rest goes on.

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
    let output = scene.gateway().output();
    assert!(output.contains("its delivery is set aside"), "{output}");
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
    let failed = scene.receiver.messages().len();
    scene.receiver.set(Mood::Answers(200));
    scene.start_gateway();
    let again = scene.receiver.wait_for(failed + 2).split_off(failed);
    let mut sequences: Vec<_> =
        again.iter().filter_map(|message| message.header("x-retrohook-sequence")).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, ["1", "3"]);
    check_what_is_said(&scene, 2);
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
