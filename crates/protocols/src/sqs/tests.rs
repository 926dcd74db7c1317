//! SQS in JSON, through HTTP.

mod query;
mod send;

use std::time::Duration;

use hub::testing::{EMPTY_QUEUE, QUEUE, RAW_QUEUE, World};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Options;
use crate::tests::{Answer, Site};

impl Site {
    async fn sqs(&self, operation: &str, input: Value) -> Answer {
        self.sqs_at("/", operation, &input.to_string()).await
    }

    async fn sqs_at(&self, path: &str, operation: &str, body: &str) -> Answer {
        let target = format!("x-amz-target: AmazonSQS.{operation}");
        self.send("POST", path, &[&target, "content-type: application/x-amz-json-1.0"], body).await
    }

    /// The output of an action that succeeds.
    async fn output(&self, operation: &str, input: Value) -> Value {
        let answer = self.sqs(operation, input).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-type"), Some(CONTENT_TYPE));
        answer.request_id();
        serde_json::from_str(&answer.body).unwrap()
    }

    async fn receive_one(&self, queue: &str) -> Value {
        self.output("ReceiveMessage", json!({ "QueueUrl": queue })).await["Messages"][0].take()
    }

    async fn handle(&self, queue: &str) -> String {
        self.receive_one(queue).await["ReceiptHandle"].as_str().unwrap().to_owned()
    }

    /// An action fails with this status, shape, code and text.
    async fn check(&self, operation: &str, input: Value, error: (u16, &str, &str, &str)) {
        let case = format!("{operation} {input}");
        self.check_answer(&case, &self.sqs(operation, input).await, error);
    }

    fn check_answer(&self, case: &str, answer: &Answer, error: (u16, &str, &str, &str)) {
        let (status, shape, code, message) = error;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body, json!({ "__type": shape, "message": message }), "{case}");
        assert_eq!(answer.status, status, "{case}");
        assert_eq!(answer.header("x-amzn-query-error"), Some(format!("{code};Sender").as_str()), "{case}");
        assert_eq!(answer.header("content-type"), Some(CONTENT_TYPE), "{case}");
        answer.request_id();
    }
}

type Row = (u16, &'static str, &'static str, &'static str);

const NO_QUEUE: Row = (
    400,
    "com.amazonaws.sqs#QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "The specified queue does not exist.",
);

fn missing(text: &'static str) -> Row {
    (400, "com.amazon.coral.service#MissingRequiredParameterException", "MissingParameter", text)
}

fn invalid(text: &str) -> (u16, &str, &str, &str) {
    (400, "com.amazon.coral.service#InvalidParameterValueException", "InvalidParameterValue", text)
}

fn bad_handle(text: &str) -> (u16, &str, &str, &str) {
    (400, "com.amazonaws.sqs#ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", text)
}

#[tokio::test]
async fn errors_are_those_of_sqs() {
    let site = Site::all().await;
    let queue_url = "The request must contain the parameter QueueUrl.";
    let handle = "The request must contain the parameter ReceiptHandle.";
    let ask = |name: &str, value: Value| json!({ "QueueUrl": QUEUE, name: value });
    for (operation, input, error) in [
        ("GetQueueUrl", json!({}), missing("The request must contain the parameter QueueName.")),
        ("GetQueueUrl", json!({ "QueueName": "other" }), NO_QUEUE),
        ("GetQueueUrl", json!({ "QueueName": QUEUE, "QueueOwnerAWSAccountId": "111111111111" }), NO_QUEUE),
        ("ReceiveMessage", json!({}), missing(queue_url)),
        ("ReceiveMessage", json!({ "QueueUrl": null }), missing(queue_url)),
        ("ReceiveMessage", json!({ "QueueUrl": "http://h/000000000000/other" }), NO_QUEUE),
        ("ReceiveMessage", json!({ "QueueUrl": format!("http://h/111111111111/{QUEUE}") }), NO_QUEUE),
        (
            "ReceiveMessage",
            json!({ "QueueUrl": "http://h/" }),
            (
                400,
                "com.amazonaws.sqs#InvalidAddress",
                "InvalidAddress",
                "The address http://h/ is not valid for this endpoint.",
            ),
        ),
        ("DeleteMessage", json!({ "QueueUrl": QUEUE }), missing(handle)),
        ("ChangeMessageVisibility", json!({ "QueueUrl": QUEUE }), missing(handle)),
        (
            "ChangeMessageVisibility",
            ask("ReceiptHandle", json!("x")),
            missing("The request must contain the parameter VisibilityTimeout."),
        ),
        (
            "DeleteMessage",
            ask("ReceiptHandle", json!("garbage")),
            bad_handle("The input receipt handle \"garbage\" is not a valid receipt handle."),
        ),
        (
            "GetQueueAttributes",
            ask("AttributeNames", json!(["QueueArn", "Colour"])),
            (
                400,
                "com.amazonaws.sqs#InvalidAttributeName",
                "InvalidAttributeName",
                "Unknown Attribute Colour.",
            ),
        ),
    ] {
        site.check(operation, input, error).await;
    }
}

#[tokio::test]
async fn numbers_have_bounds() {
    let site = Site::all().await;
    for (parameter, reason, good, bad) in [
        ("MaxNumberOfMessages", "Must be between 1 and 10, if provided.", [1, 10], [0, 11]),
        ("VisibilityTimeout", "Must be between 0 and 43200, if provided.", [0, 43_200], [-1, 43_201]),
        ("WaitTimeSeconds", "Must be >= 0 and <= 20, if provided.", [0, 0], [-1, 21]),
    ] {
        for number in bad {
            let text = format!("Value {number} for parameter {parameter} is invalid. Reason: {reason}");
            let input = json!({ "QueueUrl": QUEUE, parameter: number });
            site.check("ReceiveMessage", input, invalid(&text)).await;
        }
        for number in good {
            site.output("ReceiveMessage", json!({ "QueueUrl": QUEUE, parameter: number })).await;
        }
    }
}

#[tokio::test]
async fn malformed_input_is_refused() {
    let site = Site::all().await;
    for body in ["{", "[]", "[\"q\"]", "null", "7", "\u{0}", "{\"QueueUrl\":1}", &"[".repeat(100_000)] {
        let answer = site.sqs_at("/", "ReceiveMessage", body).await;
        assert_eq!(answer.status, 400, "{body:.20}");
        assert_eq!(answer.header("x-amzn-query-error"), Some("MalformedInput;Sender"), "{body:.20}");
        assert!(answer.body.contains("com.amazon.coral.service#SerializationException"), "{}", answer.body);
    }
}

#[tokio::test]
async fn unknown_operations_name_what_is_supported() {
    let site = Site::all().await;
    for (target, operation) in
        [("AmazonSQS.TagQueue", "TagQueue"), ("DynamoDB_20120810.GetItem", ""), ("", "")]
    {
        let answer = site.send("POST", "/", &[&format!("x-amz-target: {target}")], "{}").await;
        let supported = SUPPORTED.join(", ");
        let text = format!("The operation {operation} is not supported here; of SQS there are {supported}.");
        let shape = "com.amazon.coral.service#UnknownOperationException";
        site.check_answer(target, &answer, (400, shape, "InvalidAction", &text));
    }
}

#[tokio::test]
async fn every_supported_action_is_dispatched() {
    let site = Site::all().await;
    for operation in SUPPORTED {
        let answer = site.sqs(operation, json!({ "QueueUrl": QUEUE })).await;
        assert!(!answer.body.contains("UnknownOperationException"), "{operation}: {}", answer.body);
    }
}

#[tokio::test]
async fn queue_urls_follow_the_host_or_the_option() {
    let site = Site::all().await;
    let url = format!("http://hub.test:4566/000000000000/{QUEUE}");
    assert_eq!(site.output("GetQueueUrl", json!({ "QueueName": QUEUE })).await, json!({ "QueueUrl": url }));
    let base = Options { queue_base_url: Some("https://queues.example.com".into()), ..Options::default() };
    let world = World::new().await;
    let router = crate::router(world.hub.clone(), base);
    let site = Site::serve(world, router).await;
    let url = format!("https://queues.example.com/000000000000/{QUEUE}");
    assert_eq!(site.output("GetQueueUrl", json!({ "QueueName": QUEUE })).await, json!({ "QueueUrl": url }));
}

#[tokio::test]
async fn a_queue_is_found_by_any_url_name_or_path() {
    let site = Site::all().await;
    for n in 1..=4 {
        site.world.publish(n).await;
    }
    let path = format!("/000000000000/{QUEUE}");
    let elsewhere = json!({ "QueueUrl": format!("https://sqs.us-east-1.amazonaws.com{path}") }).to_string();
    let bare = json!({ "QueueUrl": QUEUE }).to_string();
    for (target, body) in
        [("/", &elsewhere), ("/", &bare), (path.as_str(), &"{}".into()), (&path, &String::new())]
    {
        let answer = site.sqs_at(target, "ReceiveMessage", body).await;
        assert!(answer.body.contains("\"MessageId\""), "{target} {body}: {}", answer.body);
    }
}

#[tokio::test]
async fn receives_what_is_asked_for_and_leaves_out_the_rest() {
    let site = Site::all().await;
    assert_eq!(site.output("ReceiveMessage", json!({ "QueueUrl": QUEUE })).await, json!({}));
    site.world.publish(1).await;
    let message = site.receive_one(QUEUE).await;
    let names: Vec<&String> = message.as_object().unwrap().keys().collect();
    assert_eq!(names, ["MessageId", "ReceiptHandle", "MD5OfBody", "Body"]);
    assert_eq!(message["MD5OfBody"], digest::of_body(message["Body"].as_str().unwrap()));

    site.world.clock.advance(Duration::from_secs(30));
    let input =
        json!({ "QueueUrl": QUEUE, "MessageSystemAttributeNames": ["All"], "AttributeNames": ["SenderId"] });
    let message = &site.output("ReceiveMessage", input).await["Messages"][0];
    let expected = json!({
        "ApproximateFirstReceiveTimestamp": "1700000000000",
        "ApproximateReceiveCount": "2",
        "SenderId": "000000000000",
        "SentTimestamp": "1700000000001",
    });
    assert_eq!(message["Attributes"], expected);

    site.world.clock.advance(Duration::from_secs(30));
    let input = json!({ "QueueUrl": QUEUE, "AttributeNames": ["ApproximateReceiveCount", "Colour"] });
    let message = &site.output("ReceiveMessage", input).await["Messages"][0];
    assert_eq!(message["Attributes"], json!({ "ApproximateReceiveCount": "3" }));
}

#[tokio::test]
async fn message_attributes_have_the_digest_of_those_returned() {
    let site = Site::all().await;
    site.world.publish(1).await;
    let message = site.receive_one(RAW_QUEUE).await;
    assert_eq!(
        (&message["MessageAttributes"], &message["MD5OfMessageAttributes"]),
        (&Value::Null, &Value::Null)
    );
    site.world.clock.advance(Duration::from_secs(60));
    let input = json!({ "QueueUrl": RAW_QUEUE, "MessageAttributeNames": ["retrohook_out.*", "nothing"] });
    let message = &site.output("ReceiveMessage", input).await["Messages"][0];
    let outcome = json!({ "DataType": "String", "StringValue": "succeeded" });
    assert_eq!(message["MessageAttributes"], json!({ "retrohook_outcome": outcome }));
    // Computed with Python's hashlib.
    assert_eq!(message["MD5OfMessageAttributes"], "c801a1a2d8ab6d19a9e29a424505dccb");
}

#[tokio::test]
async fn no_more_messages_than_asked_for() {
    let site = Site::all().await;
    for n in 1..=4 {
        site.world.publish(n).await;
    }
    let input = json!({ "QueueUrl": QUEUE, "MaxNumberOfMessages": 3 });
    let output = site.output("ReceiveMessage", input).await;
    assert_eq!(output["Messages"].as_array().unwrap().len(), 3);
    site.receive_one(QUEUE).await;
    assert_eq!(site.output("ReceiveMessage", json!({ "QueueUrl": QUEUE })).await, json!({}));
}

#[tokio::test]
async fn deletes_by_current_and_by_old_handles() {
    let site = Site::all().await;
    site.world.publish(1).await;
    let old = site.handle(QUEUE).await;
    let foreign = site.handle(RAW_QUEUE).await;
    site.world.clock.advance(Duration::from_secs(30));
    site.handle(QUEUE).await;
    let delete = |handle: &str| json!({ "QueueUrl": QUEUE, "ReceiptHandle": handle });
    let text = format!("The receipt handle \"{foreign}\" is not valid for this queue.");
    site.check("DeleteMessage", delete(&foreign), bad_handle(&text)).await;
    for _ in 0..2 {
        assert_eq!(site.output("DeleteMessage", delete(&old)).await, json!({}));
    }
    site.world.clock.advance(Duration::from_secs(30));
    assert_eq!(site.output("ReceiveMessage", json!({ "QueueUrl": QUEUE })).await, json!({}));
}

#[tokio::test]
async fn visibility_changes_and_its_refusals() {
    let site = Site::all().await;
    site.world.publish(1).await;
    let handle = site.handle(QUEUE).await;
    let change =
        |seconds: i64| json!({ "QueueUrl": QUEUE, "ReceiptHandle": handle, "VisibilityTimeout": seconds });
    let operation = "ChangeMessageVisibility";
    let text = "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200, if provided.";
    site.check(operation, change(43_201), invalid(text)).await;
    assert_eq!(site.output(operation, change(0)).await, json!({}));
    assert!(site.receive_one(QUEUE).await["Body"].is_string(), "visible at once");
    site.world.clock.advance(Duration::from_secs(1));
    let text = "Value 43200 for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond \
                the limit [43200 seconds]";
    site.check(operation, change(43_200), invalid(text)).await;
    site.output("DeleteMessage", json!({ "QueueUrl": QUEUE, "ReceiptHandle": handle })).await;
    let text = format!(
        "Value {handle} for parameter ReceiptHandle is invalid. Reason: Message does not exist or is not available for visibility \
         timeout change."
    );
    site.check(operation, change(1), invalid(&text)).await;
}

#[tokio::test]
async fn batches_have_bounds() {
    let site = Site::all().await;
    let row = |name: &'static str, code: &'static str, text: String| (name, code, text);
    let long = "x".repeat(81);
    for operation in ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"] {
        let entries = |ids: &[&str]| -> Value {
            let entry = |id: &&str| json!({ "Id": id, "ReceiptHandle": "x", "VisibilityTimeout": 1 });
            json!({ "QueueUrl": QUEUE, "Entries": ids.iter().map(entry).collect::<Vec<_>>() })
        };
        let bad_id = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                      It can be at most 80 letters long.";
        let empty = format!("There should be at least one {operation}RequestEntry in the request.");
        let many = "Maximum number of entries per request are 10. You have sent 11.".to_owned();
        for (input, (name, code, text)) in [
            (json!({ "QueueUrl": QUEUE }), row("EmptyBatchRequest", "EmptyBatchRequest", empty.clone())),
            (entries(&[]), row("EmptyBatchRequest", "EmptyBatchRequest", empty)),
            (entries(&["a"; 11]), row("TooManyEntriesInBatchRequest", "TooManyEntriesInBatchRequest", many)),
            (
                entries(&["a", "b", "a"]),
                row("BatchEntryIdsNotDistinct", "BatchEntryIdsNotDistinct", "Id a repeated.".into()),
            ),
            (entries(&["a", ""]), row("InvalidBatchEntryId", "InvalidBatchEntryId", bad_id.into())),
            (entries(&["a.b"]), row("InvalidBatchEntryId", "InvalidBatchEntryId", bad_id.into())),
            (entries(&[&long]), row("InvalidBatchEntryId", "InvalidBatchEntryId", bad_id.into())),
        ] {
            let (shape, code) =
                (format!("com.amazonaws.sqs#{name}"), format!("AWS.SimpleQueueService.{code}"));
            site.check(operation, input, (400, &shape, &code, &text)).await;
        }
    }
}

#[tokio::test]
async fn batches_answer_for_each_entry() {
    let site = Site::all().await;
    site.world.publish(1).await;
    let handle = site.handle(QUEUE).await;
    let failed = |id: &str, handle: &str| {
        json!({
            "Id": id,
            "Code": "ReceiptHandleIsInvalid",
            "Message": format!("The receipt handle \"{handle}\" is not valid for this queue."),
            "SenderFault": true,
        })
    };
    let entries = json!([
        { "Id": "bad", "ReceiptHandle": "garbage", "VisibilityTimeout": 0 },
        { "Id": "good", "ReceiptHandle": handle, "VisibilityTimeout": 0 },
        { "Id": "far", "ReceiptHandle": handle, "VisibilityTimeout": 50_000 },
    ]);
    let output =
        site.output("ChangeMessageVisibilityBatch", json!({ "QueueUrl": QUEUE, "Entries": entries })).await;
    assert_eq!(output["Successful"], json!([{ "Id": "good" }]));
    assert_eq!(output["Failed"][0], failed("bad", "garbage"));
    assert_eq!(output["Failed"][1]["Code"], "InvalidParameterValue");
    assert_eq!(site.handle(QUEUE).await.len(), handle.len(), "visible again");

    let foreign = site.handle(RAW_QUEUE).await;
    let entries = json!([{ "Id": "a", "ReceiptHandle": handle }, { "Id": "b", "ReceiptHandle": foreign }, { "Id": "c" }]);
    let output = site.output("DeleteMessageBatch", json!({ "QueueUrl": QUEUE, "Entries": entries })).await;
    let expected =
        json!({ "Successful": [{ "Id": "a" }], "Failed": [failed("b", &foreign), failed("c", "")] });
    assert_eq!(output, expected);
    let entries = json!([{ "Id": "a", "ReceiptHandle": handle }]);
    let output = site.output("DeleteMessageBatch", json!({ "QueueUrl": QUEUE, "Entries": entries })).await;
    assert_eq!(output, json!({ "Successful": [{ "Id": "a" }], "Failed": [] }));
}

#[tokio::test]
async fn attributes_are_strings() {
    let site = Site::all().await;
    for n in 1..=2 {
        site.world.publish(n).await;
    }
    site.handle(QUEUE).await;
    let ask = |names: Value| json!({ "QueueUrl": QUEUE, "AttributeNames": names });
    let output = site.output("GetQueueAttributes", ask(json!(["All"]))).await;
    let expected = json!({
        "ApproximateNumberOfMessages": "1",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "1",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "1209600",
        "QueueArn": format!("arn:aws:sqs:us-east-1:000000000000:{QUEUE}"),
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "false",
        "VisibilityTimeout": "30",
    });
    assert_eq!(output, json!({ "Attributes": expected }));
    assert_eq!(site.output("GetQueueAttributes", json!({ "QueueUrl": QUEUE })).await, json!({}));
    assert_eq!(site.output("GetQueueAttributes", ask(json!(["Policy"]))).await, json!({}));
    let output = site.output("GetQueueAttributes", ask(json!(["VisibilityTimeout", "Policy"]))).await;
    assert_eq!(output, json!({ "Attributes": { "VisibilityTimeout": "30" } }));
}

#[tokio::test]
async fn lists_queues_by_prefix_and_page() {
    let site = Site::all().await;
    let url = |queue: &str| format!("http://hub.test:4566/000000000000/{queue}");
    let all = json!({ "QueueUrls": [url(EMPTY_QUEUE), url(RAW_QUEUE), url(QUEUE)] });
    assert_eq!(site.output("ListQueues", json!({})).await, all);
    assert_eq!(site.output("ListQueues", json!({ "QueueNamePrefix": "x" })).await, json!({}));
    let first = site.output("ListQueues", json!({ "QueueNamePrefix": "prof", "MaxResults": 1 })).await;
    assert_eq!(first["QueueUrls"], json!([url(RAW_QUEUE)]));
    let input = json!({ "QueueNamePrefix": "prof", "MaxResults": 1, "NextToken": first["NextToken"] });
    assert_eq!(site.output("ListQueues", input).await, json!({ "QueueUrls": [url(QUEUE)] }));
    let text = "Value 0 for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000.";
    site.check("ListQueues", json!({ "MaxResults": 0 }), invalid(text)).await;
}

#[tokio::test]
async fn a_client_that_disconnects_while_waiting_consumes_nothing() {
    let world = World::with_max_long_polls(1).await;
    let router = crate::router(world.hub.clone(), Options::default());
    let site = Site::serve(world, router).await;
    let input = json!({ "QueueUrl": QUEUE, "WaitTimeSeconds": 20 }).to_string();
    let target = ["x-amz-target: AmazonSQS.ReceiveMessage"];
    let waiting = site.open("POST", "/", &target, &input).await;
    until(|| site.world.hub.waiting_polls() == 1).await;
    let another = json!({ "QueueUrl": EMPTY_QUEUE, "WaitTimeSeconds": 20 });
    let text = "As many as 1 receives wait already; try again later.";
    let throttled = (403, "com.amazonaws.sqs#RequestThrottled", "RequestThrottled", text);
    site.check("ReceiveMessage", another, throttled).await;
    drop(waiting);
    until(|| site.world.hub.waiting_polls() == 0).await;
    site.world.publish(1).await;
    let input = json!({ "QueueUrl": QUEUE, "AttributeNames": ["ApproximateReceiveCount"] });
    let output = site.output("ReceiveMessage", input).await;
    assert_eq!(output["Messages"][0]["Attributes"]["ApproximateReceiveCount"], "1");
}

async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), met).await.expect("the condition is met in time");
}

/// Values that stand where an input wants another.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from(QUEUE)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let members = prop::collection::hash_map(any_member(), inner.clone(), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_member() -> impl Strategy<Value = String> {
    let known = [
        "AttributeNames",
        "Entries",
        "Id",
        "MaxResults",
        "DelaySeconds",
        "MaxNumberOfMessages",
        "MessageAttributeNames",
        "MessageAttributes",
        "MessageBody",
        "MessageGroupId",
        "MessageSystemAttributes",
        "NextToken",
        "QueueName",
        "QueueUrl",
        "ReceiptHandle",
        "VisibilityTimeout",
    ];
    prop_oneof![prop::sample::select(known.to_vec()).prop_map(str::to_owned), ".{0,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_body_makes_an_action_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        members in prop::collection::hash_map(any_member(), any_value(), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let object = Value::Object(members.into_iter().collect()).to_string();
        runtime.block_on(async {
            let world = World::new().await;
            let context = Context { hub: &world.hub, control: None, origin: "http://h", path: "/", trace: None };
            for operation in SUPPORTED {
                for body in [bytes.as_slice(), object.as_bytes(), &object.as_bytes()[..object.len() / 2]] {
                    let status = answer(&context, operation, body).await.status;
                    prop_assert!(status.is_success() || status.is_client_error(), "{operation} {object}");
                }
            }
            Ok(())
        })?;
    }
}
