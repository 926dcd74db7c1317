//! The version of SNS's signature: 1 for a subscription that asks for it, checked by OpenSSL and by a validator from PyPI.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::client;
use testkit::python;
use testkit::receiver::Receiver;
use testkit::server::Request;
use testkit::tools;

use super::*;

/// What a signature covers, as AWS describes it; written here once more, so that the test does not lean on the code.
fn string_to_sign(body: &Value) -> String {
    let names: &[&str] = match body["Type"].as_str() {
        Some("Notification") => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
        _ => &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
    };
    let present = names.iter().filter_map(|name| Some((name, body[*name].as_str()?)));
    present.map(|(name, value)| format!("{name}\n{value}\n")).collect()
}

/// Whether OpenSSL finds the signature good, with this hash.
fn openssl_verifies(folder: &Path, body: &Value, hash: &str) -> bool {
    let openssl = tools::find("OPENSSL", "openssl");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&openssl);
        command.args(arguments).current_dir(folder).output().expect("openssl starts")
    };
    let certificate = client::get(body["SigningCertURL"].as_str().expect("a URL")).expect("the certificate");
    assert_eq!(certificate.status, 200);
    std::fs::write(folder.join("certificate.pem"), &certificate.body).expect("a file");
    std::fs::write(folder.join("text"), string_to_sign(body)).expect("a file");
    std::fs::write(folder.join("base64"), body["Signature"].as_str().expect("a signature")).expect("a file");
    let key = run(&["x509", "-in", "certificate.pem", "-pubkey", "-noout"]);
    assert!(key.status.success(), "{}", String::from_utf8_lossy(&key.stderr));
    std::fs::write(folder.join("key.pem"), &key.stdout).expect("a file");
    assert!(run(&["base64", "-d", "-A", "-in", "base64", "-out", "signature"]).status.success());
    run(&["dgst", hash, "-verify", "key.pem", "-signature", "signature", "text"]).status.success()
}

/// Whether the validator from PyPI takes them.
fn validator_takes(messages: &[Request]) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/verify_sns.py");
    let document = |request: &Request| {
        let headers: serde_json::Map<_, _> =
            request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        json!({ "headers": headers, "body": String::from_utf8_lossy(&request.body) })
    };
    let messages: Vec<Value> = messages.iter().map(document).collect();
    let said = python::run(&script, &json!({ "messages": messages }));
    assert!(said.ok || !said.text.contains("ModuleNotFoundError"), "{}", said.text);
    said.ok
}

#[test]
fn a_subscription_gets_the_version_that_it_asks_for_and_validators_take_it() {
    let other = Receiver::start();
    let yaml = Profiles { subscription: "signature_version: 1", ..Profiles::default() }.yaml();
    let another = format!("  - {{ protocol: http, endpoint: \"{}\" }}\n", other.url("/other"));
    let scene = Scene::start(PROGRAM, &format!("{yaml}{another}"));
    put(&scene);
    scene.receiver.wait_for(1);
    other.wait_for(1);
    let folder = tempfile::tempdir().expect("a folder");
    for (receiver, version, hash, other_hash) in
        [(&scene.receiver, "1", "-sha1", "-sha256"), (&other, "2", "-sha256", "-sha1")]
    {
        let received = receiver.received();
        assert_eq!(received.len(), 2, "the request to confirm, and the notification");
        for request in &received {
            let body = request.json();
            assert_eq!(body["SignatureVersion"], version);
            assert!(openssl_verifies(folder.path(), &body, hash), "{body}");
            assert!(!openssl_verifies(folder.path(), &body, other_hash), "{body}");
            let forged = json!({ "Message": "forged" });
            let mut forged_body = body.clone();
            forged_body["Message"] = forged["Message"].clone();
            assert!(!openssl_verifies(folder.path(), &forged_body, hash));
        }
        assert!(validator_takes(&received), "version {version}");
    }
    // One event, signed once for each version.
    let (one, two) = (scene.receiver.messages()[0].json(), other.messages()[0].json());
    assert_eq!(one["MessageId"], two["MessageId"]);
    assert_eq!(one["SigningCertURL"], two["SigningCertURL"]);
}
