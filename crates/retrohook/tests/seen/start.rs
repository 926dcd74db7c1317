//! What a start says: where its data is, whether it is new, and what is owed; and more words for whoever asks for them.

use testkit::aws;
use testkit::receiver::Mood;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

use super::RETROHOOK;

/// The start's line about the data.
#[track_caller]
fn data_line(scene: &Scene) -> String {
    let output = scene.gateway().output();
    let line = output.lines().find(|line| line.starts_with("  data "));
    line.unwrap_or_else(|| panic!("no line about the data:\n{output}")).to_owned()
}

#[test]
fn a_start_says_where_the_data_is_whether_it_is_new_and_what_is_owed() {
    let subscription = "raw_message_delivery: true, confirm: skip";
    let mut scene = Scene::prepare(RETROHOOK, &Profiles { subscription, ..Profiles::default() }.yaml());
    scene.start_gateway();
    let line = data_line(&scene);
    let (_, place) = line.split_once("  data ").expect("the line's name");
    assert!(place.trim().starts_with('/') && line.ends_with(" (new)"), "{line}");

    scene.receiver.set(Mood::Answers(500));
    for _ in 0..2 {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    wait::until("both to be tried", || {
        let one = scene.admin().get("/retrohook/subscriptions/1").json();
        (one["retrying"] == 2).then_some(())
    });
    scene.take_gateway().terminate();
    scene.start_gateway();
    let line = data_line(&scene);
    assert!(line.ends_with("(log at 2; owed: 2 waiting deliveries)"), "{line}");
}

#[test]
fn a_start_warns_of_an_endpoint_of_an_api_that_the_options_leave_closed() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let hub = scene.gateway().address("hub");
    let parameters = [
        ("TopicArn", "arn:aws:sns:us-east-1:000000000000:profile-changes"),
        ("Protocol", "http"),
        ("Endpoint", "http://10.1.2.3:9100/made-by-an-api"),
    ];
    let subscribed = aws::query(hub, aws::SNS, "Subscribe", &parameters, &[]);
    assert_eq!(subscribed.expect("an answer").status, 200);
    scene.take_gateway().terminate();
    scene.setup.flags.retain(|flag| flag != "--allow-private-endpoints");
    scene.start_gateway();
    let output = scene.gateway().output();
    let warning = "warning: a subscription of `profile-changes`, which an API made: nothing is delivered to http://10.1.2.3:9100/made-by-an-api: ";
    assert!(output.contains(warning), "{output}");
}

#[test]
fn more_words_tell_each_attempt() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.env.push(("RETROHOOK_LOG".into(), "delivery=debug,info".into()));
    scene.start_gateway();
    assert_eq!(scene.put("").expect("an answer").status, 200);
    wait::until("a line of the attempt", || {
        let output = scene.gateway().output();
        let line = output.lines().find(|line| line.contains("an attempt has ended"))?.to_owned();
        assert!(line.contains("DEBUG") && line.contains("status=200") && line.contains("event="), "{line}");
        Some(())
    });
}
