//! What people receive, and what they can do with it: the content type of a delivery, and by both ways to ask for one.

use testkit::scene::{Profiles, Scene};

mod content_type;

const PROGRAM: &str = env!("CARGO_BIN_EXE_retrohook");

/// The usual arrangement with this subscription.
#[track_caller]
fn scene(subscription: &str) -> Scene {
    Scene::start(PROGRAM, &Profiles { subscription, ..Profiles::default() }.yaml())
}

#[track_caller]
fn put(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 200);
}
