//! The links in SNS's messages and the certificate, through HTTP.

mod publish;

use hub::testing::{QUEUE, TOKEN, TOPIC, WEBHOOK};
use storage::entities::SubscriptionState;

use crate::tests::{Answer, Site};

const TOPIC_ARN: &str = "arn:aws:sns:us-east-1:000000000000:profile-changes";

/// An answer is an error with this status, code and text (as XML).
#[track_caller]
fn check(answer: &Answer, status: u16, code: &str, message: &str) {
    let id = answer.request_id();
    let expected = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    );
    assert_eq!(answer.body, expected);
    assert_eq!((answer.status, answer.header("content-type")), (status, Some("text/xml")));
}

#[tokio::test]
async fn errors_are_those_of_sns() {
    let site = Site::all().await;
    let null =
        |name: &str| format!("Value null at '{name}' failed to satisfy constraint: Member must not be null");
    let unknown = TOKEN.replace('0', "1");
    for (query, code, message) in [
        (
            "Action=ConfirmSubscription&Token=x".to_owned(),
            "ValidationError",
            format!("1 validation error detected: {}", null("topicArn")),
        ),
        (
            format!("Action=ConfirmSubscription&TopicArn={TOPIC_ARN}"),
            "ValidationError",
            format!("1 validation error detected: {}", null("token")),
        ),
        (
            "Action=ConfirmSubscription&TopicArn=".to_owned(),
            "ValidationError",
            format!("2 validation errors detected: {}; {}", null("topicArn"), null("token")),
        ),
        (
            format!("Action=ConfirmSubscription&TopicArn=x&Token={TOKEN}"),
            "InvalidParameter",
            "Invalid parameter: Topic".into(),
        ),
        (
            format!(
                "Action=ConfirmSubscription&TopicArn={}&Token={TOKEN}",
                TOPIC_ARN.replace("us-east-1", "eu-west-1")
            ),
            "InvalidParameter",
            "Invalid parameter: Topic".into(),
        ),
        (
            format!("Action=ConfirmSubscription&TopicArn={TOPIC_ARN}&Token={unknown}"),
            "InvalidParameter",
            "Invalid parameter: Token".into(),
        ),
        (
            format!("Action=ConfirmSubscription&TopicArn={TOPIC_ARN}&Token=x"),
            "InvalidParameter",
            "Invalid token".into(),
        ),
        (
            "Action=Unsubscribe".to_owned(),
            "InvalidParameter",
            "Invalid parameter: SubscriptionArn Reason: no value for required parameter".into(),
        ),
        (
            "Action=Unsubscribe&SubscriptionArn=a:b".to_owned(),
            "InvalidParameter",
            "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 2".into(),
        ),
        (
            format!("Action=Unsubscribe&SubscriptionArn={TOPIC_ARN}"),
            "InvalidParameter",
            "Invalid parameter: SubscriptionId".into(),
        ),
    ] {
        check(&site.get(&format!("/?{query}")).await, 400, code, &message);
        check(&site.post_form("/", &query).await, 400, code, &message);
    }
}

#[tokio::test]
async fn other_actions_are_not_valid_and_their_names_are_escaped() {
    let site = Site::public().await;
    for (action, written) in [("Publish", "Publish"), ("%3Ca%3E%26%22%27%0D", "&lt;a&gt;&amp;\"'&#xD;")] {
        let message = format!(
            "The action {written} is not valid for this endpoint. Of SNS there are ConfirmSubscription, Unsubscribe."
        );
        check(&site.get(&format!("/?Action={action}")).await, 400, "InvalidAction", &message);
    }
}

#[tokio::test]
async fn a_link_confirms_and_may_be_followed_again() {
    let site = Site::all().await;
    let state = site.world.hub.watch_subscription(site.world.subscription(WEBHOOK)).unwrap();
    // A wrong topic in the right region confirms, too.
    for topic in [TOPIC_ARN, "arn:aws:sns:us-east-1:000000000000:other"] {
        let answer = site.get(&format!("/?Action=ConfirmSubscription&TopicArn={topic}&Token={TOKEN}")).await;
        let expected = format!(
            "<ConfirmSubscriptionResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><ConfirmSubscriptionResult>\
             <SubscriptionArn>{}</SubscriptionArn></ConfirmSubscriptionResult><ResponseMetadata><RequestId>{}</RequestId>\
             </ResponseMetadata></ConfirmSubscriptionResponse>",
            site.world.subscription_arn(WEBHOOK),
            answer.request_id()
        );
        assert_eq!((answer.status, answer.body), (200, expected));
        assert_eq!(*state.borrow(), SubscriptionState::Confirmed);
    }
}

#[tokio::test]
async fn the_link_in_a_message_unsubscribes() {
    let site = Site::public().await;
    site.world.publish(1).await;
    let queue = site.world.hub.queue(QUEUE).unwrap();
    let ask = hub::queue::Receive { max: 1, visibility: None, wait: None };
    let message = site.world.hub.receive(&queue, ask).await.unwrap().remove(0);
    let notification: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    let link = notification["UnsubscribeURL"].as_str().unwrap().strip_prefix(hub::testing::HUB_URL).unwrap();
    for _ in 0..2 {
        let answer = site.get(link).await;
        let expected = format!(
            "<UnsubscribeResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><ResponseMetadata><RequestId>{}</RequestId>\
             </ResponseMetadata></UnsubscribeResponse>",
            answer.request_id()
        );
        assert_eq!((answer.status, answer.body), (200, expected));
    }
    let state = site.world.hub.watch_subscription(site.world.subscription(QUEUE)).unwrap();
    assert!(state.borrow().is_disabled());
    assert!(notification["TopicArn"].as_str().unwrap().ends_with(TOPIC));
}

#[tokio::test]
async fn the_certificate_is_served_under_its_name_alone_and_once_there_is_one() {
    let site = Site::public().await;
    let key = site.world.key.send_replace(None).unwrap();
    let path = format!("/{}", key.file_name());
    check(&site.get(&path).await, 404, "NotFound", "There is no such certificate.");
    site.world.key.send_replace(Some(key.clone()));
    let answer = site.get(&path).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, key.certificate_pem()));
    assert_eq!(answer.header("content-type"), Some("application/x-pem-file"));
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let head = site.send("HEAD", &path, &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let other = format!("/SimpleNotificationService-{}.pem", "0".repeat(32));
    assert_eq!(site.get(&other).await.status, 404);
    assert_eq!(site.get(&format!("{path}?x=1")).await.status, 200);
}
