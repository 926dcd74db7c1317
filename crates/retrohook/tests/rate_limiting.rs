//! The plug-in rate-limiting through the binary: exactly as many as allowed, whichever core serves them, and through reloads.

use testkit::client::{self, Answer};
use testkit::scene::{Profiles, Scene};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// The usual arrangement, with this `config` of a rate-limiting on the service.
fn yaml(config: &str) -> String {
    let yaml = Profiles::default().yaml();
    let both =
        format!("plugins: [{{ name: rate-limiting, config: {{ {config} }} }}, {{\n      name: publish-sns");
    yaml.replace("plugins: [{\n      name: publish-sns", &both)
}

#[track_caller]
fn send(scene: &Scene, method: &str, headers: &[(&str, &str)]) -> Answer {
    client::send(scene.gateway().proxy(), method, "/mockbin/profile", headers, b"{}").expect("an answer")
}

#[test]
fn exactly_the_limit_passes_on_all_cores_together_and_only_that_is_published() {
    let scene = Scene::start(RETROHOOK, &yaml("year: 30, policy: local"));
    let passed: usize = std::thread::scope(|scope| {
        // Each request on a connection of its own: the cores share them.
        let client = || (0..20).filter(|_| send(&scene, "PUT", &[]).status == 200).count();
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().expect("all are answered")).sum()
    });
    assert_eq!(passed, 30);
    assert_eq!(scene.upstream.executed().len(), 30);
    scene.told(30);
}

#[test]
fn a_refusal_is_kongs_and_says_when_there_is_more() {
    let scene = Scene::start(RETROHOOK, &yaml("year: 1"));
    let answer = send(&scene, "PUT", &[]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-ratelimit-limit-year"), Some("1"));
    assert_eq!(
        (answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")),
        (Some("1"), Some("0"))
    );
    assert_eq!(answer.header("retry-after"), None);
    let answer = send(&scene, "PUT", &[]);
    let id = answer.header("x-kong-request-id").expect("an id");
    let body = format!("{{\n  \"message\":\"API rate limit exceeded\",\n  \"request_id\":\"{id}\"\n}}");
    assert_eq!((answer.status, answer.text()), (429, body));
    assert_eq!(answer.header("x-ratelimit-remaining-year"), Some("0"));
    assert_eq!(answer.header("retry-after"), answer.header("ratelimit-reset"));
    // To clients of HTTP/1.0, and to HEAD, as well.
    let mut old = scene.client();
    old.write(b"PUT /mockbin/profile HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}").unwrap();
    let answer = String::from_utf8(old.rest().unwrap()).unwrap();
    assert!(answer.contains(" 429 ") && answer.contains("retry-after: "), "{answer}");
    let mut head = scene.client();
    head.write(&client::request("HEAD", "/mockbin/x", &[], b"")).unwrap();
    head.until("\r\n\r\n").unwrap();
    assert_eq!(scene.upstream.executed().len(), 1);
    scene.told(1);
}

#[test]
fn counts_go_through_reloads_and_begin_anew_when_the_process_does() {
    let mut scene = Scene::start(RETROHOOK, &yaml("year: 3"));
    assert_eq!(send(&scene, "PUT", &[]).status, 200);
    let remaining = |answer: &Answer| answer.header("x-ratelimit-remaining-year").map(str::to_owned);
    // Other limits, and a route more: the plug-in is the same one.
    let config = scene
        .setup
        .config
        .replace("year: 3", "year: 5")
        .replace("paths: [/mockbin]", "paths: [/mockbin, /more]");
    let printed = scene.reload(&config);
    assert!(printed.contains("reloaded: ") && printed.contains("(generation 2"), "{printed}");
    let answer = send(&scene, "PUT", &[]);
    assert_eq!((answer.status, remaining(&answer).as_deref()), (200, Some("3")));
    // A plug-in that was away has forgotten.
    let without = config.replace("{ name: rate-limiting, config: { year: 5 } }, ", "");
    assert_ne!(without, config);
    scene.reload(&without);
    assert_eq!(remaining(&send(&scene, "PUT", &[])), None);
    scene.reload(&scene.setup.config.clone());
    let answer = send(&scene, "PUT", &[]);
    assert_eq!(answer.status, 200);
    scene.told(4);
    scene.kill_and_restart();
    let answer = send(&scene, "PUT", &[]);
    assert_eq!((answer.status, remaining(&answer).as_deref()), (200, Some("2")));
    scene.told(5);
}

#[test]
fn consumers_count_for_themselves_and_may_have_limits_of_their_own() {
    let key_auth = "{ name: key-auth }, ";
    let config = yaml("year: 2")
        .replace("plugins: [{ name: rate-limiting", &format!("plugins: [{key_auth}{{ name: rate-limiting"))
        + "consumers:\n- { username: ann, keyauth_credentials: [{ key: anns-key }] }\n\
           - username: bob\n  keyauth_credentials: [{ key: bobs-key }, { key: bobs-other }]\n\
           - username: vip\n  keyauth_credentials: [{ key: vips-key }]\n  plugins: [{ name: rate-limiting, service: mockbin, config: { year: 4 } }]\n";
    let scene = Scene::start(RETROHOOK, &config);
    let statuses = |keys: &[&str]| -> Vec<u16> {
        keys.iter().map(|key| send(&scene, "PUT", &[("apikey", key)]).status).collect()
    };
    assert_eq!(
        statuses(&["anns-key", "bobs-key", "bobs-other", "bobs-key", "anns-key"]),
        [200, 200, 200, 429, 200]
    );
    assert_eq!(statuses(&["vips-key"; 5]), [200, 200, 200, 200, 429]);
    assert_eq!(statuses(&["nobodys"]), [401], "whoever is not let in is not counted");
    scene.told(8);
}

#[test]
fn other_policies_and_consumers_of_authentication_are_refused_by_name() {
    let scene = Scene::prepare(
        RETROHOOK,
        &yaml("minute: 5, policy: redis, redis: { host: r, password: hunter2hunter2 }"),
    );
    let config =
        scene.setup.config.clone() + "consumers: [{ username: ann, plugins: [{ name: key-auth }] }]\n";
    let file = scene.setup.config_file();
    std::fs::write(&file, config).expect("the file can be written");
    let check = std::process::Command::new(RETROHOOK).arg("check").arg(&file).output().expect("it runs");
    let said = String::from_utf8_lossy(&check.stderr);
    assert!(
        said.contains("policy: `redis` is not supported yet") && said.contains("write `policy: local`"),
        "{said}"
    );
    assert!(said.contains("value must be null") && !said.contains("hunter2"), "{said}");
}
