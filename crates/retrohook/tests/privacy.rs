//! What of a request is kept: no secret, not in any format and not on the disk; and no more than an event needs.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::client;
use testkit::scene::{Profiles, Scene};
use testkit::server::{Server, Then, answer};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const SECRET: &str = "s3cr3t-v4lue";

/// A service whose answers have these headers.
fn service(headers: &'static [(&'static str, String)]) -> Server {
    let start = Server::start(([127, 0, 0, 1], 0).into(), move |_, stream| {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        answer(stream, 200, &headers, b"{}")?;
        Ok(Then::KeepOpen)
    });
    start.expect("a free port")
}

/// The message of one `PUT` with this target and these headers.
fn message(
    rule: &str,
    answer: &'static [(&'static str, String)],
    target: &str,
    headers: &[(&str, &str)],
) -> (Scene, Value) {
    let service = service(answer);
    let yaml = Profiles { rule, ..Profiles::default() }.yaml();
    let scene = Scene::start(RETROHOOK, &yaml.replace("{upstream}", &service.address().to_string()));
    let answer = client::send(scene.gateway().proxy(), "PUT", target, headers, b"{}").expect("an answer");
    assert_eq!(answer.status, 200);
    let message = scene.told(1).remove(0).message.json();
    (scene, message)
}

/// Whether any file of the data directory has the text.
fn is_on_disk(data: &Path, text: &str) -> bool {
    let mut found = false;
    for entry in fs::read_dir(data).expect("a directory") {
        let path = entry.expect("an entry").path();
        found |= match path.is_dir() {
            true => is_on_disk(&path, text),
            false => {
                fs::read(&path).expect("a file").windows(text.len()).any(|bytes| bytes == text.as_bytes())
            }
        };
    }
    found
}

fn leaked(list: Vec<(&'static str, String)>) -> &'static [(&'static str, String)] {
    list.leak()
}

#[test]
fn secrets_stay_out_of_events_by_default() {
    let s = SECRET;
    let target = format!(
        "/mockbin/profile?access_token={s}&x=1&X-AMZ-Signature={s}&tok%65n={s}&user[password]={s}&code={s}&state=2&next=%2Fa%3Fsig%3D{s}"
    );
    let url = format!("http://me:{s}@a.b/c?_state={s}&y=1#id_token={s}");
    let referer = "http://REDACTED@a.b/c?_state=REDACTED&y=1#id_token=REDACTED";
    let secret = ["authorization", "x-devpi-auth", "X-Api-Key", "private-token", "cookie", "x-client-secret"];
    let mut headers: Vec<(&str, &str)> = secret.iter().map(|name| (*name, s)).collect();
    headers.extend([("referer", url.as_str()), ("x-tenant", "acme"), ("author", "ada")]);
    let answer =
        leaked(vec![("set-cookie", format!("a={s}")), ("x-auth-token", s.into()), ("location", url.clone())]);
    let query = "access_token=REDACTED&x=1&X-AMZ-Signature=REDACTED&tok%65n=REDACTED&user[password]=REDACTED&code=REDACTED&state=2&next=REDACTED";
    for format in ["kong-0.8", "cloudevents"] {
        let (scene, message) = message(&format!("format: {format}"), answer, &target, &headers);
        let parts = if format == "cloudevents" { &message["data"] } else { &message };
        let (request, response) = (&parts["request"], &parts["response"]);
        assert_eq!(request["uri"], format!("/mockbin/profile?{query}"));
        if format == "cloudevents" {
            assert_eq!(request["upstream_uri"], format!("/profile?{query}"));
        } else {
            assert!(request["request_uri"].as_str().is_some_and(|uri| uri.ends_with(query)), "{request}");
            let expected = json!({
                "access_token": "REDACTED", "x": "1", "X-AMZ-Signature": "REDACTED", "token": "REDACTED",
                "user[password]": "REDACTED", "code": "REDACTED", "state": "2", "next": "REDACTED",
            });
            assert_eq!(request["querystring"], expected);
        }
        for name in secret {
            assert_eq!(request["headers"][name.to_lowercase()], "REDACTED", "{name}");
        }
        assert_eq!(request["headers"]["referer"], referer);
        assert_eq!(
            (&request["headers"]["x-tenant"], &request["headers"]["author"]),
            (&json!("acme"), &json!("ada"))
        );
        for name in ["set-cookie", "x-auth-token"] {
            assert_eq!(response["headers"][name], "REDACTED", "{name}");
        }
        assert_eq!(response["headers"]["location"], referer);
        assert!(!message.to_string().contains(s), "{message}");
        assert!(!scene.admin().events()[0].to_string().contains(s), "nor on the admin port");
        assert!(!is_on_disk(&scene.setup.data_dir(), s), "nor in the store");
        assert!(is_on_disk(&scene.setup.data_dir(), "acme"), "which is where it was looked for");
        assert!(!scene.gateway().output().contains(s), "nor in what is printed");
    }
}

#[test]
fn redact_none_publishes_what_2016_did() {
    let target = format!("/mockbin/profile?token={SECRET}");
    let headers = [("authorization", SECRET), ("cookie", SECRET), ("referer", "http://me:pass@a.b/?sig=1")];
    let answer = leaked(vec![("set-cookie", SECRET.into())]);
    let (_scene, message) = message("capture: { redact: none }", answer, &target, &headers);
    let request = &message["request"];
    assert_eq!(request["uri"], target);
    assert_eq!(request["querystring"], json!({ "token": SECRET }));
    for (name, value) in headers {
        assert_eq!(request["headers"][name], value);
    }
    assert_eq!(message["response"]["headers"]["set-cookie"], SECRET);
}

#[test]
fn an_event_has_sixteen_kib_of_headers_and_says_so() {
    let (large, half) = ("v".repeat(20_000), "w".repeat(9_000));
    let headers = [
        ("x-first", "1"),
        ("x-large", large.as_str()),
        ("x-half", &half),
        ("x-again", &half),
        ("x-last", "2"),
    ];
    let answer = leaked(vec![("x-large", "v".repeat(17_000)), ("x-small", "3".into())]);
    let query = format!("a=1&b={}&c={}", "x".repeat(9_000), "y".repeat(9_000));
    for format in ["kong-0.8", "cloudevents"] {
        let rule = format!("format: {format}");
        let (_scene, message) = message(&rule, answer, &format!("/mockbin/profile?{query}"), &headers);
        let parts = if format == "cloudevents" { &message["data"] } else { &message };
        let (request, response) = (&parts["request"], &parts["response"]);
        assert_eq!(
            (&request["headers_truncated"], &response["headers_truncated"]),
            (&json!(true), &json!(true))
        );
        let has = |part: &Value, name: &str| part["headers"].get(name).is_some();
        let kept = ["x-first", "x-large", "x-half", "x-again", "x-last"].map(|name| has(request, name));
        assert_eq!(
            kept,
            [true, false, true, false, true],
            "the longest goes, then the last of two that are as long"
        );
        assert_eq!((has(response, "x-large"), &response["headers"]["x-small"]), (false, &json!("3")));
        assert_eq!(request["query_truncated"], true);
        assert_eq!(request["uri"], format!("/mockbin/profile?a=1&b={}", "x".repeat(9_000)));
        assert!(message.to_string().len() < 48 * 1024, "{}", message.to_string().len());
    }
    let (_scene, message) = message("", leaked(vec![]), "/mockbin/profile?a=1", &[("x-half", &half)]);
    let said = message.to_string();
    assert!(!said.contains("truncated"), "an event that has all of it says nothing");
    assert!(said.contains(&half));
}

#[test]
fn a_body_of_a_megabyte_is_redacted_as_it_arrives() {
    let filler = r#"{"card":"4111111111111111","n":[1,2,3]},"#.repeat(24_000);
    let body = format!(r#"{{"password":"{SECRET}","rows":[{filler}{{"card":"{SECRET}"}}]}}"#);
    assert!(body.len() > 900_000 && body.len() < 1 << 20);
    let rule = "capture: { request_body: true, max_bytes: 1048576, redact_json: [/password, /rows/*/card] }";
    let scene = Scene::start(RETROHOOK, &Profiles { rule, ..Profiles::default() }.yaml());
    let answer = client::send(scene.gateway().proxy(), "PUT", "/mockbin/profile", &[], body.as_bytes());
    assert_eq!(answer.expect("an answer").status, 200);
    let told = scene.told(1).remove(0);
    let captured = &told.message.json()["request"]["body"];
    assert_eq!((&captured["truncated"], &captured["size"]), (&json!(false), &json!(body.len())));
    let content: Value = serde_json::from_str(captured["content"].as_str().expect("text")).expect("JSON");
    assert_eq!(content["password"], "REDACTED");
    let rows = content["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 24_001);
    assert!(rows.iter().all(|row| row["card"] == "REDACTED"));
    assert!(!is_on_disk(&scene.setup.data_dir(), SECRET), "nor is it in the store");
}

/// What the program prints for these arguments, on both outputs.
fn printed(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(RETROHOOK);
    let done = command.args(arguments).envs(environment.iter().copied()).output().expect("it can be started");
    assert!(!done.status.success(), "{arguments:?}");
    [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).expect("text")).concat()
}

#[test]
fn check_never_echoes_a_misplaced_secret() {
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("gateway.yaml");
    let rule = format!(
        "topic_arn: {key}, durability: {key}, endpoint: \"http://me:{SECRET}@a.b\", sns_endpoint: {key}, event_type: \"a {key}\", \
         key: \"{{{key}}}\", token: {SECRET}, routes: [{{ method: \"{key}=\", matcher: \"({key}\" }}, {SECRET}], \
         capture: {{ redact_headers: [\"authorization: {SECRET}\"], redact_query: [\"token={SECRET}\"], redact_json: [\"{key}\"], \
         redact: {key}, request_body: {SECRET} }}"
    );
    let text = format!(
        "_format_version: \"3.0\"\n{key}: 1\nservices:\n- name: \"me:{SECRET}@host\"\n  url: \"http://me:{SECRET}@host/\"\n  enabled: {SECRET}\n  \
         routes: [{{ paths: [{key}], methods: [{key}], hosts: [\"me:{SECRET}@a.b\"] }}]\n  plugins: [{{ name: publish-sns, config: {{ {rule} }} }}, \
         {{ name: {key} }}]\ntopics:\n- name: t\n  subscriptions:\n  - {{ protocol: https, endpoint: \"https://me:{SECRET}@a.b/?token={SECRET}\" }}\n  \
         - {{ protocol: https, endpoint: \"https://a.b/\", format: standard-webhooks, secret: {SECRET} }}\n  \
         - {{ protocol: https, endpoint: \"https://a.b/\", format: {key}, secret: {key} }}\n  \
         - {{ protocol: sqs, endpoint: {key} }}\n  - {{ protocol: {key}, endpoint: {SECRET}, secrets: {SECRET} }}\n"
    );
    fs::write(&file, text).expect("it can be written");
    let file = file.to_str().expect("UTF-8");
    for arguments in [&["check", file][..], &["run", "-c", file]] {
        let said = printed(arguments, &[]);
        assert!(said.contains("problems"), "{said}");
        assert!(!said.contains(SECRET) && !said.contains(&key[6..]), "{said}");
    }
}

#[test]
fn the_command_line_never_echoes_a_misplaced_secret() {
    let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let url = format!("http://me:{SECRET}@a.b/?token={SECRET}");
    for arguments in [
        &["run", "--proxy-listen", key][..],
        &["run", "--hub-url", &url],
        &["run", "--allow-endpoints", &url],
        &["run", "--min-free", key],
        &["run", "--workers", key],
        &["run", "--log-format", key],
        &["run", &url],
        &["run", "--secret", key],
        &[key],
    ] {
        let said = printed(arguments, &[("RETROHOOK_DATA_DIR", "/nowhere")]);
        assert!(!said.contains(SECRET) && !said.contains(&key[6..]), "{arguments:?}: {said}");
    }
}

#[test]
fn the_secret_of_an_endpoint_is_shown_nowhere() {
    let receiver = Server::start(([127, 0, 0, 1], 0).into(), |request, stream| {
        // As a page about an error does.
        answer(stream, 410, &[], format!("{} is gone", request.target).as_bytes())?;
        Ok(Then::KeepOpen)
    });
    let receiver = receiver.expect("a free port");
    let endpoint = format!("http://{}/hook?key={SECRET}&x=1", receiver.address());
    let yaml = Profiles::default().yaml().replace("{receiver}", &endpoint);
    let scene = Scene::start(RETROHOOK, &yaml);
    scene.put("?a=1").expect("an answer");
    let admin = scene.admin();
    let dead = wait::until("a dead letter", || {
        let list = admin.get("/retrohook/dead-letters").text();
        list.contains("410").then_some(list)
    });
    let event = admin.events().remove(0)["id"].as_str().expect("an id").to_owned();
    let event = admin.get(&format!("/retrohook/events/{event}")).text();
    assert!(event.contains("is gone") && event.contains("key=..."), "the answer is kept: {event}");
    let lists = ["/retrohook/subscriptions", "/metrics", "/status"].map(|path| admin.get(path).text());
    assert!(lists[0].contains("/hook?..."), "{}", lists[0]);
    for said in [dead, event].iter().chain(&lists) {
        assert!(!said.contains(SECRET), "{said}");
    }
    let output = scene.gateway().output();
    assert!(output.contains("dead letter") && !output.contains(SECRET), "{output}");
}
