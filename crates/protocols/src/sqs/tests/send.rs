//! `SendMessage` and `SendMessageBatch`: what they take, what they refuse, and what a receiver gets.

use hub::testing::EMPTY_QUEUE;
use storage::memory::CommitFault;

use super::*;

const MESSAGE_BODY: &str = "The request must contain the parameter MessageBody.";

fn attribute(data_type: &str, field: &str, value: &str) -> Value {
    json!({ "a": { "DataType": data_type, field: value } })
}

fn message(member: &str, value: Value) -> Value {
    json!({ "QueueUrl": EMPTY_QUEUE, "MessageBody": "text", member: value })
}

#[tokio::test]
async fn what_is_sent_is_received_with_all_that_stands_beside_it() {
    let site = Site::all().await;
    let attributes = json!({
        "n": { "DataType": "Number.int", "StringValue": "42" },
        "b": { "DataType": "Binary", "BinaryValue": "AP9kYXRh" },
        "größe": { "DataType": "String", "StringValue": "ä" },
    });
    let sent = site
        .output(
            "SendMessage",
            json!({
                "QueueUrl": EMPTY_QUEUE, "MessageBody": "text ä😀\r\n", "MessageAttributes": attributes,
                "MessageGroupId": "group-1",
                "MessageSystemAttributes": { "AWSTraceHeader": { "DataType": "String", "StringValue": "Root=1" } },
            }),
        )
        .await;
    let names: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["MessageId", "MD5OfMessageBody", "MD5OfMessageAttributes", "MD5OfMessageSystemAttributes"]
    );
    let input =
        json!({ "QueueUrl": EMPTY_QUEUE, "AttributeNames": ["All"], "MessageAttributeNames": ["All"] });
    let received = site.output("ReceiveMessage", input).await["Messages"][0].take();
    assert_eq!(received["MessageId"], sent["MessageId"]);
    assert_eq!(received["Body"], "text ä😀\r\n");
    assert_eq!(
        (&received["MD5OfBody"], &received["MessageAttributes"]),
        (&sent["MD5OfMessageBody"], &attributes)
    );
    assert_eq!(received["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
    assert_eq!(received["Attributes"]["MessageGroupId"], "group-1");
    assert_eq!(received["Attributes"]["AWSTraceHeader"], "Root=1");
    let plain = site.output("SendMessage", json!({ "QueueUrl": EMPTY_QUEUE, "MessageBody": "t" })).await;
    assert_eq!(plain.as_object().unwrap().len(), 2, "{plain}");
}

#[tokio::test]
async fn the_trace_of_a_request_comes_along() {
    let site = Site::all().await;
    let headers = ["x-amz-target: AmazonSQS.SendMessage", "X-Amzn-Trace-Id: Root=1-2-3"];
    let body = json!({ "QueueUrl": EMPTY_QUEUE, "MessageBody": "text" }).to_string();
    let answer = site.send("POST", "/", &headers, &body).await;
    assert!(!answer.body.contains("MD5OfMessageSystemAttributes"), "{}", answer.body);
    let input = json!({ "QueueUrl": EMPTY_QUEUE, "AttributeNames": ["AWSTraceHeader"] });
    let received = site.output("ReceiveMessage", input).await;
    assert_eq!(received["Messages"][0]["Attributes"], json!({ "AWSTraceHeader": "Root=1-2-3" }));
}

#[tokio::test]
async fn a_delay_keeps_a_message_back() {
    let site = Site::all().await;
    site.output("SendMessage", message("DelaySeconds", json!(900))).await;
    let receive = json!({ "QueueUrl": EMPTY_QUEUE });
    assert_eq!(site.output("ReceiveMessage", receive.clone()).await, json!({}));
    site.world.clock.advance(Duration::from_secs(900));
    assert_eq!(site.output("ReceiveMessage", receive).await["Messages"][0]["Body"], "text");
}

#[tokio::test]
async fn wrong_messages_are_refused_in_the_words_of_sqs() {
    let site = Site::all().await;
    let characters = "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | \
                      #x10000 to #x10FFFF.";
    let bad_type = "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is Binary, \
                    Number, and String.";
    let empty = "Message (user) attribute 'a' must contain a non-empty value of type 'String'.";
    let group = "Value a b for parameter MessageGroupId is invalid. Reason: MessageGroupId can only include alphanumeric and \
                 punctuation characters. 1 to 128 in length.";
    let dedup = "Value d for parameter MessageDeduplicationId is invalid. Reason: The request includes a parameter that is not valid \
                 for this queue type.";
    let delay =
        "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900.";
    let long = "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.";
    let many: serde_json::Map<String, Value> =
        (0..11).map(|n| (n.to_string(), json!({ "DataType": "String", "StringValue": "v" }))).collect();
    let trace = |value: &str| json!({ "AWSTraceHeader": { "DataType": "String", "StringValue": value } });
    let contents = (400, "com.amazonaws.sqs#InvalidMessageContents", "InvalidMessageContents", characters);
    for (input, error) in [
        (json!({ "QueueUrl": EMPTY_QUEUE }), missing(MESSAGE_BODY)),
        (message("MessageBody", json!("")), missing(MESSAGE_BODY)),
        (message("QueueUrl", json!("other")), NO_QUEUE),
        (message("MessageBody", json!("a\u{1}")), contents),
        (message("MessageBody", json!("\u{ffff}")), contents),
        (message("MessageBody", json!("x".repeat((1 << 20) + 1))), invalid(long)),
        (message("DelaySeconds", json!(901)), invalid(delay)),
        (message("MessageGroupId", json!("a b")), invalid(group)),
        (message("MessageDeduplicationId", json!("d")), invalid(dedup)),
        (message("MessageAttributes", attribute("Stringfoo", "StringValue", "v")), invalid(bad_type)),
        (message("MessageAttributes", attribute("", "StringValue", "v")), invalid(bad_type)),
        (message("MessageAttributes", attribute("String", "StringValue", "")), invalid(empty)),
        (message("MessageAttributes", attribute("String", "StringValue", "\u{1}")), invalid(characters)),
        (message("MessageSystemAttributes", trace("Root=\u{1}")), invalid(characters)),
        (
            message("MessageSystemAttributes", trace(&"x".repeat(2_049))),
            invalid("Message system attribute 'AWSTraceHeader' must be shorter than 2049 bytes."),
        ),
        (
            message("MessageAttributes", Value::Object(many)),
            invalid("Number of message attributes [11] exceeds the allowed maximum [10]."),
        ),
    ] {
        site.check("SendMessage", input, error).await;
    }
    for (name, what) in
        [("AWS.x", "reserved"), ("amazon.x", "reserved"), (".x", "start or end"), ("a b", "can only contain")]
    {
        let input =
            message("MessageAttributes", json!({ name: { "DataType": "String", "StringValue": "v" } }));
        let answer = site.sqs("SendMessage", input).await;
        assert!(answer.status == 400 && answer.body.contains(what), "{name}: {}", answer.body);
    }
    // Just fits: the text with its attribute's name, type and value.
    let full = json!({
        "QueueUrl": EMPTY_QUEUE, "MessageBody": "x".repeat((1 << 20) - 10),
        "MessageAttributes": attribute("Binary", "BinaryValue", "AAAA"),
    });
    site.output("SendMessage", full).await;
}

fn entries(entries: &Value) -> Value {
    json!({ "QueueUrl": EMPTY_QUEUE, "Entries": entries })
}

#[tokio::test]
async fn what_is_wrong_with_an_entry_refuses_that_entry_alone() {
    let site = Site::all().await;
    let input = entries(&json!([
        { "Id": "bad", "MessageBody": "a\u{1}" },
        { "Id": "good", "MessageBody": "hello" },
        { "Id": "late", "MessageBody": "hello", "DelaySeconds": -1 },
    ]));
    let output = site.output("SendMessageBatch", input).await;
    let successful = &output["Successful"][0];
    assert_eq!((&successful["Id"], output["Successful"].as_array().unwrap().len()), (&json!("good"), 1));
    assert_eq!(successful["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
    assert_eq!(output["Failed"][0]["Code"], "InvalidMessageContents");
    assert_eq!(output["Failed"][1]["Code"], "InvalidParameterValue");
    assert_eq!(
        (&output["Failed"][1]["Id"], &output["Failed"][1]["SenderFault"]),
        (&json!("late"), &json!(true))
    );
    let received = site.receive_one(EMPTY_QUEUE).await;
    assert_eq!(received["MessageId"], successful["MessageId"]);

    let all_good =
        site.output("SendMessageBatch", entries(&json!([{ "Id": "a", "MessageBody": "x" }]))).await;
    assert!(all_good.get("Failed").is_none(), "{all_good}");
    let none = site.output("SendMessageBatch", entries(&json!([{ "Id": "a" }]))).await;
    assert!(none.get("Successful").is_none() && none["Failed"][0]["Code"] == "MissingParameter", "{none}");
}

#[tokio::test]
async fn a_batch_as_a_whole_has_bounds() {
    let site = Site::all().await;
    let half = "x".repeat(1 << 19);
    let input = entries(
        &json!([{ "Id": "a", "MessageBody": half }, { "Id": "b", "MessageBody": format!("{half}x") }]),
    );
    let text = "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.";
    let error =
        (400, "com.amazonaws.sqs#BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong", text);
    site.check("SendMessageBatch", input, error).await;
    let text = "There should be at least one SendMessageBatchRequestEntry in the request.";
    let error =
        (400, "com.amazonaws.sqs#EmptyBatchRequest", "AWS.SimpleQueueService.EmptyBatchRequest", text);
    site.check("SendMessageBatch", entries(&json!([])), error).await;
}

#[tokio::test]
async fn a_full_store_is_unavailable_and_keeps_nothing() {
    for (operation, input) in [
        ("SendMessage", message("DelaySeconds", json!(0))),
        ("SendMessageBatch", entries(&json!([{ "Id": "a", "MessageBody": "x" }]))),
    ] {
        let site = Site::all().await;
        site.world.memory.fail_next_commit(CommitFault::Full);
        let answer = site.sqs(operation, input).await;
        let code = Some("ServiceUnavailable;Receiver");
        assert_eq!((answer.status, answer.header("x-amzn-query-error")), (503, code));
        assert_eq!(site.output("ReceiveMessage", json!({ "QueueUrl": EMPTY_QUEUE })).await, json!({}));
    }
}
