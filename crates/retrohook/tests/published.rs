//! Messages that clients publish and send through SNS's and SQS's APIs: durable when they are answered, and told to every subscriber.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use testkit::aws::{self, element};
use testkit::client::Answer;
use testkit::python;
use testkit::receiver::{Mood, Receiver};
use testkit::scene::{Profiles, Scene};
use testkit::server::Request;
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:profile-changes";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:worker";

/// The file's topic, with its webhook.
fn scene() -> Scene {
    Scene::start(RETROHOOK, &Profiles::default().yaml())
}

/// Calls SNS without a signature.
#[track_caller]
fn sns(scene: &Scene, action: &str, parameters: &[(&str, &str)]) -> Answer {
    aws::query(scene.gateway().address("hub"), aws::SNS, action, parameters, &[]).expect("an answer")
}

/// Calls SQS in its Query protocol, without a signature.
#[track_caller]
fn sqs(scene: &Scene, action: &str, parameters: &[(&str, &str)]) -> Answer {
    aws::query(scene.gateway().address("hub"), aws::SQS, action, parameters, &[]).expect("an answer")
}

#[track_caller]
fn publish(scene: &Scene, text: &str) -> String {
    element(&sns(scene, "Publish", &[("TopicArn", TOPIC), ("Message", text)]), "MessageId")
}

/// A queue with a raw subscription, made by the API.
#[track_caller]
fn make_worker(scene: &Scene) {
    element(&sqs(scene, "CreateQueue", &[("QueueName", "worker")]), "QueueUrl");
    let raw = [("Attributes.entry.1.key", "RawMessageDelivery"), ("Attributes.entry.1.value", "true")];
    let all = [("TopicArn", TOPIC), ("Protocol", "sqs"), ("Endpoint", QUEUE)];
    element(&sns(scene, "Subscribe", &[&all[..], &raw].concat()), "SubscriptionArn");
}

/// The bodies of all messages that a queue has, received and deleted, until there are as many as this.
#[track_caller]
fn receive(scene: &Scene, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    wait::until("the messages", || {
        let ask = [("QueueUrl", "worker"), ("MaxNumberOfMessages", "10")];
        let answer = sqs(scene, "ReceiveMessage", &ask).text();
        for message in answer.split("<Message>").skip(1) {
            bodies.push(aws::within(message, "Body"));
            let handle = aws::within(message, "ReceiptHandle");
            assert_eq!(
                sqs(scene, "DeleteMessage", &[("QueueUrl", "worker"), ("ReceiptHandle", &handle)]).status,
                200
            );
        }
        (bodies.len() >= count).then_some(())
    });
    assert_eq!(bodies.len(), count, "{bodies:?}");
    bodies
}

#[track_caller]
fn script(scene: &Scene, name: &str, more: &[&str]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name);
    let hub = format!("http://{}", scene.gateway().address("hub"));
    let ran = python::command(&path).arg(hub).args(more).output().expect("python starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

fn text_of(told: &Request) -> String {
    String::from_utf8(told.body.clone()).expect("a text")
}

#[test]
fn a_message_reaches_both_subscribers_with_what_stands_beside_it() {
    let scene = scene();
    make_worker(&scene);
    let more = [
        ("TopicArn", TOPIC),
        ("Message", "hello ä <&>"),
        ("MessageAttributes.entry.1.Name", "kind"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "greeting"),
    ];
    let id = element(&sns(&scene, "Publish", &more), "MessageId");
    let told = scene.receiver.wait_for(1).remove(0);
    assert_eq!(
        (text_of(&told), told.header("x-retrohook-event-id")),
        ("hello ä <&>".into(), Some(id.as_str()))
    );
    assert_eq!(receive(&scene, 1), ["hello ä &lt;&amp;&gt;"]);
    let structured = r#"{"default":"for all","http":"for webhooks","sqs":"for queues"}"#;
    let answer = sns(
        &scene,
        "Publish",
        &[("TargetArn", TOPIC), ("Message", structured), ("MessageStructure", "json")],
    );
    element(&answer, "MessageId");
    assert_eq!(text_of(&scene.receiver.wait_for(2)[1]), "for webhooks");
    assert_eq!(receive(&scene, 1), ["for queues"]);
}

#[test]
fn envelopes_carry_messages() {
    let scene =
        Scene::start(RETROHOOK, &Profiles { subscription: "confirm: skip", ..Profiles::default() }.yaml());
    let with_subject = [("TopicArn", TOPIC), ("Message", "text"), ("Subject", "Hello")];
    let id = element(&sns(&scene, "Publish", &with_subject), "MessageId");
    let notification = scene.receiver.wait_for(1)[0].json();
    for (name, value) in [
        ("Type", "Notification"),
        ("MessageId", &id),
        ("Message", "text"),
        ("Subject", "Hello"),
        ("TopicArn", TOPIC),
    ] {
        assert_eq!(notification[name], value, "{notification}");
    }
    assert!(notification["Signature"].is_string(), "{notification}");
}

/// A CloudEvent that a client publishes is JSON like any other: the `data` of Standard Webhooks' object, with the type that the message names. Only
/// what a rule made as a CloudEvent goes out as it is.
#[test]
fn standard_webhooks_carry_messages_and_cloudevents_of_clients() {
    let subscription =
        "confirm: skip, format: standard-webhooks, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let scene = Scene::start(RETROHOOK, &Profiles { subscription, ..Profiles::default() }.yaml());
    let event = json!({
        "specversion": "1.0", "id": "7", "source": "/forum", "type": "com.example.moved", "data": { "to": "b" },
    });
    let typed = [
        ("TopicArn", TOPIC),
        ("MessageAttributes.entry.1.Name", "event_type"),
        ("MessageAttributes.entry.1.Value.DataType", "String"),
        ("MessageAttributes.entry.1.Value.StringValue", "com.example.moved"),
    ];
    let text = event.to_string();
    element(&sns(&scene, "Publish", &[&typed[..], &[("Message", text.as_str())]].concat()), "MessageId");
    let told = scene.receiver.wait_for(1)[0].json();
    assert_eq!((&told["type"], &told["data"]), (&event["type"], &event));
    let id = publish(&scene, "plain");
    let told = scene.receiver.wait_for(2)[1].clone();
    assert_eq!((told.json()["data"].as_str(), told.header("webhook-id")), (Some("plain"), Some(id.as_str())));
    assert_eq!(told.json()["type"], "message.published");
}

#[test]
fn what_is_acknowledged_stands_through_a_kill() {
    let mut scene = scene();
    make_worker(&scene);
    scene.receiver.set(Mood::Answers(503));
    let mut ids = Vec::new();
    let rounds = 5;
    for round in 0..rounds {
        ids.push(publish(&scene, &format!("text {round}")));
        element(
            &sqs(&scene, "SendMessage", &[("QueueUrl", "worker"), ("MessageBody", &format!("sent {round}"))]),
            "MessageId",
        );
        scene.kill_and_restart();
    }
    let mut bodies = receive(&scene, 2 * rounds);
    bodies.sort();
    let expected = |word: &str| (0..rounds).map(|round| format!("{word} {round}")).collect::<Vec<_>>();
    assert_eq!(bodies, [expected("sent"), expected("text")].concat());
    scene.receiver.set(Mood::Answers(200));
    wait::until("the webhook's messages", || {
        let told: Vec<_> = scene.receiver.events();
        ids.iter().all(|id| told.contains(id)).then_some(())
    });
}

#[test]
fn a_topic_that_goes_while_messages_come_refuses_them_from_then_on() {
    let scene = scene();
    make_worker(&scene);
    let arn = element(&sns(&scene, "CreateTopic", &[("Name", "orders")]), "TopicArn");
    let subscribe = [("TopicArn", arn.as_str()), ("Protocol", "sqs"), ("Endpoint", QUEUE)];
    element(&sns(&scene, "Subscribe", &subscribe), "SubscriptionArn");
    let taken = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            loop {
                let answer = sns(&scene, "Publish", &[("TopicArn", &arn), ("Message", "text")]);
                match answer.status {
                    200 => taken.fetch_add(1, Ordering::Relaxed),
                    404 if answer.text().contains("<Code>NotFound</Code>") => break,
                    other => panic!("{other}: {}", answer.text()),
                };
            }
        });
        wait::until("some messages", || (taken.load(Ordering::Relaxed) >= 3).then_some(()));
        assert_eq!(sns(&scene, "DeleteTopic", &[("TopicArn", &arn)]).status, 200);
    });
    // A queue keeps what it has: each that was acknowledged before, and none after.
    receive(&scene, taken.into_inner());
    publish(&scene, "others go on");
}

#[test]
fn a_store_without_room_is_unavailable_until_there_is_some() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.flags.push("--max-store=1MiB".into());
    scene.start_gateway();
    scene.receiver.set(Mood::Answers(503));
    element(&sqs(&scene, "CreateQueue", &[("QueueName", "worker")]), "QueueUrl");
    let long = "x".repeat(20_000);
    let refused = wait::until("the store to be full", || {
        let answer = sns(&scene, "Publish", &[("TopicArn", TOPIC), ("Message", &long)]);
        (answer.status != 200).then_some(answer)
    });
    let of_queue = sqs(&scene, "SendMessage", &[("QueueUrl", "worker"), ("MessageBody", "text")]);
    for answer in [refused, of_queue] {
        let text = answer.text();
        assert_eq!(answer.status, 503, "{text}");
        assert!(text.contains("<Type>Receiver</Type><Code>ServiceUnavailable</Code>"), "{text}");
    }
    scene.receiver.set(Mood::Answers(200));
    wait::until("messages to be taken again", || {
        let answer = sqs(&scene, "SendMessage", &[("QueueUrl", "worker"), ("MessageBody", "text")]);
        (answer.status == 200).then_some(())
    });
    publish(&scene, "text");
}

#[test]
fn boto3_publishes_and_sends() {
    let scene = scene();
    let webhook = Receiver::start();
    webhook.set_confirms(true);
    script(&scene, "publish_and_send.py", &[&webhook.url("/hook")]);
    let notification = wait::until("the webhook's message", || {
        webhook.messages().iter().map(Request::json).find(|told| told["Subject"] == "Hello")
    });
    assert_eq!(notification["Message"], "for webhooks");
    assert_eq!(notification["MessageAttributes"]["n"], json!({ "Type": "Number", "Value": "42" }));
}

/// The Query protocol as a real SDK speaks it, and not only as these tests write it.
#[test]
fn the_last_sdk_of_the_query_protocol_makes_sends_and_receives() {
    let scene = scene();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/old_sqs.py");
    let hub = format!("http://{}", scene.gateway().address("hub"));
    let ran = python::old_command(&path).arg(hub).output().expect("python starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}
