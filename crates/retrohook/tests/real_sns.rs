//! Topics of real SNS: moto stands for it, and a server of the kit where moto cannot do what AWS does. Nothing is lost through outages, kills,
//! throttling and expired credentials; what SNS refuses is a dead letter in its own words; no secret is shown anywhere.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::aws;
use testkit::client;
use testkit::python;
use testkit::scene::Scene;
use testkit::server::{Server, Then, answer};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const SECRET: &str = "wJalrXUtnFEMIsK7MDENGsbPxRfiCYEXAMPLEKEY";
/// Longer than the first retry of the default policy.
const RETRIED: Duration = Duration::from_secs(60);

/// SNS and SQS, gone with all that they have when this is dropped.
struct Aws {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    port: u16,
    topic: String,
}

impl Aws {
    #[track_caller]
    fn start(port: u16, topic: &str) -> Self {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/real_sns.py");
        let mut command = python::command(&script);
        command.arg(port.to_string()).arg(topic);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("python starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut aws = Self { child, input, output, port, topic: String::new() };
        let started = aws.line();
        aws.port = u16::try_from(started["port"].as_u64().expect("a port")).expect("a port");
        started["topic"].as_str().expect("an ARN").clone_into(&mut aws.topic);
        aws
    }

    #[track_caller]
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The queue's messages, deleted as they are received, until there are as many as this.
    #[track_caller]
    fn receive(&mut self, count: usize) -> Vec<Value> {
        let mut all = Vec::new();
        wait::within(RETRIED, "the messages in AWS's queue", || {
            writeln!(self.input, "{}", json!({ "receive": true })).expect("it listens");
            self.input.flush().expect("it listens");
            let line = self.line();
            all.extend(line["messages"].as_array().expect("a list").iter().cloned());
            (all.len() >= count).then_some(())
        });
        assert_eq!(all.len(), count, "{all:?}");
        all
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A rule that publishes every PUT to a topic of another account.
fn rule(topic: &str, at: &str) -> Value {
    json!({
        "name": "publish-sns",
        "config": {
            "topic_arn": topic, "endpoint": at, "aws_key": "AKIAIOSFODNN7EXAMPLE", "aws_secret": SECRET,
            "routes": [{ "method": "PUT", "matcher": "^/profile/[0-9]+$" }],
            "capture": { "request_body": true, "max_bytes": 1_000_000 },
        },
    })
}

/// A gateway whose file has this rule.
fn scene(rule: &Value) -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, &file(rule));
    scene.start_gateway();
    scene
}

fn file(rule: &Value) -> String {
    format!(
        "_format_version: \"3.0\"\nservices:\n- {{ name: mockbin, url: \"http://{{upstream}}\", routes: [{{ paths: [/mockbin] }}], plugins: [{rule}] }}\n"
    )
}

#[track_caller]
fn put(scene: &Scene, number: usize, body: &[u8]) {
    let target = format!("/mockbin/profile/{number}");
    let headers = [("host", "gateway")];
    let answer = client::send(scene.gateway().proxy(), "PUT", &target, &headers, body).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The path that a message tells of.
fn path(message: &Value) -> String {
    let body: Value =
        serde_json::from_str(message["Body"].as_str().expect("a text")).expect("the log's JSON");
    let uri = body["request"]["request_uri"].as_str().expect("a URI");
    uri.split_once("/mockbin").expect("the path").1.to_owned()
}

/// What the admin API says of the one subscription that leads to SNS.
#[track_caller]
fn subscription(scene: &Scene) -> Value {
    let answer = scene.admin().get("/retrohook/subscriptions");
    let all = answer.json();
    let all = all["subscriptions"].as_array().expect("a list");
    let mut of_sns = all.iter().filter(|one| one["protocol"] == "sns");
    let one = of_sns.next().unwrap_or_else(|| panic!("none leads to SNS: {all:?}")).clone();
    assert!(of_sns.next().is_none(), "{all:?}");
    one
}

#[track_caller]
fn dead_letters(scene: &Scene, count: usize) -> Vec<Value> {
    wait::until("the dead letters", || {
        let all = scene.admin().get("/retrohook/dead-letters").json()["dead_letters"].as_array()?.clone();
        (all.len() >= count).then_some(all)
    })
}

/// Everything that the admin port and the log lines show.
fn shown(scene: &Scene) -> String {
    let paths =
        ["/status", "/metrics", "/retrohook/subscriptions", "/retrohook/dead-letters", "/retrohook/events"];
    let pages = paths.map(|path| scene.admin().get(path).text());
    pages.concat() + &scene.gateway().output()
}

#[test]
fn events_survive_an_outage_of_sns_and_a_kill_in_the_middle() {
    let mut aws = Aws::start(0, "orders");
    let mut scene = Scene::prepare(RETROHOOK, "");
    scene.setup.without_files = true;
    scene.start_gateway();
    // The rule comes through the API, as kongfig brings it.
    let admin = scene.gateway().address("legacy-admin");
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    let post = |target: &str, body: &Value| {
        let answer =
            client::send(admin, "POST", target, &headers, body.to_string().as_bytes()).expect("an answer");
        assert_eq!(answer.status, 201, "{}", answer.text());
    };
    let upstream = format!("http://{}", scene.upstream.address());
    post(
        "/apis",
        &json!({ "name": "mockbin", "upstream_url": upstream, "uris": ["/mockbin"], "strip_uri": true }),
    );
    let mut rule = rule(&aws.topic, &aws.url());
    rule["config"]["match_on"] = "service_path".into();
    post("/apis/mockbin/plugins", &rule);

    (0..3).for_each(|number| put(&scene, number, b""));
    let messages = aws.receive(3);
    let mut paths: Vec<_> = messages.iter().map(path).collect();
    paths.sort();
    assert_eq!(paths, ["/profile/0", "/profile/1", "/profile/2"]);
    let id = messages[0]["MessageAttributes"]["retrohook_event_id"]["StringValue"].as_str().expect("an id");
    wait::until("the delivery to be noted", || {
        (scene.admin().event(id)["deliveries"][0]["state"] == "delivered").then_some(())
    });

    let port = aws.port;
    drop(aws);
    (3..6).for_each(|number| put(&scene, number, b""));
    wait::until("the outage to be seen", || subscription(&scene)["last_attempt"]["error"].as_str().map(drop));
    scene.kill_and_restart();
    put(&scene, 6, b"");
    let mut aws = Aws::start(port, "orders");
    let mut paths: Vec<_> = aws.receive(4).iter().map(path).collect();
    paths.sort();
    assert_eq!(paths, ["/profile/3", "/profile/4", "/profile/5", "/profile/6"]);
    assert!(dead_letters(&scene, 0).is_empty());
    assert!(!shown(&scene).contains(SECRET));
}

#[test]
fn a_fifo_topic_gets_each_group_in_its_order() {
    let mut aws = Aws::start(0, "orders.fifo");
    let scene = scene(&rule(&aws.topic, &aws.url()));
    for round in 0..10 {
        (0..2).for_each(|number| put(&scene, number, format!("{round}").as_bytes()));
    }
    let messages = aws.receive(20);
    for number in 0..2 {
        let path_of = format!("/profile/{number}");
        let of_group: Vec<_> = messages.iter().filter(|one| path(one) == path_of).collect();
        let groups: Vec<_> =
            of_group.iter().map(|one| one["Attributes"]["MessageGroupId"].as_str()).collect();
        assert!(groups.len() == 10 && groups.iter().all(|group| *group == groups[0]), "{groups:?}");
        let bodies: Vec<String> = of_group
            .iter()
            .map(|one| {
                let body: Value = serde_json::from_str(one["Body"].as_str().expect("a text")).expect("JSON");
                body["request"]["body"]["content"].as_str().expect("the body").to_owned()
            })
            .collect();
        assert_eq!(bodies, (0..10).map(|round| round.to_string()).collect::<Vec<_>>());
        let ids = |one: &Value, name: &str| one["MessageAttributes"][name]["StringValue"].clone();
        for one in of_group {
            assert_eq!(one["Attributes"]["MessageDeduplicationId"], ids(one, "retrohook_event_id"));
        }
    }
}

#[test]
fn what_sns_refuses_for_good_is_a_dead_letter_in_its_words_and_holds_nothing_up() {
    let mut aws = Aws::start(0, "orders");
    let scene = scene(&rule(&aws.topic, &aws.url()));
    put(&scene, 1, &[b'x'; 300 << 10]);
    put(&scene, 2, b"small");
    assert_eq!(aws.receive(1).iter().map(path).collect::<Vec<_>>(), ["/profile/2"]);
    let dead = dead_letters(&scene, 1).remove(0);
    let reason = dead["reason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("SNS answered 400 InvalidParameter") && reason.ends_with("Message too long"),
        "{reason}"
    );
}

#[test]
fn a_topic_that_is_not_there_is_said_in_sns_words() {
    let aws = Aws::start(0, "orders");
    let scene = scene(&rule("arn:aws:sns:eu-west-1:123456789012:elsewhere", &aws.url()));
    put(&scene, 1, b"");
    let dead = dead_letters(&scene, 1).remove(0);
    assert!(dead["reason"].as_str().expect("a reason").starts_with("SNS answered 404 NotFound"), "{dead}");
}

/// An error as SNS writes it.
fn error(code: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>not now</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
}

#[test]
fn throttling_and_expired_credentials_delay_and_are_seen() {
    let asked = Arc::new(AtomicUsize::new(0));
    let seen = asked.clone();
    let server = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |_, stream| {
        let (status, body) = match seen.fetch_add(1, Ordering::SeqCst) {
            0 => (429, error("Throttled")),
            1 => (403, error("ExpiredToken")),
            _ => (
                200,
                "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>7</MessageId>\
                 </PublishResult></PublishResponse>"
                    .to_owned(),
            ),
        };
        answer(stream, status, &[], body.as_bytes())?;
        Ok(Then::KeepOpen)
    });
    let server = server.expect("a port");
    let at = format!("http://{}", server.address());
    let scene = scene(&rule("arn:aws:sns:eu-west-1:123456789012:orders", &at));
    put(&scene, 1, b"");
    let error = wait::until("the first refusal", || {
        subscription(&scene)["last_attempt"]["error"].as_str().map(str::to_owned)
    });
    assert_eq!(error, "SNS answered 429 Throttled: not now");
    put(&scene, 2, b"");
    wait::until("the second refusal", || {
        let error = subscription(&scene)["last_attempt"]["error"].as_str()?.to_owned();
        (error == "SNS answered 403 ExpiredToken: not now").then_some(())
    });
    wait::within(RETRIED, "both to be taken", || (asked.load(Ordering::SeqCst) == 4).then_some(()));
    wait::until("both to be delivered", || {
        let series = r#"retrohook_deliveries_total{subscription="1",end="delivered"}"#;
        (scene.admin().metric(series) == Some(2.0)).then_some(())
    });
    assert!(dead_letters(&scene, 0).is_empty());
    let shown = shown(&scene);
    assert!(shown.contains("result=\"4xx\""), "the metrics count them");
    let told = scene.gateway().output().matches("deliveries fail").count();
    assert_eq!(told, 1, "once, not for every event:\n{}", scene.gateway().output());
    assert!(!shown.contains(SECRET));
}

/// Without a key of its own, a rule has those of the environment; without any, events wait.
#[test]
fn credentials_are_those_that_the_sdk_finds() {
    let mut aws = Aws::start(0, "orders");
    let mut rule = rule(&aws.topic, &aws.url());
    for name in ["aws_key", "aws_secret"] {
        rule["config"].as_object_mut().expect("an object").remove(name);
    }
    let mut scene = Scene::prepare(RETROHOOK, &file(&rule));
    let none = [
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/none"),
        ("AWS_CONFIG_FILE", "/none"),
    ];
    scene.setup.env.extend(none.map(|(name, value)| (name.to_owned(), value.to_owned())));
    scene.start_gateway();
    put(&scene, 1, b"");
    let error = wait::until("the refusal", || {
        subscription(&scene)["last_attempt"]["error"].as_str().map(str::to_owned)
    });
    assert!(error.starts_with("the request to SNS could not be signed: "), "{error}");
    scene.take_gateway().kill();
    let found = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    scene.setup.env.extend(found.map(|(name, value)| (name.to_owned(), value.to_owned())));
    scene.start_gateway();
    assert_eq!(aws.receive(1).iter().map(path).collect::<Vec<_>>(), ["/profile/1"]);
    assert!(!shown(&scene).contains(SECRET));
}

#[test]
fn what_stands_for_a_topic_elsewhere_is_listed_and_nobody_ends_it() {
    let scene = scene(&rule("arn:aws:sns:eu-west-1:123456789012:orders", "http://127.0.0.1:9"));
    let hub = scene.gateway().address("hub");
    let call = |action: &str, parameters: &[(&str, &str)]| {
        aws::query(hub, aws::SNS, action, parameters, &[]).expect("an answer")
    };
    let arn = &aws::element(&call("ListTopics", &[]), "TopicArn");
    assert!(arn.starts_with("arn:aws:sns:us-east-1:000000000000:aws-orders-"), "{arn}");
    let of_topic = call("ListSubscriptionsByTopic", &[("TopicArn", arn)]).text();
    let endpoint = "<Endpoint>arn:aws:sns:eu-west-1:123456789012:orders via http://127.0.0.1:9</Endpoint>";
    assert!(of_topic.contains("<Protocol>sns</Protocol>") && of_topic.contains(endpoint), "{of_topic}");
    let refused = call("DeleteTopic", &[("TopicArn", arn)]);
    assert!(refused.status == 403 && refused.text().contains("AuthorizationError"), "{}", refused.text());
    let nobody = call("Subscribe", &[("TopicArn", arn), ("Protocol", "sns"), ("Endpoint", arn)]);
    assert_eq!(nobody.status, 400, "{}", nobody.text());
}
