//! Tests of the wire: bodies, headers and signatures as a receiver sees them.

use std::sync::Arc;

use event::attributes::AttributeValue;
use event::message::Details;
use event::{Event, Outcome, Position, UnknownReason};
use serde_json::Value;
use storage::memory::{sample_event, sample_message};

use super::envelope::Envelope;
use super::*;
use crate::signing::{SignatureVersion, SnsKey, Unverified, verify_sns};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ID: &str = "018bcfe5-6807-7707-8707-070707070707";

fn names() -> sns::Names {
    sns::Names {
        topic_arn: "arn:aws:sns:us-east-1:000000000000:t".into(),
        subscription_arn: "arn:aws:sns:us-east-1:000000000000:t:u".into(),
        hub_url: "http://hub:4566".into(),
        signature_version: SignatureVersion::Two,
    }
}

fn recipient(format: WireFormat) -> Recipient {
    Recipient { format, content_type: None, protocol: Protocol::Http, names: names() }
}

fn message(change: impl FnOnce(&mut event::NewEvent)) -> Arc<Message> {
    let mut body = sample_event(7);
    change(&mut body);
    Arc::new(
        Message::render(Arc::new(Event { position: Position(42), stamp: event::Stamp::default(), body }))
            .unwrap(),
    )
}

/// As every protocol gets it that has no text of its own.
fn text_of(message: &Message) -> &Bytes {
    message.form(Protocol::Http).text()
}

fn cloud_event(body: &mut event::NewEvent) {
    let exchange = body.exchange_mut().unwrap();
    exchange.request = exchange.request.replace("kong-0.8", "cloudevents").into();
}

fn header<'a>(outgoing: &'a Outgoing, name: &str) -> Option<&'a str> {
    outgoing.headers.get(name).map(|value| value.to_str().unwrap())
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn writes_the_envelope_as_aws_does() {
    let message = message(|_| ());
    let key = Arc::new(SnsKey::generate().unwrap());
    let signed = message.signed(Protocol::Http, &names(), &key).await.unwrap();
    let outgoing = recipient(WireFormat::Sns).notification(&message, 1, Timestamp::default(), Some(signed));
    let text = std::str::from_utf8(&outgoing.body).unwrap();
    let begin = format!(
        "{{\n  \"Type\" : \"Notification\",\n  \"MessageId\" : \"{ID}\",\n  \"TopicArn\" : \"arn:aws:sns:us-east-1:000000000000:t\",\n  \"Message\" : \"{{"
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(
        text.contains("    \"retrohook_outcome\" : {\"Type\":\"String\",\"Value\":\"succeeded\"}"),
        "{text}"
    );
    assert!(text.ends_with("\n  }\n}"), "{text}");

    let body = json(&outgoing.body);
    let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "Type",
            "MessageId",
            "TopicArn",
            "Message",
            "Timestamp",
            "SignatureVersion",
            "Signature",
            "SigningCertURL",
            "UnsubscribeURL",
            "MessageAttributes"
        ]
    );
    assert_eq!(body["Message"].as_str().unwrap().as_bytes(), text_of(&message));
    assert_eq!(body["Timestamp"], "2023-11-14T22:13:20.007Z");
    assert_eq!(body["SignatureVersion"], "2");
    assert_eq!(body["SigningCertURL"], format!("http://hub:4566/{}", key.file_name()));
    assert_eq!(
        body["UnsubscribeURL"],
        "http://hub:4566/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:000000000000:t:u"
    );
    // Rebuilt from the JSON, as a subscriber does.
    let text = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        .map(|name| format!("{name}\n{}\n", body[name].as_str().unwrap()))
        .concat();
    assert_eq!(text, sns::string_to_sign(&names(), &message, text_of(&message)));
    assert_eq!(body["Signature"], key.sign(SignatureVersion::Two, text.as_bytes()).unwrap());
}

#[tokio::test]
async fn signs_with_sha1_for_those_who_ask_for_version_1() {
    let message = message(|_| ());
    let key = Arc::new(SnsKey::generate().unwrap());
    let of = |signature_version| sns::Names { signature_version, ..names() };
    for version in [SignatureVersion::One, SignatureVersion::Two, SignatureVersion::One] {
        let names = of(version);
        let signed = message.signed(Protocol::Http, &names, &key).await.unwrap();
        let recipient = Recipient { names: names.clone(), ..recipient(WireFormat::Sns) };
        let body = json(&recipient.notification(&message, 1, Timestamp::default(), Some(signed)).body);
        assert_eq!(body["SignatureVersion"], version.as_str());
        let text = sns::string_to_sign(&names, &message, text_of(&message));
        let verify = |version, text: &str| {
            verify_sns(version, text, body["Signature"].as_str().unwrap(), key.certificate_pem())
        };
        assert_eq!(verify(version, &text), Ok(()));
        assert!(verify(version, &text.replace("profile", "profilf")).is_err());
        let other =
            if version == SignatureVersion::One { SignatureVersion::Two } else { SignatureVersion::One };
        assert!(verify(other, &text).is_err());
        let read = Envelope::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(read.claim().map(|claim| claim.version), Some(version));
        assert_eq!(read.verify(version, key.certificate_pem()), Ok(()));
        let forged = Envelope { topic_arn: "arn:aws:sns:us-east-1:000000000000:x".into(), ..read };
        assert_eq!(forged.verify(version, key.certificate_pem()), Err(Unverified::Mismatch));
        assert_eq!(forged.verify(version, "x"), Err(Unverified::Certificate));
    }
}

#[test]
fn sends_the_headers_of_sns() {
    let message = message(|_| ());
    for (format, raw) in [(WireFormat::Sns, None), (WireFormat::SnsRaw, Some("true"))] {
        let outgoing = recipient(format).notification(&message, 1, Timestamp::default(), None);
        for (name, value) in [
            ("content-type", "text/plain; charset=UTF-8"),
            ("user-agent", "Amazon Simple Notification Service Agent"),
            ("x-amz-sns-message-type", "Notification"),
            ("x-amz-sns-message-id", ID),
            ("x-amz-sns-topic-arn", "arn:aws:sns:us-east-1:000000000000:t"),
            ("x-amz-sns-subscription-arn", "arn:aws:sns:us-east-1:000000000000:t:u"),
        ] {
            assert_eq!(header(&outgoing, name), Some(value), "{name}");
        }
        assert_eq!(header(&outgoing, "x-amz-sns-rawdelivery"), raw);
    }
}

#[test]
fn a_content_type_of_its_own_is_for_notifications_in_the_form_of_sns() {
    let (message, json) = (message(|_| ()), "application/json; charset=utf-8");
    for (format, expected) in [
        (WireFormat::Sns, json),
        (WireFormat::SnsRaw, json),
        (WireFormat::StandardWebhooks(Vec::new()), "application/json"),
    ] {
        let of = Recipient { content_type: Some(HeaderValue::from_static(json)), ..recipient(format) };
        let outgoing = of.notification(&message, 1, Timestamp::default(), None);
        assert_eq!(header(&outgoing, "content-type"), Some(expected), "{:?}", of.format);
        assert_eq!(outgoing.headers.get_all(CONTENT_TYPE).iter().count(), 1);
    }
}

#[test]
fn raw_is_the_message_alone() {
    let message = message(|_| ());
    let outgoing = recipient(WireFormat::SnsRaw).notification(&message, 1, Timestamp::default(), None);
    assert_eq!(&outgoing.body, text_of(&message));
}

#[test]
fn every_format_carries_our_headers() {
    let unknown = message(|body| {
        body.exchange_mut().unwrap().outcome = Outcome::Unknown(UnknownReason::UpstreamReset);
        body.key = "profiles/7".into();
    });
    for format in [WireFormat::Sns, WireFormat::SnsRaw, WireFormat::StandardWebhooks(Vec::new())] {
        let outgoing = recipient(format).notification(&unknown, 3, Timestamp::default(), None);
        for (name, value) in [
            ("x-retrohook-outcome", "unknown"),
            ("x-retrohook-event-id", ID),
            ("x-retrohook-attempt", "3"),
            ("x-retrohook-sequence", "42"),
            ("x-retrohook-key", "profiles/7"),
        ] {
            assert_eq!(header(&outgoing, name), Some(value), "{name}");
        }
    }
}

#[test]
fn a_key_that_is_no_header_value_is_left_out() {
    for key in ["a\r\nx-evil: 1", "naïve", "nul\0"] {
        let message = message(|body| body.key = key.into());
        let outgoing = recipient(WireFormat::SnsRaw).notification(&message, 1, Timestamp::default(), None);
        assert_eq!(header(&outgoing, "x-retrohook-key"), None, "{key:?}");
        assert_eq!(header(&outgoing, "x-evil"), None);
    }
}

#[test]
fn standard_webhooks_wraps_kongs_message_and_signs_with_every_secret() {
    let message = message(|_| ());
    let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let secrets: Vec<Secret> = [SECRET, other].iter().map(|text| text.parse().unwrap()).collect();
    let now = Timestamp::from_millis(1_614_265_330_999);
    let outgoing =
        recipient(WireFormat::StandardWebhooks(secrets.clone())).notification(&message, 1, now, None);

    let body = json(&outgoing.body);
    assert_eq!(body["type"], "com.example.profile");
    assert_eq!(body["timestamp"], "2023-11-14T22:13:20.007Z");
    assert_eq!(body["data"], json(text_of(&message)));
    assert_eq!(header(&outgoing, "content-type"), Some("application/json"));
    assert_eq!(header(&outgoing, "webhook-id"), Some(ID));
    assert_eq!(header(&outgoing, "webhook-timestamp"), Some("1614265330"));
    let mut expected = String::new();
    secrets[0].sign_into(ID, "1614265330", &outgoing.body, &mut expected);
    expected.push(' ');
    secrets[1].sign_into(ID, "1614265330", &outgoing.body, &mut expected);
    assert_eq!(header(&outgoing, "webhook-signature"), Some(expected.as_str()));
    assert_eq!(header(&outgoing, "x-amz-sns-message-id"), None);
}

#[test]
fn standard_webhooks_sends_a_cloud_event_as_it_is() {
    let message = message(cloud_event);
    let format = WireFormat::StandardWebhooks(vec![SECRET.parse().unwrap()]);
    let outgoing = recipient(format).notification(&message, 1, Timestamp::default(), None);
    assert_eq!(&outgoing.body, text_of(&message));
    assert_eq!(json(&outgoing.body)["specversion"], "1.0");
    assert_eq!(header(&outgoing, "content-type"), Some("application/cloudevents+json; charset=UTF-8"));
}

#[tokio::test]
async fn asks_to_confirm_as_aws_does() {
    let key = Arc::new(SnsKey::generate().unwrap());
    let confirmation = sns::Confirmation {
        kind: sns::ConfirmationKind::Subscription,
        id: uuid::Uuid::from_u128(7),
        token: "tok".into(),
        at: Timestamp::from_millis(1_335_390_565_719),
    };
    let signed = sns::sign(&names(), confirmation.string_to_sign(&names()), key.clone()).await.unwrap();
    let outgoing = confirmation.request(&names(), &signed);
    assert_eq!(header(&outgoing, "x-amz-sns-message-type"), Some("SubscriptionConfirmation"));
    assert_eq!(header(&outgoing, "x-amz-sns-subscription-arn"), None);
    let body = json(&outgoing.body);
    let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "Type",
            "MessageId",
            "Token",
            "TopicArn",
            "Message",
            "SubscribeURL",
            "Timestamp",
            "SignatureVersion",
            "Signature",
            "SigningCertURL"
        ]
    );
    assert_eq!(
        body["SubscribeURL"],
        "http://hub:4566/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-east-1:000000000000:t&Token=tok"
    );
    assert_eq!(
        body["Message"],
        "You have chosen to subscribe to the topic arn:aws:sns:us-east-1:000000000000:t.\nTo confirm the subscription, visit the SubscribeURL included in this message."
    );
    let text = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        .map(|name| format!("{name}\n{}\n", body[name].as_str().unwrap()))
        .concat();
    assert_eq!(body["Signature"], key.sign(SignatureVersion::Two, text.as_bytes()).unwrap());
}

#[tokio::test]
async fn tells_of_the_end_as_aws_does() {
    let key = Arc::new(SnsKey::generate().unwrap());
    let confirmation = sns::Confirmation {
        kind: sns::ConfirmationKind::Unsubscription,
        id: uuid::Uuid::from_u128(7),
        token: "tok".into(),
        at: Timestamp::from_millis(1_335_390_565_719),
    };
    let signed = sns::sign(&names(), confirmation.string_to_sign(&names()), key.clone()).await.unwrap();
    let outgoing = confirmation.request(&names(), &signed);
    assert_eq!(header(&outgoing, "x-amz-sns-message-type"), Some("UnsubscribeConfirmation"));
    let arn = names().subscription_arn;
    assert_eq!(header(&outgoing, "x-amz-sns-subscription-arn"), Some(arn.as_str()));
    let body = json(&outgoing.body);
    assert_eq!((&body["Type"], &body["Token"]), (&"UnsubscribeConfirmation".into(), &"tok".into()));
    let message = format!(
        "You have chosen to deactivate subscription {arn}.\nTo cancel this operation and restore the subscription, visit the SubscribeURL included in this message."
    );
    assert_eq!(body["Message"], message);
    assert_eq!(
        body["SubscribeURL"],
        "http://hub:4566/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-east-1:000000000000:t&Token=tok"
    );
    let text = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        .map(|name| format!("{name}\n{}\n", body[name].as_str().unwrap()))
        .concat();
    assert_eq!(body["Signature"], key.sign(SignatureVersion::Two, text.as_bytes()).unwrap());
}

/// A message that somebody published with this text and what stands beside it.
fn published(text: &str, details: &Details) -> Arc<Message> {
    let body = sample_message(7, text, details);
    let event = Event { position: Position(42), stamp: event::Stamp::default(), body };
    Arc::new(Message::render(Arc::new(event)).unwrap())
}

fn details() -> Details {
    let binary = AttributeValue { data_type: "Binary".into(), value: "AAEC".into() };
    let attributes = [("b".to_owned(), binary), ("a".to_owned(), AttributeValue::string("\"x\""))];
    Details { subject: Some("Hi \"there\"".into()), attributes: attributes.into(), ..Details::default() }
}

#[tokio::test]
async fn a_published_message_is_in_the_envelope_with_its_subject_and_its_attributes() {
    let message = published("any <text>\n", &details());
    let key = Arc::new(SnsKey::generate().unwrap());
    let signed = message.signed(Protocol::Http, &names(), &key).await.unwrap();
    let outgoing = recipient(WireFormat::Sns).notification(&message, 1, Timestamp::default(), Some(signed));
    let body = json(&outgoing.body);
    let keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let order = [
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
        "MessageAttributes",
    ];
    assert_eq!(keys, order);
    assert_eq!((&body["Subject"], &body["Message"]), (&"Hi \"there\"".into(), &"any <text>\n".into()));
    let attributes = serde_json::json!({
        "a": { "Type": "String", "Value": "\"x\"" },
        "b": { "Type": "Binary", "Value": "AAEC" },
    });
    assert_eq!(body["MessageAttributes"], attributes, "none of ours");
    let text = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
        .map(|name| format!("{name}\n{}\n", body[name].as_str().unwrap()))
        .concat();
    assert_eq!(body["Signature"], key.sign(SignatureVersion::Two, text.as_bytes()).unwrap());
    assert_eq!(header(&outgoing, "x-retrohook-outcome"), Some("succeeded"));
    let plain = published("x", &Details::default());
    let outgoing = recipient(WireFormat::Sns).notification(&plain, 1, Timestamp::default(), None);
    let body = json(&outgoing.body);
    assert!(body.get("Subject").is_none() && body.get("MessageAttributes").is_none(), "{body}");
}

#[tokio::test]
async fn each_protocol_gets_its_own_text_with_its_own_signature() {
    let texts = [("http".to_owned(), "for http".to_owned()), ("sqs".to_owned(), "for sqs".to_owned())];
    let message = published("for all", &Details { texts: texts.into(), ..Details::default() });
    let key = Arc::new(SnsKey::generate().unwrap());
    for (protocol, text) in
        [(Protocol::Http, "for http"), (Protocol::Sqs, "for sqs"), (Protocol::Https, "for all")]
    {
        let of = |format| Recipient { protocol, ..recipient(format) };
        let raw = of(WireFormat::SnsRaw).notification(&message, 1, Timestamp::default(), None);
        assert_eq!(raw.body, text);
        let signed = message.signed(protocol, &names(), &key).await.unwrap();
        let outgoing = of(WireFormat::Sns).notification(&message, 1, Timestamp::default(), Some(signed));
        let body = json(&outgoing.body);
        assert_eq!(body["Message"], text);
        let signed = sns::string_to_sign(&names(), &message, text.as_bytes());
        assert!(signed.contains(text));
        assert_eq!(body["Signature"], key.sign(SignatureVersion::Two, signed.as_bytes()).unwrap());
        let wrapped = of(WireFormat::StandardWebhooks(Vec::new())).notification(
            &message,
            1,
            Timestamp::default(),
            None,
        );
        assert_eq!(json(&wrapped.body)["data"], text);
    }
}

#[test]
fn standard_webhooks_has_a_published_text_as_json_or_as_a_string() {
    let typed = [("event_type".to_owned(), AttributeValue::string("order.paid"))];
    let typed = Details { attributes: typed.into(), ..Details::default() };
    for (text, details, kind, data) in [
        (r#"{"a":1}"#, Details::default(), "message.published", serde_json::json!({ "a": 1 })),
        (" [1]", typed, "order.paid", serde_json::json!([1])),
        ("7", Details::default(), "message.published", serde_json::json!("7")),
        ("{\"a\":", Details::default(), "message.published", serde_json::json!("{\"a\":")),
        ("", Details::default(), "message.published", serde_json::json!("")),
    ] {
        let message = published(text, &details);
        let outgoing = recipient(WireFormat::StandardWebhooks(Vec::new())).notification(
            &message,
            1,
            Timestamp::default(),
            None,
        );
        let expected =
            serde_json::json!({ "type": kind, "timestamp": "2023-11-14T22:13:20.007Z", "data": data });
        assert_eq!(json(&outgoing.body), expected, "{text}");
        assert_eq!(header(&outgoing, "content-type"), Some("application/json"));
    }
}
