//! What the API makes is served: at once, under load, through kills; and it ends when it is ended.

use serde_json::{Value, json};
use testkit::client::{self, Client};
use testkit::load::{Load, Turns};
use testkit::receiver::Receiver;
use testkit::scene::Scene;
use testkit::wait;

use super::{FORM, JSON, address, api, ask, generation, get, make, make_topic, prepared, rule, scene, send};

/// The status of a request at the proxy.
#[track_caller]
pub(super) fn proxied(scene: &Scene, method: &str, target: &str, host: &str) -> u16 {
    let sent = client::send(scene.gateway().proxy(), method, target, &[("host", host)], b"");
    sent.expect("an answer").status
}

#[test]
fn an_api_with_a_rule_makes_events_at_once_and_after_a_kill_without_files() {
    let mut scene = scene();
    make_topic(&scene, "profile-changes");
    let topic = "arn:aws:sns:eu-west-1:123456789012:profile-changes";
    assert_eq!(proxied(&scene, "PUT", "/mockbin/profile", "x"), 404);
    let made = make(&scene, "/apis", &api(&scene, "mockbin", "/mockbin"));
    assert_eq!(proxied(&scene, "PUT", "/mockbin/profile", "x"), 200);
    assert_eq!(scene.upstream.executed().last().expect("a request").target, "/profile", "it strips the uri");
    // As in 2016, a matcher sees what the client asked for, with its query.
    make(&scene, "/apis/mockbin/plugins", &rule(topic, r"^/mockbin/profile\?now$"));
    for target in ["/mockbin/profile", "/mockbin/profile?now"] {
        assert_eq!(proxied(&scene, "PUT", target, "x"), 200);
    }
    let events = scene.admin().wait_for_events(1);
    assert_eq!((events.len(), &events[0]["request"]["uri"]), (1, &"/mockbin/profile?now".into()));
    assert_eq!(events[0]["request"]["rule"]["name"], "mockbin/publish-sns", "{}", events[0]);
    for _ in 0..2 {
        scene.kill_and_restart();
        scene.gateway().wait_until_it_says("by APIs      1 service, 1 route, 1 plug-in, 1 topic");
        assert_eq!(get(&scene, "/apis/mockbin"), made);
    }
    assert_eq!(proxied(&scene, "PUT", "/mockbin/profile?now", "x"), 200);
    scene.admin().wait_for_events(2);
}

/// Has the store say another topic of all rules, as a newer or an older version might have left it; the gateway does not run.
fn rename(scene: &Scene, from: &str, to: &str) {
    let stored = testkit::process::database(&scene.setup.data_dir());
    let database = rusqlite::Connection::open(stored).expect("the database opens");
    let sql = "UPDATE registry SET body = replace(body, ?1, ?2) WHERE kind = 'plugin'";
    assert_eq!(database.execute(sql, (from, to)).expect("it is written"), 1);
}

#[test]
fn an_api_that_takes_only_https_answers_426_unless_tls_ended_at_a_trusted_peer() {
    let mut scene = prepared();
    scene.setup.flags.push("--trusted-ips=127.0.0.1".to_owned());
    scene.start_gateway();
    let mut api = api(&scene, "safe", "/safe");
    api["https_only"] = true.into();
    let made = make(&scene, "/apis", &api);
    assert_eq!((&made["https_only"], &made["http_if_terminated"]), (&json!(true), &json!(false)));
    let ask = |scene: &Scene, proto: &str| {
        let headers = [("host", "a"), ("x-forwarded-proto", proto)];
        client::send(scene.gateway().proxy(), "GET", "/safe/x", &headers, b"").expect("an answer")
    };
    // As in 0.11 and later: a peer's word is taken only if the api says so.
    let answer = ask(&scene, "https");
    assert_eq!((answer.status, answer.header("upgrade")), (426, Some("TLS/1.2, HTTP/1.1")));
    assert_eq!(answer.json()["message"], "Please use HTTPS protocol");
    let (status, changed) = send(&scene, "PATCH", "/apis/safe", &json!({ "http_if_terminated": true }));
    assert_eq!(
        (status, &changed["https_only"], &changed["http_if_terminated"]),
        (200, &json!(true), &json!(true))
    );
    scene.kill_and_restart();
    assert_eq!((ask(&scene, "https").status, ask(&scene, "http").status), (200, 426));
    assert_eq!(send(&scene, "PATCH", "/apis/safe", &json!({ "https_only": false })).0, 200);
    assert_eq!(ask(&scene, "http").status, 200);
}

#[test]
fn a_rule_that_is_not_good_any_more_closes_its_routes_and_not_the_node() {
    let mut scene = scene();
    make_topic(&scene, "profile-changes");
    for name in ["mockbin", "other"] {
        make(&scene, "/apis", &api(&scene, name, &format!("/{name}")));
    }
    let made = make(&scene, "/apis/mockbin/plugins", &rule("profile-changes", "^/mockbin"));
    scene.take_gateway().kill();
    rename(&scene, "profile-changes", "no-such-topic");
    scene.start_gateway();
    let output = scene.gateway().output();
    assert!(
        output.contains("which an API made, cannot be served: ") && output.contains("answer 503"),
        "{output}"
    );
    assert_eq!(
        (proxied(&scene, "PUT", "/mockbin/a", "x"), proxied(&scene, "PUT", "/other/a", "x")),
        (503, 200)
    );
    // With the topic of before all is as it was.
    scene.take_gateway().kill();
    rename(&scene, "no-such-topic", "profile-changes");
    scene.start_gateway();
    assert_eq!(proxied(&scene, "PUT", "/mockbin/a", "x"), 200);
    scene.admin().wait_for_events(1);
    // And the API can mend it.
    scene.take_gateway().kill();
    rename(&scene, "profile-changes", "no-such-topic");
    scene.start_gateway();
    let path = format!("/apis/mockbin/plugins/{}", made["id"].as_str().expect("an id"));
    assert_eq!(send(&scene, "DELETE", &path, &Value::Null).0, 204);
    assert_eq!(proxied(&scene, "PUT", "/mockbin/a", "x"), 200);
}

#[test]
fn a_start_says_which_topics_are_elsewhere() {
    let mut scene = scene();
    make(&scene, "/apis", &api(&scene, "mockbin", "/mockbin"));
    let topic = "arn:aws:sns:eu-west-1:123456789012:profile-changes";
    let mut rule = rule(topic, "^/mockbin");
    rule["config"]["sns_endpoint"] = "http://127.0.0.1:9".into();
    rule["config"]["aws_key"] = "AKIAIOSFODNN7EXAMPLE".into();
    rule["config"]["aws_secret"] = "s3cr3t".into();
    make(&scene, "/apis/mockbin/plugins", &rule);
    scene.kill_and_restart();
    let output = scene.gateway().output();
    let said = format!("  real SNS     {topic} via http://127.0.0.1:9/\n");
    assert!(output.contains(&said), "{output}");
    assert_eq!(proxied(&scene, "PUT", "/mockbin/a", "x"), 200);
    scene.admin().wait_for_events(1);
}

#[test]
fn an_api_may_ask_for_paths_in_normal_form() {
    let scene = scene();
    let made = make(&scene, "/apis", &api(&scene, "mockbin", "/mockbin"));
    assert_eq!(made.get("path_forwarding"), None, "0.x does not know it: {made}");
    let asked = |expected: &str| {
        assert_eq!(proxied(&scene, "GET", "/mockbin/a//%7eb", "x"), 200);
        assert_eq!(scene.upstream.executed().last().expect("a request").target, expected);
    };
    asked("/a//%7eb");
    let (status, changed) =
        send(&scene, "PATCH", "/apis/mockbin", &json!({ "path_forwarding": "normalised" }));
    assert_eq!((status, &changed["path_forwarding"]), (200, &json!("normalised")), "{changed}");
    asked("/a/~b");
    let (status, refused) = send(&scene, "PATCH", "/apis/mockbin", &json!({ "path_forwarding": "kept" }));
    assert_eq!((status, &refused["path_forwarding"]), (400, &json!("must be 'raw' or 'normalised'")));
    let (status, changed) = send(&scene, "PATCH", "/apis/mockbin", &json!({ "path_forwarding": null }));
    assert_eq!((status, changed.get("path_forwarding")), (200, None), "{changed}");
    asked("/a//%7eb");
}

#[test]
fn forms_and_multipart_make_the_same_as_json() {
    let scene = scene();
    make_topic(&scene, "t");
    let url = format!("http://{}/base", scene.upstream.address());
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("name", "form"),
            ("upstream_url", &url),
            ("uris", "/form, /f"),
            ("strip_uri", "false"),
        ])
        .extend_pairs([("retries", "3"), ("methods", "GET"), ("methods", "PUT"), ("hosts", "*.example.com")])
        .finish();
    let answer = ask(&scene, "POST", "/apis/", &[FORM], form.as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    let expected = json!({
        "name": "form", "upstream_url": url, "uris": ["/form", "/f"], "strip_uri": false, "retries": 3,
        "methods": ["GET", "PUT"], "hosts": ["*.example.com"], "preserve_host": false, "https_only": false,
        "http_if_terminated": false, "upstream_connect_timeout": 60_000, "upstream_read_timeout": 60_000,
        "upstream_send_timeout": 60_000,
    });
    let mut made = answer.json();
    let (id, created_at) = (made["id"].take(), made["created_at"].take());
    assert!(id.is_string() && created_at.as_u64().is_some_and(|millis| millis > 1_700_000_000_000), "{made}");
    let made = made.as_object().expect("an object").clone();
    let made: Value = made.into_iter().filter(|(_, value)| !value.is_null()).collect();
    assert_eq!(made, expected);
    assert_eq!(proxied(&scene, "GET", "/f/x", "a.example.com"), 200);
    assert_eq!(scene.upstream.executed().last().expect("a request").target, "/base/f/x");
    assert_eq!(proxied(&scene, "GET", "/f/x", "example.com"), 404);
    assert_eq!(proxied(&scene, "POST", "/f/x", "a.example.com"), 404);

    let part = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts =
        [part("name", "parts"), part("upstream_url", &url), part("uris", "/p"), "--b--\r\n".into()].concat();
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let answer = ask(&scene, "POST", "/apis", &[kind], parts.as_bytes());
    assert_eq!((answer.status, &answer.json()["uris"]), (201, &json!(["/p"])), "{}", answer.text());
    let form = "enabled=false&config.topic_arn=t&config.publish_unknown=false&config.resolve_after=50";
    let answer =
        ask(&scene, "POST", "/apis/parts/plugins", &[FORM], format!("name=publish-sns&{form}").as_bytes());
    assert_eq!(
        answer.json(),
        json!({ "config.routes": "routes is required" }),
        "a form has no tables in lists"
    );
}

#[test]
fn a_uri_with_other_characters_is_a_regular_expression() {
    let scene = scene();
    let made = make(&scene, "/apis", &api(&scene, "a", r"/status/\d+"));
    assert_eq!(made["uris"], json!([r"/status/\d+"]));
    assert_eq!(proxied(&scene, "GET", "/status/7", "x"), 200);
    assert_eq!(proxied(&scene, "GET", "/status/x", "x"), 404);
    assert_eq!(
        send(&scene, "PATCH", "/apis/a", &json!({ "uris": "/status/,/%7eada" })).1["uris"],
        json!(["/status", "/~ada"])
    );
    assert_eq!(proxied(&scene, "GET", "/status/x", "x"), 200);
    assert_eq!(proxied(&scene, "GET", "/~ada", "x"), 200);
}

#[test]
fn put_replaces_all_and_patch_what_it_names() {
    let scene = scene();
    make_topic(&scene, "t");
    let mut body = api(&scene, "a", "/a");
    body["retries"] = 1.into();
    body["hosts"] = json!(["a.example.com"]);
    let made = make(&scene, "/apis", &body);
    let (status, patched) =
        send(&scene, "PATCH", "/apis/a", &json!({ "hosts": null, "preserve_host": true }));
    assert_eq!((status, patched.get("hosts"), &patched["retries"]), (200, None, &1.into()));
    let mut whole = api(&scene, "b", "/b");
    whole["id"] = made["id"].clone();
    let (status, put) = send(&scene, "PUT", "/apis", &whole);
    assert_eq!(
        (status, &put["name"], &put["retries"], &put["preserve_host"]),
        (200, &"b".into(), &5.into(), &false.into())
    );
    assert_eq!(put["created_at"], made["created_at"]);
    let served = generation(&scene);
    assert_eq!(send(&scene, "PUT", "/apis", &whole), (200, put));
    assert_eq!(generation(&scene), served, "the same again is no change");
    assert_eq!(send(&scene, "PUT", "/apis", &api(&scene, "c", "/c")).0, 201);

    let mut plugin = rule("t", "x");
    plugin["config"]["capture"] = json!({ "request_body": true, "max_bytes": 10 });
    let made = make(&scene, "/apis/b/plugins", &plugin);
    let path = format!("/apis/b/plugins/{}", made["id"].as_str().expect("an id"));
    let (_, patched) =
        send(&scene, "PATCH", &path, &json!({ "config.capture.max_bytes": 20, "config": { "key": "k" } }));
    let config = &patched["config"];
    assert_eq!(
        (&config["capture"], &config["key"]),
        (&json!({ "request_body": true, "max_bytes": 20 }), &"k".into())
    );
    let (_, patched) = send(&scene, "PATCH", &path, &json!({ "config": { "key": null, "capture": null } }));
    assert_eq!(patched["config"]["topic_arn"], "t");
    assert_ne!(patched["config"]["key"], "k");
    plugin["id"] = made["id"].clone();
    let (status, put) = send(&scene, "PUT", "/apis/b/plugins", &plugin);
    assert_eq!((status, put), (200, made));
}

#[test]
fn one_api_ends_with_its_plug_ins_and_leaves_the_others() {
    let mut scene = scene();
    make_topic(&scene, "t");
    for name in ["a", "b"] {
        make(&scene, "/apis", &api(&scene, name, &format!("/{name}")));
        make(&scene, &format!("/apis/{name}/plugins"), &rule("t", "."));
    }
    assert_eq!(get(&scene, "/plugins")["total"], 2);
    assert_eq!(send(&scene, "DELETE", "/apis/a", &Value::Null), (204, Value::Null));
    for _ in 0..2 {
        assert_eq!(get(&scene, "/plugins")["total"], 1);
        assert_eq!(get(&scene, "/apis")["total"], 1);
        assert_eq!(proxied(&scene, "PUT", "/a/x", "x"), 404);
        assert_eq!(proxied(&scene, "PUT", "/b/x", "x"), 200);
        scene.kill_and_restart();
    }
    assert_eq!(send(&scene, "DELETE", "/apis/b/plugins/publish-sns", &Value::Null).0, 204);
    scene.admin().wait_for_events(2);
    assert_eq!(proxied(&scene, "PUT", "/b/x", "x"), 200);
    assert_eq!(scene.admin().events().len(), 2);
    // The name is free.
    make(&scene, "/apis", &api(&scene, "a", "/a"));
}

#[test]
fn of_two_that_make_one_api_one_does() {
    let scene = scene();
    let body = api(&scene, "a", "/a");
    let statuses = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| send(&scene, "POST", "/apis", &body).0)).collect();
        makers.into_iter().map(|maker| maker.join().expect("it ends")).collect::<Vec<_>>()
    });
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(201), count(409)), (1, 7), "{statuses:?}");
    assert_eq!(get(&scene, "/apis")["total"], 1);
}

/// Asks without waiting for the answer, which a kill takes.
#[track_caller]
fn ask_and_leave(scene: &Scene, body: &Value) -> Client {
    let mut client = Client::connect(address(scene)).expect("it accepts");
    let body = body.to_string();
    let request = client::request("POST", "/apis", &[("host", "localhost"), JSON], body.as_bytes());
    client.write(&request).expect("it reads");
    client
}

/// The entities of APIs that the store has.
pub(super) fn rows(scene: &Scene) -> i64 {
    let stored = testkit::process::database(&scene.setup.data_dir());
    let database = rusqlite::Connection::open(stored).expect("the database opens");
    database.query_row("SELECT count(*) FROM registry", [], |row| row.get(0)).expect("a count")
}

#[test]
fn a_kill_between_the_store_and_what_is_served_leaves_the_whole_api() {
    let mut scene = prepared();
    scene.setup.env.push(("FAILPOINTS".into(), "declared=pause".into()));
    scene.start_gateway();
    let _client = ask_and_leave(&scene, &api(&scene, "a", "/a"));
    wait::until("the rows to be stored", || (rows(&scene) == 2).then_some(()));
    scene.setup.env.clear();
    scene.kill_and_restart();
    assert_eq!(get(&scene, "/apis")["total"], 1);
    assert_eq!(proxied(&scene, "GET", "/a", "x"), 200);
}

#[test]
fn a_kill_before_the_commit_leaves_nothing_of_it() {
    let mut scene = prepared();
    // Enough commits for a start; the one that it stops at is an api's.
    scene.setup.env.push(("FAILPOINTS".into(), "before-commit=20*off->1*return->pause".into()));
    scene.start_gateway();
    let mut made = Vec::new();
    for index in 0.. {
        let name = format!("api-{index}");
        let mut client = ask_and_leave(&scene, &api(&scene, &name, &format!("/{index}")));
        let is_made = wait::until("an answer, or the point", || {
            let is_reached = || scene.gateway().output().contains("failpoint reached");
            if client.has_more() { Some(true) } else { is_reached().then_some(false) }
        });
        if !is_made {
            break;
        }
        assert_eq!(client.answer().expect("an answer").status, 201);
        made.push(name);
    }
    scene.setup.env.clear();
    scene.kill_and_restart();
    let page = get(&scene, "/apis");
    let there: Vec<&str> =
        page["data"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(there, made, "those that were answered, and no other");
    assert_eq!(rows(&scene), 2 * made.len() as i64);
}

const CHANGES: u64 = 12;

#[test]
fn an_api_changes_under_load_and_no_request_fails_and_no_event_is_lost() {
    let scene = scene();
    let upstreams = Turns::start();
    let url = |number: u64| format!("http://{}", upstreams.address(number));
    make_topic(&scene, "t");
    make(&scene, "/apis", &json!({ "name": "a", "upstream_url": url(0), "uris": ["/a"] }));
    make(&scene, "/apis/a/plugins", &rule("t", "^/a/profile$"));
    Load { get: "/a/x", put: "/a/profile" }.stays_whole(&scene, CHANGES, |number| {
        // The rule changes along with where it leads.
        let change = json!({ "upstream_url": url(number), "retries": number });
        let (status, changed) = send(&scene, "PATCH", "/apis/a", &change);
        assert_eq!((status, &changed["upstream_url"]), (200, &url(number).into()));
    });
}

#[test]
fn a_file_that_declares_an_api_adopts_it_whole() {
    let mut scene = scene();
    let made = make(&scene, "/apis", &api(&scene, "a", "/a"));
    let upstream = scene.upstream.address();
    let file = format!(
        "_format_version: \"3.0\"\nservices:\n- {{ name: a, url: \"http://{upstream}\", routes: [{{ name: a, paths: [/a, /b] }}] }}\n"
    );
    scene.setup.config.clone_from(&file);
    scene.setup.without_files = false;
    scene.kill_and_restart();
    scene.gateway().wait_until_it_says("service `a`, which an API made, belongs to the file from now on");
    let shown = get(&scene, "/apis/a");
    assert_eq!((&shown["id"], &shown["uris"]), (&made["id"], &json!(["/a", "/b"])));
    assert_eq!(send(&scene, "PATCH", "/apis/a", &json!({ "retries": 1 })).0, 405);
    // A file that names the route otherwise leaves the api's route to the API, which ends it.
    let mut scene = super::scene();
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    scene.setup.config = file.replace("name: a, paths: [/a, /b]", "name: b, paths: [/b]");
    scene.setup.without_files = false;
    scene.kill_and_restart();
    let upstream_of_both = scene.setup.config.contains(&upstream.to_string());
    assert!(upstream_of_both && proxied(&scene, "GET", "/b", "x") == proxied(&scene, "GET", "/a", "x"));
    assert_eq!(send(&scene, "DELETE", "/apis/a", &Value::Null).0, 204);
    assert_eq!(proxied(&scene, "GET", "/a", "x"), 404);
    assert_eq!(send(&scene, "DELETE", "/apis/a", &Value::Null).0, 405);
}

#[test]
fn a_topic_that_an_apis_rule_names_stays() {
    let mut scene = prepared();
    scene.setup.without_files = false;
    let receiver = Receiver::start();
    scene.setup.config = format!(
        "_format_version: \"3.0\"\ntopics:\n- name: t\n  subscriptions:\n  - {{ protocol: http, endpoint: \"{}\", raw_message_delivery: true, confirm: skip }}\n- name: u\n",
        receiver.url("/hook")
    );
    scene.start_gateway();
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    make(&scene, "/apis/a/plugins", &rule("t", "."));
    // A reload without it is refused by name, and a start keeps it.
    let without = "_format_version: \"3.0\"\n";
    let printed = scene.reload(without);
    assert!(printed.contains("topic `t` is not declared any more, and plug-in `publish-sns`"), "{printed}");
    scene.setup.config = without.to_owned();
    scene.kill_and_restart();
    let output = scene.gateway().output();
    assert!(
        output.contains("topic `t` is not declared any more, and stays as if an API had made it"),
        "{output}"
    );
    assert!(!output.contains("topic `u` is not declared any more"), "{output}");
    assert_eq!(proxied(&scene, "PUT", "/a/x", "x"), 200);
    scene.admin().wait_for_events(1);
}
