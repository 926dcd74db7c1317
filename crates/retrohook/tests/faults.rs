//! Disks that are full, syncs that fail, receivers that are away: what is promised holds all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::client::{self, Answer};
use testkit::receiver::Mood;
use testkit::scene::{Profiles, Scene};
use testkit::small_disk::{self, Filler};
use testkit::{python, tools, wait};

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// The usual service once for each durability, under `/mockbin` (`intent`), `/strict`, `/outcome` and `/memory`.
fn all_durabilities() -> String {
    let service = |name: &str, durability: &str| {
        format!(
            r#"- {{
    name: {name},
    url: "http://{{upstream}}",
    routes: [{{ name: {name}, paths: [/{name}], strip_path: true }}],
    plugins: [{{
      name: publish-sns,
      config: {{ topic_arn: changes, routes: [{{ method: PUT, matcher: "^/profile$" }}], durability: {durability} }}
    }}]
  }}
"#
        )
    };
    let services =
        [("mockbin", "intent"), ("strict", "strict"), ("outcome", "outcome"), ("memory", "memory")]
            .map(|(name, durability)| service(name, durability));
    format!(
        r#"_format_version: "3.0"
services:
{}topics:
- name: changes
  subscriptions:
  - {{ protocol: http, endpoint: "{{receiver}}", raw_message_delivery: true, confirm: skip }}
"#,
        services.concat()
    )
}

/// A gateway whose data is on a disk of `size`, in a mount namespace of its own.
fn on_a_small_disk(size: &str, min_free: &str) -> (Scene, PathBuf) {
    let mut scene = Scene::prepare(RETROHOOK, &all_durabilities());
    scene.setup.flags.retain(|flag| !flag.starts_with("--min-free"));
    scene.setup.flags.push(format!("--min-free={min_free}"));
    let ballast = small_disk::start(&mut scene, size);
    (scene, ballast)
}

fn put(scene: &Scene, target: &str) -> Answer {
    scene.send("PUT", target).expect("an answer")
}

/// A matching request is refused, and the upstream hears nothing of it.
#[track_caller]
fn refused(scene: &Scene, target: &str) {
    let answer = put(scene, target);
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(
        answer.header("retry-after").and_then(|wait| wait.parse::<u32>().ok()).is_some_and(|wait| wait > 0)
    );
    assert!(answer.json()["message"].as_str().is_some_and(|message| message.contains("cannot be stored")));
    let executed = scene.upstream.executed();
    let path = target.split_once("/profile").expect("a target").1;
    assert!(
        !executed.iter().any(|request| request.target.ends_with(path)),
        "the upstream was asked for {target}"
    );
}

/// What matches no rule is not touched by any trouble of the store.
#[track_caller]
fn others_pass(scene: &Scene) {
    for (method, target) in
        [("GET", "/mockbin/profile"), ("PUT", "/mockbin/other"), ("POST", "/strict/profile")]
    {
        assert_eq!(scene.send(method, target).expect("an answer").status, 200, "{method} {target}");
    }
}

/// How often the upstream executed each matching target.
fn executed(scene: &Scene) -> BTreeMap<String, usize> {
    let mut executed = BTreeMap::new();
    for request in scene.upstream.executed() {
        if request.method == "PUT" && request.target.starts_with("/profile") {
            *executed.entry(request.target).or_default() += 1;
        }
    }
    executed
}

#[test]
fn a_full_disk_refuses_what_matches_and_loses_nothing() {
    let (scene, ballast) = on_a_small_disk("4m", "0");
    for number in 0..5 {
        assert_eq!(put(&scene, &format!("/mockbin/profile?before={number}")).status, 200);
    }
    let waiting = |service: &str| {
        let mut client = scene.client();
        let target = format!("/{service}/profile?script=wait&{service}");
        client.write(&client::request("PUT", &target, &[], b"{}")).expect("the proxy reads");
        client
    };
    let (mut open, mut held) = (waiting("mockbin"), ["strict", "outcome"].map(waiting));
    wait::until("the upstream to be asked", || (executed(&scene).len() == 8).then_some(()));

    let filler = Filler::start(ballast);
    // One refusal moves the log into the database, which makes a little room that the filler takes.
    let (mut number, mut in_a_row) = (0, 0);
    while in_a_row < 20 {
        number += 1;
        assert!(number < 2_000, "the disk does not become full");
        in_a_row = if put(&scene, &format!("/mockbin/profile?filling={number}")).status == 503 {
            in_a_row + 1
        } else {
            0
        };
        wait::pause(Duration::from_millis(5));
    }
    refused(&scene, "/mockbin/profile?full=1");
    refused(&scene, "/strict/profile?full=2");
    refused(&scene, "/outcome/profile?full=3");
    others_pass(&scene);
    assert_eq!(
        put(&scene, "/memory/profile?memory").status,
        200,
        "a rule that promises nothing refuses nothing"
    );
    let (code, status) = scene.admin().status();
    assert_eq!((code, status["retrohook"]["store"].as_str()), (200, Some("full")), "{status}");

    scene.upstream.release();
    assert_eq!(open.answer().expect("an answer that is not held").status, 200);
    for held in &mut held {
        let cut = held.answer();
        assert!(cut.is_err(), "a held answer whose outcome was not kept is never whole: {cut:?}");
    }

    filler.stop();
    wait::until("matching requests to be taken again", || {
        (put(&scene, "/mockbin/profile?after").status == 200).then_some(())
    });
    assert_eq!(scene.admin().status().1["retrohook"]["store"], "ready");
    let executed = executed(&scene);
    let mut told = BTreeMap::new();
    for one in scene.told(executed.values().sum()) {
        assert_eq!(one.outcome(), "succeeded", "{:#}", one.event);
        *told
            .entry(one.event["request"]["upstream_uri"].as_str().expect("a target").to_owned())
            .or_default() += 1;
    }
    assert_eq!(told, executed, "every execution has its event");
}

/// How many events were dropped for this reason.
#[track_caller]
fn dropped(scene: &Scene, reason: &str) -> f64 {
    let series = format!("retrohook_dropped_events_total{{reason=\"{reason}\"}}");
    scene.admin().metric(&series).expect("a count")
}

#[test]
fn the_reserve_is_kept_for_what_is_owed() {
    let (scene, ballast) = on_a_small_disk("8m", "4MiB");
    assert_eq!(put(&scene, "/mockbin/profile?before").status, 200);
    let mut open = scene.put_and_wait_for_upstream("?script=wait");
    std::fs::write(&ballast, vec![b'x'; 5 << 20]).expect("there is room for it");
    // The disk is measured every tenth of a second.
    wait::until("matching requests to be refused", || {
        (put(&scene, "/mockbin/profile?filling").status == 503).then_some(())
    });
    refused(&scene, "/mockbin/profile?full=1");
    refused(&scene, "/strict/profile?full=2");
    refused(&scene, "/outcome/profile?full=3");
    others_pass(&scene);
    assert_eq!(put(&scene, "/memory/profile?memory").status, 200, "it is let through, without an event");
    wait::until("its event to be dropped", || (dropped(&scene, "no_room") == 1.0).then_some(()));
    scene.gateway().wait_until_it_says("an event was dropped");
    assert_eq!(["queue_full", "latched", "stopped"].map(|reason| dropped(&scene, reason)), [0.0; 3]);
    scene.upstream.release();
    assert_eq!(open.answer().expect("an answer").status, 200);
    wait::until("the outcome to be kept although space is short", || {
        delivered(&scene).contains("?script=wait").then_some(())
    });
    std::fs::remove_file(&ballast).expect("it is there");
    wait::until("matching requests to be taken again", || {
        (put(&scene, "/mockbin/profile?after").status == 200).then_some(())
    });
    every_execution_is_delivered(&scene, &["?memory"]);
}

/// The queries of the profiles that the receiver was told of. The log may have forgotten them: where space is short, history makes room.
fn delivered(scene: &Scene) -> BTreeSet<String> {
    let query = |message: &testkit::server::Request| {
        let uri = message.json()["request"]["uri"].as_str().expect("a target").to_owned();
        uri.split_once("/profile").expect("a profile").1.to_owned()
    };
    scene.receiver.messages().iter().map(query).collect()
}

/// Each once, but for some that nobody was promised.
fn every_execution_is_delivered(scene: &Scene, but: &[&str]) {
    let executed = executed(scene);
    let queries = executed.keys().map(|target| target.trim_start_matches("/profile"));
    let promised: BTreeSet<String> =
        queries.filter(|query| !but.contains(query)).map(str::to_owned).collect();
    wait::until("every event to be delivered", || (delivered(scene) == promised).then_some(()));
    let sent: usize = executed
        .iter()
        .filter(|(target, _)| !but.iter().any(|but| target.ends_with(but)))
        .map(|(_, times)| times)
        .sum();
    assert_eq!(scene.receiver.messages().len(), sent);
}

#[test]
fn a_rule_without_intents_is_refused_while_space_is_short_and_no_longer() {
    let (scene, ballast) = on_a_small_disk("8m", "4MiB");
    assert_eq!(put(&scene, "/outcome/profile?before").status, 200);
    let mut held = scene.client();
    held.write(&client::request("PUT", "/outcome/profile?script=wait", &[], b"{}")).expect("the proxy reads");
    wait::until("the upstream to be asked", || (executed(&scene).len() == 2).then_some(()));
    std::fs::write(&ballast, vec![b'x'; 5 << 20]).expect("there is room for it");
    // No intent asks for room: the store looks by itself.
    let state = |wanted: &str| (scene.admin().status().1["retrohook"]["store"] == wanted).then_some(());
    wait::until("the store to be full", || state("full"));
    refused(&scene, "/outcome/profile?full");
    scene.upstream.release();
    assert_eq!(held.answer().expect("a whole answer: the reserve is for what is owed").status, 200);
    std::fs::remove_file(&ballast).expect("it is there");
    wait::until("the store to be ready", || state("ready"));
    assert_eq!(put(&scene, "/outcome/profile?after").status, 200);
    every_execution_is_delivered(&scene, &[]);
}

/// Keeps a disk so full that a few pages are free, however many others take.
struct Ballast {
    file: std::fs::File,
    dir: PathBuf,
}

impl Ballast {
    const PAGE: u64 = 4_096;

    fn new(path: &Path) -> Self {
        let file = std::fs::File::create(path).expect("a file on the gateway's disk");
        Self { file, dir: path.parent().expect("a directory").to_owned() }
    }

    fn leave(&mut self, pages: u64) {
        let disk = rustix::fs::statvfs(&self.dir).expect("the disk");
        let length = self.file.metadata().expect("its length").len();
        if disk.f_bavail >= pages {
            let page = [b'x'; Self::PAGE as usize];
            // The gateway may have taken some meanwhile.
            let _ = (pages..disk.f_bavail).try_for_each(|_| self.file.write_all(&page));
        } else {
            let length = length - (pages - disk.f_bavail) * Self::PAGE;
            self.file.set_len(length).expect("it can be cut");
            self.file.seek(SeekFrom::End(0)).expect("it can be written on");
        }
    }
}

/// Somebody reads a database on another mount: its log can only grow.
struct Reading(Child);

impl Reading {
    fn begin(index: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/hold_read_mark.py");
        let mut command = python::command(&script);
        let mut child =
            command.arg(index).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut said = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut said).expect("a line");
        assert_eq!(said, "held\n");
        Self(child)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The index of SQLite's log takes eight pages at once, and only when the log's own pages are written and synced.
#[test]
fn a_disk_without_room_for_the_index_of_the_log_is_full_and_no_more() {
    /// Of the log, with its header; and how many of them one piece of the index has.
    const FRAME: u64 = 4_096 + 24;
    const INDEXED: u64 = 4_062;
    let (scene, ballast) = on_a_small_disk("64m", "0");
    let dir = ballast.parent().expect("a directory").to_owned();
    let reader = Reading::begin(&dir.join("retrohook.db-shm"));
    let frames = || std::fs::metadata(dir.join("retrohook.db-wal")).map_or(0, |log| log.len() / FRAME);
    let mut client = scene.client();
    let mut put = |target: String| client.send("PUT", &target, &[], b"{}").expect("an answer").status;
    let mut taken = 0;
    let long = "x".repeat(30_000);
    // Far from its end: what is under way when the disk becomes small writes some more.
    while frames() < INDEXED - 1_000 {
        assert_eq!(put(format!("/mockbin/profile?{taken}&{long}")), 200);
        taken += 1;
    }
    let mut ballast = Ballast::new(&ballast);
    loop {
        assert!(frames() < INDEXED + 200, "the index has grown: {}", scene.gateway().output());
        ballast.leave(7);
        match put(format!("/mockbin/profile?{taken}")) {
            200 => taken += 1,
            refused => {
                assert_eq!(refused, 503);
                let (code, status) = scene.admin().status();
                assert_eq!(code, 200, "latched: {}", scene.gateway().output());
                // Else there were not even pages for the log: there are some more now.
                if status["retrohook"]["space"]["cause"].to_string().contains("commit: disk I/O error") {
                    break;
                }
            }
        }
    }
    ballast.leave(0);
    drop(reader);
    ballast.file.set_len(0).expect("it can be cut");
    wait::until("matching requests to be taken again", || {
        (put("/mockbin/profile?after".into()) == 200).then_some(())
    });
    assert_eq!(executed(&scene).values().sum::<usize>(), taken + 1);
    let kept =
        || scene.admin().metric("retrohook_events_total{outcome=\"succeeded\"}") == Some((taken + 1) as f64);
    wait::until("every execution to have its event", || kept().then_some(()));
}

/// A running node makes no files: inodes that others use up do not concern it. A start does, and says what it could not make.
#[test]
fn a_disk_without_inodes_is_none_of_a_running_nodes_concerns() {
    let (mut scene, ballast) = on_a_small_disk("64m,nr_inodes=40", "0");
    let dir = ballast.parent().expect("a directory").to_owned();
    let taken =
        (0..100).take_while(|number| std::fs::create_dir(dir.join(format!("taken-{number}"))).is_ok());
    assert!((1..40).contains(&taken.count()));
    for number in 0..20 {
        assert_eq!(put(&scene, &format!("/strict/profile?{number}")).status, 200);
    }
    scene.told(20);
    // On a disk of its own, without room for what a store has.
    scene.setup.wrapper[4] = scene.setup.wrapper[4].replace("nr_inodes=40", "nr_inodes=2");
    let mut refused = scene.setup.start_without_waiting();
    assert!(!refused.wait().success());
    let said = refused.output();
    assert!(said.contains("data directory") && said.contains("No space left on device"), "{said}");
}

/// A gateway whose system calls can be made to fail while it runs.
struct Faulty {
    scene: Scene,
    pipes: String,
}

impl Faulty {
    fn start() -> Self {
        let mut scene = Scene::prepare(RETROHOOK, &all_durabilities());
        let pipes = scene.setup.data.path().join("fiu").to_string_lossy().into_owned();
        let run = tools::find("FIU_RUN", "fiu-run").to_string_lossy().into_owned();
        scene.setup.wrapper = vec![run, "-x".into(), "-f".into(), pipes.clone()];
        scene.start_gateway();
        Self { scene, pipes }
    }

    fn control(&self, command: &str) {
        let mut control = Command::new(tools::find("FIU_CTRL", "fiu-ctrl"));
        control.args(["-f", &self.pipes, "-c", command]).arg(self.scene.gateway().pid().to_string());
        let done = control.output().expect("fiu-ctrl starts");
        assert!(done.status.success() && done.stderr.is_empty() && done.stdout.is_empty(), "{done:?}");
    }
}

#[test]
fn a_failed_sync_latches_until_the_restart() {
    let faulty = Faulty::start();
    for number in 0..5 {
        assert_eq!(put(&faulty.scene, &format!("/strict/profile?before={number}")).status, 200);
    }
    let mut open = faulty.scene.put_and_wait_for_upstream("?script=wait&mockbin");
    faulty.control("enable name=posix/io/sync/*");
    refused(&faulty.scene, "/mockbin/profile?failing=1");
    faulty.control("disable name=posix/io/sync/*");

    // The next sync would say that all is well: the kernel has forgotten.
    let scene = &faulty.scene;
    for number in 2..5 {
        refused(scene, &format!("/mockbin/profile?failing={number}"));
        refused(scene, &format!("/strict/profile?failing={number}"));
        refused(scene, &format!("/outcome/profile?failing={number}"));
    }
    others_pass(scene);
    // What needs no intent is let through, and its event is gone: that is counted and said.
    for number in 0..3 {
        assert_eq!(put(scene, &format!("/memory/profile?gone={number}")).status, 200);
    }
    wait::until("the dropped events to be counted", || (dropped(scene, "latched") == 3.0).then_some(()));
    scene.gateway().wait_until_it_says("an event was dropped");
    let (code, status) = scene.admin().status();
    assert_eq!((code, status["retrohook"]["store"].as_str()), (503, Some("latched")), "{status}");
    assert_eq!(status["database"]["reachable"], false);
    let degraded = status["retrohook"]["degraded"].as_array().expect("a list");
    let store = degraded.iter().find(|one| one["part"] == "store").expect("the store is among them");
    assert!(store["cause"].as_str().is_some_and(|cause| cause.contains("restart this process")), "{store}");
    assert_eq!(scene.admin().metric("retrohook_latched"), Some(1.0));
    assert!(scene.admin().metric("retrohook_failed_commits_total") >= Some(1.0));
    scene.upstream.release();
    assert_eq!(open.answer().expect("an answer that is not held").status, 200);

    let mut scene = faulty.scene;
    scene.take_gateway().terminate();
    scene.setup.wrapper.clear();
    scene.start_gateway();
    // Whatever was acknowledged is there; what nobody could write down is unknown. A refused request's intent may stand in the log.
    let found = scene.admin().wait_for_events(6);
    let of = |query: &str| {
        found
            .iter()
            .filter(|event| event["request"]["uri"].as_str().is_some_and(|uri| uri.contains(query)))
            .collect::<Vec<_>>()
    };
    for number in 0..5 {
        let events = of(&format!("before={number}"));
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["outcome"], "succeeded");
    }
    let open = of("script=wait");
    assert_eq!((open.len(), &open[0]["reason"]), (1, &serde_json::json!("gateway_restarted")));
    let refused = of("failing=");
    assert!(refused.len() <= 1 && refused.iter().all(|event| event["outcome"] == "unknown"), "{refused:#?}");
    assert_eq!(found.len(), 6 + refused.len());
    assert_eq!(put(&scene, "/strict/profile?after").status, 200);
}

/// Over a quota a write fails as on a full disk, by another name.
#[test]
fn a_quota_that_is_used_up_is_a_full_disk() {
    let faulty = Faulty::start();
    let scene = &faulty.scene;
    assert_eq!(put(scene, "/strict/profile?before").status, 200);
    let mut open = scene.put_and_wait_for_upstream("?script=wait&mockbin");
    faulty.control(&format!(
        "enable name=posix/io/rw/pwrite,failinfo={}",
        rustix::io::Errno::DQUOT.raw_os_error()
    ));
    for durability in ["mockbin", "strict", "outcome"] {
        refused(scene, &format!("/{durability}/profile?refused"));
    }
    others_pass(scene);
    scene.upstream.release();
    assert_eq!(open.answer().expect("an answer that is not held").status, 200);
    let (code, status) = scene.admin().status();
    assert_eq!((code, status["retrohook"]["store"].as_str()), (200, Some("full")), "{status}");
    assert_eq!(scene.admin().metric("retrohook_latched"), Some(0.0));

    faulty.control("disable name=posix/io/rw/pwrite");
    wait::until("matching requests to be taken again", || {
        (put(scene, "/strict/profile?after").status == 200).then_some(())
    });
    let told = scene.told(3);
    assert!(told.iter().all(|told| told.outcome() == "succeeded"), "{told:#?}");
}

/// SQLite calls a read that fails damage. It is none, and passes.
#[test]
fn a_disk_that_fails_reads_for_a_while_costs_nothing() {
    let mut faulty = Faulty::start();
    let eio = rustix::io::Errno::IO.raw_os_error();
    faulty.scene.receiver.go_away();
    for number in 0..5 {
        assert_eq!(put(&faulty.scene, &format!("/mockbin/profile?away={number}")).status, 200);
    }
    let scene = &faulty.scene;
    wait::until("all of them to wait for their next attempt", || {
        let waiting = "retrohook_subscription_waiting{topic=\"changes\",subscription=\"1\"}";
        (scene.admin().metric(waiting) == Some(5.0)).then_some(())
    });
    let listed = || scene.admin().get("/retrohook/events");
    for _ in 0..20 {
        faulty.control(&format!("enable name=posix/io/rw/pread,failinfo={eio},onetime"));
        let answer = listed();
        assert_eq!(answer.status, 200, "a read that failed is made again: {}", answer.text());
        assert_eq!(put(scene, "/memory/profile?more").status, 200);
    }
    faulty.control(&format!("enable name=posix/io/rw/pread,failinfo={eio}"));
    wait::until("reads to fail", || {
        let answer = listed();
        assert!(!answer.text().contains("damaged"), "{}", answer.text());
        (answer.status == 503).then_some(())
    });
    faulty.scene.receiver.come_back();
    let scene = &faulty.scene;
    wait::until("deliveries to meet it", || {
        let degraded = scene.admin().status().1["retrohook"]["degraded"].to_string();
        degraded.contains("waits for the store").then_some(())
    });
    faulty.control("disable name=posix/io/rw/pread");
    wait::until("every event to be delivered", || {
        let targets: BTreeSet<_> = scene
            .receiver
            .messages()
            .iter()
            .filter_map(|message| message.json()["request"]["uri"].as_str().map(str::to_owned))
            .filter(|uri| uri.contains("away="))
            .collect();
        (targets.len() == 5).then_some(())
    });
    wait::until("nothing to be degraded", || {
        (scene.admin().status().1["retrohook"]["degraded"] == serde_json::json!([])).then_some(())
    });
    scene.gateway().wait_until_it_says("I/O error");
    assert_eq!(put(scene, "/strict/profile?after").status, 200, "{}", scene.gateway().output());
}

#[test]
fn a_held_answer_is_cut_when_its_outcome_cannot_be_kept() {
    for target in ["/strict/profile?script=wait", "/strict/profile?script=wait&status=204"] {
        let faulty = Faulty::start();
        let scene = &faulty.scene;
        let mut client = scene.client();
        client.write(&client::request("PUT", target, &[], b"{}")).expect("the proxy reads");
        wait::until("the upstream to be asked", || (executed(scene).len() == 1).then_some(()));
        faulty.control("enable name=posix/io/sync/*");
        scene.upstream.release();
        let cut = client.answer();
        assert!(cut.is_err(), "{target}: {cut:?}");
    }
}

#[test]
fn an_outage_of_the_receiver_with_a_kill_in_it_loses_nothing() {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    scene.receiver.set(Mood::Answers(503));
    for number in 0..3 {
        assert_eq!(scene.put(&format!("?failing={number}")).expect("an answer").status, 200);
    }
    let events = scene.admin().wait_for_events(3);
    let attempts = |scene: &Scene, id: &str| {
        scene.admin().event(id)["deliveries"][0]["attempts"].as_array().cloned().unwrap_or_default()
    };
    let id_of = |event: &serde_json::Value| event["id"].as_str().expect("an id").to_owned();
    for id in events.iter().map(id_of) {
        wait::until("the failed attempt to be recorded", || {
            (!attempts(&scene, &id).is_empty()).then_some(())
        });
    }
    scene.receiver.go_away();
    for number in 0..20 {
        assert_eq!(scene.put(&format!("?away={number}")).expect("an answer").status, 200);
    }
    scene.admin().wait_for_events(23);
    let ready = scene.receiver.messages().len();
    scene.take_gateway().kill();
    scene.receiver.set(Mood::Answers(200));
    scene.receiver.come_back();
    scene.start_gateway();

    let owed: Vec<String> = scene.admin().events().iter().map(id_of).collect();
    assert_eq!(owed.len(), 23);
    wait::until("every event to arrive", || {
        let arrived = scene.receiver.messages().split_off(ready);
        let has = |id: &String| {
            arrived.iter().any(|message| message.header("x-retrohook-event-id") == Some(id.as_str()))
        };
        owed.iter().all(has).then_some(())
    });
    for id in &owed[..3] {
        let attempts = wait::until("the attempt that succeeded to be recorded", || {
            let attempts = attempts(&scene, id);
            attempts.iter().any(|attempt| attempt["status"] == 200).then_some(attempts)
        });
        let statuses: Vec<_> = attempts.iter().map(|attempt| attempt["status"].as_u64()).collect();
        assert_eq!(
            (statuses.first(), statuses.last()),
            (Some(&Some(503)), Some(&Some(200))),
            "{attempts:#?}"
        );
        let numbers: Vec<_> = attempts.iter().map(|attempt| attempt["number"].as_u64()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(attempts[0]["next_at"].is_string(), "{attempts:#?}");
    }
    wait::until("all to be noted as delivered", || {
        owed.iter().all(|id| scene.admin().event(id)["deliveries"][0]["state"] == "delivered").then_some(())
    });
}

#[test]
fn reads_that_fail_are_tried_again_and_end_no_subscription() {
    let faulty = Faulty::start();
    let scene = &faulty.scene;
    let admin = scene.admin();
    scene.receiver.set(Mood::Answers(500));
    for number in 0..3 {
        assert_eq!(put(scene, &format!("/strict/profile?{number}")).status, 200);
    }
    wait::until("the failures on record", || {
        (admin.get("/retrohook/subscriptions/1").json()["retrying"] == 3).then_some(())
    });
    // SQLite reports this error of a disk as damage.
    faulty
        .control(&format!("enable name=posix/io/rw/pread,failinfo={}", rustix::io::Errno::IO.raw_os_error()));
    scene.receiver.set(Mood::Answers(200));
    let failed = scene.receiver.messages().len();
    let cause = wait::until("the subscription to be degraded", || {
        let (code, status) = admin.status();
        assert_eq!(code, 200, "{status}");
        let all = status["retrohook"]["degraded"].as_array().expect("a list").clone();
        let found = all
            .into_iter()
            .find(|one| one["part"].as_str().is_some_and(|one| one.starts_with("subscription 1 (")))?;
        found["cause"].as_str().map(str::to_owned)
    });
    assert!(cause.contains("waits for the store and asks again"), "{cause}");
    assert_eq!(admin.metric(r#"retrohook_worker_degraded{subscription="1"}"#), Some(1.0));
    assert_eq!(admin.get("/status/ready").status, 200);
    others_pass(scene);
    faulty.control("disable name=posix/io/rw/pread");
    scene.receiver.wait_for(failed + 3);
    wait::until("all to be well", || {
        let (code, status) = admin.status();
        (code == 200 && status["retrohook"]["degraded"] == serde_json::json!([])).then_some(())
    });
    assert_eq!(admin.metric(r#"retrohook_set_aside_events_total{subscription="1"}"#), Some(0.0));
    assert_eq!(put(scene, "/strict/profile?after").status, 200);
    scene.receiver.wait_for(failed + 4);
}
