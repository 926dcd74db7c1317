//! `Publish` and `PublishBatch`: what they take, what they refuse, and what subscribers get.

use std::time::Duration;

use hub::message::Message;
use hub::queue::Receive;
use hub::testing::RAW_QUEUE;
use storage::memory::CommitFault;
use storage::writer::MAX_QUEUED;

use super::*;

impl Site {
    async fn publish(&self, parameters: &[(&str, &str)]) -> Answer {
        self.call("Publish", parameters).await
    }

    async fn call(&self, action: &str, parameters: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(format!("Action={action}&Version=2010-03-31"));
        form.extend_pairs(parameters);
        self.post_form("/", &form.finish()).await
    }

    async fn received(&self, queue: &str) -> Vec<Message> {
        let queue = self.world.hub.queue(queue).unwrap();
        let ask = Receive { max: 10, visibility: None, wait: Some(Duration::ZERO) };
        self.world.hub.receive(&queue, ask).await.unwrap()
    }
}

fn message<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("TopicArn", TOPIC_ARN), ("Message", "text")], more].concat()
}

/// An attribute named `a`.
fn attribute<'a>(data_type: &'a str, field: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    message(&[
        ("MessageAttributes.entry.1.Name", "a"),
        ("MessageAttributes.entry.1.Value.DataType", data_type),
        (field, value),
    ])
}

const STRING: &str = "MessageAttributes.entry.1.Value.StringValue";
const BINARY: &str = "MessageAttributes.entry.1.Value.BinaryValue";

#[tokio::test]
async fn a_message_is_in_its_queues_when_it_is_answered() {
    let site = Site::all().await;
    let more = [
        ("Subject", "Hello"),
        ("MessageGroupId", "group-1"),
        ("MessageAttributes.entry.2.Name", "n"),
        ("MessageAttributes.entry.2.Value.DataType", "Number"),
        ("MessageAttributes.entry.2.Value.StringValue", "42"),
        ("MessageAttributes.entry.10.Name", "b"),
        ("MessageAttributes.entry.10.Value.DataType", "Binary"),
        ("MessageAttributes.entry.10.Value.BinaryValue", "AAE="),
    ];
    let answer = site.publish(&message(&more)).await;
    let raw = site.received(RAW_QUEUE).await.remove(0);
    let envelope = site.received(QUEUE).await.remove(0);
    let notification: serde_json::Value = serde_json::from_str(&envelope.body).unwrap();
    let expected = format!(
        "<PublishResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>{}</MessageId></PublishResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></PublishResponse>",
        notification["MessageId"].as_str().unwrap(),
        answer.request_id()
    );
    assert_eq!((answer.status, &answer.body), (200, &expected));
    assert_eq!((raw.body.as_str(), raw.group.as_deref()), ("text", Some("group-1")));
    let attributes: Vec<_> =
        raw.attributes.iter().map(|(name, value)| (name.as_str(), value.value.as_str())).collect();
    assert_eq!(attributes, [("b", "AAE="), ("n", "42")]);
    assert_eq!((&notification["Subject"], &notification["Message"]), (&"Hello".into(), &"text".into()));
    assert_eq!(
        notification["MessageAttributes"]["n"],
        serde_json::json!({ "Type": "Number", "Value": "42" })
    );
}

#[tokio::test]
async fn a_target_may_be_a_topic_and_a_protocol_may_have_its_own_text() {
    let site = Site::all().await;
    let text = r#"{"default":"for all","sqs":"for queues","http":7}"#;
    let answer =
        site.publish(&[("TargetArn", TOPIC_ARN), ("Message", text), ("MessageStructure", "json")]).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(site.received(RAW_QUEUE).await.remove(0).body, "for queues");
}

#[tokio::test]
async fn the_trace_of_a_request_comes_along() {
    let site = Site::all().await;
    let form = format!("Action=Publish&Message=text&TopicArn={TOPIC_ARN}");
    site.send("POST", "/", &["X-Amzn-Trace-Id: Root=1-2-3"], &form).await;
    assert_eq!(site.received(RAW_QUEUE).await.remove(0).trace.as_deref(), Some("Root=1-2-3"));
    // It is no part of the message: one that is no trace is left out.
    let endless = format!("X-Amzn-Trace-Id: {}", "x".repeat(2_049));
    assert_eq!(site.send("POST", "/", &[&endless], &form).await.status, 200);
    assert_eq!(site.received(RAW_QUEUE).await.remove(0).trace, None);
}

/// The writer takes two of three: its queue is full then.
#[tokio::test]
async fn a_batch_of_which_the_store_takes_a_part_says_which() {
    let site = Site::all().await;
    let writer = &site.world.deps.writer;
    let blocked = site.world.memory.block_commits();
    drop(writer.transact(|_| Ok(())));
    assert!(blocked.wait_for_commit(Duration::from_secs(20)));
    (0..MAX_QUEUED - 2).for_each(|_| drop(writer.transact(|_| Ok(()))));
    let asked = async {
        let answer = batch(&site, &[("a", "1"), ("b", "2"), ("c", "3")]);
        tokio::pin!(answer);
        let until_full = async {
            while writer.admits().is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            answer = &mut answer => panic!("nothing is durable: {}", answer.body),
            () = until_full => {}
        }
        // The third is refused before the call waits.
        drop(blocked);
        answer.await
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let (successful, failed) = answer.body.split_once("</Successful>").unwrap();
    assert!(successful.contains("<Id>a</Id>") && successful.contains("<Id>b</Id>"), "{successful}");
    let refused = "<Failed><member><Id>c</Id><Code>ServiceUnavailable</Code>";
    assert!(failed.starts_with(refused) && failed.contains("<SenderFault>false</SenderFault>"), "{failed}");
    let mut bodies: Vec<String> = site.received(RAW_QUEUE).await.into_iter().map(|one| one.body).collect();
    bodies.sort();
    assert_eq!(bodies, ["1", "2"]);
}

#[tokio::test]
async fn wrong_messages_are_refused_in_the_words_of_sns() {
    let site = Site::all().await;
    let long_subject = "x".repeat(101);
    let long = "x".repeat((256 << 10) + 1);
    let elsewhere = TOPIC_ARN.replace("us-east-1", "eu-west-1");
    let unwritable = |what: &str, c: &str| {
        format!(
            "{what} Reason: it has the character #x{c}. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | \
             #x10000 to #x10FFFF"
        )
    };
    let structured =
        |text| [("TopicArn", TOPIC_ARN), ("Message", text), ("MessageStructure", "json")].to_vec();
    for (parameters, what) in [
        (message(&[("Subject", "")]), "Subject"),
        (message(&[("Subject", "a\nb")]), "Subject"),
        (message(&[("Subject", &long_subject)]), "Subject"),
        (vec![("TopicArn", TOPIC_ARN), ("Message", "")], "Empty message"),
        (vec![("TopicArn", TOPIC_ARN), ("Message", " \n")], "Empty message"),
        (vec![("TopicArn", TOPIC_ARN), ("Message", &long)], "Message too long"),
        (message(&[("MessageStructure", "xml")]), "MessageStructure"),
        (structured("text"), "Message Structure - JSON message body failed to parse"),
        (structured(r#"{"default":{}}"#), "Message Structure - No default entry in JSON message body"),
        (
            message(&[("MessageDeduplicationId", "d")]),
            "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type",
        ),
        (
            vec![("Message", "text"), ("PhoneNumber", "+1")],
            "PhoneNumber Reason: +1 is not valid to publish to",
        ),
        // What is wrong with the text comes before the telephone, and that before everything else.
        (vec![("Message", " "), ("PhoneNumber", "+1")], "Empty message"),
        (
            vec![("Message", &long), ("PhoneNumber", "+1")],
            "PhoneNumber Reason: +1 is not valid to publish to",
        ),
        (vec![("TopicArn", TOPIC_ARN), ("Message", "a\u{1}")], &unwritable("Message", "1")),
        (structured(r#"{"default":"a\u000b"}"#), &unwritable("Message", "B")),
        (structured(r#"{"default":"a","sqs":"\ufffe"}"#), &unwritable("Message", "FFFE")),
        (attribute("String", STRING, "\u{0}"), &unwritable("MessageAttributes", "0")),
        (vec![("Message", "text")], "TopicArn Reason: An ARN must have at least 6 elements, not 1"),
        (
            vec![("Message", "text"), ("TopicArn", "a:b")],
            "TopicArn Reason: An ARN must have at least 6 elements, not 2",
        ),
        (vec![("Message", "text"), ("TopicArn", &elsewhere)], "TopicArn"),
        (
            vec![("Message", "text"), ("TargetArn", "arn:aws:sns:us-east-1:000000000000:endpoint/GCM/a/b")],
            "TargetArn Reason: No endpoint found for the target arn specified",
        ),
    ] {
        let answer = site.publish(&parameters).await;
        check(&answer, 400, "InvalidParameter", &format!("Invalid parameter: {what}"));
    }
    let unknown = TOPIC_ARN.replace("profile-changes", "other");
    let answer = site.publish(&[("TopicArn", &unknown), ("Message", "text")]).await;
    check(&answer, 404, "NotFound", "Topic does not exist");
    let null = "1 validation error detected: Value null at 'message' failed to satisfy constraint: Member must not be null";
    check(&site.publish(&[("TopicArn", TOPIC_ARN)]).await, 400, "ValidationError", null);
    assert!(site.received(RAW_QUEUE).await.is_empty());
    // Just fits.
    assert_eq!(site.publish(&[("TopicArn", TOPIC_ARN), ("Message", &long[1..])]).await.status, 200);
}

#[tokio::test]
async fn wrong_attributes_are_refused_in_the_words_of_sns() {
    let site = Site::all().await;
    let bad_type = "The message attribute 'a' has an invalid message attribute type, the set of supported type prefixes is Binary, \
                    Number, and String.";
    let empty = "The message attribute 'a' must contain non-empty message attribute value for message attribute type 'String'.";
    let kind = "The message attribute 'a' with type 'Number' must use field 'String'.";
    let binary = "The message attribute 'a' with type 'Binary' must use field 'Binary'.";
    for (parameters, text) in [
        (attribute("Stringfoo", STRING, "v"), bad_type),
        (attribute("String.", STRING, "v"), bad_type),
        (attribute("String", STRING, ""), empty),
        (attribute("String", "Ignored", "v"), empty),
        (attribute("Number", BINARY, "AAE="), kind),
        (attribute("Binary", STRING, "v"), binary),
        (attribute("Number", STRING, "many"), "Could not cast message attribute 'a' value to number."),
    ] {
        check(&site.publish(&parameters).await, 400, "ParameterValueInvalid", text);
    }
    let null = "1 validation error detected: Value null at 'messageAttributes.a.member.dataType' failed to satisfy constraint: Member \
                must not be null";
    check(&site.publish(&attribute("", STRING, "v")).await, 400, "ValidationError", null);
    let long = "x".repeat(257);
    for (name, text) in [
        (".a", "Invalid message attribute name starting with character '.' was found."),
        ("a.", "Invalid message attribute name ending with character '.' was found."),
        ("a..b", "Message attribute name can not have successive '.' character."),
        (
            "a^b",
            "Invalid non-alphanumeric character '#x5E' was found in the message attribute name. Can only include alphanumeric \
             characters, hyphens, underscores, or dots.",
        ),
        (&long, "Length of message attribute name must be less than 256 bytes."),
    ] {
        let mut parameters = attribute("String", STRING, "v");
        parameters[2].1 = name;
        check(&site.publish(&parameters).await, 400, "ParameterValueInvalid", text);
    }
}

const ENTRIES: &str = "PublishBatchRequestEntries.member";

/// A batch of entries: id and message.
async fn batch(site: &Site, entries: &[(&str, &str)]) -> Answer {
    let mut parameters = vec![("TopicArn".to_owned(), TOPIC_ARN.to_owned())];
    for (number, (id, text)) in (1..).zip(entries) {
        parameters.push((format!("{ENTRIES}.{number}.Id"), (*id).to_owned()));
        parameters.push((format!("{ENTRIES}.{number}.Message"), (*text).to_owned()));
    }
    let parameters: Vec<(&str, &str)> =
        parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    site.call("PublishBatch", &parameters).await
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_answers_for_each_entry() {
    let site = Site::all().await;
    let texts: Vec<String> = (1..=10).map(|n| format!("text {n}")).collect();
    let ids: Vec<String> = (1..=10).map(|n| format!("id-{n}")).collect();
    let entries: Vec<(&str, &str)> =
        ids.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    let answer = batch(&site, &entries).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains("<PublishBatchResult><Successful><member><Id>id-1</Id><MessageId>"),
        "{}",
        answer.body
    );
    assert!(
        answer.body.contains("</MessageId></member></Successful><Failed/></PublishBatchResult>"),
        "{}",
        answer.body
    );
    let bodies: Vec<String> =
        site.received(RAW_QUEUE).await.into_iter().map(|message| message.body).collect();
    assert_eq!(bodies, texts);
}

#[tokio::test]
async fn what_is_wrong_with_one_entry_refuses_them_all() {
    let site = Site::all().await;
    let long = "x".repeat(81);
    let half = "x".repeat((128 << 10) + 1);
    let whole = "x".repeat((256 << 10) + 1);
    let eleven = [("a", "text"); 11];
    for (entries, code, text) in [
        (&[][..], "EmptyBatchRequest", "The batch request doesn't contain any entries.".to_owned()),
        (
            &eleven[..],
            "TooManyEntriesInBatchRequest",
            "The batch request contains more entries than permissible.".into(),
        ),
        (
            &eleven[..2],
            "BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.".into(),
        ),
        (
            &[("a.b", "text")][..],
            "InvalidBatchEntryId",
            "The Id of a batch entry in the batch request contains an impermissible character: a.b".into(),
        ),
        (
            &[(long.as_str(), "text")][..],
            "InvalidBatchEntryId",
            format!("The Id of a batch entry in the batch request is too long: {long}"),
        ),
        (
            &[("a", half.as_str()), ("b", &half)][..],
            "BatchRequestTooLong",
            "The length of all the messages put together is more than the limit.".into(),
        ),
        (
            &[("a", whole.as_str())][..],
            "BatchRequestTooLong",
            "The length of all the messages put together is more than the limit.".into(),
        ),
        (&[("a", "text"), ("b", " ")][..], "InvalidParameter", "Invalid parameter: Empty message".into()),
    ] {
        check(&batch(&site, entries).await, 400, code, &text);
    }
    let attribute = [
        ("TopicArn", TOPIC_ARN),
        ("PublishBatchRequestEntries.member.1.Id", "a"),
        ("PublishBatchRequestEntries.member.1.Message", "text"),
        ("PublishBatchRequestEntries.member.1.MessageAttributes.entry.1.Name", "a"),
    ];
    let null = "1 validation error detected: Value null at 'publishBatchRequestEntries.1.member.messageAttributes.a.member.dataType' \
                failed to satisfy constraint: Member must not be null";
    check(&site.call("PublishBatch", &attribute).await, 400, "ValidationError", null);
    assert!(site.received(RAW_QUEUE).await.is_empty());
}

#[tokio::test]
async fn a_full_store_is_unavailable_and_keeps_nothing() {
    for batched in [false, true] {
        let site = Site::all().await;
        site.world.memory.fail_next_commit(CommitFault::Full);
        let answer = match batched {
            true => batch(&site, &[("a", "text")]).await,
            false => site.publish(&message(&[])).await,
        };
        assert_eq!(answer.status, 503, "{}", answer.body);
        let parts = ["<Type>Receiver</Type>", "<Code>ServiceUnavailable</Code>"];
        assert!(parts.iter().all(|part| answer.body.contains(part)), "{}", answer.body);
        assert!(site.received(RAW_QUEUE).await.is_empty());
    }
}
