//! `SignatureVersion` of a topic: what its subscriptions without a version of their own get, webhooks and queues, over starts too.

use super::*;

const ORDERS: &str = "arn:aws:sns:us-east-1:000000000000:orders";

/// The attribute as SNS shows it.
#[track_caller]
fn shown(scene: &Scene) -> Option<String> {
    let answer = sns(scene, "GetTopicAttributes", &[("TopicArn", ORDERS)]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let (_, rest) = text.split_once("<key>SignatureVersion</key>")?;
    Some(aws::within(rest, "value"))
}

#[track_caller]
fn set(scene: &Scene, value: &str) -> Answer {
    let attribute = [("AttributeName", "SignatureVersion"), ("AttributeValue", value)];
    sns(scene, "SetTopicAttributes", &[&[("TopicArn", ORDERS)], &attribute[..]].concat())
}

/// What the webhook and the queue get of a message: the version of each envelope.
#[track_caller]
fn versions(scene: &Scene, receiver: &Receiver, text: &str) -> [String; 2] {
    let message = [("TopicArn", ORDERS), ("Message", text)];
    element(&sns(scene, "Publish", &message), "MessageId");
    let is_it = |body: &Value| body["Type"] == "Notification" && body["Message"] == text;
    let told = wait::until("the webhook's message", || {
        receiver.messages().iter().map(|request| request.json()).find(is_it)
    });
    let queued: Value = serde_json::from_str(&receive(scene, "worker", 1)[0]).expect("an envelope");
    assert!(is_it(&queued), "{queued}");
    [told, queued].map(|body| body["SignatureVersion"].as_str().expect("a version").to_owned())
}

#[test]
fn subscriptions_follow_the_version_of_their_topic() {
    let mut scene = scene();
    let receiver = Receiver::start();
    let attributes = [("Attributes.entry.1.key", "SignatureVersion"), ("Attributes.entry.1.value", "1")];
    let create = [&[("Name", "orders")], &attributes[..]].concat();
    assert_eq!(element(&sns(&scene, "CreateTopic", &create), "TopicArn"), ORDERS);
    assert_eq!(shown(&scene).as_deref(), Some("1"));
    assert_eq!(element(&sns(&scene, "CreateTopic", &create), "TopicArn"), ORDERS, "it is as it is asked for");
    let other = [("Name", "orders"), attributes[0], ("Attributes.entry.1.value", "2")];
    refused(&sns(&scene, "CreateTopic", &other), 400, "InvalidParameter", "different attributes");
    let wrong = [("Name", "others"), attributes[0], ("Attributes.entry.1.value", "3")];
    refused(&sns(&scene, "CreateTopic", &wrong), 400, "InvalidParameter", "SignatureVersion is 1 or 2");

    assert_eq!(sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" })).0, 200);
    for (protocol, endpoint) in
        [("http", receiver.url("/hook").as_str()), ("sqs", "arn:aws:sqs:us-east-1:000000000000:worker")]
    {
        let subscribe = [("TopicArn", ORDERS), ("Protocol", protocol), ("Endpoint", endpoint)];
        element(&sns(&scene, "Subscribe", &subscribe), "SubscriptionArn");
    }
    assert_eq!(versions(&scene, &receiver, "first"), ["1", "1"]);
    let asked = receiver.received().remove(0).json();
    assert_eq!(
        (&asked["Type"], &asked["SignatureVersion"]),
        (&json!("SubscriptionConfirmation"), &json!("1"))
    );

    refused(&set(&scene, "0"), 400, "InvalidParameter", "SignatureVersion is 1 or 2");
    assert_eq!(versions(&scene, &receiver, "second"), ["1", "1"], "nothing has changed");
    assert_eq!(set(&scene, "2").status, 200);
    assert_eq!(shown(&scene).as_deref(), Some("2"));
    assert_eq!(versions(&scene, &receiver, "third"), ["2", "2"]);
    assert_eq!(set(&scene, "1").status, 200);
    assert_eq!(versions(&scene, &receiver, "fourth"), ["1", "1"]);
    scene.kill_and_restart();
    assert_eq!(shown(&scene).as_deref(), Some("1"));
    assert_eq!(versions(&scene, &receiver, "fifth"), ["1", "1"], "a start keeps it");
    let told = scene.reload(&format!("{}- name: another\n", scene.setup.config));
    assert!(told.contains("reloaded: "), "{told}");
    assert_eq!(versions(&scene, &receiver, "sixth"), ["1", "1"], "and so does a reload");
    assert_eq!(set(&scene, "").status, 200);
    assert_eq!(shown(&scene), None);
    assert_eq!(versions(&scene, &receiver, "seventh"), ["2", "2"], "the default");
}

/// A file cannot say how a topic is signed, nor any other attribute: what an API said of it holds for as long as the file declares it.
#[test]
fn a_file_that_adopts_a_topic_and_a_queue_keeps_what_no_file_can_say() {
    let mut scene = scene();
    let receiver = Receiver::start();
    let attributes = [("Attributes.entry.1.key", "SignatureVersion"), ("Attributes.entry.1.value", "1")];
    let create = [&[("Name", "orders")], &attributes[..]].concat();
    assert_eq!(element(&sns(&scene, "CreateTopic", &create), "TopicArn"), ORDERS);
    let queue = json!({ "QueueName": "worker", "Attributes": { "Policy": "{}", "VisibilityTimeout": "9" } });
    assert_eq!(sqs(&scene, "CreateQueue", &queue).0, 200);
    let url = format!("http://{}/000000000000/worker", scene.gateway().address("hub"));
    let asked = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let of_queue = |scene: &Scene| {
        let of = sqs(scene, "GetQueueAttributes", &asked).1["Attributes"].clone();
        ["Policy", "VisibilityTimeout"].map(|name| of[name].as_str().map(str::to_owned))
    };
    assert_eq!(of_queue(&scene), ["{}", "9"].map(|value| Some(value.to_owned())));
    for (protocol, endpoint) in
        [("http", receiver.url("/hook").as_str()), ("sqs", "arn:aws:sqs:us-east-1:000000000000:worker")]
    {
        let subscribe = [("TopicArn", ORDERS), ("Protocol", protocol), ("Endpoint", endpoint)];
        element(&sns(&scene, "Subscribe", &subscribe), "SubscriptionArn");
    }
    assert_eq!(versions(&scene, &receiver, "first"), ["1", "1"]);

    let before = scene.setup.config.clone();
    let declared = format!("{before}- name: orders\nqueues:\n- name: worker\n");
    let told = scene.reload(&declared);
    assert!(told.contains("topic `orders`, which an API made, belongs to the file"), "{told}");
    refused(&set(&scene, "2"), 403, "AuthorizationError", "configuration file");
    assert_eq!(
        of_queue(&scene),
        ["{}", "30"].map(|value| Some(value.to_owned())),
        "what a file can say is the file's"
    );
    for (text, is_restarted) in [("second", false), ("third", true), ("fourth", true)] {
        if is_restarted {
            scene.setup.config = declared.clone();
            scene.take_gateway().terminate();
            scene.start_gateway();
        }
        assert_eq!(shown(&scene).as_deref(), Some("1"), "{text}");
        assert_eq!(versions(&scene, &receiver, text), ["1", "1"], "{text}");
    }
    assert!(scene.reload(&declared).contains("nothing changed"));
    // A start keeps what subscriptions of an API need, as if an API had made it.
    scene.setup.config = before;
    scene.take_gateway().terminate();
    scene.start_gateway();
    assert_eq!(shown(&scene).as_deref(), Some("1"));
    assert_eq!(versions(&scene, &receiver, "fifth"), ["1", "1"]);
}
