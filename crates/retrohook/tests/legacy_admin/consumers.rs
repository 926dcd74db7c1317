//! Consumers with their keys and groups, as kongfig makes them, compares them and removes them.

use serde_json::{Value, json};
use testkit::client;

use super::{api, generation, get, make, make_topic, rule, scene, send};

/// What kongfig lists of each consumer.
const LISTS: [&str; 6] = ["oauth2", "key-auth", "jwt", "basic-auth", "hmac-auth", "acls"];

#[test]
fn a_consumer_has_keys_and_groups_in_0_x_s_shapes() {
    let mut scene = scene();
    let made = make(&scene, "/consumers", &json!({ "username": "bob" }));
    let id = made["id"].as_str().expect("an id").to_owned();
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&made), ["created_at", "id", "username"]);
    for name in LISTS {
        assert_eq!(get(&scene, &format!("/consumers/{id}/{name}")), json!({ "data": [], "total": 0 }));
    }
    let key = make(&scene, &format!("/consumers/{id}/key-auth"), &json!({ "key": "s3cret" }));
    assert_eq!(keys(&key), ["consumer_id", "created_at", "id", "key"]);
    assert_eq!((&key["consumer_id"], &key["key"]), (&id.as_str().into(), &"s3cret".into()));
    let group = make(&scene, &format!("/consumers/{id}/acls"), &json!({ "group": "admins" }));
    assert_eq!(keys(&group), ["consumer_id", "created_at", "group", "id"]);
    let drawn = make(&scene, "/consumers/bob/key-auth", &json!({}));
    assert_eq!(drawn["key"].as_str().map(str::len), Some(32), "{drawn}");

    // A second run finds all of it, by id or name, and changes nothing.
    let served = generation(&scene);
    let path = format!("/consumers/{id}/key-auth/{}", key["id"].as_str().expect("an id"));
    for _ in 0..2 {
        assert_eq!(get(&scene, "/consumers")["data"], json!([made]));
        assert_eq!(get(&scene, "/consumers/bob/key-auth")["total"], 2);
        assert_eq!(get(&scene, "/consumers/bob/acls")["data"], json!([group]));
        assert_eq!(
            send(&scene, "PATCH", &format!("/consumers/{id}"), &json!({ "username": "bob" })),
            (200, made.clone())
        );
        assert_eq!(send(&scene, "PATCH", &path, &json!({ "key": "s3cret" })), (200, key.clone()));
    }
    assert_eq!(generation(&scene), served);
    scene.kill_and_restart();
    assert_eq!(send(&scene, "GET", &path, &Value::Null), (200, key.clone()));
    assert_eq!(get(&scene, "/consumers")["data"], json!([made]));

    let (_, renamed) =
        send(&scene, "PATCH", "/consumers/bob", &json!({ "username": "robert", "custom_id": "42" }));
    assert_eq!((&renamed["id"], &renamed["custom_id"]), (&id.as_str().into(), &"42".into()));
    let path = format!("/consumers/robert/acls/{}", group["id"].as_str().expect("an id"));
    assert_eq!(send(&scene, "DELETE", &path, &Value::Null), (204, Value::Null));
    assert_eq!(send(&scene, "DELETE", "/consumers/robert", &Value::Null), (204, Value::Null));
    assert_eq!(send(&scene, "GET", &format!("/consumers/{id}"), &Value::Null).0, 404);
    // The key is free: it went along.
    make(&scene, "/consumers", &json!({ "custom_id": "42" }));
    let other = get(&scene, "/consumers")["data"][0]["id"].as_str().expect("an id").to_owned();
    make(&scene, &format!("/consumers/{other}/key-auth"), &json!({ "key": "s3cret" }));
}

#[test]
fn what_a_consumer_cannot_be_is_said_by_field() {
    let scene = scene();
    make_topic(&scene, "t");
    for name in ["ann", "bob"] {
        make(&scene, "/consumers", &json!({ "username": name, "custom_id": format!("id of {name}") }));
    }
    make(&scene, "/consumers/ann/key-auth", &json!({ "key": "k" }));
    make(&scene, "/consumers/ann/acls", &json!({ "group": "g" }));
    let neither = "At least a 'custom_id' or a 'username' must be specified";
    let not_there = json!({ "message": "Not found" });
    let served = generation(&scene);
    for (method, target, body, status, expected) in [
        ("POST", "/consumers", json!({}), 400, json!({ "custom_id": neither, "username": neither })),
        (
            "POST",
            "/consumers",
            json!({ "username": "ann" }),
            409,
            json!({ "username": "already exists with value 'ann'" }),
        ),
        (
            "PATCH",
            "/consumers/ann",
            json!({ "custom_id": "id of bob" }),
            409,
            json!({ "custom_id": "already exists with value 'id of bob'" }),
        ),
        ("PATCH", "/consumers/ann", json!({}), 400, json!({ "message": "empty body" })),
        ("POST", "/consumers", json!({ "name": "x" }), 400, json!({ "name": "name is an unknown field" })),
        (
            "POST",
            "/consumers/bob/key-auth",
            json!({ "key": "k" }),
            409,
            json!({ "key": "already exists with value 'k'" }),
        ),
        (
            "POST",
            "/consumers/ann/acls",
            json!({ "group": "g" }),
            400,
            json!({ "group": "ACL group already exist for this consumer" }),
        ),
        ("POST", "/consumers/ann/acls", json!({}), 400, json!({ "group": "group is required" })),
        ("POST", "/consumers/eve/acls", json!({ "group": "g" }), 404, not_there.clone()),
        ("GET", "/consumers/eve/jwt", Value::Null, 404, not_there.clone()),
        ("GET", "/consumers/bob/acls/g", Value::Null, 404, not_there.clone()),
        ("GET", "/consumers/bob/keys", Value::Null, 404, not_there),
        (
            "POST",
            "/consumers/bob/jwt",
            json!({}),
            501,
            json!({ "message": "jwt are not supported by Retrohook yet" }),
        ),
    ] {
        assert_eq!(send(&scene, method, target, &body), (status, expected), "{method} {target} {body}");
    }
    assert_eq!(generation(&scene), served);
}

#[test]
fn a_plug_in_may_be_for_a_consumer() {
    let scene = scene();
    make_topic(&scene, "t");
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    let bob = make(&scene, "/consumers", &json!({ "username": "bob" }))["id"].clone();
    make(&scene, "/apis/a/plugins", &rule("t", "x"));
    let mut of_bob = rule("t", "y");
    of_bob["consumer_id"] = bob.clone();
    let made = make(&scene, "/apis/a/plugins", &of_bob);
    assert_eq!(made["consumer_id"], bob);
    assert_eq!(get(&scene, &format!("/plugins?consumer_id={}", bob.as_str().expect("an id")))["total"], 1);
    assert_eq!(send(&scene, "POST", "/apis/a/plugins", &of_bob).0, 409);
    assert_eq!(send(&scene, "DELETE", "/consumers/bob", &Value::Null).0, 204);
    assert_eq!(get(&scene, "/plugins")["total"], 1, "its plug-in goes along");
}

#[test]
fn a_consumer_of_a_file_is_read_only_and_may_have_keys() {
    let mut scene = super::prepared();
    scene.setup.without_files = false;
    scene.setup.config = "_format_version: \"3.0\"\nconsumers: [{ username: ann, keyauth_credentials: [{ key: of-the-file-123 }] }]\n".into();
    scene.start_gateway();
    assert_eq!(get(&scene, "/consumers")["total"], 0);
    assert_eq!(get(&scene, "/consumers?origin=file")["data"][0]["username"], "ann");
    let message = "Method not allowed: consumer 'ann' is declared in a configuration file of this gateway: change it there";
    for (method, body) in [("PATCH", json!({ "custom_id": "1" })), ("DELETE", Value::Null)] {
        assert_eq!(send(&scene, method, "/consumers/ann", &body), (405, json!({ "message": message })));
    }
    let (status, answer) =
        send(&scene, "POST", "/consumers/ann/key-auth", &json!({ "key": "of-the-file-123" }));
    let taken = "already exists with value 'of-the-file-123', which is declared in a configuration file of this gateway";
    assert_eq!((status, answer), (409, json!({ "key": taken })));
    make(&scene, "/consumers/ann/key-auth", &json!({ "key": "of-the-api" }));
    let keys = get(&scene, "/consumers/ann/key-auth?origin=file");
    assert!(!keys.to_string().contains("of-the-file"), "a file keeps its secrets: {keys}");
    assert_eq!(send(&scene, "GET", "/consumers/ann/key-auth/of-the-file-123", &Value::Null).0, 404);
    let of_file = keys["data"][0]["id"].clone();
    let path = format!("/consumers/ann/key-auth/{}", of_file.as_str().expect("an id"));
    assert_eq!(send(&scene, "PATCH", &path, &json!({ "key": "x" })).0, 405);
}

#[test]
fn two_consumers_that_a_file_joins_keep_their_keys_after_a_kill() {
    let mut scene = scene();
    make(&scene, "/consumers", &json!({ "username": "ann" }));
    let other = make(&scene, "/consumers", &json!({ "custom_id": "42" }))["id"].clone();
    let key = json!({ "key": "of-the-second-one" });
    let path = format!("/consumers/{}/key-auth", other.as_str().expect("an id"));
    let key = make(&scene, &path, &key)["id"].clone();
    let upstream = scene.upstream.address();
    scene.setup.config = format!(
        "_format_version: \"3.0\"\nconsumers: [{{ username: ann, custom_id: \"42\" }}]\nservices:\n\
         - {{ name: s, url: \"http://{upstream}\", routes: [{{ paths: [/s] }}], plugins: [{{ name: key-auth }}] }}\n"
    );
    scene.setup.without_files = false;
    // What was joined in memory must be so in the store, too.
    for _ in 0..3 {
        scene.kill_and_restart();
        let keys = get(&scene, "/consumers/ann/key-auth");
        assert_eq!((&keys["total"], &keys["data"][0]["id"]), (&1.into(), &key), "{keys}");
        let headers = [("host", "x"), ("apikey", "of-the-second-one")];
        let answer = client::send(scene.gateway().proxy(), "GET", "/s", &headers, b"").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[test]
fn when_an_entity_was_made_can_be_said_once_and_in_one_way() {
    let scene = scene();
    make_topic(&scene, "t");
    let with = |mut body: Value, created_at: Value| {
        body["created_at"] = created_at;
        body
    };
    let (time, text) = (json!(1_500_000_000_123_u64), json!("1500000000123"));
    let mut api = api(&scene, "a", "/a");
    api["created_at"] = time.clone();
    for (target, body) in [
        ("/apis", api),
        ("/apis/a/plugins", with(rule("t", "x"), text.clone())),
        ("/consumers", with(json!({ "username": "ann" }), text)),
        ("/consumers/ann/key-auth", with(json!({ "key": "k" }), time.clone())),
        ("/consumers/ann/acls", with(json!({ "group": "g" }), time.clone())),
    ] {
        let refused = send(&scene, "POST", target, &with(body.clone(), json!(u64::MAX)));
        assert_eq!(refused, (400, json!({ "created_at": "created_at is not a timestamp" })), "{target}");
        let made = make(&scene, target, &body);
        assert_eq!(made["created_at"], time, "{target}");
        let (id, one) = (made["id"].as_str().expect("an id"), json!({ "created_at": 1 }));
        let path = format!("{target}/{id}");
        let refused = send(&scene, "PATCH", &path, &one);
        assert_eq!(refused, (400, json!({ "created_at": "created_at cannot be updated" })), "{path}");
        let mut whole = with(body, json!(1));
        whole["id"] = id.into();
        let refused = send(&scene, "PUT", target, &whole);
        assert_eq!(refused, (400, json!({ "created_at": "created_at cannot be updated" })), "{target}");
        assert_eq!(get(&scene, &path), made);
    }
}

#[test]
fn a_name_that_several_plug_ins_have_takes_none_of_them() {
    let scene = scene();
    make_topic(&scene, "t");
    make(&scene, "/apis", &api(&scene, "a", "/a"));
    let bob = make(&scene, "/consumers", &json!({ "username": "bob" }))["id"].clone();
    let for_all = make(&scene, "/apis/a/plugins", &rule("t", "x"));
    let mut of_bob = rule("t", "y");
    of_bob["consumer_id"] = bob;
    let of_bob = make(&scene, "/apis/a/plugins", &of_bob);
    for (method, body) in
        [("GET", Value::Null), ("PATCH", json!({ "enabled": false })), ("DELETE", Value::Null)]
    {
        let (status, answer) = send(&scene, method, "/apis/a/plugins/publish-sns", &body);
        let message = answer["message"].as_str().unwrap_or_default();
        let names = |one: &Value| message.contains(one["id"].as_str().expect("an id"));
        assert!(status == 400 && names(&for_all) && names(&of_bob), "{method} {answer}");
    }
    assert_eq!(get(&scene, "/plugins")["total"], 2);
    let path = format!("/apis/a/plugins/{}", of_bob["id"].as_str().expect("an id"));
    assert_eq!(send(&scene, "DELETE", &path, &Value::Null).0, 204);
    assert_eq!(get(&scene, "/apis/a/plugins/publish-sns"), for_all);
}
