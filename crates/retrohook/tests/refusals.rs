//! What a start refuses: a data directory in use or damaged, a port that is taken. The message names what to change, and nothing is
//! overwritten.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use testkit::process::{Setup, database};
use testkit::scene::{Profiles, Scene};
use testkit::wait;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

/// Starts what must not start: its status is 1; what it printed.
#[track_caller]
fn refused(setup: &Setup) -> String {
    let mut process = setup.start_without_waiting();
    let status = process.wait();
    let output = process.output();
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(!process.listeners().contains_key("ready"), "{output}");
    output
}

fn retrohook(words: &[&str]) -> Output {
    Command::new(RETROHOOK).args(words).output().expect("the binary starts")
}

/// `retrohook check --data DIR`: whether it found all well, and what it printed.
fn check(dir: &Path) -> (bool, String) {
    let done = retrohook(&["check", "--data", dir.to_str().expect("UTF-8")]);
    assert!(matches!(done.status.code(), Some(0 | 1)), "{done:?}");
    let text = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    (done.status.success(), text)
}

/// Every file of a directory that holds data.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files =
        std::fs::read_dir(dir).expect("the data directory").map(|entry| entry.expect("an entry").path());
    // A lock says nothing and may come and go; the index of the log is rebuilt from it.
    let data = files.filter(|file| {
        file.is_file() && !file.ends_with("lock") && !file.to_string_lossy().ends_with("-shm")
    });
    data.map(|file| (file.clone(), std::fs::read(file).expect("it can be read"))).collect()
}

/// Nothing was overwritten.
#[track_caller]
fn unchanged(dir: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let now = contents(dir);
    let (names, known): (Vec<_>, Vec<_>) = (now.keys().collect(), before.keys().collect());
    assert_eq!(names, known, "no file comes, none goes");
    assert!(before.iter().all(|(file, bytes)| now[file] == *bytes), "not a byte may change");
}

/// A gateway that has stored events and stopped in order.
fn stopped(events: usize) -> Scene {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    for _ in 0..events {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    scene.told(events);
    assert!(scene.take_gateway().terminate().success());
    scene
}

/// All that is made above the data directory is synced: else a power cut after the first start takes the directory with it.
#[test]
fn a_data_directory_is_made_with_all_that_is_missing_above_it() {
    let mut scene = Scene::prepare(RETROHOOK, &Profiles::default().yaml());
    let below = scene.setup.data.path().join("a/b/data");
    let trace = scene.setup.data.path().join("trace");
    let strace = testkit::tools::find("STRACE", "strace").to_string_lossy().into_owned();
    let words = ["-D", "-f", "-y", "-e", "trace=mkdir,mkdirat,fsync", "-o", trace.to_str().expect("UTF-8")];
    scene.setup.wrapper = std::iter::once(strace).chain(words.map(str::to_owned)).collect();
    scene.setup.flags.push(format!("--data-dir={}", below.display()));
    scene.start_gateway();
    let calls = std::fs::read_to_string(&trace).expect("a trace");
    let at = |call: &str| calls.find(call).unwrap_or_else(|| panic!("no {call} in:\n{calls}"));
    for made in ["a", "a/b", "a/b/data"] {
        let made = scene.setup.data.path().join(made);
        let above = made.parent().expect("there is one").display();
        let mkdir = at(&format!("\"{}\"", made.display()));
        let synced = calls[mkdir..].find(&format!("<{above}>)"));
        assert!(synced.is_some(), "{above} is not synced after {} was made:\n{calls}", made.display());
    }
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let output = refused(&scene.setup);
    assert!(output.contains("in use by another process") && output.contains("--data-dir"), "{output}");
    assert!(output.contains(scene.setup.data_dir().to_str().expect("UTF-8")), "{output}");
    // Whatever becomes of the files that say so.
    std::fs::remove_file(scene.setup.data_dir().join("lock")).expect("it is there");
    std::fs::remove_dir_all(scene.setup.data_dir().join("incarnations")).expect("they are there");
    let output = refused(&scene.setup);
    assert!(output.contains("in use by another process"), "{output}");
    assert_eq!(scene.put("").expect("the first lives on").status, 200);
    scene.told(1);
    let (well, output) = check(&scene.setup.data_dir());
    assert!(well, "a live directory can be looked at: {output}");
}

#[test]
fn a_taken_port_names_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let other = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let gateway = other.gateway();
    for listener in ["proxy", "admin", "hub"] {
        for address in [taken.local_addr().expect("an address"), gateway.address(listener)] {
            let mut setup = Setup::new(RETROHOOK, "_format_version: \"3.0\"");
            setup.flags.push(format!("--{listener}-listen={address}"));
            let output = refused(&setup);
            assert!(output.contains(&format!("--{listener}-listen")), "{output}");
            assert!(output.contains(&address.to_string()) && output.contains("in use"), "{output}");
            assert!(!setup.data_dir().exists(), "nothing was started, nothing was made");
        }
    }
    assert_eq!(other.put("").expect("the first lives on").status, 200);
}

/// Damages the database of a gateway that stopped in order. The start and the check refuse it in these words, and change nothing.
#[track_caller]
fn damaged(words: &[&str], damage: impl FnOnce(&Path)) {
    let scene = stopped(3);
    let dir = scene.setup.data_dir();
    damage(&database(&dir));
    let before = contents(&dir);
    let output = refused(&scene.setup);
    for word in words {
        assert!(output.contains(word), "{word} in: {output}");
    }
    assert!(output.contains("left as it is"), "{output}");
    unchanged(&dir, &before);
    let (well, found) = check(&dir);
    assert!(!well, "{found}");
    assert!(words.iter().all(|word| found.contains(word)), "{found}");
    if words.iter().any(|word| word.starts_with("damaged")) {
        assert!(found.contains(".recover") && found.contains("restore a backup"), "{found}");
    }
    unchanged(&dir, &before);
}

fn write_at(file: &Path, offset: u64, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(file).expect("the database");
    file.write_all_at(bytes, offset).expect("it can be written");
}

#[test]
fn garbage_over_the_header_is_refused() {
    damaged(&["damaged, or is not a SQLite database"], |file| write_at(file, 0, &[0xaa; 100]));
}

#[test]
fn a_file_of_something_else_is_refused() {
    damaged(&["damaged, or is not a SQLite database"], |file| {
        std::fs::write(file, "Dear diary, today I was taken for a database.\n".repeat(200))
            .expect("it can be written");
    });
}

#[test]
fn a_truncated_file_is_refused() {
    damaged(&["damaged, or is not a SQLite database"], |file| {
        let file = std::fs::OpenOptions::new().write(true).open(file).expect("the database");
        let length = file.metadata().expect("its length").len();
        file.set_len(length / 2 / 4_096 * 4_096).expect("it can be cut");
    });
}

#[test]
fn the_database_of_another_program_is_refused() {
    damaged(&["another program"], |file| {
        std::fs::remove_file(file).expect("it is there");
        let foreign = rusqlite::Connection::open(file).expect("a new database");
        foreign
            .execute_batch("CREATE TABLE diary (day TEXT); INSERT INTO diary VALUES ('today');")
            .expect("a table");
    });
}

#[test]
fn a_newer_schema_is_refused() {
    damaged(&["newer version", "99"], |file| {
        let database = rusqlite::Connection::open(file).expect("our database");
        database.pragma_update(None, "user_version", 99).expect("it can be written");
        database.pragma_update(None, "journal_mode", "DELETE").expect("the log goes into the database");
    });
}

#[test]
fn a_log_that_another_version_left_behind_is_kept() {
    let scene = stopped(3);
    let dir = scene.setup.data_dir();
    let (file, log) = (database(&dir), dir.join("retrohook.db-wal"));
    {
        // What a newer version leaves when it is killed: a database and a log that belongs into it.
        let newer = rusqlite::Connection::open(&file).expect("our database");
        newer.pragma_update(None, "user_version", 99).expect("it can be written");
        let left: Vec<_> =
            [&file, &log].into_iter().map(|file| (file, std::fs::read(file).expect("it is there"))).collect();
        newer.close().expect("it can be closed");
        left.into_iter().for_each(|(file, bytes)| std::fs::write(file, bytes).expect("it can be written"));
    }
    let before = contents(&dir);
    assert!(!before[&log].is_empty());
    let output = refused(&scene.setup);
    assert!(output.contains("newer version"), "{output}");
    unchanged(&dir, &before);
    assert!(!check(&dir).0);
    unchanged(&dir, &before);
}

#[test]
fn the_full_check_finds_what_a_start_does_not_look_for() {
    let scene = stopped(40);
    let dir = scene.setup.data_dir();
    let (well, output) = check(&dir);
    assert!(well && output.contains("ok: no damage"), "{output}");

    // A page in the middle of the log of events: an orderly end is not doubted at the start.
    let file = database(&dir);
    let bytes = std::fs::read(&file).expect("the database");
    let needle = b"/mockbin/profile";
    let found = bytes.windows(needle.len()).rposition(|window| window == needle).expect("an event");
    write_at(&file, (found / 4_096 * 4_096) as u64, &[0x5a; 64]);
    let before = contents(&dir);
    let (well, output) = check(&dir);
    assert!(!well && output.contains("damage") && !output.contains("ok: no damage"), "{output}");
    assert!(output.contains(".recover") && output.contains("restore a backup"), "what to do: {output}");
    unchanged(&dir, &before);
}

#[test]
fn a_check_names_a_subscription_by_its_name_or_its_endpoint() {
    let yaml = Profiles {
        subscription: "raw_message_delivery: true, confirm: skip, name: expire",
        ..Profiles::default()
    };
    let other = "  - { protocol: http, endpoint: \"http://127.0.0.1:9/other?key=hidden\" }\n";
    let mut scene = Scene::start(RETROHOOK, &format!("{}{other}", yaml.yaml()));
    assert!(scene.take_gateway().terminate().success());
    let dir = scene.setup.data_dir();
    let store = rusqlite::Connection::open(database(&dir)).expect("our database");
    store
        .execute_batch("UPDATE subscriptions SET done_to = 99, dispatched_to = 99")
        .expect("it can be written");
    drop(store);
    let (well, output) = check(&dir);
    let first =
        format!("subscription 1 (`expire` of `profile-changes` to {}) has read", scene.receiver.url("/hook"));
    let second = "subscription 2 (of `profile-changes` to http://127.0.0.1:9/other?...) has read";
    assert!(!well && output.contains(&first) && output.contains(second), "{output}");
    assert!(!output.contains("hidden"), "{output}");
}

/// Makes the store one of the version before the store's own clock.
fn make_version_3(dir: &Path) {
    let old = rusqlite::Connection::open(database(dir)).expect("our database");
    old.execute_batch(
        "DROP TABLE clock; PRAGMA user_version = 3;
         ALTER TABLE events DROP COLUMN stamp;
         ALTER TABLE messages DROP COLUMN stamp;
         ALTER TABLE messages DROP COLUMN given_up_by;
         ALTER TABLE messages DROP COLUMN given_up_after;
         ALTER TABLE deliveries DROP COLUMN anew_after;
         ALTER TABLE deliveries DROP COLUMN died_at;
         ALTER TABLE subscriptions DROP COLUMN disabled_because;
         DROP INDEX subscriptions_name;
         ALTER TABLE subscriptions DROP COLUMN name;
         ALTER TABLE subscriptions DROP COLUMN reconfirms;
         ALTER TABLE subscriptions DROP COLUMN created;
         ALTER TABLE subscriptions DROP COLUMN removed;
         DROP TABLE registry;
         DROP TABLE dropped;
         DROP TABLE deleted_topics;
         DROP INDEX subscriptions_queue;
         CREATE TABLE queues_of_v3 (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
         INSERT INTO queues_of_v3 SELECT id, name FROM queues;
         DROP TABLE queues;
         ALTER TABLE queues_of_v3 RENAME TO queues;",
    )
    .expect("it was of this version");
}

#[test]
fn a_start_that_brings_a_store_up_to_date_says_so_and_loses_nothing() {
    let mut scene = stopped(5);
    let dir = scene.setup.data_dir();
    make_version_3(&dir);
    let (well, output) = check(&dir);
    assert!(!well && output.contains("no damage") && output.contains("up to date"), "{output}");
    scene.start_gateway();
    assert_eq!(scene.admin().wait_for_events(5).len(), 5);
    let output = scene.gateway().output();
    let line = |words: &str| {
        output
            .lines()
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("no `{words}` in:\n{output}"))
    };
    let begun = line("brought up to date before anything is served");
    assert!(begun.contains("from=3") && begun.contains("bytes="), "{begun}");
    assert!(line("the database is up to date").contains("millis="), "{output}");
    scene.take_gateway().terminate();
    let (well, output) = check(&dir);
    assert!(well, "{output}");
    scene.start_gateway();
    assert!(!scene.gateway().output().contains("up to date"), "once");
}

/// The start and the check must not send people back and forth.
#[test]
fn a_damaged_store_of_an_older_version_is_refused_and_its_check_says_why() {
    let scene = stopped(40);
    let dir = scene.setup.data_dir();
    make_version_3(&dir);
    let file = database(&dir);
    let root: u64 = rusqlite::Connection::open(&file)
        .and_then(|old| {
            old.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'events'", [], |row| {
                row.get::<_, i64>(0)
            })
        })
        .expect("its first page")
        .unsigned_abs();
    write_at(&file, (root - 1) * 4_096, &[0x5a; 64]);
    let before = std::fs::read(&file).expect("the database");
    let output = refused(&scene.setup);
    assert!(output.contains("damaged") && output.contains("retrohook check --data"), "{output}");
    let (well, output) = check(&dir);
    assert!(!well && output.contains(".recover") && output.contains("restore a backup"), "{output}");
    assert!(!output.contains("a start with this version") && !output.contains("retrohook check"), "{output}");
    assert!(std::fs::read(&file).expect("the database") == before, "not a byte may change");
}

#[test]
fn damage_behind_an_unclean_end_is_refused() {
    let mut scene = stopped(40);
    let file = database(&scene.setup.data_dir());
    let bytes = std::fs::read(&file).expect("the database");
    let needle = b"/mockbin/profile";
    let found = bytes.windows(needle.len()).position(|window| window == needle).expect("an event");
    scene.start_gateway();
    scene.take_gateway().kill();
    write_at(&file, (found / 4_096 * 4_096) as u64, &[0x5a; 64]);
    let output = refused(&scene.setup);
    assert!(output.contains("damaged") && output.contains("retrohook check --data"), "{output}");
}

/// A gateway that was killed, and somebody who reads its database since before that.
fn killed_under_a_reader() -> (Scene, rusqlite::Connection) {
    let mut scene = Scene::start(RETROHOOK, &Profiles::default().yaml());
    let reader = rusqlite::Connection::open(database(&scene.setup.data_dir())).expect("our database");
    reader.execute_batch("BEGIN; SELECT count(*) FROM events").expect("it can be read");
    for _ in 0..3 {
        assert_eq!(scene.put("").expect("an answer").status, 200);
    }
    scene.admin().wait_for_events(3);
    scene.take_gateway().kill();
    (scene, reader)
}

#[test]
fn a_log_that_cannot_be_moved_is_not_started_upon() {
    let (scene, reader) = killed_under_a_reader();
    let output = refused(&scene.setup);
    assert!(output.contains("another program reads") && output.contains("waiting for its end"), "{output}");
    let log = scene.setup.data_dir().join("retrohook.db-wal");
    assert!(std::fs::metadata(log).expect("the log").len() > 0, "it is what the next start needs");
    drop(reader);
    let gateway = scene.setup.start();
    assert_eq!(gateway.admin().wait_for_events(3).len(), 3);
}

#[test]
fn a_start_waits_for_a_reader_that_ends() {
    let (scene, reader) = killed_under_a_reader();
    let process = scene.setup.start_without_waiting();
    process.wait_until_it_says("waiting for its end");
    assert!(!process.listeners().contains_key("ready"));
    drop(reader);
    wait::until("the gateway to be ready", || process.listeners().contains_key("ready").then_some(()));
    assert_eq!(process.admin().wait_for_events(3).len(), 3);
}

#[test]
fn an_emptied_database_is_not_begun_anew() {
    let emptied = |file: &Path| std::fs::write(file, "").expect("it can be written");
    let removed = |file: &Path| std::fs::remove_file(file).expect("it is there");
    for lose in [&emptied as &dyn Fn(&Path), &removed] {
        for in_order in [false, true] {
            let mut scene = stopped(3);
            if !in_order {
                scene.start_gateway();
                assert_eq!(scene.put("").expect("an answer").status, 200);
                scene.take_gateway().kill();
            }
            let dir = scene.setup.data_dir();
            lose(&database(&dir));
            let before = contents(&dir);
            let output = refused(&scene.setup);
            let told = output.lines().find_map(|line| line.strip_prefix("  because: ")).unwrap_or_default();
            assert!(told.contains("is empty or missing") && told.contains("--data-dir"), "{output}");
            unchanged(&dir, &before);
            let (well, found) = check(&dir);
            assert!(!well && found.contains(told), "in order: {in_order}: {found}");
            unchanged(&dir, &before);
        }
    }
}

#[test]
fn a_check_of_no_data_says_so_and_makes_none() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let dir = place.path().join("nothing");
    let (well, output) = check(&dir);
    assert!(!well && output.contains("there is no directory") && output.contains("nothing"), "{output}");
    assert!(
        output.contains("--data-dir") && output.contains("./retrohook-data"),
        "what to give instead: {output}"
    );
    assert!(!dir.exists(), "a check creates nothing");

    let (well, output) = check(place.path());
    assert!(!well && output.contains("there is no store in") && output.contains("--data-dir"), "{output}");
    assert_eq!(std::fs::read_dir(place.path()).expect("a directory").count(), 0, "a check creates nothing");

    let file = place.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let (well, output) = check(&file);
    assert!(!well && output.contains("is not a directory") && output.contains("--data-dir"), "{output}");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_named() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let file = place.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let dir = file.join("data");
    let done = Command::new(RETROHOOK)
        .args(["run", "--proxy-listen=127.0.0.1:0", "--admin-listen=off", "--hub-listen=off"])
        .args(["--legacy-admin-listen=off", "--data-dir"])
        .arg(&dir)
        .output()
        .expect("the binary starts");
    let output = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{output}");
    assert!(output.contains("--data-dir") && output.contains(dir.to_str().expect("UTF-8")), "{output}");
}
