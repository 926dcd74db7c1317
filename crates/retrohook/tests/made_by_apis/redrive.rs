//! Dead-letter queues: what no worker works off goes there, once, through kills; and what becomes of it when policies and queues change.

use std::collections::BTreeSet;
use std::thread;

use super::*;

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{queue}")
}

/// A redrive policy as a client writes it.
fn policy(target: &str, count: impl Into<Value>) -> String {
    json!({ "deadLetterTargetArn": arn(target), "maxReceiveCount": count.into() }).to_string()
}

fn create(scene: &Scene, name: &str, attributes: &[(&str, &str)]) -> (u16, Value) {
    let attributes: serde_json::Map<String, Value> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    sqs(scene, "CreateQueue", &json!({ "QueueName": name, "Attributes": attributes }))
}

#[track_caller]
fn made(scene: &Scene, name: &str, attributes: &[(&str, &str)]) {
    let (status, answer) = create(scene, name, attributes);
    assert_eq!(status, 200, "{answer}");
}

fn set(scene: &Scene, queue: &str, name: &str, value: &str) -> (u16, Value) {
    sqs(scene, "SetQueueAttributes", &json!({ "QueueUrl": queue, "Attributes": { name: value } }))
}

#[track_caller]
fn attribute(scene: &Scene, queue: &str, name: &str) -> Option<String> {
    let asked = json!({ "QueueUrl": queue, "AttributeNames": [name] });
    let (status, answer) = sqs(scene, "GetQueueAttributes", &asked);
    assert_eq!(status, 200, "{answer}");
    answer["Attributes"][name].as_str().map(str::to_owned)
}

/// `jobs`, whose messages go to `dead` after so many receives.
#[track_caller]
fn make_both(scene: &Scene, count: u32) {
    made(scene, "dead", &[]);
    made(scene, "jobs", &[("RedrivePolicy", &policy("dead", count))]);
}

#[track_caller]
fn send(scene: &Scene, body: &str) -> Value {
    let (status, sent) = sqs(scene, "SendMessage", &json!({ "QueueUrl": "jobs", "MessageBody": body }));
    assert_eq!(status, 200, "{sent}");
    sent
}

/// One message of a queue, which stays visible; `None` if there is none.
#[track_caller]
fn look(scene: &Scene, queue: &str) -> Option<Value> {
    let asked = json!({
        "QueueUrl": queue, "VisibilityTimeout": 0, "AttributeNames": ["All"], "MessageAttributeNames": ["All"]
    });
    let (status, answer) = sqs(scene, "ReceiveMessage", &asked);
    assert_eq!(status, 200, "{answer}");
    Some(answer["Messages"].as_array()?.first()?.clone())
}

#[track_caller]
fn bad(answer: &(u16, Value), words: &str) {
    let (status, body) = answer;
    assert_eq!(
        (*status, &body["__type"]),
        (400, &json!("com.amazon.coral.service#InvalidParameterValueException"))
    );
    assert!(body["message"].as_str().is_some_and(|text| text.ends_with(words)), "{words} is not in {body}");
}

#[test]
fn what_nobody_works_off_goes_to_the_dead_letter_queue_through_kills() {
    let mut scene = scene();
    make_both(&scene, 2);
    let attributes = json!({ "kind": { "DataType": "String", "StringValue": "poison" } });
    let input = json!({ "QueueUrl": "jobs", "MessageBody": "body", "MessageAttributes": attributes });
    let sent = sqs(&scene, "SendMessage", &input).1;
    let mut first = None;
    for count in ["1", "2"] {
        let message = look(&scene, "jobs").expect("the message");
        assert_eq!(message["Attributes"]["ApproximateReceiveCount"], count, "{message}");
        first.get_or_insert(message);
        scene.kill_and_restart();
    }
    assert_eq!(look(&scene, "dead"), None);
    assert_eq!(look(&scene, "jobs"), None, "it goes with the third receive");
    let series = r#"retrohook_queue_dead_lettered_messages_total{queue="jobs",dead_letter_queue="dead",reason="max_receive_count"}"#;
    assert_eq!(scene.admin().metric(series), Some(1.0));
    wait::until("the log line", || {
        let output = scene.gateway().output();
        let line = output.lines().find(|line| line.contains("messages went to the dead-letter queue"))?;
        (line.contains("jobs") && line.contains("dead") && line.contains("count=1")).then_some(())
    });
    scene.kill_and_restart();
    let (first, given_up) = (first.expect("it was received"), look(&scene, "dead").expect("the message"));
    for same in ["Body", "MessageId", "MD5OfBody", "MessageAttributes", "MD5OfMessageAttributes"] {
        assert_eq!(given_up[same], first[same], "{same}");
    }
    assert_eq!((&given_up["MessageId"], &given_up["MessageAttributes"]), (&sent["MessageId"], &attributes));
    let (of_first, of_given_up) = (&first["Attributes"], &given_up["Attributes"]);
    for same in ["SentTimestamp", "ApproximateFirstReceiveTimestamp"] {
        assert_eq!(of_given_up[same], of_first[same], "{same}");
    }
    assert_eq!(of_given_up["ApproximateReceiveCount"], "3", "{given_up}");
    assert_eq!(of_given_up["DeadLetterQueueSourceArn"], arn("jobs"));
    assert_eq!(of_first["DeadLetterQueueSourceArn"], Value::Null);
    assert_eq!(look(&scene, "jobs"), None);
    assert_eq!(receive(&scene, "dead", 1), ["body"]);
    assert_eq!(look(&scene, "dead"), None);
}

/// Workers that never delete anything receive while the gateway is killed: at the end each message is in the dead-letter queue, once.
#[test]
fn every_message_arrives_once_whenever_the_gateway_is_killed() {
    const MESSAGES: usize = 60;
    let mut scene = scene();
    make_both(&scene, 1);
    let mut sent: Vec<String> = (0..MESSAGES).map(|n| n.to_string()).collect();
    let ids: BTreeSet<String> = sent.iter().map(|body| send(&scene, body)["MessageId"].to_string()).collect();
    for round in 0..4 {
        let hub = scene.gateway().address("hub");
        let workers: Vec<_> = (0..3).map(|_| thread::spawn(move || receive_until_it_ends(hub))).collect();
        wait::until("some to be given up", || {
            let moved = attribute(&scene, "dead", "ApproximateNumberOfMessages")?.parse::<usize>().ok()?;
            (moved > 10 * round).then_some(())
        });
        scene.kill_and_restart();
        workers.into_iter().for_each(|worker| worker.join().expect("it ends with the gateway"));
    }
    wait::until("the rest to be given up", || {
        let asked = json!({ "QueueUrl": "jobs", "VisibilityTimeout": 0, "MaxNumberOfMessages": 10 });
        sqs(&scene, "ReceiveMessage", &asked);
        (attribute(&scene, "jobs", "ApproximateNumberOfMessages")? == "0").then_some(())
    });
    let (mut bodies, mut arrived) = (Vec::new(), BTreeSet::new());
    let asked = json!({ "QueueUrl": "dead", "VisibilityTimeout": 600, "MaxNumberOfMessages": 10 });
    while let Some(messages) = sqs(&scene, "ReceiveMessage", &asked).1["Messages"].as_array() {
        bodies.extend(messages.iter().map(|one| one["Body"].as_str().expect("a text").to_owned()));
        arrived.extend(messages.iter().map(|one| one["MessageId"].to_string()));
    }
    sent.sort();
    bodies.sort();
    assert_eq!((bodies, arrived), (sent, ids));
}

fn receive_until_it_ends(hub: std::net::SocketAddr) {
    let input = json!({ "QueueUrl": "jobs", "VisibilityTimeout": 0, "MaxNumberOfMessages": 3 });
    while aws::sqs(hub, "ReceiveMessage", &input).is_ok() {}
}

#[test]
fn a_policy_is_read_checked_shown_and_taken_away_as_by_sqs() {
    let scene = scene();
    bad(
        &create(&scene, "jobs", &[("RedrivePolicy", &policy("dead", 2))]),
        "Dead letter target does not exist.",
    );
    made(&scene, "dead", &[]);
    let elsewhere = |part: &str, other: &str| policy("dead", 2).replace(part, other);
    for (text, words) in [
        ("no".to_owned(), "Redrive policy is not a valid JSON map."),
        ("[]".to_owned(), "Redrive policy is not a valid JSON map."),
        (
            json!({ "maxReceiveCount": 3 }).to_string(),
            "Redrive policy does not contain mandatory attribute: deadLetterTargetArn.",
        ),
        (
            json!({ "deadLetterTargetArn": arn("dead") }).to_string(),
            "Redrive policy does not contain mandatory attribute: maxReceiveCount.",
        ),
        (
            json!({ "deadLetterTargetArn": arn("dead"), "maxReceiveCount": 3, "colour": "red" }).to_string(),
            "Only following attributes are supported: [deadLetterTargetArn, maxReceiveCount].",
        ),
        (
            policy("dead", 0),
            "Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000 both inclusive.",
        ),
        (
            policy("dead", "1001"),
            "Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.",
        ),
        (
            policy("dead", "many"),
            "Invalid value for maxReceiveCount: many, valid values are from 1 to 1000 both inclusive.",
        ),
        (elsewhere(&arn("dead"), "dead"), "Invalid value for deadLetterTargetArn."),
        (elsewhere("us-east-1", "eu-west-1"), "Dead-letter target must be in same region as the source."),
        (elsewhere("000000000000", "000000000001"), "Dead-letter target owner should be same as the source."),
        (elsewhere(":sqs:", ":sns:"), "Dead letter target does not exist."),
        (policy("nobody", 2), "Dead letter target does not exist."),
        (policy("jobs", 2), "Dead letter target cannot be the source queue itself."),
    ] {
        bad(&create(&scene, "jobs", &[("RedrivePolicy", &text)]), &format!("Reason: {words}"));
    }
    made(&scene, "jobs", &[("RedrivePolicy", &policy("dead", "2"))]);
    // The same, written as a number; and another one.
    made(&scene, "jobs", &[("RedrivePolicy", &policy("dead", 2))]);
    let other = create(&scene, "jobs", &[("RedrivePolicy", &policy("dead", 3))]).1;
    assert_eq!(other["__type"], "com.amazonaws.sqs#QueueNameExists");
    assert_eq!(attribute(&scene, "jobs", "RedrivePolicy"), Some(policy("dead", 2)));
    bad(&set(&scene, "jobs", "RedrivePolicy", "{"), "Redrive policy is not a valid JSON map.");
    assert_eq!(set(&scene, "jobs", "RedrivePolicy", &policy("dead", 7)).0, 200);
    assert_eq!(attribute(&scene, "jobs", "RedrivePolicy"), Some(policy("dead", 7)));

    assert_eq!(set(&scene, "jobs", "RedrivePolicy", "").0, 200);
    assert_eq!(attribute(&scene, "jobs", "RedrivePolicy"), None);
    send(&scene, "kept");
    (0..9).for_each(|_| assert_eq!(look(&scene, "jobs").expect("the message")["Body"], "kept"));
    // What was handed out before counts as soon as there is a policy.
    assert_eq!(set(&scene, "jobs", "RedrivePolicy", &policy("dead", 9)).0, 200);
    assert_eq!(
        (look(&scene, "jobs"), look(&scene, "dead").expect("it")["Body"].clone()),
        (None, json!("kept"))
    );
}

#[test]
fn a_dead_letter_queue_says_whose_messages_it_gets() {
    let scene = scene();
    let by_queue =
        |arns: &[String]| json!({ "redrivePermission": "byQueue", "sourceQueueArns": arns }).to_string();
    let cannot = "Amazon SQS can't create the redrive allow policy.";
    let many: Vec<_> = (0..11).map(|n| arn(&n.to_string())).collect();
    for (text, words) in [
        ("x".to_owned(), ""),
        (json!({ "redrivePermission": "some" }).to_string(), ""),
        (json!({ "redrivePermission": "byQueue" }).to_string(), "one or more sourceQueueArns values."),
        (by_queue(&[]), "one or more sourceQueueArns values."),
        (by_queue(&many), "The maximum number of source queue ARNs you can specify is 10."),
        (by_queue(&many[..1]).replace("byQueue", "allowAll"), "you must set redrivePermission to byQueue."),
    ] {
        let answer = create(&scene, "dead", &[("RedriveAllowPolicy", &text)]);
        bad(&answer, words);
        assert!(answer.1["message"].to_string().contains(cannot.trim_end_matches('.')), "{}", answer.1);
    }
    let deny = json!({ "redrivePermission": "denyAll" }).to_string();
    made(&scene, "dead", &[("RedriveAllowPolicy", &deny)]);
    let refused = "does not allow this queue as a source.";
    bad(&create(&scene, "jobs", &[("RedrivePolicy", &policy("dead", 1))]), refused);
    assert_eq!(set(&scene, "dead", "RedriveAllowPolicy", &by_queue(&[arn("jobs")])).0, 200);
    assert_eq!(attribute(&scene, "dead", "RedriveAllowPolicy"), Some(by_queue(&[arn("jobs")])));
    made(&scene, "jobs", &[("RedrivePolicy", &policy("dead", 1))]);
    bad(&create(&scene, "others", &[("RedrivePolicy", &policy("dead", 1))]), refused);
    assert_eq!(set(&scene, "dead", "RedriveAllowPolicy", "").0, 200);
    assert_eq!(attribute(&scene, "dead", "RedriveAllowPolicy"), None);
    made(&scene, "others", &[("RedrivePolicy", &policy("dead", 1))]);

    let sources = |more: Value| {
        let mut input = json!({ "QueueUrl": "dead" });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let answer = sqs(&scene, "ListDeadLetterSourceQueues", &input).1;
        let urls = answer["queueUrls"].as_array().expect("a list").iter();
        let names =
            urls.map(|url| url.as_str().and_then(|url| url.rsplit('/').next()).expect("a URL").to_owned());
        (names.collect::<Vec<_>>(), answer["NextToken"].clone())
    };
    assert_eq!(sources(json!({})).0, ["jobs", "others"]);
    let (first, token) = sources(json!({ "MaxResults": 1 }));
    assert_eq!(first, ["jobs"]);
    assert_eq!(
        sources(json!({ "MaxResults": 1, "NextToken": token })),
        (vec!["others".to_owned()], Value::Null)
    );
    let (status, none) = sqs(&scene, "ListDeadLetterSourceQueues", &json!({ "QueueUrl": "jobs" }));
    assert_eq!((status, none), (200, json!({ "queueUrls": [] })));
    let (status, gone) = sqs(&scene, "ListDeadLetterSourceQueues", &json!({ "QueueUrl": "nobody" }));
    assert_eq!((status, &gone["__type"]), (400, &json!("com.amazonaws.sqs#QueueDoesNotExist")));
}

/// As on AWS, a dead-letter queue can be deleted. What would have gone there stays where it is.
#[test]
fn without_its_dead_letter_queue_a_queue_keeps_its_messages_and_says_so() {
    let mut scene = scene();
    make_both(&scene, 1);
    send(&scene, "kept");
    assert_eq!(sqs(&scene, "DeleteQueue", &json!({ "QueueUrl": "dead" })).0, 200);
    let said = |scene: &Scene, words: &str| {
        scene.gateway().wait_until_it_says(words);
    };
    said(&scene, "a dead-letter queue was deleted");
    (0..3).for_each(|_| assert_eq!(look(&scene, "jobs").expect("the message")["Body"], "kept"));
    said(&scene, "the dead-letter queue does not exist");
    // Its other attributes can be changed all the same.
    assert_eq!(set(&scene, "jobs", "VisibilityTimeout", "7").0, 200);
    assert_eq!(attribute(&scene, "jobs", "RedrivePolicy"), Some(policy("dead", 1)));
    scene.kill_and_restart();
    scene.gateway().wait_until_it_says("has it as its dead-letter queue");
    assert_eq!(look(&scene, "jobs").expect("the message")["Body"], "kept");
    let config = scene.setup.config.clone();
    assert!(scene.reload(&config).contains("nothing changed"), "it is no reason not to reload");
    made(&scene, "dead", &[]);
    assert_eq!(look(&scene, "jobs"), None);
    let given_up = look(&scene, "dead").expect("the message");
    assert_eq!(given_up["Body"], "kept");
    // A queue that gave something up can go: what it gave up stays.
    assert_eq!(sqs(&scene, "DeleteQueue", &json!({ "QueueUrl": "jobs" })).0, 200);
    let given_up = look(&scene, "dead").expect("the message");
    assert_eq!(
        (&given_up["Body"], &given_up["Attributes"]["DeadLetterQueueSourceArn"]),
        (&json!("kept"), &Value::Null)
    );
}

#[test]
fn a_long_poll_of_the_dead_letter_queue_gets_what_is_given_up() {
    let scene = scene();
    make_both(&scene, 1);
    send(&scene, "text");
    assert_eq!(look(&scene, "jobs").expect("the message")["Body"], "text");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let asked = json!({ "QueueUrl": "dead", "WaitTimeSeconds": 20 });
            sqs(&scene, "ReceiveMessage", &asked).1["Messages"][0]["Body"].clone()
        });
        assert_eq!(look(&scene, "jobs"), None);
        assert_eq!(waiting.join().expect("an answer"), "text");
    });
}

const BY_FILE: &str = "queues:
- { name: jobs, redrive_policy: { dead_letter_queue: dead, max_receive_count: 1 } }
- { name: dead }
";

/// One event, whose message is in `jobs` when this returns.
#[track_caller]
fn put_and_wait(scene: &Scene) {
    let count = || attribute(scene, "jobs", "ApproximateNumberOfMessages").expect("a number");
    let before: u32 = count().parse().expect("a number");
    put(scene);
    wait::until("the event's message", || (count() == (before + 1).to_string()).then_some(()));
}

#[test]
fn a_file_says_when_a_queue_gives_up() {
    let config = Profiles::default().yaml() + "  - { protocol: sqs, endpoint: jobs }\n" + BY_FILE;
    let mut scene = Scene::start(RETROHOOK, &config);
    let config = scene.setup.config.clone();
    put_and_wait(&scene);
    let first = look(&scene, "jobs").expect("the event's message");
    assert_eq!(look(&scene, "jobs"), None);
    assert_eq!(
        look(&scene, "dead").expect("the message")["Body"],
        first["Body"],
        "in its envelope, as before"
    );
    let (status, refused) = set(&scene, "jobs", "RedrivePolicy", "");
    assert_eq!(status, 403, "it is the file's: {refused}");
    assert_eq!(attribute(&scene, "jobs", "RedrivePolicy"), Some(policy("dead", 1)));

    // A reload changes it for what is in the queue already.
    let reload = |scene: &Scene, config: &str| {
        let printed = scene.reload(config);
        assert!(!printed.contains("not reloaded"), "{printed}");
    };
    reload(&scene, &config.replace("max_receive_count: 1", "max_receive_count: 3"));
    put_and_wait(&scene);
    for count in ["1", "2", "3"] {
        let message = look(&scene, "jobs").expect("the message");
        assert_eq!(message["Attributes"]["ApproximateReceiveCount"], count, "{message}");
    }
    assert_eq!(look(&scene, "jobs"), None);
    let without = config.replace(", redrive_policy: { dead_letter_queue: dead, max_receive_count: 1 }", "");
    reload(&scene, &without);
    put_and_wait(&scene);
    (0..5).for_each(|_| assert!(look(&scene, "jobs").is_some()));
    scene.setup.config = without;
    scene.kill_and_restart();
    assert_eq!(attribute(&scene, "jobs", "RedrivePolicy"), None);
    assert!(look(&scene, "jobs").is_some());
}

#[test]
fn a_file_cannot_drop_a_dead_letter_queue_that_an_api_relies_on() {
    let with = Profiles::default().yaml() + "queues:\n- { name: dead }\n";
    let mut scene = Scene::start(RETROHOOK, &with);
    let without = scene.setup.config.replace("queues:\n- { name: dead }\n", "");
    made(&scene, "jobs", &[("RedrivePolicy", &policy("dead", 1))]);
    let printed = scene.reload(&without);
    for words in ["queue `dead` does not exist any more", "dead-letter queue", "not reloaded"] {
        assert!(printed.contains(words), "{words} is not in {printed}");
    }
    // A start keeps it, as if an API had made it.
    scene.setup.config = without;
    scene.kill_and_restart();
    scene.gateway().wait_until_it_says("queue `dead` is not declared any more, and stays");
    send(&scene, "text");
    assert_eq!(look(&scene, "jobs").expect("the message")["Body"], "text");
    assert_eq!(
        (look(&scene, "jobs"), look(&scene, "dead").expect("it")["Body"].clone()),
        (None, json!("text"))
    );
}
