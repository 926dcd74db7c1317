//! What is said of a change, whoever made it: a log line for each, with what it was and by which API, and no secret in it.

use serde_json::json;
use testkit::client;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const SECRET: &str = "s3cr3t-of-nobody";

/// Waits for a line that has all of these.
#[track_caller]
fn line(scene: &Scene, parts: &[&str]) {
    wait::until(&format!("a line with {parts:?}"), || {
        let output = scene.gateway().output();
        output.lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
    });
}

#[test]
fn each_change_through_kongs_old_admin_api_is_a_line() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let ask = |method: &str, target: &str, body: serde_json::Value| {
        let address = scene.gateway().address("legacy-admin");
        let headers = [("host", "localhost"), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = client::send(address, method, target, &headers, body.as_bytes()).expect("an answer");
        assert!(answer.status < 300, "{target}: {}", answer.text());
    };
    let by = "by=\"Kong's 0.x Admin API\"";
    let url = format!("http://{}", scene.upstream.address());
    ask("POST", "/apis", json!({ "name": "orders", "upstream_url": url, "uris": ["/orders"] }));
    line(&scene, &["service `orders` was made", by]);
    line(&scene, &["route `orders` was made", by]);
    ask("PATCH", "/apis/orders", json!({ "uris": ["/other"] }));
    line(&scene, &["route `orders` was changed", by]);
    ask("POST", "/consumers", json!({ "username": "ann" }));
    line(&scene, &["consumer `ann` was made", by]);
    ask("POST", "/consumers/ann/key-auth", json!({ "key": SECRET }));
    line(&scene, &["credential", "was made", by]);
    ask("POST", "/apis/orders/plugins", json!({ "name": "key-auth" }));
    line(&scene, &["plug-in", "was made", by]);
    ask("DELETE", "/apis/orders", json!(null));
    line(&scene, &["service `orders` was deleted", by]);
    line(&scene, &["route `orders` was deleted", by]);
    assert!(!scene.gateway().output().contains(SECRET));
}

#[test]
fn each_change_through_sns_sqs_and_the_admin_port_is_a_line() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let form = [("host", "localhost"), ("content-type", "application/x-www-form-urlencoded")];
    let hub = scene.gateway().address("hub");
    let sns = |query: &str| {
        let answer = client::send(hub, "POST", "/", &form, query.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    };
    sns("Action=CreateTopic&Name=orders");
    line(&scene, &["topic `orders` was made", "by=\"the SNS API\""]);
    let endpoint = format!("http://127.0.0.1:9/hook?key={SECRET}")
        .replace(':', "%3A")
        .replace('?', "%3F")
        .replace('=', "%3D");
    let arn = "arn:aws:sns:us-east-1:000000000000:orders".replace(':', "%3A");
    sns(&format!("Action=Subscribe&TopicArn={arn}&Protocol=http&Endpoint={endpoint}"));
    line(&scene, &["subscription", "was made", "http://127.0.0.1:9/hook", "by=\"the SNS API\""]);
    sns(&format!("Action=DeleteTopic&TopicArn={arn}"));
    line(&scene, &["the topic orders was deleted with its subscription"]);
    let headers = [
        ("host", "localhost"),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "AmazonSQS.CreateQueue"),
    ];
    let answer = client::send(hub, "POST", "/", &headers, br#"{"QueueName":"jobs"}"#).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    line(&scene, &["queue `jobs` was made", "by=\"the SQS API\""]);

    let yaml = [("host", "localhost"), ("content-type", "text/yaml")];
    let admin = scene.gateway().address("admin");
    let config = scene.setup.config.replace("name: mockbin,\n", "name: renamed,\n");
    let answer = client::send(admin, "POST", "/config", &yaml, config.as_bytes()).expect("an answer");
    assert_eq!(answer.status, 201, "{}", answer.text());
    line(&scene, &["POST /config: a configuration was given in the place of the files"]);
    assert!(!scene.gateway().output().contains(SECRET));
}

#[test]
fn a_call_that_the_drain_cuts_off_is_a_line() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "reload=1*return->1*sleep(60000)".into()));
    scene.setup.flags.push("--drain-timeout=1".into());
    scene.start_gateway();
    let admin = scene.gateway().address("admin");
    let asking = std::thread::spawn(move || {
        client::send(
            admin,
            "POST",
            "/retrohook/reload",
            &[("host", "localhost"), ("content-length", "0")],
            b"",
        )
    });
    line(&scene, &["failpoint reached"]);
    let mut gateway = scene.take_gateway();
    gateway.signal(rustix::process::Signal::TERM);
    assert!(gateway.wait().success(), "{}", gateway.output());
    let said = "(--drain-timeout) cut off 1 request whose client got no whole answer";
    let output = gateway.output();
    assert!(
        output.lines().any(|line| line.contains(said) && line.contains("listener=\"admin\"")),
        "{output}"
    );
    assert!(asking.join().expect("it does not panic").is_err());
}

#[test]
fn an_endpoint_that_an_api_subscribes_and_the_options_leave_closed_is_warned_of() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.flags.retain(|flag| flag != "--allow-private-endpoints");
    scene.setup.flags.push("--allow-endpoints=127.0.0.0/8".into());
    scene.start_gateway();
    let hub = scene.gateway().address("hub");
    let form = [("host", "localhost"), ("content-type", "application/x-www-form-urlencoded")];
    let arn = "arn%3Aaws%3Asns%3Aus-east-1%3A000000000000%3Aprofile-changes";
    let subscribe = |host: &str| {
        let query = format!("Action=Subscribe&TopicArn={arn}&Protocol=http&Endpoint=http%3A%2F%2F{host}%2Fx");
        client::send(hub, "POST", "/", &form, query.as_bytes()).expect("an answer")
    };
    for host in ["127.0.0.1%3A9", "10.9.8.7"] {
        assert_eq!(subscribe(host).status, 200, "{host}");
    }
    line(&scene, &["warning: nothing is delivered to http://10.9.8.7/x: its address is a private one"]);
    assert!(!scene.gateway().output().contains("nothing is delivered to http://127.0.0.1"));
    // What no option opens is refused.
    let refused = subscribe("169.254.169.254");
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("a cloud metadata service"), "{}", refused.text());
}
