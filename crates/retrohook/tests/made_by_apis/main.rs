//! Topics, queues and subscriptions that SNS's and SQS's APIs make while the gateway runs, beside those of the files: durable, delivered to
//! at once, and neither touches what the other owns.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::aws::{self, SIGNED, element};
use testkit::client::{self, Answer};
use testkit::python;
use testkit::receiver::Receiver;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

mod owners;
mod redrive;
mod signed;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:profile-changes";

fn scene() -> Scene {
    Scene::start(RETROHOOK, &Profiles::default().yaml())
}

/// Calls SNS, signed.
#[track_caller]
fn sns(scene: &Scene, action: &str, parameters: &[(&str, &str)]) -> Answer {
    aws::query(scene.gateway().address("hub"), aws::SNS, action, parameters, &[SIGNED]).expect("an answer")
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, words: &str) {
    let text = answer.text();
    assert_eq!(answer.status, status, "{text}");
    assert!(text.contains(&format!("<Code>{code}</Code>")) && text.contains(words), "{text}");
}

/// Calls SQS in JSON.
#[track_caller]
fn sqs(scene: &Scene, operation: &str, input: &Value) -> (u16, Value) {
    let answer = aws::sqs(scene.gateway().address("hub"), operation, input).expect("an answer");
    (answer.status, answer.json())
}

/// The bodies of the messages that a queue has, received and deleted.
#[track_caller]
fn receive(scene: &Scene, queue: &str, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    wait::until("the messages", || {
        let (status, answer) =
            sqs(scene, "ReceiveMessage", &json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10 }));
        assert_eq!(status, 200, "{answer}");
        for message in answer["Messages"].as_array().into_iter().flatten() {
            bodies.push(message["Body"].as_str().expect("a text").to_owned());
            let handle = &message["ReceiptHandle"];
            sqs(scene, "DeleteMessage", &json!({ "QueueUrl": queue, "ReceiptHandle": handle }));
        }
        (bodies.len() >= count).then_some(())
    });
    assert_eq!(bodies.len(), count, "{bodies:?}");
    bodies
}

#[track_caller]
fn subscribe(scene: &Scene, protocol: &str, endpoint: &str, more: &[(&str, &str)]) -> Answer {
    let all = [("TopicArn", TOPIC), ("Protocol", protocol), ("Endpoint", endpoint)];
    sns(scene, "Subscribe", &[&all[..], more].concat())
}

const AS_ARN: (&str, &str) = ("ReturnSubscriptionArn", "true");
const RAW: [(&str, &str); 2] =
    [("Attributes.entry.1.key", "RawMessageDelivery"), ("Attributes.entry.1.value", "true")];

#[track_caller]
fn put(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 200);
}

/// What SNS lists of subscriptions, an element's text each.
#[track_caller]
fn listed(scene: &Scene, name: &str) -> Vec<String> {
    let text = element(&sns(scene, "ListSubscriptionsByTopic", &[("TopicArn", TOPIC)]), "Subscriptions");
    let members = text.split("<member>").skip(1);
    members.map(|member| aws::within(member, name)).collect()
}

#[test]
fn what_apis_make_is_served_at_once_and_stands_through_a_kill() {
    let mut scene = scene();
    assert_eq!(
        element(&sns(&scene, "CreateTopic", &[("Name", "orders")]), "TopicArn"),
        TOPIC.replace("profile-changes", "orders")
    );
    let (status, made) = sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" }));
    assert_eq!(status, 200, "{made}");
    let url = made["QueueUrl"].as_str().expect("a URL").to_owned();
    assert!(url.ends_with("/000000000000/worker"), "{url}");
    let queue = "arn:aws:sqs:us-east-1:000000000000:worker";
    let arn = element(&subscribe(&scene, "sqs", queue, &RAW), "SubscriptionArn");
    assert!(arn.starts_with(&format!("{TOPIC}:")), "{arn}");
    // Once more is the same one.
    assert_eq!(element(&subscribe(&scene, "sqs", queue, &[]), "SubscriptionArn"), arn);
    let webhook = Receiver::start();
    webhook.set_confirms(true);
    let pending = element(&subscribe(&scene, "http", &webhook.url("/hook"), &[]), "SubscriptionArn");
    assert_eq!(pending, "pending confirmation");
    wait::until("the handshake", || {
        let arns = listed(&scene, "SubscriptionArn");
        (arns.len() == 3 && !arns.contains(&"PendingConfirmation".to_owned())).then_some(())
    });

    put(&scene);
    scene.told(1);
    receive(&scene, "worker", 1);
    webhook.wait_for(1);
    let before = listed(&scene, "SubscriptionArn");

    scene.kill_and_restart();
    let output = scene.gateway().output();
    assert!(
        output.contains("by APIs      0 services, 0 routes, 0 plug-ins, 1 topic, 2 subscriptions, 1 queue"),
        "{output}"
    );
    assert_eq!(listed(&scene, "SubscriptionArn"), before);
    let topics = element(&sns(&scene, "ListTopics", &[]), "Topics");
    for name in ["orders", "profile-changes"] {
        assert!(topics.contains(&format!(":{name}</TopicArn>")), "{topics}");
    }
    put(&scene);
    receive(&scene, "worker", 1);
    wait::until("the event after the kill", || (webhook.messages().len() >= 2).then_some(()));
    // 14 days, unless its maker says otherwise.
    let attributes = json!({ "QueueUrl": url, "AttributeNames": ["MessageRetentionPeriod"] });
    let (_, answer) = sqs(&scene, "GetQueueAttributes", &attributes);
    assert_eq!(answer["Attributes"]["MessageRetentionPeriod"], "1209600");
}

#[test]
fn a_start_without_files_goes_on_with_all_of_it() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.without_files = true;
    scene.start_gateway();
    sns(&scene, "CreateTopic", &[("Name", "profile-changes")]);
    sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker", "Attributes": { "VisibilityTimeout": "7" } }));
    let queue = "arn:aws:sqs:us-east-1:000000000000:worker";
    let arn = element(&subscribe(&scene, "sqs", queue, &[]), "SubscriptionArn");
    for _ in 0..2 {
        scene.kill_and_restart();
        assert_eq!(listed(&scene, "SubscriptionArn"), [arn.as_str()]);
        let all = json!({ "QueueUrl": "worker", "AttributeNames": ["All"] });
        assert_eq!(sqs(&scene, "GetQueueAttributes", &all).1["Attributes"]["VisibilityTimeout"], "7");
    }
}

#[test]
fn what_an_api_ends_is_gone_at_once_with_what_it_was_owed() {
    let mut scene = scene();
    sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" }));
    let queue = "arn:aws:sqs:us-east-1:000000000000:worker";
    let arn = element(&subscribe(&scene, "sqs", queue, &RAW), "SubscriptionArn");
    put(&scene);
    receive(&scene, "worker", 1);
    // A webhook that is never there: what it is owed goes with it.
    let gone = "http://127.0.0.1:1/hook";
    let lost = element(&subscribe(&scene, "http", gone, &[AS_ARN]), "SubscriptionArn");
    put(&scene);
    for arn in [&arn, &lost] {
        assert_eq!(sns(&scene, "Unsubscribe", &[("SubscriptionArn", arn)]).status, 200);
        // Once more is no error.
        assert_eq!(sns(&scene, "Unsubscribe", &[("SubscriptionArn", arn)]).status, 200);
    }
    assert_eq!(listed(&scene, "Endpoint"), [scene.receiver.url("/hook")]);
    for words in ["was ended; nobody was owed anything", "was ended; dropped: "] {
        scene.gateway().wait_until_it_says(words);
    }
    put(&scene);
    scene.told(3);
    // Its messages stay; what is published now does not come.
    receive(&scene, "worker", 1);
    put(&scene);
    scene.told(4);
    let purged = sqs(&scene, "PurgeQueue", &json!({ "QueueUrl": "worker" }));
    assert_eq!(purged.0, 200, "{}", purged.1);
    assert_eq!(sqs(&scene, "DeleteQueue", &json!({ "QueueUrl": "worker" })).0, 200);
    let (status, answer) = sqs(&scene, "GetQueueUrl", &json!({ "QueueName": "worker" }));
    assert_eq!((status, &answer["__type"]), (400, &json!("com.amazonaws.sqs#QueueDoesNotExist")));
    scene.kill_and_restart();
    assert_eq!(listed(&scene, "Endpoint"), [scene.receiver.url("/hook")]);
    let (status, _) = sqs(&scene, "GetQueueUrl", &json!({ "QueueName": "worker" }));
    assert_eq!(status, 400);
    // The name is free, and nothing of the old one is in it.
    sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" }));
    subscribe(&scene, "sqs", queue, &[]);
    assert_eq!(sqs(&scene, "DeleteQueue", &json!({ "QueueUrl": "worker" })).0, 200);
    assert_eq!(listed(&scene, "Endpoint"), [scene.receiver.url("/hook")], "its subscription goes with it");
    scene.kill_and_restart();
    assert_eq!(sqs(&scene, "ListQueues", &json!({})).1, json!({}), "and nothing brings it back");
    sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" }));
    let (_, answer) = sqs(&scene, "ReceiveMessage", &json!({ "QueueUrl": "worker" }));
    assert_eq!(answer, json!({}));
}

#[test]
fn a_link_never_ends_a_subscription_whatever_stands_in_its_query() {
    let scene = scene();
    let hook = Receiver::start();
    hook.set_confirms(true);
    let arn = element(&subscribe(&scene, "http", &hook.url("/hook"), &[AS_ARN]), "SubscriptionArn");
    wait::until("the handshake", || (listed(&scene, "SubscriptionArn").contains(&arn)).then_some(()));
    let hub = scene.gateway().address("hub");
    let credential = "X-Amz-Credential=test/20260101/us-east-1/sns/aws4_request";
    let target = format!("/?Action=Unsubscribe&SubscriptionArn={arn}&{credential}");
    for headers in [&[("host", "localhost")][..], &[("host", "localhost"), SIGNED]] {
        assert_eq!(client::send(hub, "GET", &target, headers, b"").expect("an answer").status, 200);
    }
    assert!(listed(&scene, "SubscriptionArn").contains(&arn), "it was stopped, and can be brought back");
    let unsigned = format!("Action=Unsubscribe&SubscriptionArn={arn}&{credential}");
    let form = [("host", "localhost"), ("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(client::send(hub, "POST", "/", &form, unsigned.as_bytes()).expect("an answer").status, 200);
    assert!(listed(&scene, "SubscriptionArn").contains(&arn));
    assert_eq!(sns(&scene, "Unsubscribe", &[("SubscriptionArn", &arn)]).status, 200);
    assert!(!listed(&scene, "SubscriptionArn").contains(&arn), "its owner ended it");
}

#[test]
fn what_stands_in_a_file_is_not_changed_by_an_api() {
    let config = Profiles::default().yaml() + "queues: [{ name: worker }]\n";
    let scene = Scene::start(RETROHOOK, &config);
    // Calls that change nothing succeed.
    assert_eq!(element(&sns(&scene, "CreateTopic", &[("Name", "profile-changes")]), "TopicArn"), TOPIC);
    let hook = scene.receiver.url("/hook");
    let arn = element(&subscribe(&scene, "http", &hook, &[AS_ARN]), "SubscriptionArn");
    assert_eq!(listed(&scene, "SubscriptionArn"), [arn.as_str()]);
    assert_eq!(sqs(&scene, "CreateQueue", &json!({ "QueueName": "worker" })).0, 200);
    refused(
        &sns(&scene, "DeleteTopic", &[("TopicArn", TOPIC)]),
        403,
        "AuthorizationError",
        "configuration file",
    );
    let name = [("TopicArn", TOPIC), ("AttributeName", "DisplayName"), ("AttributeValue", "x")];
    refused(&sns(&scene, "SetTopicAttributes", &name), 403, "AuthorizationError", "profile-changes");
    let raw = [
        ("SubscriptionArn", arn.as_str()),
        ("AttributeName", "RawMessageDelivery"),
        ("AttributeValue", "false"),
    ];
    refused(&sns(&scene, "SetSubscriptionAttributes", &raw), 403, "AuthorizationError", "configuration file");
    let ended = sns(&scene, "Unsubscribe", &[("SubscriptionArn", &arn)]);
    refused(&ended, 403, "AuthorizationError", "configuration file");
    for (operation, more) in
        [("DeleteQueue", json!({})), ("SetQueueAttributes", json!({ "VisibilityTimeout": "9" }))]
    {
        let (status, answer) = sqs(&scene, operation, &json!({ "QueueUrl": "worker", "Attributes": more }));
        assert_eq!(
            (status, &answer["__type"]),
            (403, &json!("com.amazon.coral.service#AccessDeniedException"))
        );
        assert!(answer["message"].as_str().is_some_and(|text| text.contains("worker")), "{answer}");
    }
    let (_, answer) = sqs(
        &scene,
        "CreateQueue",
        &json!({ "QueueName": "worker", "Attributes": { "VisibilityTimeout": "9" } }),
    );
    assert_eq!(answer["__type"], "com.amazonaws.sqs#QueueNameExists");
    put(&scene);
    scene.told(1);
}

#[test]
fn a_file_that_declares_what_an_api_made_adopts_it() {
    let mut scene = scene();
    let hook = Receiver::start();
    hook.set_confirms(true);
    let arn = element(&subscribe(&scene, "http", &hook.url("/hook"), &[AS_ARN]), "SubscriptionArn");
    wait::until("the handshake", || (listed(&scene, "SubscriptionArn").contains(&arn)).then_some(()));
    put(&scene);
    hook.wait_for(1);
    let file = scene.setup.config.clone();
    let declared = format!("{file}  - {{ protocol: http, endpoint: \"{}\" }}\n", hook.url("/hook"));
    let printed = scene.reload(&declared);
    assert!(printed.contains("which an API made, belongs to the file from now on"), "{printed}");
    assert!(listed(&scene, "SubscriptionArn").contains(&arn), "it is the same one");
    put(&scene);
    wait::until("the second event", || (hook.messages().len() >= 2).then_some(()));
    let raw = [
        ("SubscriptionArn", arn.as_str()),
        ("AttributeName", "RawMessageDelivery"),
        ("AttributeValue", "true"),
    ];
    refused(&sns(&scene, "SetSubscriptionAttributes", &raw), 403, "AuthorizationError", "configuration file");
    // A reload of the same adopts nothing more, and a start has one of it.
    assert!(scene.reload(&declared).contains("nothing changed"));
    scene.setup.config = declared;
    scene.kill_and_restart();
    assert_eq!(listed(&scene, "SubscriptionArn").iter().filter(|one| **one == arn).count(), 1);
    assert!(!scene.gateway().output().contains("by APIs"), "{}", scene.gateway().output());
    assert_eq!(hook.messages().len(), 2);
}

#[test]
fn a_file_cannot_drop_what_an_api_has_built_on() {
    let mut scene = scene();
    let hook = Receiver::start();
    hook.set_confirms(true);
    let arn = element(&subscribe(&scene, "http", &hook.url("/hook"), &[AS_ARN]), "SubscriptionArn");
    wait::until("the handshake", || (listed(&scene, "SubscriptionArn").contains(&arn)).then_some(()));
    let empty = "_format_version: \"3.0\"\n";
    let printed = scene.reload(empty);
    for words in
        ["topic `profile-changes` is not declared any more", "delete the subscription first", "not reloaded"]
    {
        assert!(printed.contains(words), "{words} is not in {printed}");
    }
    put(&scene);
    hook.wait_for(1);

    // A start does not stop for it: the topic stays as if an API had made it.
    scene.setup.config = empty.to_owned();
    scene.kill_and_restart();
    scene.gateway().wait_until_it_says("topic `profile-changes` is not declared any more, and stays");
    assert_eq!(listed(&scene, "SubscriptionArn"), [arn.as_str()]);
    scene.kill_and_restart();
    assert_eq!(listed(&scene, "SubscriptionArn"), [arn.as_str()]);
    assert_eq!(sns(&scene, "DeleteTopic", &[("TopicArn", TOPIC)]).status, 200);
    refused(
        &sns(&scene, "GetTopicAttributes", &[("TopicArn", TOPIC)]),
        404,
        "NotFound",
        "Topic does not exist",
    );
    scene.kill_and_restart();
    refused(
        &sns(&scene, "GetTopicAttributes", &[("TopicArn", TOPIC)]),
        404,
        "NotFound",
        "Topic does not exist",
    );
}

/// Action, parameters, code and words of the refusal.
type Refused<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

const HOOK: (&str, &str) = ("Endpoint", "http://a");
const TO_TOPIC: (&str, &str) = ("TopicArn", TOPIC);
const NOTHING: &str = "arn:aws:sns:us-east-1:000000000000:nothing";
const NOBODY: &str = "arn:aws:sqs:us-east-1:000000000000:nobody";
const NO_SUBSCRIPTION: &str =
    "arn:aws:sns:us-east-1:000000000000:profile-changes:00000000-0000-0000-0000-000000000000";

const BY_SNS: &[Refused<'_>] = &[
    ("CreateTopic", &[("Name", "a b")], "InvalidParameter", "Invalid parameter: Topic Name"),
    ("CreateTopic", &[], "ValidationError", "Value null at 'name'"),
    (
        "CreateTopic",
        &[("Name", "a"), ("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")],
        "InvalidParameter",
        "FifoTopic is not supported here yet",
    ),
    ("DeleteTopic", &[("TopicArn", "x")], "InvalidParameter", "at least 6 elements, not 1"),
    ("Subscribe", &[TO_TOPIC, ("Protocol", "smoke"), HOOK], "InvalidParameter", "protocol string: smoke"),
    (
        "Subscribe",
        &[TO_TOPIC, ("Protocol", "email"), HOOK],
        "InvalidParameter",
        "email is not supported here yet",
    ),
    (
        "Subscribe",
        &[TO_TOPIC, ("Protocol", "https"), HOOK],
        "InvalidParameter",
        "must match the specified protocol",
    ),
    ("Subscribe", &[TO_TOPIC, ("Protocol", "sqs"), HOOK], "InvalidParameter", "SQS endpoint ARN"),
    (
        "Subscribe",
        &[TO_TOPIC, ("Protocol", "sqs"), ("Endpoint", NOBODY)],
        "InvalidParameter",
        "create it first",
    ),
    (
        "Subscribe",
        &[
            TO_TOPIC,
            ("Protocol", "http"),
            HOOK,
            ("Attributes.entry.1.key", "FilterPolicy"),
            ("Attributes.entry.1.value", "{}"),
        ],
        "InvalidParameter",
        "FilterPolicy is not supported here yet",
    ),
    ("Subscribe", &[("TopicArn", NOTHING), ("Protocol", "http"), HOOK], "NotFound", "Topic does not exist"),
    (
        "GetSubscriptionAttributes",
        &[("SubscriptionArn", NO_SUBSCRIPTION)],
        "NotFound",
        "Subscription does not exist",
    ),
];

#[test]
fn bad_input_gets_the_codes_of_aws_and_changes_nothing() {
    let scene = scene();
    for (action, parameters, code, words) in BY_SNS {
        let status = if *code == "NotFound" { 404 } else { 400 };
        refused(&sns(&scene, action, parameters), status, code, words);
    }
    for (operation, input, kind) in [
        (
            "CreateQueue",
            json!({ "QueueName": "a b" }),
            "com.amazon.coral.service#InvalidParameterValueException",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "a", "Attributes": { "VisibilityTimeout": "43201" } }),
            "com.amazonaws.sqs#InvalidAttributeValue",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "a", "Attributes": { "FifoQueue": "false" } }),
            "com.amazonaws.sqs#InvalidAttributeName",
        ),
        (
            "CreateQueue",
            json!({ "QueueName": "a", "Attributes": { "RedrivePolicy": "{}" } }),
            "com.amazon.coral.service#InvalidParameterValueException",
        ),
        ("DeleteQueue", json!({ "QueueUrl": "a" }), "com.amazonaws.sqs#QueueDoesNotExist"),
        ("PurgeQueue", json!({ "QueueUrl": "a" }), "com.amazonaws.sqs#QueueDoesNotExist"),
    ] {
        let (_, answer) = sqs(&scene, operation, &input);
        assert_eq!(answer["__type"], kind, "{operation} {input}: {answer}");
    }
    assert_eq!(listed(&scene, "Endpoint"), [scene.receiver.url("/hook")]);
    assert_eq!(sqs(&scene, "ListQueues", &json!({})).1, json!({}));
}

#[test]
fn a_kill_between_the_store_and_what_is_served_leaves_the_whole_change() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "declared=pause".into()));
    scene.start_gateway();
    let hub = scene.gateway().address("hub");
    let mut client = client::Client::connect(hub).expect("the hub accepts");
    let form = "Action=CreateTopic&Version=2010-03-31&Name=orders";
    let headers = [("host", "localhost"), ("content-type", "application/x-www-form-urlencoded"), SIGNED];
    client.write(&client::request("POST", "/", &headers, form.as_bytes())).expect("the hub reads");
    wait::until("the row to be stored", || {
        let stored = testkit::process::database(&scene.setup.data_dir());
        let database = rusqlite::Connection::open(stored).expect("the database opens");
        let count: i64 =
            database.query_row("SELECT count(*) FROM registry", [], |row| row.get(0)).expect("a count");
        (count == 1).then_some(())
    });
    // Nobody was told that it is there, and it is: the next start serves it.
    scene.setup.env.clear();
    scene.kill_and_restart();
    let topics = element(&sns(&scene, "ListTopics", &[]), "Topics");
    assert!(topics.contains(":orders</TopicArn>"), "{topics}");
    assert_eq!(
        sns(&scene, "DeleteTopic", &[("TopicArn", &TOPIC.replace("profile-changes", "orders"))]).status,
        200
    );
}

#[test]
fn boto3_makes_asks_for_changes_and_ends_all_of_it() {
    let scene = scene();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/sns_and_sqs.py");
    let hub = format!("http://{}", scene.gateway().address("hub"));
    let ran = python::command(&script).arg(hub).output().expect("python starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(listed(&scene, "Endpoint"), [scene.receiver.url("/hook")], "the file's own are untouched");
}
