//! `kill -9` while an operator frees what is stuck.

use super::*;

/// Stops at a point of the process that a delivery that is given up passes.
#[track_caller]
fn stopped_at(point: &str, hook: &Hook) -> Scene {
    let mut scene = hook.scene(FIFO);
    scene.setup.env.push(("FAILPOINTS".into(), format!("{point}=1*return->pause")));
    scene.start_gateway();
    put(&scene, &["poison", "second"]);
    let head = deliveries(scene.admin(), "", 2).remove(0);
    let give_up = format!("{}?reason=poison", link(&head, "give_up"));
    let admin = scene.admin();
    let asking = std::thread::spawn(move || std::panic::catch_unwind(|| admin.post(&give_up)).is_err());
    scene.gateway().wait_until_it_says("failpoint reached");
    scene.setup.env.clear();
    scene.kill_and_restart();
    assert!(asking.join().expect("it does not panic"), "its answer never came");
    scene
}

#[test]
fn what_was_given_up_is_a_dead_letter_and_the_next_of_its_key_goes_on_after_a_kill() {
    let hook = Hook::refusing(&["poison"]);
    let scene = stopped_at("given-up", &hook);
    hook.wait_for(&["second"]);
    let dead = dead_letters(scene.admin());
    assert_eq!((dead.len(), &dead[0]["reason"]), (1, &json!("given up by an operator: poison")));
    assert_eq!(hook.times("poison"), 1, "it is not tried again");
}

#[test]
fn what_was_not_stored_as_given_up_still_waits_after_a_kill() {
    let hook = Hook::refusing(&["poison"]);
    let scene = stopped_at("giving-up", &hook);
    wait::until("another try", || (hook.times("poison") == 2).then_some(()));
    let both = deliveries(scene.admin(), "", 2);
    assert_eq!((&both[0]["state"], &both[1]["state"]), (&json!("waiting"), &json!("behind")), "{both:#?}");
    assert_eq!((dead_letters(scene.admin()).len(), hook.taken().len()), (0, 0));
    ok(&scene.admin().post(&format!("{}?reason=poison", link(&both[0], "give_up"))));
    hook.wait_for(&["second"]);
}

#[test]
fn what_was_to_be_tried_again_is_tried_again_after_a_kill() {
    let hook = Hook::refusing(&["down"]);
    let mut scene = hook.scene(RAW);
    scene.start_gateway();
    put(&scene, &["down=1", "down=2", "down=3"]);
    deliveries(scene.admin(), "?state=waiting", 3);
    ok(&scene.admin().post("/retrohook/subscriptions/1/retry"));
    scene.take_gateway().kill();
    hook.is_well();
    scene.start_gateway();
    wait::until("each", || {
        let mut taken = hook.taken();
        taken.sort();
        taken.dedup();
        (taken.len() == 3).then_some(())
    });
    assert_eq!(deliveries(scene.admin(), "", 0).len(), 0);
}
