//! The files are read anew at SIGHUP: all of them are taken while requests go on, or nothing is, and the reasons are printed.

use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::client::Client;
use testkit::load::{Load, Turns};
use testkit::scene::{Profiles, Scene};
use testkit::{client, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

fn scene() -> Scene {
    Scene::start(RETROHOOK, &Profiles::default().yaml())
}

/// A good reload that changed something; which generation is served.
#[track_caller]
fn taken(scene: &Scene, config: &str, generation: u64) {
    let printed = scene.reload(config);
    let end = format!("(generation {generation}, in ");
    assert!(printed.contains("reloaded: ") && printed.contains(&end), "{printed}");
    serves(scene, generation, "taken");
}

/// What the admin port says of the configuration.
#[track_caller]
fn serves(scene: &Scene, generation: u64, last: &str) {
    let refused = last == "refused";
    let (code, status) = scene.admin().status();
    let configuration = &status["retrohook"]["configuration"];
    let told = (&configuration["generation"], &configuration["last_reload"]["result"]);
    assert_eq!((code, told), (200, (&json!(generation), &json!(last))), "{configuration}");
    assert_eq!(configuration["last_reload"]["cause"].is_string(), refused, "{configuration}");
    assert!(configuration["loaded_at"].as_str() <= configuration["last_reload"]["at"].as_str());
    let degraded = &status["retrohook"]["degraded"];
    let parts: Vec<&Value> = degraded.as_array().expect("a list").iter().map(|one| &one["part"]).collect();
    assert_eq!(parts, if refused { vec!["configuration"] } else { vec![] }, "{degraded}");
    for (series, value) in [
        ("retrohook_config_generation", generation as f64),
        ("retrohook_config_last_reload_success", f64::from(u8::from(!refused))),
    ] {
        assert_eq!(scene.admin().metric(series), Some(value), "{series}");
    }
}

const RELOADS: u64 = 8;

#[test]
fn under_load_a_changed_service_takes_over_and_no_request_fails() {
    let upstreams = Turns::start();
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let first = scene.upstream.address().to_string();
    let config = scene.setup.config.clone();
    let of = |number: u64| config.replace(&first, &upstreams.address(number));
    scene.setup.config = of(0);
    scene.start_gateway();
    let load = Load { get: "/mockbin/x", put: "/mockbin/profile" };
    load.stays_whole(&scene, RELOADS, |number| {
        let printed = scene.reload(&of(number));
        assert!(printed.contains(&format!("(generation {}, in ", number + 1)), "{printed}");
    });
    serves(&scene, 1 + RELOADS, "taken");
}

#[test]
fn a_rule_that_a_reload_adds_makes_events() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let with_rule = scene.setup.config.clone();
    scene.setup.config = with_rule.replace("matcher: \"^/profile$\"", "matcher: \"^/nothing$\"");
    scene.start_gateway();
    let mut client = scene.client();
    let put = |client: &mut Client| client.send("PUT", "/mockbin/profile", &[], b"{}").expect("an answer");
    assert_eq!(put(&mut client).status, 200);
    taken(&scene, &with_rule, 2);
    assert_eq!(put(&mut client).status, 200, "on the connection that there was");
    let told = scene.told(1);
    assert_eq!((told[0].outcome(), told[0].uri()), ("succeeded", "/mockbin/profile"));
    assert_eq!(scene.upstream.executed().len(), 2);
    assert_eq!(
        scene.admin().metric("retrohook_upstream_connections_total").map(|count| count <= 2.0),
        Some(true)
    );
}

#[test]
fn a_file_with_problems_changes_nothing_and_each_problem_is_named() {
    let scene = scene();
    let good = scene.setup.config.clone();
    let bad = good
        .replace("strip_path: true", "strip_path: perhaps")
        .replace("name: publish-sns", "name: publish-sms");
    let printed = scene.reload(&bad);
    let file = scene.setup.config_file();
    let line = |word: &str| 1 + bad.lines().position(|line| line.contains(word)).expect("a line");
    for (word, path) in
        [("perhaps", "services[0].routes[0].strip_path"), ("publish-sms", "services[0].plugins[0]")]
    {
        let place = format!("{}:{}:", file.display(), line(word));
        let told = printed.lines().position(|line| line.starts_with(&place) && line.contains(path));
        let told = told.unwrap_or_else(|| panic!("{place} {path} in:\n{printed}"));
        let hint = printed.lines().nth(told + 1).unwrap_or_default();
        assert!(hint.trim_start().starts_with("hint: "), "{printed}");
    }
    let end = "retrohook: not reloaded: the configuration has 2 problems; the old configuration stays (generation 1)";
    assert!(printed.lines().last().is_some_and(|line| line == end), "{printed}");
    serves(&scene, 1, "refused");

    std::fs::remove_file(&file).expect("it is there");
    scene.gateway().signal(Signal::HUP);
    wait::until("the reload", || (scene.gateway().reloads().len() == 2).then_some(()));
    scene.gateway().wait_until_it_says("cannot be read");
    serves(&scene, 1, "refused");
    assert_eq!(scene.put("").expect("an answer").status, 200);
    assert_eq!(scene.told(1).len(), 1, "all goes on as before");

    let printed = scene.reload(&good);
    assert!(printed.contains("reloaded: nothing changed (generation 1)"), "{printed}");
    serves(&scene, 1, "unchanged");
}

#[test]
fn of_a_long_list_a_changed_line_is_served_and_kept_and_problems_keep_their_places() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let route = |number: usize| format!("  - {{ name: more-{number}, paths: [/more/{number:05}] }}\n");
    let routes: String = (0..3_000).map(route).collect();
    let service = format!("- name: more\n  url: http://{}\n  routes:\n{routes}", scene.upstream.address());
    let first = scene.setup.config.replace("topics:\n", &format!("{service}topics:\n"));
    scene.setup.config = first.clone();
    scene.start_gateway();
    let moved = first.replace("services:\n", "# a comment\n\nservices:\n");
    let changed = moved.replace("/more/01500]", "/more/changed]");
    let serves_it = |scene: &Scene| {
        let paths = ["/more/changed", "/more/01500", "/more/01499", "/more/02999"];
        paths.map(|path| scene.send("GET", path).expect("an answer").status) == [200, 404, 200, 200]
    };
    taken(&scene, &changed, 2);
    assert!(serves_it(&scene));
    let bad = changed.replace("/more/02000]", "/more/02000], stripped: 1");
    let printed = scene.reload(&bad);
    let line = 1 + bad.lines().position(|line| line.contains("stripped")).expect("a line");
    let place =
        format!("retrohook.yaml:{line}:46: services[1].routes[2000].stripped: unknown field `stripped`");
    assert!(printed.contains(&place), "{printed}");
    serves(&scene, 2, "refused");
    taken(&scene, &first, 3);
    assert!(!serves_it(&scene));
    taken(&scene, &changed, 4);
    scene.setup.without_files = true;
    scene.kill_and_restart();
    assert!(serves_it(&scene), "it was in the store when its line came");
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    let scene = scene();
    let file = scene.setup.config_file();
    std::fs::remove_file(&file).expect("it is there");
    let made = std::process::Command::new("mkfifo").arg(&file).status().expect("mkfifo is there");
    assert!(made.success());
    scene.gateway().signal(Signal::HUP);
    wait::until("the reload", || scene.gateway().reloads().pop());
    let printed = scene.gateway().output();
    assert!(printed.contains("retrohook.yaml is not a regular file"), "{printed}");
    serves(&scene, 1, "refused");
    std::fs::remove_file(&file).expect("it is there");
    taken(&scene, &scene.setup.config.replace("strip_path: true", "strip_path: false"), 2);
}

#[test]
fn asked_for_while_one_is_under_way_there_is_one_more_after_it() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "reload=1*return->1*sleep(1500)".into()));
    scene.start_gateway();
    let process = scene.gateway();
    process.signal(Signal::HUP);
    // It has read the file as it was, and does not go on yet.
    process.wait_until_it_says("failpoint reached");
    let changed = scene.setup.config.replace("name: mockbin,\n", "name: renamed,\n");
    std::fs::write(scene.setup.config_file(), changed).expect("the file can be written");
    for _ in 0..5 {
        process.signal(Signal::HUP);
    }
    wait::until("both reloads", || (process.reloads().len() >= 2).then_some(()));
    let ends = process.reloads();
    assert!(ends[0].contains("nothing changed (generation 1)"), "{ends:?}");
    assert!(ends[1].contains("(generation 2, in "), "{ends:?}");
    serves(&scene, 2, "taken");
}

#[test]
fn a_bug_in_a_reload_costs_that_reload_alone() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "reload=1*return->1*panic->off".into()));
    scene.start_gateway();
    let changed = scene.setup.config.replace("strip_path: true", "strip_path: true, methods: [PUT]");
    let printed = scene.reload(&changed);
    assert!(printed.contains("this is a bug in Retrohook"), "{printed}");
    assert!(printed.contains("the old configuration stays (generation 1)"), "{printed}");
    serves(&scene, 1, "refused");
    assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 200);
    taken(&scene, &changed, 2);
    assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 404);
    let answer = client::send(scene.gateway().proxy(), "PUT", "/mockbin/profile", &[], b"{}");
    assert_eq!(answer.expect("an answer").status, 200);
}

/// Runs `retrohook reload`; whether it said that all is well, what it printed, and what it complained about.
fn command(admin: &str) -> (bool, String, String) {
    let mut command = std::process::Command::new(RETROHOOK);
    let output = command.args(["reload", "--admin", admin]).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_prints_what_came_of_it_over_tcp_and_over_a_unix_socket() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.start_gateway();
    let admin = scene.gateway().address("admin").to_string();
    let (well, printed, _) = command(&admin);
    assert!(well && printed == "reloaded: nothing changed (generation 1)\n", "{printed}");

    let good = scene.setup.config.clone();
    let more = format!("{good}queues: [{{ name: jobs }}]\n");
    std::fs::write(scene.setup.config_file(), &more).expect("the file can be written");
    let (well, printed, complaints) = command(&admin);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!((well, lines.len(), lines[0], complaints.as_str()), (true, 2, "queue `jobs` is new", ""));
    assert!(
        lines[1].starts_with("reloaded: 1 service, 1 route, ") && lines[1].contains("(generation 2, in ")
    );
    serves(&scene, 2, "taken");

    std::fs::write(scene.setup.config_file(), more.replace("strip_path: true", "strip_path: perhaps"))
        .expect("the file can be written");
    let (well, printed, complaints) = command(&admin);
    let place = format!("{}:", scene.setup.config_file().display());
    assert!(!well && printed.is_empty() && complaints.starts_with(&place), "{printed}{complaints}");
    assert!(complaints.contains("services[0].routes[0].strip_path: ") && complaints.contains("\n  hint: "));
    let end = "retrohook: not reloaded: the configuration has a problem; the old configuration stays (generation 2)";
    assert_eq!(complaints.lines().last(), Some(end));
    serves(&scene, 2, "refused");

    // What the command printed is what the admin port answers.
    let answer = scene.admin().post("/retrohook/reload");
    let told = answer.json();
    assert_eq!((answer.status, &told["result"], &told["generation"]), (400, &json!("refused"), &json!(2)));
    assert_eq!(told["problems"][0]["path"], "services[0].routes[0].strip_path", "{told}");
    assert!(told["problems"][0]["line"].is_u64(), "{told}");
    scene.take_gateway().terminate();

    let socket = scene.setup.data_dir().with_extension("sock");
    let unix = format!("unix:{}", socket.display());
    std::fs::write(scene.setup.config_file(), &good).expect("the file can be written");
    scene.setup.flags.push(format!("--admin-listen={unix}"));
    let started = scene.setup.start();
    let (well, printed, complaints) = command(&unix);
    assert!(well && printed == "reloaded: nothing changed (generation 1)\n", "{printed}{complaints}");
    drop(started);
}

#[test]
fn the_command_says_whom_it_could_not_ask() {
    let (well, _, complaints) = command("127.0.0.1:9");
    assert!(
        !well && complaints.contains("no answer from 127.0.0.1:9") && complaints.contains("hint: "),
        "{complaints}"
    );
    let scene = scene();
    let hub = scene.gateway().address("hub").to_string();
    let (well, _, complaints) = command(&hub);
    assert!(!well && complaints.contains("not an admin port of Retrohook"), "{complaints}");
    let (well, _, complaints) = command("off");
    assert!(!well && complaints.contains("--admin 127.0.0.1:8001"), "{complaints}");
}
