//! `POST /config`: a whole configuration over the admin port, which stands through restarts; and what a start without files goes on with.

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::client::{self, Answer};
use testkit::receiver::Receiver;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");
const YAML: (&str, &str) = ("content-type", "text/yaml");

/// Posts a body; `target` has the query.
#[track_caller]
fn post(scene: &Scene, target: &str, kind: (&str, &str), body: &str) -> Answer {
    let admin = scene.gateway().address("admin");
    client::send(admin, "POST", target, &[("host", "localhost"), kind], body.as_bytes()).expect("an answer")
}

/// A scene whose gateway runs without `-c`.
fn without_files() -> Scene {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.without_files = true;
    scene.start_gateway();
    scene
}

#[track_caller]
fn serves(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 200);
}

#[track_caller]
fn serves_nothing(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 404);
}

#[test]
fn a_posted_configuration_is_served_and_stands_through_a_kill() {
    let mut scene = without_files();
    serves_nothing(&scene);
    let config = scene.setup.config.clone();
    let answer = post(&scene, "/config?check_hash=1", YAML, &config);
    let report = answer.json();
    assert_eq!((answer.status, &report["result"], &report["generation"]), (201, &json!("taken"), &json!(2)));
    serves(&scene);
    scene.told(1);
    // Kong's controllers post what is served again and again.
    assert_eq!(post(&scene, "/config?check_hash=1", YAML, &config).status, 304);
    assert_eq!(post(&scene, "/config", YAML, &config).status, 201);
    // There are no files that SIGHUP could read.
    scene.gateway().signal(Signal::HUP);
    scene.gateway().wait_until_it_says("there is no file to read");
    serves(&scene);

    scene.kill_and_restart();
    scene.gateway().wait_until_it_says("as served last (POST /config): 1 service, 1 route, 1 plug-in");
    serves(&scene);
    scene.told(3);
}

#[test]
fn it_comes_in_every_way_that_kong_takes() {
    let scene = without_files();
    let config = scene.setup.config.clone();
    let empty = "_format_version: \"3.0\"\n";
    let form: String = config.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let part = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"config\"; filename=\"kong.yml\"\r\n\r\n{config}\r\n--edge--\r\n"
    );
    let ways = [
        ("application/yaml", config.clone()),
        ("application/json", json!({ "config": config }).to_string()),
        ("application/x-www-form-urlencoded", format!("config={form}")),
        ("multipart/form-data; boundary=edge", part),
    ];
    for (kind, body) in ways {
        let answer = post(&scene, "/config", ("content-type", kind), &body);
        assert_eq!(answer.status, 201, "{kind}: {}", answer.text());
        serves(&scene);
        assert_eq!(post(&scene, "/config", YAML, empty).status, 201);
        serves_nothing(&scene);
    }
    // A whole document in JSON.
    let document = json!({ "_format_version": "3.0", "services": [{ "name": "s", "url": format!("http://{}", scene.upstream.address()),
        "routes": [{ "name": "r", "paths": ["/mockbin"], "strip_path": true }] }] });
    let answer = post(&scene, "/config", ("content-type", "application/json"), &document.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
    serves(&scene);
}

#[test]
fn one_with_problems_changes_nothing_and_is_answered_in_kongs_words() {
    let scene = without_files();
    let config = scene.setup.config.clone();
    assert_eq!(post(&scene, "/config", YAML, &config).status, 201);
    let bad = config.replace("strip_path: true", "strip_path: perhaps");
    let answer = post(&scene, "/config?flatten_errors=1", YAML, &bad);
    let told = answer.json();
    assert_eq!((answer.status, &told["code"]), (400, &json!(14)), "{told}");
    assert_eq!(told["name"], "invalid declarative configuration");
    assert!(told["message"].as_str().is_some_and(|text| text.starts_with("declarative config is invalid: ")));
    let path = "services[0].routes[0].strip_path";
    assert!(told["fields"][path].is_string(), "{told}");
    assert_eq!(
        (&told["problems"][0]["path"], &told["problems"][0]["file"]),
        (&json!(path), &json!("POST /config"))
    );
    assert!(told["problems"][0]["line"].is_u64(), "{told}");
    assert_eq!(told["flattened_errors"][0]["entity_type"], "route", "{told}");
    assert_eq!(told["flattened_errors"][0]["errors"][0]["field"], "strip_path", "{told}");
    for (kind, body) in
        [("multipart/form-data; boundary=edge", "--edge--\r\n"), ("application/x-www-form-urlencoded", "x=1")]
    {
        let answer = post(&scene, "/config", ("content-type", kind), body);
        let told = answer.json();
        assert_eq!((answer.status, told["hint"].is_string()), (400, true), "{told}");
    }
    // As curl sends what nobody said the type of.
    let answer = post(&scene, "/config", ("content-type", "application/x-www-form-urlencoded"), &config);
    let told = answer.json();
    assert_eq!(answer.status, 400, "{told}");
    assert!(
        told["hint"].as_str().is_some_and(|hint| hint.contains("-H 'Content-Type: text/yaml'")),
        "{told}"
    );
    serves(&scene);
    let (_, status) = scene.admin().status();
    assert_eq!(status["retrohook"]["configuration"]["generation"], 2, "{status}");
    assert_eq!(status["retrohook"]["degraded"], json!([]), "what is served is what was taken: {status}");
    // Bytes that are no text are refused in whatever way they come.
    let admin = scene.gateway().address("admin");
    let latin1 = [
        &b"--edge\r\ncontent-disposition: form-data; name=\"config\"\r\n\r\n# \xe9\r\n--edge--\r\n"[..],
        b"config=%e9",
        b"\xe9",
    ];
    for (kind, body) in
        ["multipart/form-data; boundary=edge", "application/x-www-form-urlencoded", "text/yaml"]
            .iter()
            .zip(latin1)
    {
        let answer =
            client::send(admin, "POST", "/config", &[("host", "localhost"), ("content-type", kind)], body);
        let answer = answer.expect("an answer");
        assert!(
            answer.status == 400
                && answer.json()["message"].as_str().is_some_and(|text| text.contains("cannot be read")),
            "{kind}: {}",
            answer.text()
        );
    }
}

#[test]
fn files_and_the_endpoint_take_each_others_place() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    serves(&scene);
    scene.told(1);
    let other = Receiver::start();
    let config = scene.setup.config.clone();
    let moved = config.replace(&scene.receiver.url("/hook"), &other.url("/other"));
    let answer = post(&scene, "/config", YAML, &moved);
    let report: Value = answer.json();
    assert_eq!(answer.status, 201, "{report}");
    let gone = report["changes"].as_array().is_some_and(|lines| {
        lines.iter().any(|line| line.as_str().is_some_and(|line| line.contains("/hook is gone: ")))
    });
    assert!(gone, "{report}");
    serves(&scene);
    other.wait_for(1);
    wait::until("its line", || scene.gateway().reloads().pop());
    // A reload serves the files.
    let printed = scene.reload(&config);
    assert!(printed.contains("/other is gone"), "{printed}");
    assert_eq!(post(&scene, "/config", YAML, &moved).status, 201);
    // So does a start with them, and says that it replaced something.
    scene.kill_and_restart();
    scene.gateway().wait_until_it_says("the configuration that POST /config gave is replaced by the files");
    let output = scene.gateway().output();
    assert!(!output.contains("as served last"), "{output}");
    // A start without files goes on with those of the last one.
    scene.take_gateway().terminate();
    scene.setup.without_files = true;
    scene.start_gateway();
    let output = scene.gateway().output();
    assert!(output.contains("as served last (") && output.contains("retrohook.yaml)"), "{output}");
    serves(&scene);
    let last = scene.admin().wait_for_events(3);
    wait::until("the message", || {
        let ids: Vec<_> = scene
            .receiver
            .messages()
            .iter()
            .filter_map(|message| message.header("x-retrohook-event-id").map(str::to_owned))
            .collect();
        ids.iter().any(|id| last[2]["id"] == id.as_str()).then_some(())
    });
}

#[test]
fn other_words_for_the_same_are_kept_too() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let with_comment = format!("# secret-of-before\n{}", scene.setup.config);
    assert!(scene.reload(&with_comment).contains("nothing changed"));
    assert!(scene.reload(&scene.setup.config).contains("nothing changed"));
    scene.take_gateway().terminate();
    let database = testkit::process::database(&scene.setup.data_dir());
    let kept = rusqlite::Connection::open(database).expect("it opens").query_row(
        "SELECT value FROM small_values WHERE name = 'configuration'",
        [],
        |row| row.get::<_, Vec<u8>>(0),
    );
    let kept = String::from_utf8(kept.expect("it is kept")).expect("JSON");
    assert!(kept.contains("profile-changes") && !kept.contains("secret-of-before"), "{kept}");
}

#[test]
fn a_store_of_an_older_version_is_not_emptied_by_a_start_without_files() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    scene.take_gateway().terminate();
    let database =
        rusqlite::Connection::open(testkit::process::database(&scene.setup.data_dir())).expect("it opens");
    // An older version kept no configuration.
    database.execute("DELETE FROM small_values WHERE name = 'configuration'", []).expect("it is there");
    drop(database);
    scene.setup.without_files = true;
    let mut refused = scene.setup.start_without_waiting();
    assert_eq!(refused.wait().code(), Some(1));
    refused.wait_until_it_says("Start once with the files (-c FILE)");
    scene.setup.without_files = false;
    scene.start_gateway();
    serves(&scene);
    scene.told(1);
}

#[test]
fn what_is_served_can_be_read_and_is_a_configuration_without_secrets() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.config += concat!(
        "consumers: [{ username: ann, keyauth_credentials: [{ key: a-key-of-hers }] }]\n",
        "queues: [{ name: jobs, visibility_timeout: 7 }]\n"
    );
    scene.start_gateway();
    let gateway = scene.gateway();
    let api = json!({ "name": "made", "uris": "/made", "upstream_url": "http://localhost:9" }).to_string();
    let headers = [("host", "localhost"), ("content-type", "application/json")];
    let legacy = gateway.address("legacy-admin");
    let made = client::send(legacy, "POST", "/apis", &headers, api.as_bytes()).expect("an answer");
    assert_eq!(made.status, 201, "{}", made.text());

    let read = |target: &str| scene.admin().get(target).json();
    let all = read("/config");
    let text = all["config"].as_str().expect("a text").to_owned();
    assert!(!text.contains("a-key-of-hers") && text.contains("/made"), "{text}");
    let secret = &all["secrets"][0];
    let variable = secret["variable"].as_str().expect("a name");
    assert!(text.contains(&format!("key: \"{{vault://env/{variable}}}\"")), "{text}");
    assert!(
        secret["of"].as_str().is_some_and(|of| of.starts_with("the key of the keyauth_credential ")),
        "{secret}"
    );
    assert_eq!(all["left_out"], json!([]));
    let (files, apis) = (read("/config?origin=file"), read("/config?origin=api"));
    let has = |answer: &Value, word: &str| answer["config"].as_str().expect("a text").contains(word);
    assert!(has(&files, "mockbin") && !has(&files, "/made"));
    assert!(!has(&apis, "mockbin") && has(&apis, "/made"));
    assert_eq!(scene.admin().get("/config?origin=nobody").status, 400);

    // Where YAML is asked for it is the text alone, which `check` takes, and a node serves.
    let admin = gateway.address("admin");
    let yaml = [("host", "localhost"), ("accept", "application/yaml")];
    let answer = client::send(admin, "GET", "/config", &yaml, b"").expect("an answer");
    assert_eq!((answer.header("content-type"), answer.text()), (Some("application/yaml"), text.clone()));
    let file = scene.setup.config_file().with_file_name("read.yaml");
    std::fs::write(&file, &text).expect("the file can be written");
    let check = |value: Option<&str>| {
        let mut command = std::process::Command::new(RETROHOOK);
        command
            .args(["check", "--allow-private-endpoints"])
            .arg(&file)
            .envs(value.map(|value| (variable, value)));
        let output = command.output().expect("it starts");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(check(Some("a-key-of-hers")), (true, String::new()));
    // Where it is checked it need not be set.
    let (taken, warning) = check(None);
    let unset = format!("the environment variable {variable} is not set");
    assert!(taken && warning.contains(&unset), "{warning}");
    scene.setup.env.push((variable.to_owned(), "a-key-of-hers".into()));
    scene.setup.config = text;
    scene.kill_and_restart();
    serves(&scene);
    let again = scene.admin().get("/config?origin=file").json();
    assert_eq!(
        again["config"].as_str(),
        Some(scene.setup.config.as_str()),
        "it says of itself what it was given"
    );
}
