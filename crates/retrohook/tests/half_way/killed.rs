//! `kill -9` between the steps of a change.

use super::{
    RETROHOOK, WAYS, Way, finds_the_route, idle, make_api, post, prepared, subscribe, wait_for_the_point,
    with_subscriptions, without_the_route,
};
use rustix::process::Signal;
use testkit::scene::{Profiles, Scene};

/// More text than one commit takes, which says nothing.
fn large(config: &str, what: &str) -> String {
    let line =
        |number| format!("# {what}: line {number} of a text that is longer than what a commit takes\n");
    config.to_owned() + &(0..8_000).map(line).collect::<String>()
}

/// Each change is answered for when it is in the store: whoever kills the process behind that finds it, and before that finds nothing of it.
#[test]
fn a_change_that_is_stored_and_not_served_is_served_by_the_next_start() {
    for way in WAYS {
        let mut scene = prepared();
        scene.setup.env.push(("FAILPOINTS".into(), "declared=1*return->pause".into()));
        scene.start_gateway();
        way.ask(&scene);
        wait_for_the_point(&scene);
        assert!(way == Way::Subscribe || !way.is_made(&scene), "{way:?}: it is not served yet");
        restart_from_the_store(&mut scene, way);
        assert!(way.is_made(&scene), "{way:?}: it was stored");
    }
}

/// A start with files would take them, whatever the store has.
fn restart_from_the_store(scene: &mut Scene, way: Way) {
    scene.setup.env.clear();
    scene.setup.without_files = way == Way::Signal || way == Way::Post;
    scene.kill_and_restart();
}

#[test]
fn a_change_that_stops_before_its_commit_leaves_nothing() {
    for way in WAYS {
        let mut scene = prepared();
        scene.setup.env.push(("FAILPOINTS".into(), "changing=1*return->pause".into()));
        scene.start_gateway();
        way.ask(&scene);
        wait_for_the_point(&scene);
        restart_from_the_store(&mut scene, way);
        assert!(!way.is_made(&scene), "{way:?}: nothing of it was stored");
        assert!(finds_the_route(&scene));
    }
}

#[test]
fn between_two_slices_of_a_large_text_the_old_one_is_what_the_next_start_has() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let first = large(&scene.setup.config, "the old one");
    scene.setup.config = first.clone();
    scene.start_gateway();
    // It is a large one that is kept, and a large one that is not to be kept.
    let changed = large(&without_the_route(&first), "the new one");
    assert_ne!(first, changed);
    scene.setup.env.push(("FAILPOINTS".into(), "staged=4*off->1*return->pause".into()));
    scene.setup.without_files = true;
    scene.kill_and_restart();
    let admin = scene.gateway().address("admin");
    let posting = std::thread::spawn(move || post(admin, &changed).is_ok());
    wait_for_the_point(&scene);
    scene.setup.env.clear();
    scene.kill_and_restart();
    assert!(!posting.join().expect("the client does not panic"), "its answer never came");
    scene.gateway().wait_until_it_says("as served last (");
    assert!(finds_the_route(&scene));
    assert_eq!(areas_of_texts(&scene), 1, "what was not finished is gone");
}

/// In how many areas the store has a large text.
fn areas_of_texts(scene: &Scene) -> i64 {
    let database = testkit::process::database(&scene.setup.data_dir());
    let kept = rusqlite::Connection::open(database).expect("the database opens");
    let sql =
        "SELECT count(DISTINCT substr(name, 1, 15)) FROM small_values WHERE name LIKE 'configuration-_-%'";
    kept.query_row(sql, [], |row| row.get(0)).expect("the small values are read")
}

#[test]
fn between_two_slices_of_a_large_declaration_the_new_one_is_what_the_next_start_has() {
    const COUNT: usize = 300;
    let mut scene = prepared();
    scene.setup.env.push(("FAILPOINTS".into(), "declaring=1*off->1*return->pause".into()));
    scene.start_gateway();
    let changed = with_subscriptions(&without_the_route(&scene.setup.config), COUNT);
    std::fs::write(scene.setup.config_file(), &changed).expect("the file can be written");
    scene.gateway().signal(Signal::HUP);
    wait_for_the_point(&scene);
    // The store has the text, and a part of the subscriptions; whoever starts from it has all of both.
    scene.setup.env.clear();
    scene.setup.without_files = true;
    scene.kill_and_restart();
    assert_eq!(idle(&scene), COUNT);
    assert!(!finds_the_route(&scene));
    // With the files as they were, all of it is as it was.
    scene.setup.without_files = false;
    scene.kill_and_restart();
    assert_eq!(idle(&scene), 0);
    assert!(finds_the_route(&scene));
}

#[test]
fn changes_that_overlap_are_made_one_after_the_other() {
    const COUNT: usize = 500;
    let mut scene = prepared();
    // Time for the others to come while the first one is between two commits.
    scene.setup.env.push(("FAILPOINTS".into(), "declaring=1*return->1*sleep(700)->off".into()));
    scene.start_gateway();
    let changed = with_subscriptions(&scene.setup.config, COUNT);
    let process = scene.gateway();
    let (admin, legacy, hub) =
        (process.address("admin"), process.address("legacy-admin"), process.address("hub"));
    let upstream = scene.upstream.address();
    let text = changed.clone();
    let posting = std::thread::spawn(move || post(admin, &text).map(|answer| answer.status));
    wait_for_the_point(&scene);
    let making = std::thread::spawn(move || make_api(legacy, "made", upstream).map(|answer| answer.status));
    let subscribing = std::thread::spawn(move || subscribe(hub, "made").map(|answer| answer.status));
    // Requests beside them are answered as ever.
    assert_eq!(scene.put("").expect("an answer").status, 200);
    let status = |thread: std::thread::JoinHandle<std::io::Result<u16>>| {
        thread.join().expect("the client does not panic").expect("an answer")
    };
    assert_eq!((status(posting), status(making), status(subscribing)), (201, 201, 200));
    for restart in [false, true] {
        if restart {
            scene.setup.env.clear();
            scene.setup.without_files = true;
            scene.kill_and_restart();
        }
        assert_eq!(idle(&scene), COUNT);
        assert!(Way::LegacyAdmin.is_made(&scene) && Way::Subscribe.is_made(&scene), "restart: {restart}");
    }
}
