//! Queues of ours with real clients: boto3, driven by `tests/python/sqs_client.py`, and in the demo the official SDK for Rust.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::client;
use testkit::process::Process;
use testkit::python;
use testkit::scene::Scene;

const PROGRAM: &str = env!("CARGO_BIN_EXE_retrohook");

const CONFIG: &str = r#"_format_version: "3.0"
services:
- name: profiles
  url: http://{upstream}
  routes:
  - { name: profiles, paths: [/profiles], strip_path: false }
  plugins:
  - name: publish-sns
    config:
      topic_arn: profile-changes
      durability: strict
      routes:
      - { method: PUT, matcher: "^/profiles/[^/]+$" }
topics:
- name: profile-changes
  subscriptions:
  - { protocol: sqs, endpoint: envelopes }
  - { protocol: sqs, endpoint: raw, raw_message_delivery: true }
queues:
- { name: envelopes, visibility_timeout: 1 }
- { name: raw, visibility_timeout: 600 }
"#;

/// A worker's client.
struct Sqs {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    hub: String,
}

impl Sqs {
    fn start(gateway: &Process) -> Self {
        let hub = format!("http://{}", gateway.address("hub"));
        let mut command = python::command(&script("sqs_client.py"));
        command.arg(&hub).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python starts");
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child, input, output: BufReader::new(output), hub }
    }

    /// Goes on with a gateway that was started again.
    fn reconnect(&mut self, gateway: &Process) {
        self.hub = format!("http://{}", gateway.address("hub"));
        self.say(&json!({ "connect": self.hub }));
    }

    fn url(&self, queue: &str) -> String {
        format!("{}/000000000000/{queue}", self.hub)
    }

    fn say(&mut self, line: &Value) {
        writeln!(self.input, "{line}").expect("the client reads");
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the client writes");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the client ended; its last line: {line:?}"))
    }

    /// Begins a call; returns when its request is about to leave.
    fn begin(&mut self, call: &str, input: Value) {
        self.say(&json!({ "call": call, "with": input }));
        assert_eq!(self.line(), json!({ "sending": true }));
    }

    #[track_caller]
    fn end(&mut self) -> Value {
        let mut said = self.line();
        assert!(said.get("error").is_none(), "{said}");
        said["ok"].take()
    }

    #[track_caller]
    fn call(&mut self, call: &str, input: Value) -> Value {
        self.begin(call, input);
        self.end()
    }

    /// Type, code and text of the exception that a call ends with.
    #[track_caller]
    fn error(&mut self, call: &str, input: Value) -> (String, String, String) {
        self.begin(call, input);
        let said = self.line();
        let text = |name: &str| said["error"][name].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
        (text("type"), text("code"), text("message"))
    }

    /// Up to `max` messages, with all their attributes; waits up to `wait` seconds for one.
    #[track_caller]
    fn receive(&mut self, queue: &str, max: u32, wait: u32) -> Vec<Value> {
        let mut output = self.call("receive_message", self.ask(queue, max, wait));
        output["Messages"].as_array_mut().map(std::mem::take).unwrap_or_default()
    }

    fn ask(&self, queue: &str, max: u32, wait: u32) -> Value {
        json!({
            "QueueUrl": self.url(queue), "MaxNumberOfMessages": max, "WaitTimeSeconds": wait,
            "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"],
        })
    }

    #[track_caller]
    fn delete(&mut self, queue: &str, message: &Value) {
        let input = json!({ "QueueUrl": self.url(queue), "ReceiptHandle": message["ReceiptHandle"] });
        self.call("delete_message", input);
    }

    #[track_caller]
    fn change_visibility(&mut self, queue: &str, message: &Value, seconds: u32) {
        let input = json!({
            "QueueUrl": self.url(queue), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": seconds
        });
        self.call("change_message_visibility", input);
    }
}

impl Drop for Sqs {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/python", name].iter().collect()
}

#[track_caller]
fn put(scene: &Scene, name: &str) {
    let answer = client::send(scene.gateway().proxy(), "PUT", &format!("/profiles/{name}"), &[], b"{}");
    assert_eq!(answer.expect("an answer").status, 200);
}

/// The path of the request that a raw message tells of.
fn path(message: &Value) -> String {
    let body: Value = serde_json::from_str(message["Body"].as_str().unwrap()).expect("JSON");
    body["request"]["uri"].as_str().unwrap().to_owned()
}

fn received(message: &Value) -> &str {
    message["Attributes"]["ApproximateReceiveCount"].as_str().expect("a count")
}

#[test]
fn a_long_poll_ends_with_the_message() {
    let scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    let mut waits = Vec::new();
    for round in 0..5 {
        let ask = sqs.ask("raw", 1, 20);
        sqs.begin("receive_message", ask);
        put(&scene, &format!("ann-{round}"));
        let answered = Instant::now();
        let output = sqs.end();
        waits.push(answered.elapsed());
        assert_eq!(path(&output["Messages"][0]), format!("/profiles/ann-{round}"));
    }
    waits.sort_unstable();
    assert!(waits[2] < Duration::from_millis(400), "from the PUT's answer to the message: {waits:?}");
}

/// As many as SQS's largest messages would have together: a receive holds no more in memory, and hides no more.
#[test]
fn a_receive_of_large_messages_has_fewer_of_them() {
    let capture = "durability: strict\n      capture: { request_body: true, max_bytes: 1048576 }\n";
    let scene = Scene::start(PROGRAM, &CONFIG.replace("durability: strict\n", capture));
    let body = vec![b'x'; 1 << 20];
    for name in ["ann", "bob", "cy", "di", "ed"] {
        let answer = client::send(scene.gateway().proxy(), "PUT", &format!("/profiles/{name}"), &[], &body);
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let mut sqs = Sqs::start(scene.gateway());
    for expected in
        [&["/profiles/ann", "/profiles/bob"][..], &["/profiles/cy", "/profiles/di"], &["/profiles/ed"]]
    {
        let received: Vec<_> = sqs.receive("raw", 10, 0).iter().map(path).collect();
        assert_eq!(received, expected);
    }
}

#[test]
fn with_strict_the_message_is_there_when_the_answer_is() {
    let scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    for round in 0..20 {
        put(&scene, &format!("ann-{round}"));
        let messages = sqs.receive("raw", 10, 0);
        assert_eq!(messages.len(), 1, "round {round}");
        assert_eq!(path(&messages[0]), format!("/profiles/ann-{round}"));
    }
}

#[test]
fn a_message_carries_what_an_sqs_message_carries() {
    let scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    for (queue, url) in [("raw", sqs.url("raw")), ("envelopes", sqs.url("envelopes"))] {
        assert_eq!(sqs.call("get_queue_url", json!({ "QueueName": queue })), json!({ "QueueUrl": url }));
    }
    put(&scene, "ann");
    let event = scene.admin().wait_for_events(1).remove(0);
    let raw = sqs.receive("raw", 10, 0).remove(0);
    assert_eq!(path(&raw), "/profiles/ann");
    let attribute = |value: &Value| json!({ "DataType": "String", "StringValue": value });
    assert_eq!(raw["MessageAttributes"]["retrohook_event_id"], attribute(&event["id"]));
    assert_eq!(raw["MessageAttributes"]["retrohook_outcome"], attribute(&event["outcome"]));
    assert_eq!(raw["MessageAttributes"]["retrohook_key"], attribute(&event["key"]));
    assert_eq!((received(&raw), &raw["Attributes"]["SenderId"]), ("1", &json!("000000000000")));
    for name in ["SentTimestamp", "ApproximateFirstReceiveTimestamp"] {
        let millis: u64 = raw["Attributes"][name].as_str().unwrap().parse().expect("milliseconds");
        assert!(millis > 1_700_000_000_000, "{name}: {millis}");
    }

    let envelope = sqs.receive("envelopes", 10, 0).remove(0);
    let body: Value = serde_json::from_str(envelope["Body"].as_str().unwrap()).expect("JSON");
    assert_eq!((&body["Type"], &body["MessageId"]), (&json!("Notification"), &event["id"]));
    assert_eq!(body["Message"], raw["Body"]);
    let headers = json!({
        "x-amz-sns-message-type": body["Type"], "x-amz-sns-message-id": body["MessageId"],
        "x-amz-sns-topic-arn": "arn:aws:sns:us-east-1:000000000000:profile-changes"
    });
    let input = json!({ "messages": [{ "headers": headers, "body": envelope["Body"] }] });
    let said = python::run(&script("verify_sns.py"), &input);
    assert!(said.ok, "{}", said.text);

    let input = json!({ "QueueUrl": sqs.url("raw"), "AttributeNames": ["All"] });
    let attributes = sqs.call("get_queue_attributes", input)["Attributes"].take();
    assert_eq!(attributes["QueueArn"], "arn:aws:sqs:us-east-1:000000000000:raw");
    assert_eq!(attributes["ApproximateNumberOfMessages"], "0");
    assert_eq!(attributes["ApproximateNumberOfMessagesNotVisible"], "1");
    assert_eq!(attributes["VisibilityTimeout"], "600");
}

#[test]
fn what_is_not_deleted_comes_back_and_what_is_deleted_does_not() {
    let scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    put(&scene, "ann");
    let first = sqs.receive("raw", 1, 0).remove(0);
    assert_eq!(sqs.receive("raw", 1, 0), [json!(null); 0], "it is hidden");
    sqs.change_visibility("raw", &first, 0);
    let second = sqs.receive("raw", 1, 0).remove(0);
    assert_eq!((&second["MessageId"], received(&second)), (&first["MessageId"], "2"));
    assert_ne!(second["ReceiptHandle"], first["ReceiptHandle"]);
    sqs.change_visibility("raw", &second, 1);
    let third = sqs.receive("raw", 1, 20).remove(0);
    assert_eq!((&third["MessageId"], received(&third)), (&first["MessageId"], "3"));
    sqs.delete("raw", &third);
    sqs.delete("raw", &third);

    // The queue's own timeout is one second.
    let hidden = sqs.receive("envelopes", 1, 0).remove(0);
    let back = sqs.receive("envelopes", 1, 20).remove(0);
    assert_eq!((&back["MessageId"], received(&back)), (&hidden["MessageId"], "2"));
    sqs.delete("envelopes", &hidden);
    let input =
        json!({ "QueueUrl": sqs.url("raw"), "AttributeNames": ["ApproximateNumberOfMessagesNotVisible"] });
    let attributes = sqs.call("get_queue_attributes", input)["Attributes"].take();
    assert_eq!(attributes["ApproximateNumberOfMessagesNotVisible"], "0", "deleted, not hidden");
    assert_eq!(
        sqs.receive("envelopes", 10, 2),
        [json!(null); 0],
        "a handle of an earlier receive deletes, too"
    );
}

#[test]
fn batches_tell_the_fate_of_each_entry() {
    let scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    for name in ["ann", "bob", "eve"] {
        put(&scene, name);
    }
    let messages = sqs.receive("raw", 10, 0);
    assert_eq!(
        messages.iter().map(path).collect::<Vec<_>>(),
        ["/profiles/ann", "/profiles/bob", "/profiles/eve"]
    );
    let entry = |id: &str, handle: &Value| json!({ "Id": id, "ReceiptHandle": handle });
    let entries = [
        entry("a", &messages[0]["ReceiptHandle"]),
        entry("g", &json!("garbage")),
        entry("e", &messages[2]["ReceiptHandle"]),
    ];
    let output = sqs.call("delete_message_batch", json!({ "QueueUrl": sqs.url("raw"), "Entries": entries }));
    assert_eq!(output["Successful"], json!([{ "Id": "a" }, { "Id": "e" }]));
    let failed = &output["Failed"][0];
    assert_eq!((&failed["Id"], &failed["Code"]), (&json!("g"), &json!("ReceiptHandleIsInvalid")), "{output}");
    assert_eq!(failed["SenderFault"], true);
    sqs.change_visibility("raw", &messages[1], 0);
    let left = sqs.receive("raw", 10, 0);
    assert_eq!(left.iter().map(path).collect::<Vec<_>>(), ["/profiles/bob"]);
}

#[test]
fn errors_are_the_exceptions_that_a_worker_knows() {
    let scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    let nowhere = sqs.url("nowhere");
    for (call, input) in [
        ("get_queue_url", json!({ "QueueName": "nowhere" })),
        ("receive_message", json!({ "QueueUrl": nowhere })),
        ("delete_message", json!({ "QueueUrl": nowhere, "ReceiptHandle": "x" })),
    ] {
        let (kind, code, message) = sqs.error(call, input);
        assert_eq!(kind, "QueueDoesNotExist", "{call}: {code}: {message}");
        assert_eq!(message, "The specified queue does not exist.", "{call}");
    }
    let garbage = json!({ "QueueUrl": sqs.url("raw"), "ReceiptHandle": "garbage" });
    let (kind, _, message) = sqs.error("delete_message", garbage);
    assert_eq!(kind, "ReceiptHandleIsInvalid");
    assert_eq!(message, "The input receipt handle \"garbage\" is not a valid receipt handle.");
    put(&scene, "ann");
    let message = sqs.receive("raw", 1, 0).remove(0);
    let elsewhere = json!({ "QueueUrl": sqs.url("envelopes"), "ReceiptHandle": message["ReceiptHandle"] });
    assert_eq!(
        sqs.error("delete_message", elsewhere).0,
        "ReceiptHandleIsInvalid",
        "a handle of another queue"
    );
}

#[test]
fn a_kill_loses_no_message_and_brings_no_deleted_one_back() {
    let mut scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    for name in ["ann", "bob", "eve", "joe"] {
        put(&scene, name);
    }
    let in_flight = sqs.receive("raw", 3, 0);
    assert_eq!(
        in_flight.iter().map(path).collect::<Vec<_>>(),
        ["/profiles/ann", "/profiles/bob", "/profiles/eve"]
    );
    sqs.delete("raw", &in_flight[0]);
    sqs.change_visibility("raw", &in_flight[1], 2);
    scene.kill_and_restart();
    sqs.reconnect(scene.gateway());
    let visible = sqs.receive("raw", 10, 0);
    assert_eq!(
        visible.iter().map(path).collect::<Vec<_>>(),
        ["/profiles/joe"],
        "the others are still hidden"
    );
    sqs.delete("raw", &visible[0]);
    let back = sqs.receive("raw", 10, 20);
    assert_eq!(back.iter().map(path).collect::<Vec<_>>(), ["/profiles/bob"]);
    assert_eq!(received(&back[0]), "2");
    sqs.delete("raw", &back[0]);
    // A handle of the life before is still good.
    sqs.change_visibility("raw", &in_flight[2], 0);
    let last = sqs.receive("raw", 10, 20);
    assert_eq!(last.iter().map(path).collect::<Vec<_>>(), ["/profiles/eve"]);
    sqs.delete("raw", &last[0]);
    assert_eq!(sqs.receive("raw", 10, 0), [json!(null); 0]);
}

#[test]
fn a_queue_that_was_out_of_the_file_gets_what_it_missed_and_nothing_twice() {
    let mut scene = Scene::start(PROGRAM, CONFIG);
    let mut sqs = Sqs::start(scene.gateway());
    for name in ["ann", "bob"] {
        put(&scene, name);
    }
    let first = sqs.receive("raw", 1, 0);
    sqs.delete("raw", &first[0]);
    let both = scene.setup.config.clone();
    let raw = "  - { protocol: sqs, endpoint: raw, raw_message_delivery: true }\n";
    assert!(both.contains(raw));
    scene.setup.config = both.replace(raw, "");
    scene.take_gateway().terminate();
    scene.start_gateway();
    for name in ["eve", "joe"] {
        put(&scene, name);
    }
    scene.kill_and_restart();
    put(&scene, "kim");
    scene.setup.config = both;
    scene.take_gateway().terminate();
    scene.start_gateway();
    scene.gateway().wait_until_it_says("3 messages that queues had missed were sent");
    put(&scene, "lou");
    sqs.reconnect(scene.gateway());
    let messages = sqs.receive("raw", 10, 0);
    let paths: Vec<_> = messages.iter().map(path).collect();
    assert_eq!(paths, ["bob", "eve", "joe", "kim", "lou"].map(|name| format!("/profiles/{name}")));
    for message in &messages {
        sqs.delete("raw", message);
    }
    scene.kill_and_restart();
    assert!(!scene.gateway().output().contains("had missed"));
    sqs.reconnect(scene.gateway());
    assert_eq!(sqs.receive("raw", 10, 0), [json!(null); 0]);
}

#[test]
fn the_demo_happens_with_the_sdk_for_rust() {
    let output =
        Command::new(PROGRAM).args(["demo", "--once"]).stdin(Stdio::null()).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("a worker on the AWS SDK expires it"), "{text}");
    assert!(text.trim_end().ends_with("none lost, one of them unknown."), "{text}");
}
