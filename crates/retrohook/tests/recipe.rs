//! The recipe of 2016 with its own tools: aws-cli makes topic, subscriptions and queue, kongfig's requests make the api and its rule, the service is
//! over https. Nothing is in a file, and everything is there after a kill. Then the commands that scripts use, with what they print and how they fail.

use std::net::{SocketAddr, TcpListener};
use std::process::Output;

use serde_json::{Value, json};
use testkit::client;
use testkit::python;
use testkit::receiver::Receiver;
use testkit::scene::Scene;
use testkit::tls::{Authority, Front};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:profile-changes";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:worker";

/// A gateway without files whose API of SNS and SQS is at an address that a configuration can name.
struct Recipe {
    scene: Scene,
    hub: SocketAddr,
}

impl Recipe {
    fn prepare() -> Self {
        let mut scene = Scene::prepare(RETROHOOK, "");
        let hub = TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address");
        scene.setup.without_files = true;
        scene.setup.flags.push(format!("--hub-listen={hub}"));
        Self { scene, hub }
    }

    fn start() -> Self {
        let mut recipe = Self::prepare();
        recipe.scene.start_gateway();
        recipe
    }

    /// Runs aws-cli with the words of a command.
    fn run(&self, words: &[&str]) -> Output {
        let mut command = python::module("awscli");
        command.args(["--endpoint-url", &format!("http://localhost:{}", self.hub.port())]).args(words);
        let home = self.scene.setup.data.path();
        let environment = [
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_DEFAULT_OUTPUT", "json"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_MAX_ATTEMPTS", "1"),
            ("AWS_PAGER", ""),
        ];
        command.envs(environment).env("HOME", home).env("AWS_CONFIG_FILE", home.join("none"));
        command.env("AWS_SHARED_CREDENTIALS_FILE", home.join("none"));
        command.output().expect("aws-cli starts")
    }

    /// What a command prints; null if nothing.
    #[track_caller]
    fn aws(&self, words: &[&str]) -> Value {
        let ran = self.run(words);
        let (out, error) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{words:?}: {error}");
        if out.trim().is_empty() { Value::Null } else { serde_json::from_str(&out).expect("JSON") }
    }

    /// That a command fails with this code of AWS's. Version 1 of aws-cli exits with 255 then.
    #[track_caller]
    fn fails(&self, words: &[&str], code: &str, operation: &str) {
        let ran = self.run(words);
        let error = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(255), "an error of the service: {words:?}: {error}");
        let expected = format!("An error occurred ({code}) when calling the {operation} operation");
        assert!(error.contains(&expected), "{words:?}: {error}");
    }

    /// The bodies of what a queue has, deleted as they are received, until there are as many as this.
    #[track_caller]
    fn receive(&self, url: &str, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        wait::until("the queue's messages", || {
            let words = ["sqs", "receive-message", "--queue-url", url, "--max-number-of-messages", "10"];
            let received = self.aws(&[&words[..], &["--wait-time-seconds", "2"]].concat());
            for message in received["Messages"].as_array().into_iter().flatten() {
                bodies.push(message["Body"].as_str().expect("a text").to_owned());
                let handle = message["ReceiptHandle"].as_str().expect("a handle");
                self.aws(&["sqs", "delete-message", "--queue-url", url, "--receipt-handle", handle]);
            }
            (bodies.len() >= count).then_some(())
        });
        assert_eq!(bodies.len(), count, "{bodies:?}");
        bodies
    }

    /// Topic, queue and both subscriptions, as the recipe makes them; the queue's URL.
    #[track_caller]
    fn subscribe(&self, receiver: &Receiver) -> String {
        let topic = self.aws(&["sns", "create-topic", "--name", "profile-changes"]);
        assert_eq!(topic["TopicArn"], TOPIC);
        let hook = receiver.url("/expire");
        let words = ["sns", "subscribe", "--topic-arn", TOPIC, "--protocol"];
        let pending = self.aws(&[&words[..], &["http", "--notification-endpoint", hook.as_str()]].concat());
        assert_eq!(pending["SubscriptionArn"], "pending confirmation");
        let url = self.aws(&["sqs", "create-queue", "--queue-name", "worker"])["QueueUrl"].clone();
        let subscribed = self.aws(&[&words[..], &["sqs", "--notification-endpoint", QUEUE]].concat());
        assert!(
            subscribed["SubscriptionArn"].as_str().is_some_and(|arn| arn.starts_with(TOPIC)),
            "{subscribed}"
        );
        wait::until("the webhook's confirmation", || {
            let listed = self.aws(&["sns", "list-subscriptions-by-topic", "--topic-arn", TOPIC]);
            let all = listed["Subscriptions"].as_array()?;
            (all.len() == 2 && all.iter().all(|one| one["SubscriptionArn"] != "PendingConfirmation"))
                .then_some(())
        });
        url.as_str().expect("a URL").to_owned()
    }

    /// What kongfig sends of the recipe's file, with the headers of node's `fetch`.
    #[track_caller]
    fn kongfig(&self, upstream: &str) {
        let headers = [
            ("host", "localhost:8011"),
            ("connection", "keep-alive"),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
            ("user-agent", "node"),
            ("accept-encoding", "gzip, deflate"),
        ];
        let post = |target: &str, body: &str| -> Value {
            let at = self.scene.gateway().address("legacy-admin");
            let answer = client::send(at, "POST", target, &headers, body.as_bytes()).expect("an answer");
            assert_eq!(answer.status, 201, "{}", answer.text());
            answer.json()
        };
        let api = format!(
            r#"{{"upstream_url":"{upstream}","uris":["/mockbin"],"strip_uri":true,"name":"mockbin"}}"#
        );
        let api = post("/apis", &api);
        let plugin = format!(
            r#"{{"config.topic_arn":"{TOPIC}","config.sns_endpoint":"http://localhost:{}","config.routes":[{{"method":"PUT","matcher":"^/mockbin/profile$"}}],"name":"publish-sns"}}"#,
            self.hub.port()
        );
        post(&format!("/apis/{}/plugins", api["id"].as_str().expect("an id")), &plugin);
    }

    #[track_caller]
    fn put(&self) {
        let headers = [("host", "localhost:8000")];
        let proxy = self.scene.gateway().proxy();
        let answer =
            client::send(proxy, "PUT", "/mockbin/profile", &headers, br#"{"foo":"bar"}"#).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

/// The request that a notification tells of.
fn request(notification: &Value) -> String {
    let message: Value =
        serde_json::from_str(notification["Message"].as_str().expect("a text")).expect("JSON");
    format!(
        "{} {}",
        message["request"]["method"].as_str().unwrap_or_default(),
        message["request"]["request_uri"]
    )
}

#[test]
fn the_recipe_runs_on_its_own_tools_and_stands_through_a_kill() {
    let authority = Authority::new();
    let mut recipe = Recipe::prepare();
    let front = Front::start(authority.vouch(&["localhost"]), recipe.scene.upstream.address());
    let trusted = recipe.scene.setup.data.path().join("authorities.pem");
    std::fs::write(&trusted, authority.pem()).expect("a file");
    let trusted = trusted.to_str().expect("UTF-8").to_owned();
    recipe.scene.setup.env.push(("SSL_CERT_FILE".into(), trusted));
    recipe.scene.start_gateway();
    let receiver = Receiver::start();
    let url = recipe.subscribe(&receiver);
    recipe.kongfig(&format!("https://localhost:{}", front.port()));

    for round in 1..=2 {
        recipe.put();
        wait::until("the webhook's message", || (receiver.events().len() == round).then_some(()));
        let told = receiver.messages().last().expect("a message").json();
        let queued: Value = serde_json::from_str(&recipe.receive(&url, 1)[0]).expect("a notification");
        for notification in [&told, &queued] {
            assert_eq!(
                (&notification["Type"], &notification["TopicArn"]),
                (&json!("Notification"), &json!(TOPIC))
            );
            assert!(request(notification).starts_with("PUT "), "{notification}");
        }
        assert_eq!((&told["MessageId"], &told["Message"]), (&queued["MessageId"], &queued["Message"]));
        let listed = recipe.aws(&["sns", "list-subscriptions"]);
        assert_eq!(listed["Subscriptions"].as_array().map(Vec::len), Some(2), "{listed}");
        recipe.scene.kill_and_restart();
    }
    assert_eq!(recipe.scene.upstream.executed().len(), 2);
    assert_eq!(recipe.aws(&["sns", "list-topics"]), json!({ "Topics": [{ "TopicArn": TOPIC }] }));
}

#[test]
fn commands_of_scripts_print_what_they_print_with_aws() {
    let recipe = Recipe::start();
    let receiver = Receiver::start();
    let url = recipe.subscribe(&receiver);
    // Scripts make what is there already.
    let again = recipe.aws(&["sqs", "create-queue", "--queue-name", "worker"]);
    assert_eq!(again["QueueUrl"], url.as_str());
    assert_eq!(recipe.aws(&["sqs", "get-queue-url", "--queue-name", "worker"]), json!({ "QueueUrl": url }));
    assert_eq!(recipe.aws(&["sqs", "list-queues"]), json!({ "QueueUrls": [url] }));
    let of_topic = recipe.aws(&["sns", "get-topic-attributes", "--topic-arn", TOPIC])["Attributes"].clone();
    assert_eq!((&of_topic["TopicArn"], &of_topic["SubscriptionsConfirmed"]), (&json!(TOPIC), &json!("2")));
    let listed = recipe.aws(&["sns", "list-subscriptions-by-topic", "--topic-arn", TOPIC]);
    let to_queue =
        listed["Subscriptions"].as_array().expect("a list").iter().find(|one| one["Protocol"] == "sqs");
    let arn = to_queue.expect("the queue's")["SubscriptionArn"].as_str().expect("an ARN");
    let set = ["sns", "set-subscription-attributes", "--subscription-arn", arn, "--attribute-name"];
    recipe.aws(&[&set[..], &["RawMessageDelivery", "--attribute-value", "true"]].concat());
    let attributes = recipe.aws(&["sns", "get-subscription-attributes", "--subscription-arn", arn]);
    assert_eq!(attributes["Attributes"]["RawMessageDelivery"], "true", "{attributes}");

    let of_message = r#"{"kind":{"DataType":"String","StringValue":"greeting"},"n":{"DataType":"Number","StringValue":"7"}}"#;
    let publish = ["sns", "publish", "--topic-arn", TOPIC, "--message", "hello ä <&>"];
    let published = recipe.aws(&[&publish[..], &["--message-attributes", of_message]].concat());
    assert!(published["MessageId"].is_string(), "{published}");
    let words = ["sqs", "receive-message", "--queue-url", &url, "--attribute-names", "All"];
    let received = recipe.aws(&[&words[..], &["--message-attribute-names", "All"]].concat());
    let message = &received["Messages"][0];
    assert_eq!(
        (&message["Body"], &message["Attributes"]["ApproximateReceiveCount"]),
        (&json!("hello ä <&>"), &json!("1"))
    );
    assert_eq!(message["MessageAttributes"]["kind"]["StringValue"], "greeting", "{message}");
    let handle = message["ReceiptHandle"].as_str().expect("a handle");
    assert_eq!(
        recipe.aws(&["sqs", "delete-message", "--queue-url", &url, "--receipt-handle", handle]),
        Value::Null
    );

    let sent = recipe.aws(&["sqs", "send-message", "--queue-url", &url, "--message-body", "straight"]);
    assert!(sent["MD5OfMessageBody"].is_string(), "{sent}");
    assert_eq!(recipe.receive(&url, 1), ["straight"]);
    recipe.aws(&["sqs", "send-message", "--queue-url", &url, "--message-body", "gone"]);
    recipe.aws(&["sqs", "purge-queue", "--queue-url", &url]);
    let asked = ["sqs", "get-queue-attributes", "--queue-url", &url, "--attribute-names"];
    let left = recipe.aws(&[&asked[..], &["ApproximateNumberOfMessages", "VisibilityTimeout"]].concat());
    assert_eq!(left["Attributes"], json!({ "ApproximateNumberOfMessages": "0", "VisibilityTimeout": "30" }));
    let set = ["sqs", "set-queue-attributes", "--queue-url", &url, "--attributes", "VisibilityTimeout=45"];
    assert_eq!(recipe.aws(&set), Value::Null);
    let now = recipe.aws(&[&asked[..], &["VisibilityTimeout"]].concat());
    assert_eq!(now["Attributes"]["VisibilityTimeout"], "45");
}

/// A dead-letter queue, as scripts set it up and look into it.
#[test]
fn a_script_gives_a_queue_a_dead_letter_queue() {
    let mut recipe = Recipe::start();
    let url = |made: Value| made["QueueUrl"].as_str().expect("a URL").to_owned();
    let create = ["sqs", "create-queue", "--queue-name"];
    let worker = url(recipe.aws(&[&create[..], &["worker"]].concat()));
    let dead = url(recipe.aws(&[&create[..], &["worker-dead"]].concat()));
    let policy =
        json!({ "deadLetterTargetArn": format!("{QUEUE}-dead"), "maxReceiveCount": "1" }).to_string();
    let attributes = json!({ "RedrivePolicy": policy }).to_string();
    let set = ["sqs", "set-queue-attributes", "--queue-url", &worker, "--attributes", &attributes];
    assert_eq!(recipe.aws(&set), Value::Null);
    let words = ["sqs", "get-queue-attributes", "--queue-url", &worker, "--attribute-names", "RedrivePolicy"];
    let shown = recipe.aws(&words)["Attributes"]["RedrivePolicy"].clone();
    let shown: Value = serde_json::from_str(shown.as_str().expect("a policy")).expect("JSON");
    assert_eq!(shown, json!({ "deadLetterTargetArn": format!("{QUEUE}-dead"), "maxReceiveCount": 1 }));
    let sources = recipe.aws(&["sqs", "list-dead-letter-source-queues", "--queue-url", &dead]);
    assert_eq!(sources, json!({ "queueUrls": [worker] }));
    let nowhere = attributes.replace("worker-dead", "nowhere");
    let wrong = ["sqs", "set-queue-attributes", "--queue-url", &worker, "--attributes", &nowhere];
    recipe.fails(&wrong, "InvalidParameterValue", "SetQueueAttributes");

    recipe.aws(&["sqs", "send-message", "--queue-url", &worker, "--message-body", "poison"]);
    let look = ["sqs", "receive-message", "--visibility-timeout", "0", "--queue-url", &worker];
    assert_eq!(recipe.aws(&look)["Messages"][0]["Body"], "poison");
    recipe.scene.kill_and_restart();
    assert_eq!(recipe.aws(&look), Value::Null);
    recipe.scene.kill_and_restart();
    assert_eq!(recipe.receive(&dead, 1), ["poison"]);
}

#[test]
fn commands_that_fail_say_so_with_codes_of_aws() {
    let recipe = Recipe::start();
    let nowhere = "arn:aws:sns:us-east-1:000000000000:nowhere";
    recipe.fails(&["sns", "get-topic-attributes", "--topic-arn", nowhere], "NotFound", "GetTopicAttributes");
    recipe.fails(&["sns", "publish", "--topic-arn", nowhere, "--message", "m"], "NotFound", "Publish");
    recipe.fails(&["sns", "create-topic", "--name", "a b"], "InvalidParameter", "CreateTopic");
    let no_queue = format!("http://localhost:{}/000000000000/none", recipe.hub.port());
    for (words, operation) in [
        (vec!["sqs", "get-queue-url", "--queue-name", "none"], "GetQueueUrl"),
        (vec!["sqs", "receive-message", "--queue-url", &no_queue], "ReceiveMessage"),
        (vec!["sqs", "purge-queue", "--queue-url", &no_queue], "PurgeQueue"),
    ] {
        recipe.fails(&words, "AWS.SimpleQueueService.NonExistentQueue", operation);
    }
    recipe.aws(&["sqs", "create-queue", "--queue-name", "worker"]);
    let differs = ["sqs", "create-queue", "--queue-name", "worker", "--attributes", "VisibilityTimeout=7"];
    recipe.fails(&differs, "QueueAlreadyExists", "CreateQueue");
    let range = ["sqs", "create-queue", "--queue-name", "other", "--attributes", "VisibilityTimeout=99999"];
    recipe.fails(&range, "InvalidAttributeValue", "CreateQueue");
    let url = format!("http://localhost:{}/000000000000/worker", recipe.hub.port());
    let handle = ["sqs", "delete-message", "--queue-url", &url, "--receipt-handle", "garbage"];
    recipe.fails(&handle, "ReceiptHandleIsInvalid", "DeleteMessage");
    recipe.aws(&["sns", "create-topic", "--name", "profile-changes"]);
    let publish = ["sns", "publish", "--topic-arn", TOPIC, "--message", "m", "--subject", ""];
    recipe.fails(&publish, "InvalidParameter", "Publish");
}
