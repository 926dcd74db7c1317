//! A process never half-dies: whoever reads its output may end or hang, signals do not kill it by accident, and the death of a part that
//! it cannot do without ends it as a whole, with status 70.

use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use testkit::process::Reading;
use testkit::receiver::Mood;
use testkit::scene::{Profiles, Scene};
use testkit::{client, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

fn scene() -> Scene {
    Scene::start(RETROHOOK, &Profiles::default().yaml())
}

#[track_caller]
fn put(scene: &Scene) {
    assert_eq!(scene.put("").expect("an answer").status, 200);
}

/// Events pass while the worker of the subscription has something to log; then the process stops in good order.
#[track_caller]
fn lives_on(mut scene: Scene) {
    scene.receiver.set(Mood::Answers(503));
    put(&scene);
    wait::until("a failed attempt", || (!scene.receiver.messages().is_empty()).then_some(()));
    scene.receiver.set(Mood::Answers(200));
    for _ in 0..3 {
        put(&scene);
    }
    let admin = scene.admin();
    // The first one waits for its retry.
    scene.receiver.wait_for(4);
    assert_eq!(admin.wait_for_events(4).len(), 4);
    assert_eq!(admin.get("/status/ready").status, 200);

    // A request under way ends while the process drains.
    let mut slow = scene.put_and_wait_for_upstream("?script=wait");
    let mut gateway = scene.take_gateway();
    gateway.signal(Signal::TERM);
    scene.upstream.release();
    assert_eq!(slow.answer().expect("an answer").status, 200);
    let ended = wait::until("the process to end", || gateway.ended());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_reader_of_the_output_that_has_ended_harms_nothing() {
    let mut scene = scene();
    scene.gateway_mut().stop_reading(Reading::Ended);
    lives_on(scene);
}

#[test]
fn a_reader_of_the_output_that_hangs_harms_nothing() {
    let mut scene = scene();
    scene.gateway_mut().stop_reading(Reading::Hung);
    // More than a pipe holds: each signal is a line.
    wait::until("a full pipe", || {
        for _ in 0..50 {
            scene.gateway().signal(Signal::USR2);
        }
        (scene.gateway().unread_output() > 60 << 10).then_some(())
    });
    lives_on(scene);
}

#[test]
fn output_on_a_full_disk_harms_nothing() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    // Writing to it fails with ENOSPC, always.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the kernel has it");
    scene.setup.stderr = Some(full.into());
    scene.start_gateway();
    lives_on(scene);
}

#[test]
fn a_command_whose_reader_has_ended_does_its_work() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("gateway.yaml");
    std::fs::write(&file, Profiles::default().yaml().replace("{receiver}", "http://localhost:9100"))
        .expect("it can be written");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let check = |file: &std::path::Path| {
        let (out, err) = (writer.try_clone().expect("its end"), writer.try_clone().expect("its end"));
        Command::new(RETROHOOK)
            .arg("check")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .status()
            .expect("the binary starts")
    };
    assert_eq!(check(&file).code(), Some(0));
    std::fs::write(&file, "services: [{ name: 7 }]").expect("it can be written");
    assert_eq!(check(&file).code(), Some(1), "what it finds is in its status, too");
}

#[test]
fn signals_that_mean_nothing_here_are_noted_and_kill_nothing() {
    let mut scene = scene();
    for (signal, name) in [(Signal::USR1, "SIGUSR1"), (Signal::USR2, "SIGUSR2")] {
        scene.gateway().signal(signal);
        scene.gateway().wait_until_it_says(name);
        put(&scene);
    }
    assert_eq!(scene.take_gateway().terminate().code(), Some(0));
}

/// A start that takes a while, as after a crash, is one in which a terminal may be closed, too.
#[test]
fn a_hangup_while_starting_kills_nothing_and_reloads_after_the_start() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    // The first change is what the start itself writes.
    scene.setup.env.push(("FAILPOINTS".into(), "before-commit=1*return->1*sleep(1500)".into()));
    let process = scene.setup.start_without_waiting();
    process.wait_until_it_says("before-commit");
    process.signal(Signal::HUP);
    wait::until("the start to end", || process.listeners().contains_key("ready").then_some(()));
    let nothing = "reloaded: nothing changed (generation 1)";
    process.wait_until_it_says(nothing);
    assert_eq!(process.terminate().code(), Some(0));
}

#[test]
fn a_hangup_while_stopping_changes_nothing_and_does_not_end_the_stop() {
    let mut scene = scene();
    let mut slow = scene.put_and_wait_for_upstream("?script=wait");
    let mut gateway = scene.take_gateway();
    gateway.signal(Signal::TERM);
    gateway.wait_until_it_says("stopping");
    gateway.signal(Signal::HUP);
    gateway.wait_until_it_says("SIGHUP: this process stops");
    scene.upstream.release();
    assert_eq!(slow.answer().expect("an answer").status, 200);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!gateway.output().contains("reloaded:"), "{}", gateway.output());
}

#[test]
fn quit_drains_as_term_does() {
    let mut scene = scene();
    let mut slow = scene.put_and_wait_for_upstream("?script=wait");
    let mut gateway = scene.take_gateway();
    gateway.signal(Signal::QUIT);
    gateway.wait_until_it_says("stopping");
    scene.upstream.release();
    assert_eq!(slow.answer().expect("an answer").status, 200);
    assert_eq!(gateway.wait().code(), Some(0));
    gateway.wait_until_it_says("stopped");
}

/// Starts with a panic in a loop, does something, and waits for the end of the process.
#[track_caller]
fn dies_of(point: &str, mut provoke: impl FnMut(&Scene)) -> (Scene, String) {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    scene.setup.env.push(("FAILPOINTS".into(), point.into()));
    scene.start_gateway();
    let status = wait::until("the process to end", || {
        provoke(&scene);
        scene.gateway_mut().ended()
    });
    let mut gateway = scene.take_gateway();
    gateway.wait();
    assert_eq!(status.code(), Some(70), "{}", gateway.output());
    let output = gateway.output();
    scene.setup.env.clear();
    (scene, output)
}

#[track_caller]
fn last_line_names(output: &str, part: &str) {
    let last = output.lines().last().unwrap_or_default();
    assert!(last.contains("status 70") && last.contains(part) && last.contains("bug"), "{output}");
    assert!(output.contains("a thread panicked"), "{output}");
}

/// A part dies of a panic at a point, under requests: the process ends and says so, and the next start has an event of all that was executed.
#[track_caller]
fn death_ends_the_process_and_loses_nothing(point: &str, part: &str) {
    // Another core may serve what comes meanwhile, or nobody.
    let (mut scene, output) = dies_of(point, |scene| drop(scene.put("")));
    last_line_names(&output, part);
    let executed = scene.upstream.executed().len();
    scene.start_gateway();
    let events = scene.admin().events();
    assert!(events.len() >= executed, "{executed} were executed: {events:#?}");
    put(&scene);
}

#[test]
fn the_death_of_a_core_ends_the_process() {
    death_ends_the_process_and_loses_nothing("core-turn=2*off->1*panic", "core-");
}

#[test]
fn the_death_of_the_writer_ends_the_process() {
    // A start has a dozen of them, each request two.
    death_ends_the_process_and_loses_nothing("writer-turn=24*off->1*panic", "store-writer");
}

#[test]
fn a_panic_of_a_listener_costs_its_connections_alone() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    // The first connections are the test's own.
    scene.setup.env.push(("FAILPOINTS".into(), "control-turn=1*off->1*panic".into()));
    scene.start_gateway();
    put(&scene);
    let address = scene.gateway().address("admin");
    let ready = || {
        client::send(address, "GET", "/status/ready", &[("host", &address.to_string())], b"")
            .map(|answer| answer.status)
    };
    wait::until("the panic", || {
        // It may be answered, broken off, or not yet accepted.
        drop(ready());
        scene.gateway().output().contains("a listener panicked, and is served again").then_some(())
    });
    put(&scene);
    wait::until("the listener to be served again", || (ready().ok()? == 200).then_some(()));
    let (code, status) = scene.admin().status();
    let degraded = &status["retrohook"]["degraded"];
    assert_eq!(
        (code, &degraded[0]["part"], degraded.as_array().map(Vec::len)),
        (200, &json!("listener admin"), Some(1))
    );
    assert!(degraded[0]["cause"].as_str().is_some_and(|cause| cause.contains("it panicked")), "{degraded}");
    for (series, value) in [
        (r#"retrohook_listener_restarts_total{listener="admin"}"#, 1.0),
        (r#"retrohook_listener_restarts_total{listener="hub"}"#, 0.0),
        (r#"retrohook_listener_served{listener="admin"}"#, 1.0),
        ("retrohook_degraded", 1.0),
    ] {
        assert_eq!(scene.admin().metric(series), Some(value), "{series}");
    }
    assert_eq!(scene.take_gateway().terminate().code(), Some(0));
}

#[test]
fn a_panic_while_checkpointing_costs_one_checkpoint() {
    let rule = Profiles { rule: "capture: { request_body: true }", ..Profiles::default() };
    let mut scene = Scene::prepare(RETROHOOK, &rule.yaml());
    scene.setup.env.push(("FAILPOINTS".into(), "checkpoint-turn=1*panic->1*return".into()));
    scene.start_gateway();
    let body = vec![b'x'; 60 << 10];
    wait::until("a second checkpoint", || {
        let answer = client::send(scene.gateway().proxy(), "PUT", "/mockbin/profile", &[], &body);
        assert_eq!(answer.expect("an answer").status, 200);
        scene.gateway().output().contains("checkpoint-turn").then_some(())
    });
    scene.gateway().wait_until_it_says("checkpoints the write-ahead log panicked, and goes on");
    assert_eq!(scene.take_gateway().terminate().code(), Some(0));
}
