//! SNS's form: the handshake, the envelope, the headers and the signature; and raw delivery.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use serde_json::json;
use testkit::client;
use testkit::receiver::Receiver;
use testkit::server::{Request, Server, Then, answer};

use super::*;

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:profile-changes";

/// The names of an object's members in the order of the text.
fn members(request: &Request) -> Vec<String> {
    let body = request.json();
    let mut names: Vec<String> = body.as_object().expect("an object").keys().cloned().collect();
    let text = String::from_utf8_lossy(&request.body).into_owned();
    names.sort_by_key(|name| text.find(&format!("\n  \"{name}\" : ")).expect("written as SNS writes it"));
    names
}

#[track_caller]
fn check_headers(request: &Request, kind: &str) {
    let body = request.json();
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/hook");
    for (name, value) in [
        ("content-type", "text/plain; charset=UTF-8"),
        ("user-agent", "Amazon Simple Notification Service Agent"),
        ("x-amz-sns-message-type", kind),
        ("x-amz-sns-message-id", body["MessageId"].as_str().unwrap()),
        ("x-amz-sns-topic-arn", TOPIC),
        ("content-length", &request.body.len().to_string()),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    assert_eq!(request.header("accept"), None);
    assert_eq!(request.header("transfer-encoding"), None);
}

/// `2012-04-25T21:49:25.719Z`
#[track_caller]
fn check_timestamp(value: &Value) {
    let text = value.as_str().expect("a text");
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{text}");
}

#[track_caller]
fn check_signature_fields(body: &Value, hub: &str) {
    assert_eq!(body["SignatureVersion"], "2");
    let url = body["SigningCertURL"].as_str().unwrap();
    let name = url.strip_prefix(&format!("{hub}/SimpleNotificationService-")).expect("the hub's certificate");
    let digits = name.strip_suffix(".pem").expect("a PEM file");
    assert!(
        digits.len() == 32 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{url}"
    );
}

#[test]
fn the_handshake_comes_first_and_everything_owed_after_it() {
    let other = Receiver::start();
    let another = format!("protocol: http, endpoint: \"{}\", confirm: skip", other.url("/other"));
    let mut scene = Scene::prepare(PROGRAM, &with_another("", &another));
    scene.receiver.set_confirms(false);
    scene.start_gateway();
    let hub = format!("http://{}", scene.gateway().address("hub"));
    let asked = wait::until("the request to confirm", || scene.receiver.received().first().cloned());
    check_headers(&asked, "SubscriptionConfirmation");
    assert_eq!(asked.header("x-amz-sns-subscription-arn"), None);
    let body = asked.json();
    let text = format!(
        "You have chosen to subscribe to the topic {TOPIC}.\nTo confirm the subscription, visit the SubscribeURL included in this message."
    );
    assert_eq!(body["Type"], "SubscriptionConfirmation");
    assert_eq!((&body["TopicArn"], &body["Message"]), (&json!(TOPIC), &json!(text)));
    let token = body["Token"].as_str().unwrap();
    assert_eq!(
        body["SubscribeURL"],
        format!("{hub}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={token}")
    );
    check_timestamp(&body["Timestamp"]);
    check_signature_fields(&body, &hub);
    let order = ["Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp"];
    assert_eq!(members(&asked), [&order[..], &["SignatureVersion", "Signature", "SigningCertURL"]].concat());

    for _ in 0..3 {
        put(&scene);
    }
    let events = scene.admin().wait_for_events(3);
    other.wait_for(3);
    let before = scene.receiver.received();
    let kinds: Vec<_> =
        before.iter().map(|request| request.header("x-amz-sns-message-type").unwrap()).collect();
    assert!(kinds.iter().all(|kind| *kind == "SubscriptionConfirmation"), "{kinds:?}");

    let answer = client::get(body["SubscribeURL"].as_str().unwrap()).expect("the hub answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let messages = scene.receiver.wait_for(3);
    let arn = messages[0].header("x-amz-sns-subscription-arn").unwrap();
    assert!(
        answer.text().contains(&format!("<SubscriptionArn>{arn}</SubscriptionArn>")),
        "{}",
        answer.text()
    );
    for event in &events {
        let id = event["id"].as_str();
        assert_eq!(messages.iter().filter(|message| message.header("x-amz-sns-message-id") == id).count(), 1);
    }
    let said = ask("verify_sns.py", json!({}), &[vec![asked], messages].concat());
    assert!(said.ok, "{}", said.text);
    assert_eq!(said.text.matches("verified").count(), 4, "{}", said.text);
}

#[test]
fn a_notification_is_that_of_sns_and_verifies_until_it_is_changed() {
    let scene = scene("");
    put(&scene);
    let message = scene.receiver.wait_for(1).remove(0);
    let event = scene.admin().wait_for_events(1).remove(0);
    let hub = format!("http://{}", scene.gateway().address("hub"));
    check_headers(&message, "Notification");
    let arn = message.header("x-amz-sns-subscription-arn").unwrap();
    assert_eq!(arn.strip_prefix(&format!("{TOPIC}:")).map(str::len), Some(36), "{arn}");
    assert_eq!(message.header("x-amz-sns-rawdelivery"), None);
    assert_eq!(message.header("x-retrohook-outcome"), Some("succeeded"));
    assert_eq!(message.header("x-retrohook-event-id"), event["id"].as_str());

    let body = message.json();
    assert_eq!(body["Type"], "Notification");
    assert_eq!((&body["MessageId"], &body["TopicArn"]), (&event["id"], &json!(TOPIC)));
    assert_eq!(body["Timestamp"], event["recorded_at"]);
    check_timestamp(&body["Timestamp"]);
    check_signature_fields(&body, &hub);
    assert_eq!(body["UnsubscribeURL"], format!("{hub}/?Action=Unsubscribe&SubscriptionArn={arn}"));
    let published: Value =
        serde_json::from_str(body["Message"].as_str().unwrap()).expect("kong-0.8 in a string");
    assert_eq!(
        (&published["request"]["method"], &published["request"]["uri"]),
        (&json!("PUT"), &json!("/mockbin/profile"))
    );
    assert_eq!(published["response"]["status"], 200);
    let attribute = |value: &str| json!({ "Type": "String", "Value": value });
    assert_eq!(body["MessageAttributes"]["retrohook_outcome"], attribute("succeeded"));
    assert_eq!(body["MessageAttributes"]["retrohook_event_id"], attribute(event["id"].as_str().unwrap()));
    let order = ["Type", "MessageId", "TopicArn", "Message", "Timestamp", "SignatureVersion", "Signature"];
    assert_eq!(
        members(&message),
        [&order[..], &["SigningCertURL", "UnsubscribeURL", "MessageAttributes"]].concat()
    );

    let said = ask("verify_sns.py", json!({}), std::slice::from_ref(&message));
    assert!(said.ok, "{}", said.text);
    // The message's own quotes are escaped in the envelope.
    for (from, to) in
        [("/mockbin/profile", "/mockbin/profilf"), ("\"Notification\"", "\"Notificatiom\""), ("Z\"", "Y\"")]
    {
        let said = ask("verify_sns.py", json!({}), &[forged(&message, from, to)]);
        assert!(!said.ok, "{from} → {to} verified: {}", said.text);
    }
}

#[test]
fn a_raw_delivery_is_the_message_alone_but_the_handshake_is_not() {
    let scene = scene("raw_message_delivery: true");
    put(&scene);
    let message = scene.receiver.wait_for(1).remove(0);
    let asked = scene.receiver.received().remove(0);
    check_headers(&asked, "SubscriptionConfirmation");
    let said = ask("verify_sns.py", json!({}), &[asked]);
    assert!(said.ok, "{}", said.text);

    let body = message.json();
    assert_eq!(
        (&body["request"]["uri"], &body["response"]["status"]),
        (&json!("/mockbin/profile"), &json!(200))
    );
    let event = scene.admin().wait_for_events(1).remove(0);
    for (name, value) in [
        ("x-amz-sns-message-type", "Notification"),
        ("x-amz-sns-rawdelivery", "true"),
        ("x-amz-sns-topic-arn", TOPIC),
        ("x-amz-sns-message-id", event["id"].as_str().unwrap()),
        ("x-retrohook-event-id", event["id"].as_str().unwrap()),
        ("x-retrohook-outcome", "succeeded"),
        ("x-retrohook-attempt", "1"),
        ("x-retrohook-sequence", &event["sequence"].to_string()),
        ("x-retrohook-key", event["key"].as_str().unwrap()),
        ("content-type", "text/plain; charset=UTF-8"),
    ] {
        assert_eq!(message.header(name), Some(value), "{name}");
    }
    assert!(message.header("x-amz-sns-subscription-arn").is_some_and(|arn| arn.starts_with(TOPIC)));
}

#[test]
fn messages_name_the_address_that_was_given_and_the_public_part_serves_it() {
    // The address that endpoints elsewhere know: something in front that passes on what it gets.
    let public: Arc<OnceLock<SocketAddr>> = Arc::default();
    let behind = public.clone();
    let front = Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), move |request, stream| {
        let address = *behind.wait();
        let passed = client::send(address, &request.method, &request.target, &[], &request.body)?;
        answer(stream, passed.status, &[], &passed.body)?;
        Ok(Then::KeepOpen)
    });
    let front = front.expect("a port");
    let url = format!("http://{}", front.address());
    let mut scene = Scene::prepare(PROGRAM, &Profiles { subscription: "", ..Profiles::default() }.yaml());
    let flags = ["--hub-listen=off", "--hub-public-listen=127.0.0.1:0"].map(str::to_owned);
    scene.setup.flags.extend(flags.into_iter().chain([format!("--hub-url={url}")]));
    scene.start_gateway();
    assert_eq!(scene.gateway().listeners()["hub"], "off");
    let listener = scene.gateway().address("hub-public");
    assert_ne!(listener, front.address());
    public.set(listener).expect("once");

    put(&scene);
    let message = scene.receiver.wait_for(1).remove(0);
    let asked = scene.receiver.received().remove(0);
    let confirm = asked.json()["SubscribeURL"].as_str().expect("a link").to_owned();
    assert!(confirm.starts_with(&format!("{url}/?Action=ConfirmSubscription&")), "{confirm}");
    let leave = message.json()["UnsubscribeURL"].as_str().expect("a link").to_owned();
    assert!(leave.starts_with(&format!("{url}/?Action=Unsubscribe&")), "{leave}");
    for signed in [&asked, &message] {
        check_signature_fields(&signed.json(), &url);
    }
    // The verifier gets the certificate there, too.
    let said = ask("verify_sns.py", json!({}), &[asked, message]);
    assert!(said.ok, "{}", said.text);
    assert_eq!(said.text.matches("verified").count(), 2, "{}", said.text);

    // No more than that is public.
    let list = [("x-amz-target", "AmazonSQS.ListQueues"), ("content-type", "application/x-amz-json-1.0")];
    let refused = client::send(listener, "POST", "/", &list, b"{}").expect("an answer");
    assert!((400..500).contains(&refused.status), "{}: {}", refused.status, refused.text());
    assert!(client::get(&leave).expect("an answer").status == 200, "unsubscription works there");
}
