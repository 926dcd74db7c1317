//! A disk that hangs and never says so: every wait for it ends, nothing is promised that it did not keep, and what it keeps late makes
//! no event of a request that was never sent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::client::{self, Client};
use testkit::receiver::Mood;
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// What the rules say; the tests wait for it to pass.
const STORE_TIMEOUT: Duration = Duration::from_millis(400);

/// A gateway whose disk can be made to hang.
struct Stalling {
    scene: Scene,
    /// While this file is there, no sync returns.
    gate: PathBuf,
    /// While this file is there, no read returns.
    gate_of_reads: PathBuf,
}

impl Stalling {
    fn start(durability: &str) -> Self {
        Self::with(durability, STORE_TIMEOUT)
    }

    fn with(durability: &str, store_timeout: Duration) -> Self {
        let mut stalling = Self::prepare(durability, store_timeout);
        stalling.scene.start_gateway();
        stalling
    }

    fn prepare(durability: &str, store_timeout: Duration) -> Self {
        let rule = format!("durability: {durability}, store_timeout: {}", store_timeout.as_millis());
        let mut scene = Scene::prepare(RETROHOOK, &Profiles { rule: &rule, ..Profiles::default() }.yaml());
        let place = scene.setup.data.path().to_owned();
        let gate = place.join("gate");
        let entry = |name: &str, path: &Path| (name.to_owned(), path.to_string_lossy().into_owned());
        scene.setup.env.push(entry("LD_PRELOAD", &library(&place)));
        scene.setup.env.push(entry("GATE", &gate));
        let gate_of_reads = place.join("gate-of-reads");
        scene.setup.env.push(entry("GATE_OF_READS", &gate_of_reads));
        Self { scene, gate, gate_of_reads }
    }

    fn hang(&self) {
        std::fs::write(&self.gate, "").expect("a temporary file");
    }

    fn hang_reads(&self) {
        std::fs::write(&self.gate_of_reads, "").expect("a temporary file");
    }

    fn read_on(&self) {
        std::fs::remove_file(&self.gate_of_reads).expect("reads hang");
    }

    fn go_on(&self) {
        std::fs::remove_file(&self.gate).expect("it hangs");
    }

    /// Sends a request that matches and does not wait for its answer.
    fn begin(&self, query: &str) -> Client {
        let mut client = self.scene.client();
        let target = format!("/mockbin/profile{query}");
        client.write(&client::request("PUT", &target, &[], b"{}")).expect("the proxy reads");
        client
    }

    fn was_asked(&self, query: &str) -> bool {
        self.scene.upstream.executed().iter().any(|request| request.target.ends_with(query))
    }
}

/// Syncs and reads that wait while a file is there, and then are what they were.
fn library(place: &Path) -> PathBuf {
    let (source, library) = (place.join("stall.c"), place.join("stall.so"));
    let text = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static void wait_at(const char *variable) {
    const char *gate = getenv(variable);
    while (gate && access(gate, F_OK) == 0) usleep(1000);
}
static int after_the_gate(const char *name, int fd) {
    int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    wait_at("GATE");
    return sync(fd);
}
int fsync(int fd) { return after_the_gate("fsync", fd); }
int fdatasync(int fd) { return after_the_gate("fdatasync", fd); }
static ssize_t read_after_the_gate(const char *name, int fd, void *into, size_t count, off_t at) {
    ssize_t (*read)(int, void *, size_t, off_t) = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, name);
    wait_at("GATE_OF_READS");
    return read(fd, into, count, at);
}
ssize_t pread(int fd, void *into, size_t count, off_t at) { return read_after_the_gate("pread", fd, into, count, at); }
ssize_t pread64(int fd, void *into, size_t count, off_t at) { return read_after_the_gate("pread64", fd, into, count, at); }
"#;
    std::fs::write(&source, text).expect("a temporary file");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").output();
    let compiled = compiled.expect("a C compiler: the build needed one, too");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    library
}

#[test]
fn an_intent_that_does_not_become_durable_is_given_up() {
    for durability in ["intent", "strict"] {
        let stalling = Stalling::start(durability);
        let scene = &stalling.scene;
        assert_eq!(scene.put("?before").expect("an answer").status, 200);

        stalling.hang();
        let began = Instant::now();
        let mut waiting = stalling.begin("?stalled");
        let left = stalling.begin("?left");
        // A client that resets its connection before its request was read was never there.
        wait::until("both to be matched", || {
            (scene.admin().metric("retrohook_matched_requests_total") == Some(3.0)).then_some(())
        });
        left.rst().expect("it is open");
        let answer = waiting.answer().expect("an answer");
        assert!(began.elapsed() >= STORE_TIMEOUT, "{durability}: it was given up too early");
        assert_eq!(answer.status, 503, "{durability}");
        assert!(answer.header("retry-after").is_some());
        assert_eq!(scene.send("GET", "/mockbin/profile").expect("what matches nothing passes").status, 200);
        wait::until("both to be refused", || {
            (scene.admin().metric("retrohook_refused_requests_total") == Some(2.0)).then_some(())
        });

        // Both intents become durable yet, and with them that they were given up.
        stalling.go_on();
        assert_eq!(scene.put("?after").expect("an answer").status, 200);
        let told = scene.told(2);
        assert!(told.iter().all(|told| told.outcome() == "succeeded"), "{durability}");
        assert!(!stalling.was_asked("?stalled") && !stalling.was_asked("?left"), "{durability}");
    }
}

#[test]
fn behind_a_disk_that_has_hung_for_long_nobody_waits() {
    std::thread::scope(|scope| {
        for durability in ["intent", "strict", "outcome"] {
            scope.spawn(move || nobody_waits(durability));
        }
    });
}

fn nobody_waits(durability: &str) {
    let stalling = Stalling::with(durability, Duration::from_secs(60));
    let scene = &stalling.scene;
    assert_eq!(scene.put("?before").expect("an answer").status, 200);
    let mut before = scene.put_and_wait_for_upstream("?script=wait");
    stalling.hang();
    scene.upstream.release();
    if durability == "intent" {
        assert_eq!(before.answer().expect("it is not held").status, 200);
    }
    let state = |wanted: &str| (scene.admin().status().1["retrohook"]["store"] == wanted).then_some(());
    wait::until("the store to be stalled", || state("stalled"));
    assert!(scene.admin().metric("retrohook_stalled_seconds") >= Some(5.0));
    let refused = scene.put("?stalled").expect("an answer, and no wait for the disk");
    assert_eq!(refused.status, 503, "{durability}");
    assert!(refused.header("retry-after").is_some());
    assert!(!stalling.was_asked("?stalled"), "{durability}");
    assert_eq!(scene.send("GET", "/mockbin/profile").expect("what matches nothing passes").status, 200);

    stalling.go_on();
    if durability != "intent" {
        assert_eq!(before.answer().expect("it is released").status, 200);
    }
    wait::until("the store to be ready", || state("ready"));
    assert_eq!(scene.put("?after").expect("an answer").status, 200);
    scene.told(3);
}

#[test]
fn a_held_answer_is_cut_when_its_outcome_does_not_become_durable() {
    for durability in ["strict", "outcome"] {
        for query in ["?script=wait", "?script=wait&status=204"] {
            let stalling = Stalling::start(durability);
            let scene = &stalling.scene;
            let mut held = scene.put_and_wait_for_upstream(query);
            stalling.hang();
            scene.upstream.release();
            let began = Instant::now();
            let cut = held.answer();
            assert!(cut.is_err(), "{durability} {query}: {cut:?}");
            assert!(began.elapsed() < STORE_TIMEOUT * 20, "{durability} {query}: it waited for too long");

            stalling.go_on();
            let told = scene.told(1);
            assert_eq!(told[0].outcome(), "succeeded", "{durability}: it was owed all the same");
        }
    }
}

#[test]
fn a_client_that_leaves_while_its_answer_is_held_changes_nothing() {
    for durability in ["strict", "outcome"] {
        let stalling = Stalling::with(durability, Duration::from_secs(60));
        let scene = &stalling.scene;
        for (count, leave) in (1..).zip([Client::fin, Client::rst]) {
            let query = if count == 1 { "?script=wait" } else { "?script=slow" };
            let mut held = scene.put_and_wait_for_upstream(query);
            stalling.hang();
            scene.upstream.release();
            held.until("\r\n\r\n").expect("the head, of which a body is still missing");
            leave(held).expect("it is open");
            assert_eq!(scene.send("GET", "/mockbin/profile").expect("others pass").status, 200);
            assert_eq!(scene.admin().events().len(), count - 1, "{durability}: it was not held");

            stalling.go_on();
            let told = scene.told(count);
            assert_eq!(told[count - 1].outcome(), "succeeded", "{durability}: it was owed all the same");
        }
        assert_eq!(scene.put("?after").expect("an answer").status, 200, "{durability}");
        scene.told(3);
    }
}

#[test]
fn a_client_that_could_not_see_a_cut_has_nothing_before_the_outcome() {
    for durability in ["strict", "outcome"] {
        let stalling = Stalling::start(durability);
        let scene = &stalling.scene;
        let mut client = scene.client();
        let head =
            "PUT /mockbin/profile?script=wait&framing=chunked HTTP/1.0\r\nhost: test.example.com\r\n\r\n";
        client.write(head.as_bytes()).expect("the proxy reads");
        wait::until("the upstream to be asked", || stalling.was_asked("framing=chunked").then_some(()));
        stalling.hang();
        scene.upstream.release();
        let rest = client.rest().expect("the connection is closed");
        assert_eq!(String::from_utf8_lossy(&rest), "", "{durability}: it would take this for a whole answer");
        stalling.go_on();
        assert_eq!(scene.told(1)[0].outcome(), "succeeded");
    }
}

#[test]
fn a_disk_that_hangs_does_not_keep_a_node_from_stopping() {
    let mut stalling = Stalling::prepare("strict", STORE_TIMEOUT);
    stalling.scene.setup.flags.push("--drain-timeout=1s".into());
    stalling.scene.start_gateway();
    // Its delivery ends, and is to be noted, when nothing can be written any more.
    stalling.scene.receiver.set(Mood::Slow(500));
    assert_eq!(stalling.scene.put("?kept").expect("an answer").status, 200);
    let _held = stalling.scene.put_and_wait_for_upstream("?script=wait");
    stalling.scene.receiver.wait_for(1);
    stalling.hang();
    stalling.scene.upstream.release();

    let mut process = stalling.scene.take_gateway();
    process.signal(Signal::TERM);
    let status = process.wait();
    let output = process.output();
    assert_eq!(status.code(), Some(1), "{output}");
    for told in ["did not stop in order", "nothing that was acknowledged is lost"] {
        assert!(output.contains(told), "{output}");
    }

    stalling.go_on();
    stalling.scene.receiver.set(Mood::Answers(200));
    stalling.scene.start_gateway();
    let events = stalling.scene.admin().wait_for_events(2);
    let outcomes: Vec<_> = events.iter().map(|event| (&event["request"]["uri"], &event["outcome"])).collect();
    assert_eq!(outcomes[0], (&"/mockbin/profile?kept".into(), &"succeeded".into()), "it was acknowledged");
    assert_eq!(outcomes[1].0, "/mockbin/profile?script=wait", "its intent was acknowledged");
    // The one whose end could not be noted comes again.
    stalling.scene.receiver.wait_for(3);
}

/// The admin port while no read of the store comes back: `/status` answers within its patience, a crowd of questions is bounded.
#[test]
fn reads_that_hang_keep_nobody_from_the_status() {
    /// More than may run and wait together.
    const CROWD: usize = 80;
    let stalling = Stalling::with("intent", Duration::from_secs(60));
    let scene = &stalling.scene;
    for query in ["?1", "?2", "?3"] {
        assert_eq!(scene.put(query).expect("an answer").status, 200);
    }
    let admin = scene.admin();
    stalling.hang_reads();
    let list = client::request("GET", "/retrohook/events", &[("host", "localhost")], b"");
    let mut crowd: Vec<Client> = (0..CROWD)
        .map(|_| {
            let mut client = Client::connect(scene.gateway().address("admin")).expect("it accepts");
            client.write(&list).expect("it reads");
            client
        })
        .collect();

    let began = Instant::now();
    let (code, status) = admin.status();
    let degraded = status["retrohook"]["degraded"].as_array().expect("a list");
    let reads = degraded.iter().find(|part| part["part"] == "reads of the store").expect("reads that hang");
    assert!(reads["cause"].as_str().is_some_and(|cause| cause.contains("has not answered")), "{reads}");
    assert_eq!((code, &status["retrohook"]["store_bytes"]), (200, &serde_json::Value::Null));
    assert_eq!(admin.get("/status/ready").status, 200);
    assert!(began.elapsed() < Duration::from_secs(8), "it waited for the store, or behind the crowd");

    let (mut too_many, mut too_slow) = (0, 0);
    for client in &mut crowd {
        let answer = client.answer().expect("an answer, whatever the disk does");
        let text = answer.text();
        assert!(answer.status == 503 && answer.json()["hint"].is_string(), "{text}");
        too_many += usize::from(text.contains("waiting already"));
        too_slow += usize::from(text.contains("has not answered"));
    }
    assert_eq!((too_many + too_slow, too_slow), (CROWD, 66), "those that ran and those that waited");

    stalling.read_on();
    wait::until("reads to come back", || (admin.get("/retrohook/events").status == 200).then_some(()));
    assert_eq!(admin.wait_for_events(3).len(), 3);
    wait::until("all to be well", || {
        (admin.status().1["retrohook"]["degraded"] == serde_json::json!([])).then_some(())
    });
}
