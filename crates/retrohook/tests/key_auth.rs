//! The plug-in key-auth through the binary: who is let in, what the service and the event say of them, and what a change of the files does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;
use testkit::client::{self, Answer, Client};
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const KEY: &str = "anns-own-s3cret";
const OTHER: &str = "bobs-own-s3cret";

const CONSUMERS: &str = "consumers:\n- username: ann\n  custom_id: '42'\n  keyauth_credentials:\n  - { key: anns-own-s3cret, id: 6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11 }\n\
    - username: bob\n  keyauth_credentials: [{ key: '{vault://env/bobs-key}' }]\n- username: guest\n";

/// The usual arrangement, with this `config` of a key-auth on the service.
fn yaml(config: &str, rule: &str) -> String {
    let yaml = Profiles { rule, ..Profiles::default() }.yaml();
    let both = format!("plugins: [{{ name: key-auth, config: {{ {config} }} }}, {{\n      name: publish-sns");
    yaml.replace("plugins: [{\n      name: publish-sns", &both) + CONSUMERS
}

fn prepare(config: &str, rule: &str) -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, &yaml(config, rule));
    scene.setup.env.push(("BOBS_KEY".into(), OTHER.into()));
    scene
}

fn start(config: &str, rule: &str) -> Scene {
    let mut scene = prepare(config, rule);
    scene.start_gateway();
    scene
}

#[track_caller]
fn send(scene: &Scene, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    client::send(scene.gateway().proxy(), method, target, headers, body).expect("an answer")
}

/// The body is Kong's to the byte.
#[track_caller]
fn refused(answer: &Answer, message: &str) {
    let id = answer.header("x-kong-request-id").expect("an id");
    let body = format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{id}\"\n}}");
    assert_eq!((answer.status, answer.text()), (401, body));
    assert_eq!(answer.header("www-authenticate"), Some("Key"));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[test]
fn who_has_no_key_is_refused_and_nothing_of_it_is_published_or_forwarded() {
    let scene = start("", "");
    let target = "/mockbin/profile";
    refused(&send(&scene, "PUT", target, &[], b"{}"), "No API key found in request");
    refused(&send(&scene, "PUT", "/mockbin/profile?apikey=nobodys", &[], b"{}"), "Unauthorized");
    let twice = [("apikey", KEY), ("apikey", KEY)];
    refused(&send(&scene, "PUT", target, &twice, b"{}"), "Duplicate API key found");
    refused(&send(&scene, "OPTIONS", target, &[], b""), "No API key found in request");
    let mut head = scene.client();
    head.write(&client::request("HEAD", target, &[], b"")).unwrap();
    head.until("\r\n\r\n").unwrap();
    // The next answer on the connection begins where the head ended: there was no body.
    let mut old = scene.client();
    old.write(b"PUT /mockbin/profile HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let answer = String::from_utf8(old.rest().unwrap()).unwrap();
    assert!(answer.contains(" 401 ") && answer.contains("No API key found in request"), "{answer}");
    assert_eq!(scene.upstream.executed().len(), 0);
    assert_eq!(send(&scene, "PUT", target, &[("apikey", KEY)], b"{}").status, 200);
    // That one is all that there is.
    assert_eq!(scene.told(1).len(), 1);
}

#[test]
fn a_refused_head_has_no_body_and_its_connection_goes_on() {
    let scene = start("", "");
    let mut client = scene.client();
    client.write(&client::request("HEAD", "/mockbin/x", &[], b"")).unwrap();
    client.write(&client::request("GET", "/mockbin/x", &[("apikey", KEY)], b"")).unwrap();
    client.until("HTTP/1.1 200").unwrap();
}

#[test]
fn the_service_and_the_event_learn_who_it_is_and_the_event_no_key() {
    for (format, hide) in [("kong-0.8", "false"), ("cloudevents", "true")] {
        let config = format!("key_names: [x-tenant-door, door], hide_credentials: {hide}");
        let rule = format!(
            "format: {format}, key: '{{header:x-tenant-door}}', capture: {{ redact: none, request_body: true }}"
        );
        let scene = start(&config, &rule);
        let lies = [
            ("x-tenant-door", KEY),
            ("x-consumer-username", "root"),
            ("x-authenticated-userid", "root"),
            ("x-anonymous-consumer", "true"),
            ("x_consumer_id", "root"),
        ];
        let answer = send(&scene, "PUT", "/mockbin/profile?a=1&door=anns-own-s3cret", &lies, b"{}");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let executed = scene.upstream.executed();
        let asked = &executed[0];
        assert_eq!(asked.header("x-consumer-username"), Some("ann"));
        assert_eq!(asked.header("x-consumer-custom-id"), Some("42"));
        assert_eq!(asked.header("x-credential-identifier"), Some("6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11"));
        for gone in ["x-authenticated-userid", "x-anonymous-consumer", "x_consumer_id"] {
            assert_eq!(asked.header(gone), None, "{gone}");
        }
        let hides = hide == "true";
        assert_eq!(asked.header("x-tenant-door"), (!hides).then_some(KEY));
        assert_eq!(asked.target.contains("door="), !hides, "{}", asked.target);
        let told = scene.told(1).remove(0);
        let message = told.message.json();
        let (entity, text) = match format {
            "cloudevents" => (&message["data"]["request"]["authenticated_entity"], message.to_string()),
            _ => (&message["authenticated_entity"], message.to_string()),
        };
        assert_eq!((&entity["username"], &entity["custom_id"]), (&Value::from("ann"), &Value::from("42")));
        assert_eq!(entity["id"], "6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11");
        assert_eq!(entity["consumer_id"].as_str(), asked.header("x-consumer-id"));
        assert!(!text.contains(KEY) && !told.event.to_string().contains(KEY), "{text}");
        assert!(!scene.gateway().output().contains(KEY), "nor does a log line");
    }
}

#[test]
fn a_key_in_a_body_is_found_hidden_and_never_published() {
    let scene = start("key_in_body: true, hide_credentials: true", "capture: { request_body: true }");
    let json = [("content-type", "application/json")];
    let body = format!("{{\"name\":\"Ada\",\"apikey\":\"{KEY}\"}}");
    assert_eq!(send(&scene, "PUT", "/mockbin/profile", &json, body.as_bytes()).status, 200);
    // In chunks, over two packets.
    let mut client = scene.client();
    let head = "PUT /mockbin/profile HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let (first, rest) = body.split_at(20);
    client.write(format!("{head}{:x}\r\n{first}\r\n", first.len()).as_bytes()).unwrap();
    client.write(format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).as_bytes()).unwrap();
    assert_eq!(client.answer().unwrap().status, 200);
    let large = format!("{{\"apikey\":\"{KEY}\",\"a\":\"{}\"}}", "x".repeat(70_000));
    let answer = send(&scene, "PUT", "/mockbin/profile", &json, large.as_bytes());
    assert_eq!((answer.status, answer.text().contains("Cannot process request body")), (400, true));
    // With a good key elsewhere, too: what cannot be looked at is not forwarded where keys are to be hidden.
    let elsewhere = [("content-type", "application/json"), ("apikey", KEY)];
    for unread in [large.clone(), format!("{{\"apikey\":\"{KEY}\",")] {
        let answer = send(&scene, "PUT", "/mockbin/profile", &elsewhere, unread.as_bytes());
        assert_eq!((answer.status, answer.text().contains("Cannot process request body")), (400, true));
    }
    let executed = scene.upstream.executed();
    assert_eq!(executed.len(), 2);
    assert!(executed.iter().all(|one| one.body == b"{\"name\":\"Ada\"}"), "{executed:?}");
    for told in scene.told(2) {
        assert!(!told.message.json().to_string().contains(KEY));
    }
}

#[test]
fn a_key_is_hidden_where_it_need_not_be_shown() {
    let scene = start("key_in_body: true, hide_credentials: true, run_on_preflight: false", "");
    let json = [("content-type", "application/json"), ("apikey", KEY)];
    let body = format!("{{\"apikey\":\"{KEY}\"}}");
    let target = format!("/mockbin/profile?apikey={KEY}");
    assert_eq!(send(&scene, "OPTIONS", &target, &json, body.as_bytes()).status, 200);
    let executed = format!("{:?}", scene.upstream.executed());
    assert!(!executed.contains(KEY), "{executed}");
    assert!(executed.contains("OPTIONS"), "{executed}");
}

#[test]
fn a_body_that_is_forwarded_with_its_key_is_not_captured() {
    let scene = start("key_in_body: true", "capture: { request_body: true }");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("a=1&apikey={KEY}");
    assert_eq!(send(&scene, "PUT", "/mockbin/profile", &form, body.as_bytes()).status, 200);
    assert_eq!(scene.upstream.executed()[0].body, body.as_bytes());
    let message = scene.told(1).remove(0).message.json();
    assert!(message["request"].get("body").is_none(), "{message}");
}

#[test]
fn who_is_not_recognised_may_be_an_anonymous_consumer() {
    let scene = start("anonymous: guest, run_on_preflight: false", "");
    assert_eq!(send(&scene, "PUT", "/mockbin/profile", &[("apikey", "wrong")], b"{}").status, 200);
    assert_eq!(send(&scene, "OPTIONS", "/mockbin/x", &[], b"").status, 200);
    let executed = scene.upstream.executed();
    let told = |index: usize, name| executed[index].header(name);
    assert_eq!(
        (told(0, "x-consumer-username"), told(0, "x-anonymous-consumer")),
        (Some("guest"), Some("true"))
    );
    assert_eq!((told(0, "x-credential-identifier"), told(1, "x-consumer-username")), (None, None));
    let message = scene.told(1).remove(0).message.json();
    assert!(message.get("authenticated_entity").is_none(), "{message}");
}

#[test]
fn an_anonymous_consumer_that_does_not_exist_is_named_at_the_start() {
    let scene = start("anonymous: gest", "");
    let line = "the consumer of `anonymous` does not exist";
    let said =
        wait::until("a line", || Some(scene.gateway().output()).filter(|output| output.contains(line)));
    assert!(said.contains("gest"), "{said}");
    assert_eq!(send(&scene, "PUT", "/mockbin/profile", &[], b"{}").status, 500);
}

/// Puts as a consumer until it is told to end.
fn load(scene: &Scene, key: &str, over: &AtomicBool, passed: &AtomicU64) -> Option<u64> {
    let mut client: Client = scene.client();
    let mut refused = None;
    for count in 0.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let answer = client.send("PUT", "/mockbin/profile", &[("apikey", key)], b"{}").expect("an answer");
        match (answer.status, refused) {
            (200, None) => drop(passed.fetch_add(1, Ordering::SeqCst)),
            (401, _) => drop(refused.get_or_insert(count)),
            (status, _) => panic!("{status} after {count}, refused since {refused:?}"),
        }
    }
    refused
}

#[test]
fn a_reload_that_takes_a_consumer_away_refuses_it_from_then_on_and_nobody_else() {
    let scene = start("", "");
    let config = scene.setup.config.clone();
    let without_bob =
        config.replace("- username: bob\n  keyauth_credentials: [{ key: '{vault://env/bobs-key}' }]\n", "");
    assert_ne!(config, without_bob);
    let (over, ann, bob) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let anns = scope.spawn(|| load(&scene, KEY, &over, &ann));
        let bobs = scope.spawn(|| load(&scene, OTHER, &over, &bob));
        let passed = |of: &AtomicU64, more: u64| {
            let before = of.load(Ordering::SeqCst);
            wait::until("requests", || (of.load(Ordering::SeqCst) >= before + more).then_some(()));
        };
        passed(&bob, 20);
        let printed = scene.reload(&without_bob);
        assert!(printed.contains("2 consumers"), "{printed}");
        refused(&send(&scene, "PUT", "/mockbin/profile", &[("apikey", OTHER)], b"{}"), "Unauthorized");
        passed(&ann, 20);
        over.store(true, Ordering::SeqCst);
        assert_eq!(anns.join().expect("ann is never refused"), None);
        assert!(bobs.join().expect("bob is refused once and for all").is_some());
    });
    let made = ann.load(Ordering::SeqCst) + bob.load(Ordering::SeqCst);
    scene.told(made as usize);
}

#[test]
fn after_a_kill_consumers_are_those_of_before() {
    let mut scene = start("", "");
    assert_eq!(send(&scene, "PUT", "/mockbin/profile", &[("apikey", OTHER)], b"{}").status, 200);
    scene.told(1);
    // Without its files it goes on with what it served.
    scene.setup.without_files = true;
    scene.kill_and_restart();
    assert_eq!(send(&scene, "PUT", "/mockbin/profile", &[("apikey", OTHER)], b"{}").status, 200);
    refused(&send(&scene, "PUT", "/mockbin/profile", &[("apikey", "wrong")], b"{}"), "Unauthorized");
    scene.told(2);
}

#[test]
fn files_with_consumers_are_checked_and_their_keys_never_shown() {
    let scene = prepare("key_names: ['a b']", "");
    let doubled =
        scene.setup.config.clone() + "- { username: eve, keyauth_credentials: [{ key: anns-own-s3cret }] }\n";
    let file = scene.setup.config_file();
    std::fs::write(&file, doubled).expect("the file can be written");
    let check = std::process::Command::new(RETROHOOK)
        .args(["check", "--strict"])
        .arg(&file)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(!check.status.success());
    assert!(
        said.contains("bad header name 'a b'") && said.contains("entity with this key already declared"),
        "{said}"
    );
    assert!(
        said.contains("the environment variable BOBS_KEY is not set") && !said.contains("s3cret"),
        "{said}"
    );
}
