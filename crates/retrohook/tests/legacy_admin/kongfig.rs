//! kongfig's requests as they were recorded, byte for byte: what it reads before each step, what it writes, and a second run that finds
//! all of it there.

use serde_json::Value;
use testkit::client::Answer;
use testkit::scene::Scene;

use super::{generation, make_topic, scene};

/// Of node 20's `fetch`, which kongfig uses.
const HEADERS: [(&str, &str); 7] = [
    ("connection", "keep-alive"),
    ("Accept", "application/json"),
    ("Content-Type", "application/json"),
    ("accept-language", "*"),
    ("sec-fetch-mode", "cors"),
    ("user-agent", "node"),
    ("accept-encoding", "gzip, deflate"),
];

/// To a server that says it is older than 0.10.
const API_OF_0_8: &str = r#"{"upstream_url":"http://orders.internal:8080/","request_path":"/orders","strip_request_path":true,"name":"orders"}"#;
/// To every other one.
const API: &str =
    r#"{"upstream_url":"http://orders.internal:8080/","uris":["/orders"],"strip_uri":true,"name":"orders"}"#;
const API_WITH_HOST: &str = r#"{"upstream_url":"http://orders.internal:8080/","preserve_host":true,"hosts":["orders.example.com"],"uris":["/orders"],"strip_uri":true,"name":"orders"}"#;
const PLUGIN: &str = r#"{"config.topic_arn":"arn:aws:sns:eu-west-1:123456789012:orders","config.sns_endpoint":"https://sns.eu-west-1.amazonaws.com","config.routes":[{"method":"POST","matcher":"^/orders$"},{"method":"PUT","matcher":"^/orders/[0-9]+$"}],"name":"publish-sns"}"#;
/// An array of objects never compares equal: it is sent at every run.
const PLUGIN_AGAIN: &str = r#"{"config.topic_arn":"arn:aws:sns:eu-west-1:123456789012:orders","config.sns_endpoint":"https://sns.eu-west-1.amazonaws.com","config.routes":[{"method":"POST","matcher":"^/orders$"},{"method":"PUT","matcher":"^/orders/[0-9]+$"}]}"#;

#[track_caller]
fn ask(scene: &Scene, method: &str, target: &str, body: &str) -> Answer {
    super::ask(scene, method, target, &HEADERS, body.as_bytes())
}

/// What kongfig knows of a gateway.
struct State {
    apis: Vec<Value>,
    /// Of all apis.
    plugins: Vec<Value>,
    global: Vec<Value>,
}

/// Reads all of it, as kongfig does before each single step. Each answer must be a 200.
#[track_caller]
fn read(scene: &Scene) -> State {
    let get = |target: &str| {
        let answer = ask(scene, "GET", target, "");
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    };
    let list = |target: &str| {
        let list = get(target);
        assert!(list.get("next").is_none(), "{list}");
        list["data"].as_array().expect("a list").clone()
    };
    assert_eq!(get("/")["version"], "3.9.1");
    let enabled = get("/plugins/enabled");
    for name in enabled["enabled_plugins"].as_array().expect("a list") {
        let schema = get(&format!("/plugins/schema/{}", name.as_str().expect("a name")));
        assert!(schema["fields"].is_object(), "{schema}");
    }
    let apis = list("/apis");
    let plugins =
        apis.iter().flat_map(|api| list(&format!("/apis/{}/plugins", api["id"].as_str().expect("an id"))));
    let plugins = plugins.collect();
    assert!(list("/consumers").is_empty());
    let global = list("/plugins").into_iter().filter(|one| one.get("api_id").is_none()).collect();
    assert!(list("/upstreams").is_empty() && list("/certificates").is_empty());
    State { apis, plugins, global }
}

/// What a first run sends and must be answered.
#[track_caller]
fn first_run(scene: &Scene, api: &str) -> (Value, Value) {
    let before = read(scene);
    assert!(before.apis.is_empty() && before.global.is_empty());
    let answer = ask(scene, "POST", "/apis", api);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json();
    let after = read(scene);
    assert_eq!(after.apis, std::slice::from_ref(&made));
    assert!(after.plugins.is_empty());
    let id = made["id"].as_str().expect("an id");
    let answer = ask(scene, "POST", &format!("/apis/{id}/plugins"), PLUGIN);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let plugin = answer.json();
    let after = read(scene);
    assert_eq!(after.plugins, std::slice::from_ref(&plugin));
    assert!(after.global.is_empty(), "one of an api is not for all requests");
    (made, plugin)
}

/// What is left of a body's fields in an answer.
#[track_caller]
fn has(shown: &Value, sent: &str) {
    let sent: Value = serde_json::from_str(sent).expect("JSON");
    for (name, value) in sent.as_object().expect("an object") {
        let shown = name.split('.').fold(shown, |shown, part| &shown[part]);
        assert_eq!(shown, value, "{name}");
    }
}

#[test]
fn a_first_run_makes_everything_and_a_second_one_changes_nothing() {
    assert_eq!(API_OF_0_8.len(), 114, "as it was recorded");
    for api in [API, API_WITH_HOST] {
        let mut scene = scene();
        make_topic(&scene, "orders");
        let (made, plugin) = first_run(&scene, api);
        has(&made, api);
        has(&plugin, PLUGIN);
        let order: Vec<&str> = made.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(order[..3], ["created_at", "id", "name"]);
        for absent in ["methods", "consumer_id", "service", "tags"] {
            assert!(made.get(absent).is_none() && plugin.get(absent).is_none(), "{absent}");
        }
        assert_eq!(plugin["api_id"], made["id"]);
        assert_eq!(plugin["config"]["match_on"], "request_uri", "as in 2016");

        let served = generation(&scene);
        let path = format!(
            "/apis/{}/plugins/{}",
            made["id"].as_str().expect("id"),
            plugin["id"].as_str().expect("id")
        );
        for _ in 0..2 {
            let state = read(&scene);
            assert_eq!((&state.apis[..], &state.plugins[..]), (&[made.clone()][..], &[plugin.clone()][..]));
            let answer = ask(&scene, "PATCH", &path, PLUGIN_AGAIN);
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json(), plugin);
            assert_eq!(read(&scene).plugins, std::slice::from_ref(&plugin));
        }
        assert_eq!(generation(&scene), served, "nothing was written, and nothing served anew");

        scene.kill_and_restart();
        let state = read(&scene);
        assert_eq!((&state.apis[..], &state.plugins[..]), (&[made][..], &[plugin][..]));
    }
}

#[test]
fn names_of_0_8_are_read_and_answered_in_those_of_0_10() {
    let scene = scene();
    make_topic(&scene, "orders");
    let (made, _) = first_run(&scene, API_OF_0_8);
    has(&made, API);
    // kongfig of 2016 asks by name and compares the old names: it sends them at every run.
    let served = generation(&scene);
    let again = r#"{"upstream_url":"http://orders.internal:8080/","request_path":"/orders","strip_request_path":true}"#;
    let answer = ask(&scene, "PATCH", "/apis/orders", again);
    assert_eq!((answer.status, answer.json()), (200, made.clone()));
    let answer = ask(&scene, "GET", "/apis/orders/plugins", "");
    assert_eq!(answer.json()["total"], 1);
    assert_eq!(generation(&scene), served);
    // It kept the path where nothing else was said, and named an api itself.
    let unnamed = r#"{"upstream_url":"http://orders.internal:8080/","request_path":"/a/b c/"}"#;
    let answer = ask(&scene, "POST", "/apis", unnamed);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(
        answer.text().starts_with(r#"{"request_path":"must only contain alphanumeric"#),
        "{}",
        answer.text()
    );
    let unnamed = r#"{"upstream_url":"http://orders.internal:8080/","request_path":"/a/b/"}"#;
    let made = ask(&scene, "POST", "/apis", unnamed).json();
    assert_eq!((&made["name"], &made["strip_uri"]), (&"a-b".into(), &false.into()), "{made}");
    assert_eq!(made["uris"][0], "/a/b");
}

#[test]
fn what_kongfig_changes_and_removes_is_changed_and_removed() {
    let scene = scene();
    make_topic(&scene, "orders");
    let (made, plugin) = first_run(&scene, API);
    let changed =
        r#"{"upstream_url":"http://orders.internal:8081","uris":["/orders","/order"],"strip_uri":false}"#;
    let answer = ask(&scene, "PATCH", "/apis/orders", changed);
    assert_eq!(answer.status, 200, "{}", answer.text());
    has(&answer.json(), changed);
    assert_eq!(answer.json()["id"], made["id"]);
    let global = r#"{"config":{"topic_arn":"orders"},"config.routes":[{"method":"POST","matcher":"x"}],"name":"publish-sns","enabled":false}"#;
    let answer = ask(&scene, "POST", "/plugins", global);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let global = answer.json();
    assert_eq!((&global["enabled"], global.get("api_id")), (&false.into(), None));
    assert_eq!(read(&scene).global, std::slice::from_ref(&global));
    let ids = [&made, &plugin, &global].map(|one| one["id"].as_str().expect("an id"));
    for path in [
        format!("/apis/{}/plugins/{}", ids[0], ids[1]),
        format!("/plugins/{}", ids[2]),
        "/apis/orders".into(),
    ] {
        let answer = ask(&scene, "DELETE", &path, "");
        assert_eq!((answer.status, answer.body), (204, Vec::new()), "{path}");
        assert_eq!(ask(&scene, "DELETE", &path, "").status, 404, "{path}");
    }
    let state = read(&scene);
    assert!(state.apis.is_empty() && state.global.is_empty());
}
