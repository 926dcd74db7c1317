//! Every refusal in 0.x's words: flat by field, or a message; and none of them changes anything.

use std::io;

use serde_json::{Value, json};
use testkit::client::{Answer, Client, request};
use testkit::scene::{Profiles, Scene};

use super::{FORM, JSON, RETROHOOK, address, api, ask, generation, get, make, make_topic, rule, scene, send};

const NOBODY: &str = "6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001";

#[track_caller]
fn check(scene: &Scene, cases: &[(&str, &str, Value, u16, Value)]) {
    let before = generation(scene);
    for (method, target, body, status, expected) in cases {
        let answer = send(scene, method, target, body);
        assert_eq!(answer, (*status, expected.clone()), "{method} {target} {body}");
    }
    assert_eq!(generation(scene), before, "a refusal changes nothing");
}

#[test]
fn what_an_api_cannot_be_is_said_by_field() {
    let scene = scene();
    let url = "http://orders.internal";
    let one_of = json!({ "message": "at least one of 'hosts', 'uris' or 'methods' must be specified" });
    let old = "At least a 'request_host' or a 'request_path' must be specified";
    check(
        &scene,
        &[
            (
                "POST",
                "/apis",
                json!({ "uris": ["/a"] }),
                400,
                json!({ "name": "name is required", "upstream_url": "upstream_url is required" }),
            ),
            (
                "POST",
                "/apis",
                json!({ "colour": 1, "hosts": 7, "name": [], "retries": "many", "strip_uri": "perhaps", "id": "x" }),
                400,
                json!({
                    "colour": "colour is an unknown field",
                    "hosts": "hosts is not a array",
                    "name": "name is not a string",
                    "retries": "retries is not a number",
                    "strip_uri": "strip_uri is not a boolean",
                    "id": "id is not a id",
                }),
            ),
            ("POST", "/apis", json!({ "name": "a", "upstream_url": url }), 400, one_of.clone()),
            (
                "POST",
                "/apis",
                json!({ "name": "a", "upstream_url": url, "uris": [], "hosts": "" }),
                400,
                one_of,
            ),
            (
                "POST",
                "/apis",
                json!({ "name": "a", "upstream_url": url, "request_path": "" }),
                400,
                json!({ "request_host": old, "request_path": old }),
            ),
        ],
    );
    assert_eq!(get(&scene, "/apis")["total"], 0);
}

/// A good api, but for one field.
fn with(field: &str, value: Value) -> Value {
    let mut body = json!({ "name": "a", "upstream_url": "http://orders.internal", "uris": ["/a"] });
    body[field] = value;
    body
}

#[test]
fn values_that_a_field_cannot_have_are_said() {
    let scene = scene();
    let refused = |field: &str, value: Value, message: &str| {
        ("POST", "/apis", with(field, value), 400, json!({ field: message }))
    };
    check(
        &scene,
        &[
            refused("name", json!("a b"), "name must only contain alphanumeric and '., -, _, ~' characters"),
            refused("upstream_url", json!("ftp://x"), "Supported protocols are HTTP and HTTPS"),
            refused("retries", json!(-1), "must be an integer between 0 and 32767"),
            refused("retries", json!(1.5), "must be an integer between 0 and 32767"),
            refused("upstream_read_timeout", json!(0), "must be an integer between 1 and 2147483646"),
            refused("uris", json!(["a"]), "uri with value 'a' is invalid: must be prefixed with slash"),
            refused("uris", json!(["/a//b"]), "uri with value '/a//b' is invalid: invalid"),
            refused("uris", json!(["/a%4"]), "uri with value '/a%4' is invalid: must use proper encoding"),
            refused("uris", json!([1]), "uri with value '1' is invalid: must be a string"),
            refused("hosts", json!(["*"]), "host with value '*' is invalid: Invalid wildcard placement"),
            refused(
                "hosts",
                json!("*.a.*"),
                "host with value '*.a.*' is invalid: Only one wildcard is allowed",
            ),
            refused("hosts", json!(["a:80"]), "host with value 'a:80' is invalid: Invalid hostname"),
            refused("methods", json!(["get"]), "method with value 'get' is invalid: invalid value"),
        ],
    );
    // What the gateway's own rules refuse has its reason and what to do.
    for (field, value, words) in [
        ("upstream_url", json!("orders.internal"), "upstream_url is not a url"),
        ("upstream_url", json!("http://me:secret@x"), "upstream_url is not a url: a user or password"),
        ("uris", json!(["/(?!a)"]), "uri with value '/(?!a)' is invalid: invalid regex"),
        ("methods", json!(["TRACE"]), "method with value 'TRACE' is invalid"),
    ] {
        let (status, answer) = send(&scene, "POST", "/apis", &with(field, value));
        let message = answer[field].as_str().unwrap_or_default();
        assert!(status == 400 && message.starts_with(words), "{field}: {answer}");
    }
    assert_eq!(get(&scene, "/apis")["total"], 0);
}

#[test]
fn regular_expressions_that_are_too_large_together_are_refused_by_their_place() {
    let scene = scene();
    let large = |number: usize| format!(r"/{number}/\w{{60}}");
    for number in 0.. {
        let body = api(&scene, &format!("api-{number}"), &large(number));
        let before = generation(&scene);
        let (status, answer) = send(&scene, "POST", "/apis", &body);
        if status == 201 {
            continue;
        }
        assert!(number > 1, "one alone is not too large");
        assert_eq!((status, generation(&scene)), (400, before), "{answer}");
        let words = format!(
            "uri with value '{}' is invalid: the regex paths of all routes together are too large",
            large(number)
        );
        assert!(answer["uris"].as_str().is_some_and(|text| text.starts_with(&words)), "{answer}");
        assert_eq!(get(&scene, "/apis?size=1000")["total"], number);
        // The node goes on.
        assert_eq!(send(&scene, "POST", "/apis", &api(&scene, "plain", "/plain")).0, 201);
        return;
    }
}

#[test]
fn what_a_plug_in_cannot_be_is_said_by_field() {
    let scene = scene();
    make_topic(&scene, "orders");
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    let made = make(&scene, "/apis/a/plugins", &rule("orders", "^/a"));
    let path = format!("/plugins/{}", made["id"].as_str().expect("an id"));
    let not_enabled = json!({ "config": "plugin 'rate-limits' not enabled; add it to the 'custom_plugins' configuration property" });
    let of = |config: Value| json!({ "name": "publish-sns", "config": config });
    check(
        &scene,
        &[
            ("POST", "/apis/a/plugins", json!({}), 400, json!({ "name": "name is required" })),
            ("POST", "/apis/a/plugins", json!({ "name": "rate-limits" }), 400, not_enabled.clone()),
            ("PATCH", &path, json!({ "name": "rate-limits" }), 400, not_enabled),
            ("PATCH", &path, json!({}), 400, json!({ "message": "empty body" })),
            ("PATCH", &path, json!({ "id": NOBODY }), 400, json!({ "id": "id cannot be updated" })),
            (
                "POST",
                "/apis/a/plugins",
                of(
                    json!({ "colour": 1, "routes": 7, "durability": "iron", "publish_unknown": "perhaps", "resolve_after": "soon" }),
                ),
                400,
                json!({
                    "config.colour": "colour is an unknown field",
                    "config.routes": "routes is not a array",
                    "config.durability": r#""iron" is not allowed. Allowed values are: "intent", "strict", "outcome", "memory""#,
                    "config.publish_unknown": "publish_unknown is not a boolean",
                    "config.resolve_after": "resolve_after is not a number",
                    "config.topic_arn": "topic_arn is required",
                }),
            ),
            (
                "POST",
                "/apis/a/plugins",
                of(json!({ "topic_arn": "orders", "routes": [{ "method": "PUT" }] })),
                400,
                json!({ "config.routes[0].matcher": "matcher is required" }),
            ),
            (
                "POST",
                "/apis/a/plugins",
                rule("orders", "x"),
                409,
                json!({ "name": "already exists with value 'publish-sns'" }),
            ),
            (
                "POST",
                "/plugins",
                json!({ "name": "publish-sns", "api_id": NOBODY }),
                404,
                json!({ "api_id": format!("does not exist with value '{NOBODY}'") }),
            ),
            (
                "POST",
                "/apis/a/plugins",
                json!({ "name": "publish-sns", "consumer_id": NOBODY }),
                404,
                json!({ "consumer_id": format!("does not exist with value '{NOBODY}'") }),
            ),
        ],
    );
    assert_eq!(get(&scene, &path), made);
}

#[test]
fn what_the_kind_of_a_plug_in_refuses_is_said_by_setting() {
    let scene = scene();
    make_topic(&scene, "orders");
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    let made = make(&scene, "/apis/a/plugins", &rule("orders", "^/a"));
    let path = format!("/plugins/{}", made["id"].as_str().expect("an id"));
    for (config, field, words) in [
        (
            json!({ "topic_arn": "gone", "routes": [{ "method": "PUT", "matcher": "x" }] }),
            "config.topic_arn",
            "there is no topic",
        ),
        (
            json!({ "topic_arn": "orders", "routes": [{ "method": "PUT", "matcher": "(" }] }),
            "config.routes[0].matcher",
            "",
        ),
        (json!({ "topic_arn": "orders", "routes": [] }), "config.routes", "length must be at least 1"),
    ] {
        let (status, answer) = send(&scene, "PATCH", &path, &json!({ "config": config }));
        let message = answer[field].as_str();
        assert!(status == 400 && message.is_some_and(|text| text.starts_with(words)), "{answer}");
    }
    assert_eq!(get(&scene, &path), made);
}

#[test]
fn what_is_not_there_and_what_is_there_already() {
    let scene = scene();
    let made = make(&scene, "/apis", &api(&scene, "a", "/a"));
    let id = made["id"].as_str().expect("an id");
    let not_found = json!({ "message": "Not found" });
    let mut cases = Vec::new();
    for (method, target) in [
        ("GET", "/nothing"),
        ("GET", "/apis/b"),
        ("GET", "/apis//"),
        ("PATCH", "/apis/b"),
        ("DELETE", "/apis/b"),
        ("DELETE", "/apis/6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001"),
        ("GET", "/apis/b/plugins"),
        ("POST", "/apis/b/plugins"),
        ("GET", "/apis/a/plugins/publish-sns"),
        ("DELETE", "/apis/a/plugins/publish-sns"),
        ("GET", "/plugins/publish-sns"),
        ("GET", "/apis/%ff"),
    ] {
        cases.push((method, target, json!({ "enabled": true }), 404, not_found.clone()));
    }
    let no_plugin = json!({ "message": "No plugin named 'x'" });
    cases.push(("GET", "/plugins/schema/x", Value::Null, 404, no_plugin));
    let mut again = api(&scene, "a", "/other");
    cases.push(("POST", "/apis", again.clone(), 409, json!({ "name": "already exists with value 'a'" })));
    cases.push(("PUT", "/apis", again.clone(), 409, json!({ "name": "already exists with value 'a'" })));
    again["name"] = "b".into();
    again["id"] = id.into();
    cases.push((
        "POST",
        "/apis",
        again.clone(),
        409,
        json!({ "id": format!("already exists with value '{id}'") }),
    ));
    again["id"] = NOBODY.into();
    cases.push(("PUT", "/apis", again, 404, not_found));
    cases.push(("PATCH", "/apis/a", json!({}), 400, json!({ "message": "empty body" })));
    cases.push((
        "PATCH",
        "/apis/a",
        json!({ "created_at": 1 }),
        400,
        json!({ "created_at": "created_at cannot be updated" }),
    ));
    for name in ["upstreams", "certificates", "snis"] {
        let target = match name {
            "upstreams" => "/upstreams/",
            "certificates" => "/certificates",
            _ => "/snis/",
        };
        let message = json!({ "message": format!("{name} are not supported by Retrohook yet") });
        cases.push(("POST", target, json!({ "name": "x" }), 501, message));
    }
    check(&scene, &cases);
}

#[test]
fn methods_that_a_path_does_not_take_are_named() {
    let scene = scene();
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    for (method, target, allowed) in [
        ("POST", "/", "GET, HEAD"),
        ("DELETE", "/apis", "GET, HEAD, POST, PUT"),
        ("POST", "/apis/a", "GET, HEAD, PATCH, DELETE"),
        ("PUT", "/apis/a", "GET, HEAD, PATCH, DELETE"),
        ("PATCH", "/plugins", "GET, HEAD, POST, PUT"),
        ("OPTIONS", "/plugins/enabled", "GET, HEAD"),
        ("POST", "/plugins/schema/publish-sns", "GET, HEAD"),
    ] {
        let answer = ask(&scene, method, target, &[JSON], b"");
        assert_eq!(
            (answer.status, answer.json()),
            (405, json!({ "message": "Method not allowed" })),
            "{method} {target}"
        );
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {target}");
    }
}

#[test]
fn bodies_that_cannot_be_read_are_refused_in_their_form() {
    let scene = scene();
    let multipart = ("content-type", "multipart/form-data; boundary=x");
    let deep = format!("{}1{}", r#"{"a":"#.repeat(40), "}".repeat(40));
    let dotted = format!(r#"{{"{}":1}}"#, vec!["a"; 40].join("."));
    let too_deep = json!({ "message": "the body nests deeper than 32 levels" });
    for (content_type, body, status, expected) in [
        (JSON, "{", 400, json!({ "message": "Cannot parse JSON body" })),
        (JSON, "[]", 400, json!({ "message": "Cannot parse JSON body" })),
        (JSON, "", 400, json!({ "message": "Cannot parse JSON body" })),
        (JSON, &deep, 400, too_deep.clone()),
        (JSON, &dotted, 400, too_deep),
        (FORM, "name=%ff", 400, json!({ "message": "Cannot parse form body: it is not UTF-8" })),
        (("content-type", "text/yaml"), "name: a", 415, json!({ "message": "Unsupported media type" })),
        (("x-nothing", "x"), "name=a", 415, json!({ "message": "Unsupported media type" })),
    ] {
        let answer = ask(&scene, "POST", "/apis", &[content_type], body.as_bytes());
        assert_eq!((answer.status, answer.json()), (status, expected), "{body}");
    }
    for body in ["", "--x\r\n", "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\na"] {
        let answer = ask(&scene, "POST", "/apis", &[multipart], body.as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(
            answer.json()["message"]
                .as_str()
                .is_some_and(|text| text.starts_with("Cannot parse multipart body"))
        );
    }
    // No body at all is an api without a name.
    let answer = ask(&scene, "POST", "/apis", &[], b"");
    assert_eq!(answer.json()["name"], "name is required");
}

#[test]
fn what_is_too_large_or_never_comes_is_refused() {
    let scene = scene();
    let large = format!(r#"{{"name":"{}"}}"#, "a".repeat(2 << 20));
    let sent = ask_whatever_is_left(&scene, large.as_bytes());
    let answer = sent.expect("an answer before the connection ends");
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(answer.json(), json!({ "message": "the body is larger than 2 MiB" }));
    // Half a body: the deadline is the listener's, and others are served meanwhile.
    let mut slow = Client::connect(address(&scene)).expect("it accepts");
    slow.write(b"POST /apis HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")
        .expect("it reads");
    assert_eq!(get(&scene, "/apis")["total"], 0);
    let answer = slow.answer().expect("an answer");
    assert_eq!(
        (answer.status, answer.json()),
        (408, json!({ "message": "the body did not come whole within 10 s" }))
    );
}

/// Sends a body of which the end may find nobody who reads.
fn ask_whatever_is_left(scene: &Scene, body: &[u8]) -> io::Result<Answer> {
    let mut client = Client::connect(address(scene))?;
    // The answer may come before the last byte has gone.
    let _ = client.write(&request("POST", "/apis", &[("host", "localhost"), JSON], body));
    client.answer()
}

#[test]
fn pages_of_other_sites_cannot_ask() {
    let scene = scene();
    for (headers, status) in [
        (&[("host", "evil.example.com")][..], 421),
        (&[("host", "localhost"), ("origin", "https://evil.example.com")], 403),
        (&[("host", "localhost"), ("sec-fetch-site", "cross-site")], 403),
    ] {
        let headers = [headers, &[FORM]].concat();
        let body = b"name=a&upstream_url=http://evil&uris=/";
        let answer =
            testkit::client::send(address(&scene), "POST", "/apis", &headers, body).expect("an answer");
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.json()["message"].is_string(), "{}", answer.text());
    }
    assert_eq!(get(&scene, "/apis")["total"], 0);
}

#[test]
fn what_a_file_declares_is_read_only() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    assert_eq!(get(&scene, "/apis")["total"], 0, "lists show what the APIs made");
    assert_eq!(get(&scene, "/plugins")["total"], 0);
    let page = get(&scene, "/apis?origin=file");
    let shown = &page["data"][0];
    assert_eq!((&shown["name"], &shown["uris"]), (&"mockbin".into(), &json!(["/mockbin"])));
    assert_eq!(get(&scene, "/apis/mockbin"), *shown);
    let plugin = get(&scene, "/plugins?origin=all")["data"][0].clone();
    assert_eq!(plugin["api_id"], shown["id"]);
    let of_file = |what: &str| {
        let message = format!(
            "Method not allowed: {what} is declared in a configuration file of this gateway: change it there"
        );
        json!({ "message": message })
    };
    let path = format!("/plugins/{}", plugin["id"].as_str().expect("an id"));
    let taken =
        "already exists with value 'mockbin', which is declared in a configuration file of this gateway";
    check(
        &scene,
        &[
            ("PATCH", "/apis/mockbin", json!({ "strip_uri": false }), 405, of_file("service 'mockbin'")),
            ("DELETE", "/apis/mockbin", Value::Null, 405, of_file("service 'mockbin'")),
            ("PATCH", &path, json!({ "enabled": false }), 405, of_file("plug-in 'publish-sns'")),
            ("DELETE", &path, Value::Null, 405, of_file("plug-in 'publish-sns'")),
            ("POST", "/apis", api(&scene, "mockbin", "/other"), 409, json!({ "name": taken })),
        ],
    );
    assert_eq!(scene.put("").expect("an answer").status, 200);
    scene.told(1);
}
