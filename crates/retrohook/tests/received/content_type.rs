//! The content type of a delivery, as a file and as the SNS API ask for it.

use testkit::aws::{self, element};
use testkit::client::Answer;
use testkit::receiver::Receiver;
use testkit::server::Request;
use testkit::wait;

use super::*;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:profile-changes";
const OF_SNS: &str = "text/plain; charset=UTF-8";
const JSON: &str = "application/json; charset=utf-8";

fn content_type(request: &Request) -> &str {
    request.header("content-type").expect("a content type")
}

#[track_caller]
fn sns(scene: &Scene, action: &str, parameters: &[(&str, &str)]) -> Answer {
    let hub = scene.gateway().address("hub");
    aws::query(hub, aws::SNS, action, parameters, &[]).expect("an answer")
}

#[test]
fn a_file_names_the_one_of_a_subscription_with_and_without_envelope() {
    for settings in ["", "raw_message_delivery: true, "] {
        let scene = scene(&format!("{settings}content_type: \"{JSON}\""));
        put(&scene);
        let message = scene.receiver.wait_for(1).remove(0);
        assert_eq!(content_type(&message), JSON, "{settings}");
        assert_eq!(
            message.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).count(),
            1
        );
        let asked = scene.receiver.received().remove(0);
        assert_eq!(asked.header("x-amz-sns-message-type"), Some("SubscriptionConfirmation"));
        assert_eq!(content_type(&asked), OF_SNS, "a request to confirm is as SNS sends it");
    }
}

#[test]
fn a_reload_changes_it_and_the_subscription_stays_the_same() {
    let scene = scene("raw_message_delivery: true, confirm: skip");
    put(&scene);
    assert_eq!(content_type(&scene.receiver.wait_for(1)[0]), OF_SNS);
    let config = std::fs::read_to_string(scene.setup.config_file()).expect("the file");
    scene.reload(&config.replace("confirm: skip", &format!("confirm: skip, content_type: \"{JSON}\"")));
    put(&scene);
    let messages = scene.receiver.wait_for(2);
    assert_eq!(content_type(&messages[1]), JSON);
    let arn = |request: &Request| request.header("x-amz-sns-subscription-arn").map(str::to_owned);
    assert_eq!(arn(&messages[0]), arn(&messages[1]));
}

/// The messages of a receiver, as soon as there are more than these.
#[track_caller]
fn more_than(receiver: &Receiver, before: usize) -> Vec<Request> {
    wait::until("another delivery", || {
        let messages = receiver.messages();
        (messages.len() > before).then_some(messages)
    })
}

#[test]
fn the_sns_api_names_it_in_a_delivery_policy_and_it_survives_a_kill() {
    let mut scene = scene("raw_message_delivery: true, confirm: skip");
    let webhook = Receiver::start();
    webhook.set_confirms(true);
    let policy =
        |content_type: &str| format!("{{\"requestPolicy\":{{\"headerContentType\":\"{content_type}\"}}}}");
    let subscribe = |scene: &Scene, policy: &str| {
        let endpoint = webhook.url("/hook");
        sns(
            scene,
            "Subscribe",
            &[
                ("TopicArn", TOPIC),
                ("Protocol", "http"),
                ("Endpoint", &endpoint),
                ("ReturnSubscriptionArn", "true"),
                ("Attributes.entry.1.key", "DeliveryPolicy"),
                ("Attributes.entry.1.value", policy),
            ],
        )
    };
    let refused = subscribe(&scene, &policy("json"));
    assert_eq!(refused.status, 400);
    let text = refused.text();
    assert!(text.contains("Attributes Reason: DeliveryPolicy: requestPolicy.headerContentType:"), "{text}");

    let arn = element(&subscribe(&scene, &policy(JSON)), "SubscriptionArn");
    assert_eq!(element(&subscribe(&scene, &policy(JSON)), "SubscriptionArn"), arn, "it is the same one");
    let other = subscribe(&scene, &policy("text/csv"));
    assert_eq!(other.status, 400);
    assert!(other.text().contains("already exists with different attributes"), "{}", other.text());
    let shown = |scene: &Scene| sns(scene, "GetSubscriptionAttributes", &[("SubscriptionArn", &arn)]).text();
    let attribute = |value: &str| format!("<entry><key>DeliveryPolicy</key><value>{value}</value></entry>");
    assert!(shown(&scene).contains(&attribute(&policy(JSON))), "{}", shown(&scene));

    put(&scene);
    let messages = webhook.wait_for(1);
    assert_eq!(content_type(&messages[0]), JSON);
    scene.kill_and_restart();
    put(&scene);
    let messages = more_than(&webhook, 1);
    assert_eq!(content_type(messages.last().expect("one")), JSON);

    let set = |scene: &Scene, value: &str| {
        let all = [
            ("SubscriptionArn", arn.as_str()),
            ("AttributeName", "DeliveryPolicy"),
            ("AttributeValue", value),
        ];
        sns(scene, "SetSubscriptionAttributes", &all)
    };
    let retries = set(&scene, "{\"healthyRetryPolicy\":{\"numRetries\":1}}");
    assert_eq!(retries.status, 400);
    assert!(
        retries.text().contains("DeliveryPolicy: healthyRetryPolicy is not supported here yet"),
        "{}",
        retries.text()
    );
    assert_eq!(set(&scene, "").status, 200);
    assert!(!shown(&scene).contains("DeliveryPolicy"), "{}", shown(&scene));
    put(&scene);
    // What the kill had sent again may still come, with the type that it has.
    wait::until("a delivery with the type of SNS's form", || {
        webhook.messages().iter().any(|message| content_type(message) == OF_SNS).then_some(())
    });
}
