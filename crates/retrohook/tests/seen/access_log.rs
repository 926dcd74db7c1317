//! The access log: a line for each request, valid whatever is asked, in a file that can be moved, and never in a request's way.

use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use testkit::client;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

use super::RETROHOOK;

/// The arrangement, with an access log in this file beside its configuration.
fn scene(form: &str) -> (Scene, std::path::PathBuf) {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let file = scene.setup.data.path().join("access.log");
    let flags = [format!("--access-log={form}"), format!("--access-log-file={}", file.display())];
    scene.setup.flags.extend(flags);
    // The lines of several cores are not in order.
    scene.setup.flags.retain(|flag| !flag.starts_with("--workers"));
    scene.setup.flags.push("--workers=1".into());
    scene.start_gateway();
    (scene, file)
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// The lines of a file, once there are so many.
#[track_caller]
fn lines(file: &Path, count: usize) -> Vec<Value> {
    wait::until("the lines", || (text(file).lines().count() >= count).then_some(()));
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    text(file).lines().map(parse).collect()
}

#[test]
fn a_line_says_what_became_of_a_request() {
    let (scene, file) = scene("json");
    let answer = scene.send("PUT", "/mockbin/profile?apikey=secret").expect("an answer");
    let event = scene.told(1).remove(0);
    scene.send("GET", "/mockbin/x?status=404&apikey=secret").expect("an answer");
    scene.send("PUT", "/mockbin/profile?script=reset").expect("an answer");
    scene.send("GET", "/elsewhere").expect("an answer");
    scene.send("GET", "/mockbin/x?script=half").expect_err("half an answer");
    let lines = lines(&file, 5);
    assert!(!text(&file).contains("secret"), "no query is written: {}", text(&file));

    let put = &lines[0];
    let upstream = scene.upstream.address().to_string();
    for (name, value) in [
        ("client", "127.0.0.1"),
        ("method", "PUT"),
        ("path", "/mockbin/profile"),
        ("route", "mockbin"),
        ("service", "mockbin"),
        ("upstream", upstream.as_str()),
        ("outcome", "succeeded"),
        ("by", "upstream"),
        ("end", "whole"),
    ] {
        assert_eq!(put[name], value, "{name} of {put}");
    }
    assert_eq!((&put["status"], &put["upstream_status"]), (&200.into(), &200.into()));
    assert!(put["event"].is_string() && put["event"] == put["id"], "{put}");
    assert_eq!(event.outcome(), "succeeded");
    assert!(put["bytes_out"].as_u64() > Some(answer.body.len() as u64), "{put}");
    let millis = |name: &str| put[name].as_f64().expect("a number");
    assert!(millis("total_ms") >= millis("gateway_ms") + millis("upstream_ms"), "{put}");

    let brief = |line: &Value| {
        let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        (line["status"].as_u64().unwrap_or_default(), text("outcome"), text("by"), text("end"))
    };
    let told = |status, outcome: &str, by: &str, end: &str| (status, outcome.into(), by.into(), end.into());
    assert_eq!(brief(&lines[1]), told(404, "-", "upstream", "whole"));
    assert_eq!(brief(&lines[2]), told(502, "unknown", "gateway", "whole"));
    assert_eq!(brief(&lines[3]), told(404, "-", "gateway", "whole"));
    assert_eq!(brief(&lines[4]), told(200, "-", "upstream", "cut"));
    assert_eq!(lines[3].get("route"), None, "{}", lines[3]);
}

#[test]
fn whatever_the_path_is_a_line_is_one_object() {
    let (scene, file) = scene("json");
    let paths = ["/%22%0A", "/a'b~", &format!("/{}", "x".repeat(5_000))];
    for path in paths {
        // Some are refused; each has a line.
        client::send(scene.gateway().proxy(), "GET", path, &[], b"").expect("an answer");
    }
    let lines = lines(&file, paths.len());
    assert_eq!(lines.len(), paths.len(), "{lines:?}");
    assert_eq!(lines[2]["path"].as_str().map(str::len), Some(2_048));
}

#[test]
fn sigusr1_opens_the_file_anew_and_the_drain_writes_what_is_left() {
    let (mut scene, file) = scene("text");
    scene.send("GET", "/mockbin/one").expect("an answer");
    wait::until("the first line", || {
        text(&file).contains(" GET /mockbin/one 200 route=mockbin ").then_some(())
    });
    let moved = file.with_extension("1");
    std::fs::rename(&file, &moved).expect("it can be moved");
    scene.gateway().signal(Signal::USR1);
    wait::until("the new file", || file.exists().then_some(()));
    scene.send("GET", "/mockbin/two").expect("an answer");
    assert!(scene.take_gateway().terminate().success());
    assert!(text(&file).contains("/mockbin/two") && !text(&file).contains("/mockbin/one"), "{}", text(&file));
    assert!(!text(&moved).contains("/mockbin/two"));
}

#[test]
fn without_a_file_lines_are_on_standard_output_and_without_a_format_nowhere() {
    for (flags, expected) in [(&["--access-log=text"][..], true), (&[][..], false)] {
        let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
        scene.setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        scene.start_gateway();
        scene.send("GET", "/mockbin/seen").expect("an answer");
        let mut gateway = scene.take_gateway();
        gateway.signal(Signal::TERM);
        assert!(gateway.wait().success());
        assert_eq!(gateway.output().contains(" GET /mockbin/seen 200 "), expected, "{}", gateway.output());
    }
}

#[test]
fn a_log_that_cannot_be_written_costs_lines_and_no_request() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    // Each write fails, as on a full disk.
    scene.setup.flags.extend(["--access-log=json", "--access-log-file=/dev/full"].map(str::to_owned));
    scene.start_gateway();
    for _ in 0..10 {
        assert_eq!(scene.send("GET", "/mockbin/x").expect("an answer").status, 200);
    }
    wait::until("all lines to be counted as lost", || {
        let lost = scene.admin().metric("retrohook_access_log_lost_lines_total");
        (lost == Some(10.0)).then_some(())
    });
    scene.gateway().wait_until_it_says("lines of the access log were lost");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    for (flags, said) in [
        (&["--access-log-file=x.log"][..], "--access-log=json"),
        (&["--access-log=text", "--log-format=json"], "--access-log=json"),
        (&["--access-log=json", "--access-log-file=/no/such/folder/x.log"], "/no/such/folder/x.log"),
    ] {
        let place = tempfile::tempdir().expect("a folder");
        let off = ["admin", "proxy", "hub", "legacy-admin"].map(|name| format!("--{name}-listen=off"));
        let data = format!("--data-dir={}", place.path().join("data").display());
        let run = Command::new(RETROHOOK).arg("run").args(off).arg(data).args(flags).output();
        let done = run.expect("it starts");
        let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(!done.status.success() && text.contains(said), "{flags:?}: {text}");
    }
}
