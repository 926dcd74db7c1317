//! What people receive, and what they can do with it: the content type and the signature of a delivery, and `retrohook receive`.

use testkit::scene::{Profiles, Scene};

mod content_type;
mod frameworks;
mod readme;
mod receive;
mod signature_version;
mod sns_validator;

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
