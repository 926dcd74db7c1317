//! A disk that is full when a change is made, or becomes full within it.

use std::path::PathBuf;

use testkit::scene::Scene;
use testkit::small_disk::{self, Filler};
use testkit::wait;

use super::{
    Way, degraded, finds_the_route, idle, make_api, post, prepared, subscribe, wait_for_the_point,
    with_subscriptions, without_the_route,
};

/// A gateway whose data is on a disk of its own, in a mount namespace of its own; and a place for ballast on it.
fn on_a_small_disk(failpoints: &str) -> (Scene, PathBuf) {
    let mut scene = prepared();
    scene.setup.env.push(("FAILPOINTS".into(), failpoints.to_owned()));
    let ballast = small_disk::start(&mut scene, "4m");
    (scene, ballast)
}

#[test]
fn a_full_disk_leaves_the_old_configuration_and_takes_the_new_one_later() {
    let (scene, ballast) = on_a_small_disk("");
    let process = scene.gateway();
    let (admin, legacy, hub) =
        (process.address("admin"), process.address("legacy-admin"), process.address("hub"));
    let upstream = scene.upstream.address();
    let filler = Filler::start(ballast);
    // A log that has room left from before takes a few small ones.
    let refused = |make: &dyn Fn(usize) -> u16| {
        let first = (0..2_000).find(|number| make(*number) >= 500);
        first.expect("a disk that is full takes no change")
    };
    let api =
        refused(&|number| make_api(legacy, &format!("api-{number}"), upstream).expect("an answer").status);
    assert_eq!(scene.send("GET", &format!("/api-{api}/x")).expect("an answer").status, 404);
    let subscription = refused(&|number| subscribe(hub, &format!("s-{number}")).expect("an answer").status);
    let listed = |number: usize| {
        let list = scene.admin().get("/retrohook/subscriptions?topic=profile-changes&limit=500").json();
        list.to_string().contains(&format!("127.0.0.1:9/s-{number}\""))
    };
    assert!(!listed(subscription));
    let changed = with_subscriptions(&without_the_route(&scene.setup.config), 40);
    let answer = post(admin, &changed).expect("an answer");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(finds_the_route(&scene) && idle(&scene) == 0);
    let printed = scene.reload(&changed);
    assert!(printed.contains("the old configuration stays (generation "), "{printed}");
    assert!(finds_the_route(&scene) && idle(&scene) == 0);

    filler.stop();
    let taken =
        |make: &dyn Fn() -> u16| wait::until("the store to take changes", || (make() < 300).then_some(()));
    taken(&|| make_api(legacy, &format!("api-{api}"), upstream).expect("an answer").status);
    taken(&|| subscribe(hub, &format!("s-{subscription}")).expect("an answer").status);
    assert_eq!(scene.send("GET", &format!("/api-{api}/x")).expect("an answer").status, 200);
    assert!(listed(subscription));
    let printed = scene.reload(&changed);
    assert!(printed.contains("reloaded: ") && !printed.contains("not reloaded"), "{printed}");
    assert!(!finds_the_route(&scene) && idle(&scene) == 40);
}

#[test]
fn a_disk_that_becomes_full_within_a_large_change_has_it_finished_when_there_is_room() {
    const COUNT: usize = 2_000;
    let (scene, ballast) = on_a_small_disk("declaring=1*return->1*sleep(1500)->off");
    let admin = scene.gateway().address("admin");
    let changed = with_subscriptions(&without_the_route(&scene.setup.config), COUNT);
    let posting = std::thread::spawn(move || post(admin, &changed).expect("an answer"));
    wait_for_the_point(&scene);
    let filler = Filler::start(ballast);
    let answer = posting.join().expect("the client does not panic");
    let report = answer.json();
    assert_eq!((answer.status, &report["result"]), (503, &"refused".into()), "{report}");
    assert!(
        report["message"].as_str().is_some_and(|text| text.contains("has not made all of it")),
        "{report}"
    );
    assert!(degraded(&scene).to_string().contains("has not made all of it"), "{}", degraded(&scene));
    assert!(finds_the_route(&scene), "routes are those of before until then");

    filler.stop();
    wait::until("the rest of the change", || Way::Post.is_made(&scene).then_some(()));
    assert_eq!(idle(&scene), COUNT);
    let printed = scene.gateway().output();
    assert!(
        printed.contains("a change that broke off is served as the store has it (generation 2)"),
        "{printed}"
    );
    assert!(!degraded(&scene).to_string().contains("has not made all of it"));
    assert!(subscribe(scene.gateway().address("hub"), "made").is_ok_and(|answer| answer.status == 200));
}
