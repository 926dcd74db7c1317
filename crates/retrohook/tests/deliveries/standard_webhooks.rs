//! `format: standard-webhooks`: verified by the library of its makers, and as a CloudEvent by that of the CloudEvents project.

use serde_json::json;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[test]
fn the_library_verifies_a_delivery_and_refuses_a_changed_one() {
    let scene = scene(&format!("format: standard-webhooks, secret: {SECRET}"));
    put(&scene);
    let message = scene.receiver.wait_for(1).remove(0);
    assert_eq!(scene.receiver.received().len(), 1, "there is no handshake");
    let event = scene.admin().wait_for_events(1).remove(0);
    assert_eq!(message.header("webhook-id"), event["id"].as_str());
    assert_eq!(message.header("content-type"), Some("application/json"));
    let body = message.json();
    let names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["type", "timestamp", "data"]);
    assert_eq!((&body["type"], &body["timestamp"]), (&json!("mockbin.put"), &event["recorded_at"]));
    assert_eq!(body["data"]["request"]["uri"], "/mockbin/profile");

    let check = |secret: &str, message: &Request| {
        ask("verify_standard_webhooks.py", json!({ "secret": secret }), std::slice::from_ref(message))
    };
    let said = check(SECRET, &message);
    assert!(said.ok, "{}", said.text);
    for (what, secret, message) in [
        ("another secret", OTHER, message.clone()),
        ("a changed body", SECRET, forged(&message, "mockbin.put", "mockbin.pup")),
        ("another id", SECRET, with_header(&message, "webhook-id", "01a2093b-f412-744a-b04f-a67f11d61cbc")),
        ("another time", SECRET, with_header(&message, "webhook-timestamp", "1614265330")),
    ] {
        let said = check(secret, &message);
        assert!(!said.ok, "{what} verified: {}", said.text);
    }
}

fn with_header(request: &Request, name: &str, value: &str) -> Request {
    let mut changed = request.clone();
    let header = changed.headers.iter_mut().find(|(known, _)| known == name).expect("the header");
    value.clone_into(&mut header.1);
    changed
}

#[test]
fn while_secrets_are_exchanged_both_verify() {
    let scene = scene(&format!("format: standard-webhooks, secrets: [{OTHER}, {SECRET}]"));
    put(&scene);
    let messages = scene.receiver.wait_for(1);
    let signatures = messages[0].header("webhook-signature").unwrap();
    assert_eq!(signatures.split(' ').filter(|one| one.starts_with("v1,")).count(), 2, "{signatures}");
    for secret in [SECRET, OTHER] {
        let said = ask("verify_standard_webhooks.py", json!({ "secret": secret }), &messages);
        assert!(said.ok, "{}", said.text);
    }
}

#[test]
fn a_cloud_event_is_sent_as_it_is_and_both_libraries_read_it() {
    let subscription = &format!("format: standard-webhooks, secret: {SECRET}");
    let rule = "format: cloudevents, event_type: com.example.profile.updated";
    let profiles = Profiles { subscription, rule, ..Profiles::default() };
    let scene = Scene::start(PROGRAM, &profiles.yaml());
    put(&scene);
    let messages = scene.receiver.wait_for(1);
    let said = ask("verify_standard_webhooks.py", json!({ "secret": SECRET }), &messages);
    assert!(said.ok, "{}", said.text);
    let said = ask("verify_cloudevents.py", json!({}), &messages);
    assert!(said.ok, "{}", said.text);
    let read: Value = serde_json::from_str(&said.text).expect("a line of JSON");
    let event = scene.admin().wait_for_events(1).remove(0);
    let attributes = &read["attributes"];
    for (name, value) in [
        ("specversion", json!("1.0")),
        ("id", event["id"].clone()),
        ("type", json!("com.example.profile.updated")),
        ("source", json!("//test.example.com/mockbin")),
        ("subject", json!("/profile")),
        ("datacontenttype", json!("application/json")),
        ("partitionkey", event["key"].clone()),
        ("outcome", json!("succeeded")),
    ] {
        assert_eq!(attributes[name], value, "{name} of {attributes}");
    }
    assert_eq!(read["data"]["request"]["method"], "PUT");
    assert_eq!(read["data"]["response"]["status"], 200);
    let said = ask("verify_cloudevents.py", json!({}), &[forged(&messages[0], "\"type\"", "\"typf\"")]);
    assert!(!said.ok, "{}", said.text);
}
