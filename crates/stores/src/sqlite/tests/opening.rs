//! What can be in a data directory, and what is said of it.

use std::os::unix::fs::PermissionsExt;

use std::time::Duration;

use rusqlite::ffi::{SQLITE_IOERR_FSYNC, SQLITE_IOERR_SHMSIZE};
use storage::delivery::DeliveryState;
use storage::entities::{Desired, DesiredSubscription, Protocol, SubscriptionId, SubscriptionState};

use super::*;

#[test]
fn a_second_process_is_refused() {
    let store = InTemp::new();
    let first = store.open();
    assert_eq!(
        store.refusal(),
        "the data directory TMP/data is in use by another process: stop that one, or choose another with --data-dir"
    );
    drop(first);
    drop(store.open());
}

#[test]
fn a_second_process_is_refused_whatever_becomes_of_the_files() {
    let store = InTemp::new();
    let first = store.open();
    std::fs::remove_file(store.dir().join("lock")).unwrap();
    std::fs::remove_dir_all(store.dir().join("incarnations")).unwrap();
    assert!(store.refusal().contains("in use by another process"));
    drop(first);
    drop(store.open());
}

#[test]
fn a_directory_is_durable_before_what_is_in_it() {
    let store = InTemp::new();
    let synced = std::cell::RefCell::new(Vec::new());
    let below = |path: &str| store.0.path().join(path);
    let make = |dir: &Path| {
        open::make_directory(dir, |dir| {
            synced.borrow_mut().push(dir.to_owned());
            Ok(())
        })
        .unwrap();
        synced.take()
    };
    assert_eq!(make(&below("a/b/../c")), [below(""), below("a"), below("a/b/..")].map(|dir| dir.join("")));
    assert_eq!(make(&below("a/b/d")), [below("a/b")]);
    assert!(make(&below("a/b/d")).is_empty());
    let mode = std::fs::metadata(below("a/c")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);
    let failing = open::make_directory(&below("a/e"), |_| Err(std::io::Error::other("no")));
    assert!(failing.is_err());
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let store = InTemp::new();
    std::fs::write(store.dir(), "a file is in the way").unwrap();
    assert_eq!(
        store.refusal(),
        "cannot create or write the data directory TMP/data: it is a file, and data needs a directory: choose another with \
         --data-dir, or move the file away"
    );
}

#[test]
fn only_its_user_reads_what_customers_sent() {
    let store = InTemp::new();
    let mut opened = store.open();
    write(&mut opened.backend, |tx| tx.append(&sample_event(1))).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = store.files();
    assert_eq!(mode(&files.dir), 0o700);
    assert_eq!([&files.database, &files.wal].map(|file| mode(file)), [0o600; 2]);
}

#[test]
fn what_is_no_database_is_left_as_it_is() {
    let store = InTemp::new();
    std::fs::create_dir(store.dir()).unwrap();
    let text = "not a database, but dear to somebody\n".repeat(100);
    std::fs::write(store.files().database, &text).unwrap();
    assert_eq!(
        store.refusal(),
        "TMP/data/retrohook.db is damaged, or is not a SQLite database; it was left as it is: `retrohook check --data \
         TMP/data` says more"
    );
    assert_eq!(std::fs::read_to_string(store.files().database).unwrap(), text);
}

#[test]
fn the_database_of_another_program_is_left_as_it_is() {
    let store = InTemp::new();
    std::fs::create_dir(store.dir()).unwrap();
    shell(&store.files().database).execute_batch("CREATE TABLE theirs (a)").unwrap();
    let before = std::fs::read(store.files().database).unwrap();
    assert_eq!(
        store.refusal(),
        "TMP/data/retrohook.db is the database of another program; it was left as it is: choose another directory \
         with --data-dir"
    );
    assert_eq!(std::fs::read(store.files().database).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused() {
    let store = InTemp::new();
    drop(store.open());
    shell(&store.files().database).execute_batch("PRAGMA user_version = 99").unwrap();
    let expected = format!(
        "TMP/data/retrohook.db has schema 99 of a newer version, this one knows {}; it was left as it is: start the newer version",
        schema::VERSION
    );
    assert_eq!(store.refusal(), expected);
}

/// A store as version 1 left it, with some of everything.
fn of_version_1() -> InTemp {
    let store = InTemp::new();
    std::fs::create_dir(store.dir()).unwrap();
    let old = shell(&store.files().database);
    old.execute_batch(schema::MIGRATIONS[0]).unwrap();
    old.pragma_update(None, "application_id", schema::APPLICATION_ID).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.pragma_update(None, "journal_mode", "WAL").unwrap();
    old.execute_batch(
        "INSERT INTO topics VALUES (1, 't');
         INSERT INTO events VALUES (1, zeroblob(16), 1, 5, 'succeeded', NULL, 0, 'k', '{}', '{}'),
           (7, randomblob(16), 1, 5, 'succeeded', NULL, 0, 'k', '{}', '{}');
         DELETE FROM events WHERE position = 7;
         INSERT INTO incarnations VALUES (1, 5, NULL);
         INSERT INTO intents VALUES (1, 1, randomblob(16), 1, 'k', 1, 5, '{}');
         INSERT INTO subscriptions VALUES
           (1, zeroblob(16), 1, 'http', 'http://a', 'disabled', 'first', 5, NULL, 1, 1),
           (2, zeroblob(16), 1, 'http', 'http://b', 'pending', 'second', 5, NULL, 0, 0);
         INSERT INTO deliveries VALUES (1, 1, 'k', 'dead', 7, 'gone', 1, 6);",
    )
    .unwrap();
    drop(old);
    store
}

#[test]
fn a_database_of_version_1_becomes_one_of_this() {
    let store = of_version_1();
    let mut opened = store.open();
    assert_eq!(opened.reader.head().unwrap(), Position(7), "no position is used twice");
    let event = opened.reader.event_at(Position(1)).unwrap().unwrap();
    assert_eq!(&*event.body.exchange().unwrap().request, "{}");
    assert_eq!(write(&mut opened.backend, |tx| tx.recover(storage::memory::SAMPLE_TIME, 9)).unwrap(), 1);
    assert_eq!(opened.reader.head().unwrap(), Position(8));
    let states: Vec<_> =
        opened.reader.subscriptions().unwrap().into_iter().map(|known| known.state).collect();
    let pending = SubscriptionState::Pending { token: "second".into() };
    assert_eq!(states, [SubscriptionState::Disabled { token: None }, pending]);
    assert_eq!(opened.reader.lag(SubscriptionId(1), 100).unwrap().dead, 1);
    assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
    let version: i32 =
        shell(&store.files().database).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, schema::VERSION);
}

/// A store as version 3 left it, with what a test puts there.
fn of_version_3(rows: &str) -> InTemp {
    let store = of_version_1();
    let old = shell(&store.files().database);
    old.execute_batch(schema::MIGRATIONS[1]).unwrap();
    old.execute_batch(schema::MIGRATIONS[2]).unwrap();
    old.execute_batch(&format!("PRAGMA user_version = 3; {rows}")).unwrap();
    store
}

/// The wall clock of the first start with a clock counts for as much as that of any other.
#[test]
fn the_clock_begins_an_hour_after_the_last_time_of_the_store_at_most() {
    let now = wall_clock();
    let (minute, hour) = (Duration::from_secs(60), storage::clock::MAX_GAP);
    let long_ago = now.minus(9 * hour);
    for (rows, last) in [
        (format!("UPDATE incarnations SET started_at = {}", long_ago.as_micros()), long_ago),
        (format!("UPDATE incarnations SET ended_at = {}", long_ago.as_micros()), long_ago),
        (format!("UPDATE events SET recorded_at = {}", long_ago.as_micros()), long_ago),
        (
            format!(
                "INSERT INTO attempts VALUES (1, 1, 1, 1, zeroblob(16), {}, 0, NULL, NULL, x'', NULL)",
                long_ago.as_micros()
            ),
            long_ago,
        ),
        (format!("UPDATE events SET recorded_at = {}", now.minus(minute).as_micros()), now.minus(minute)),
    ] {
        let record = of_version_3(&rows).open().backend.kept_clock().unwrap();
        let (began, last) = (record.stamp, Stamp::from_micros(last.as_micros()));
        let added = began.since(last);
        if last.as_micros() == long_ago.as_micros() {
            assert_eq!(added, hour, "{rows}");
        } else {
            assert!(added >= minute && added < 2 * minute, "{rows}: {added:?}");
        }
        assert_eq!(
            record.assumed,
            storage::clock::Assumed::default().and(last, began),
            "and no limit counts it"
        );
        assert!(
            record.wall >= now && record.wall.since(now) < minute,
            "what passes from now on is not added twice"
        );
        assert_eq!(record.advanced, Duration::ZERO);
    }
    // Times that lie ahead add nothing.
    let ahead = of_version_3(&format!("UPDATE events SET recorded_at = {}", now.plus(9 * hour).as_micros()));
    let record = ahead.open().backend.kept_clock().unwrap();
    assert_eq!(record.stamp.as_micros(), record.wall.as_micros());
    assert_eq!(record.assumed, storage::clock::Assumed::default());
}

/// The columns that are written into the schema are those that `ALTER TABLE` would have added.
#[test]
fn a_store_that_was_brought_up_to_date_has_every_column() {
    let store = of_version_3("");
    let beside = shell(&store.files().database);
    beside.query_row("SELECT count(*) FROM events", [], |_| Ok(())).unwrap();
    drop(store.open());
    for (table, added) in [("events", "stamp"), ("messages", "given_up_after"), ("deliveries", "anew_after")]
    {
        let sql =
            "SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info(?1) ORDER BY cid DESC LIMIT 1";
        let last: (String, String, bool, Option<String>) = beside
            .query_row(sql, [table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .unwrap();
        assert_eq!(last, (added.to_owned(), "INTEGER".to_owned(), false, None), "{table}");
        let sql = "SELECT sql LIKE '% STRICT%' FROM sqlite_schema WHERE name = ?1";
        assert!(beside.query_row(sql, [table], |row| row.get::<_, bool>(0)).unwrap());
    }
    assert!(beside.execute("UPDATE events SET stamp = 'x'", []).is_err(), "it is as strict as the rest");
    assert_eq!(inspect(&store.dir()).unwrap().check(true).unwrap(), [""; 0]);
}

/// A start sends people to the check, and the check must not send them back.
#[test]
fn a_look_at_a_damaged_store_of_an_older_version_says_what_is_damaged() {
    let store = of_version_3("DELETE FROM deliveries");
    let database = shell(&store.files().database);
    let page: u64 = database
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'events'", [], |row| row.get(0))
        .unwrap();
    drop(database);
    let mut bytes = std::fs::read(store.files().database).unwrap();
    let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    bytes[(page as usize - 1) * size..][..64].fill(0x5a);
    std::fs::write(store.files().database, &bytes).unwrap();
    assert!(store.refusal().contains("damaged") && store.refusal().contains("retrohook check --data"));
    let found = inspect(&store.dir()).err().unwrap();
    assert_eq!(
        found.to_string().replace(store.0.path().to_str().unwrap(), "TMP"),
        "TMP/data/retrohook.db is damaged, or is not a SQLite database; it was left as it is"
    );
    assert!(std::error::Error::source(&found).is_some(), "what was found");
    assert!(std::fs::read(store.files().database).unwrap() == bytes);
}

/// Times of a store of version 3 against the clock that it gets: the past is as old as it was, and what lies ahead is new.
#[test]
fn rows_of_version_3_are_stamped_with_the_clock_less_their_age() {
    let now = wall_clock().as_micros() as i64;
    let (hour, day) = (3_600_000_000i64, 86_400_000_000i64);
    let store = of_version_3(&format!(
        "INSERT INTO queues VALUES (1, 'q');
         UPDATE subscriptions SET removed_at = {now} - {hour} WHERE id = 2;
         INSERT INTO subscriptions VALUES (3, zeroblob(16), 1, 'sqs', 'q', 'confirmed', NULL, 5, {now} + 9 * {day}, 0, 0);
         INSERT INTO events SELECT 10 + value, randomblob(16), 1, {now} + (value - 1) * 40 * {day}, 'succeeded', NULL, 0, 'k',
           NULL, '{{}}', NULL FROM (SELECT 0 AS value UNION SELECT 1 UNION SELECT 2);
         INSERT INTO messages (queue, position, subscription, sent_at, visible_at, first_received_at, received_at, receive_count)
           SELECT 1, position, 3, recorded_at, 0, NULL, NULL, 0 FROM events WHERE position >= 10;
         UPDATE messages SET visible_at = {now} + 30 * {day}, received_at = {now} + 30 * {day} WHERE position = 12;
         INSERT INTO deliveries VALUES (2, 10, 'k', 'retry', {now} + 30 * {day}, NULL, 1, {now} - 30 * {day}),
           (2, 11, 'k', 'retry', {now} + {hour}, NULL, 1, {now} + 30 * {day}),
           (2, 12, 'k', 'dead', {now} + 30 * {day}, 'gone', 1, {now});"
    ));
    let opened = store.open();
    let began = opened.backend.kept_clock().unwrap().stamp;
    let ago = |at: Stamp| {
        let (ahead, behind) = (at.since(began).as_secs() as i64, began.since(at).as_secs() as i64);
        // The migration came a moment after the rows.
        (ahead - behind + 60).div_euclid(3_600)
    };
    let event = |position| ago(opened.reader.event_at(Position(position)).unwrap().unwrap().stamp);
    assert_eq!((event(10), event(11), event(12)), (-40 * 24, 0, 0));
    let rows = |position| opened.reader.deliveries_at(Position(position)).unwrap().remove(0);
    let due = |position| match rows(position).state {
        DeliveryState::Retry { at } | DeliveryState::Dead { at, .. } => ago(at),
        DeliveryState::Behind => panic!("it was none"),
    };
    assert_eq!((due(10), due(11), due(12)), (24, 1, 0));
    assert_eq!((ago(rows(10).since), ago(rows(11).since)), (-7 * 24, 0));
    let depth = opened.reader.queue_depth(storage::entities::QueueId(1), began).unwrap();
    assert_eq!((depth.visible, depth.in_flight, depth.oldest.map(ago)), (2, 1, Some(-40 * 24)));
    let later = began.plus(storage::queue::MAX_VISIBILITY);
    assert_eq!(opened.reader.queue_depth(storage::entities::QueueId(1), later).unwrap().visible, 3);
    let removed = |id: i64| -> i64 {
        let sql = "SELECT removed FROM subscriptions WHERE id = ?1";
        shell(&store.files().database).query_row(sql, [id], |row| row.get(0)).unwrap()
    };
    assert_eq!(ago(Stamp::from_micros(removed(2) as u64)), -1);
    assert_eq!(ago(Stamp::from_micros(removed(3) as u64)), 0);
}

/// Subscriptions of a store of version 4: those who had no names stay what they were, and their numbers are not given again.
#[test]
fn subscriptions_of_version_4_stay_what_they_were() {
    let store = of_version_3(
        "INSERT INTO subscriptions VALUES
           (3, x'0123456789abcdef0123456789abcdef', 1, 'https', 'https://c', 'confirmed', 'third', 5, 9, 4, 2),
           (9, zeroblob(16), 1, 'sqs', 'q', 'confirmed', NULL, 5, NULL, 0, 0);
         DELETE FROM subscriptions WHERE id = 9;",
    );
    let beside = shell(&store.files().database);
    beside.execute_batch(schema::MIGRATIONS[3]).unwrap();
    beside.pragma_update(None, "user_version", 4).unwrap();
    let rows = || -> Vec<String> {
        let sql = "SELECT id || hex(uuid) || topic || protocol || endpoint || state || ifnull(token, '-') || created_at || created
                   || ifnull(removed_at, '-') || ifnull(removed, '-') || dispatched_to || '/' || done_to FROM subscriptions";
        let mut statement = beside.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let before = rows();
    let mut opened = store.open();
    assert_eq!((rows(), before.len()), (before.clone(), 3));
    let known = opened.reader.subscriptions().unwrap();
    assert!(known.iter().all(|known| known.name.is_none() && !known.reconfirms), "{known:?}");
    let wanted = |name: Option<&str>, endpoint: &str| DesiredSubscription {
        topic: "t".into(),
        name: name.map(Into::into),
        protocol: Protocol::Http,
        endpoint: endpoint.into(),
        confirm_with: None,
        uuid: uuid::Uuid::nil(),
    };
    let subscriptions = vec![wanted(Some("b"), "http://b"), wanted(None, "http://new")];
    let desired = Desired { subscriptions, ..Desired::default() };
    let now = write(&mut opened.backend, |tx| tx.sync_entities(&desired, wall_clock())).unwrap();
    let numbers: Vec<i64> = now.subscriptions.iter().map(|known| known.id.0).collect();
    assert_eq!(numbers, [2, 10], "the name is given to the one of its endpoint");
    assert_eq!(opened.reader.rows().unwrap(), [], "nothing of an older version is in the registry");
    let again = beside.execute("UPDATE subscriptions SET name = 'b'", []);
    assert!(again.is_err(), "no two of a topic have one name");
    assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
}

/// Queues and topics of a store of version 6 stay what they were, with their messages, and their numbers are not given again.
#[test]
fn queues_and_topics_of_version_6_stay_what_they_were() {
    let store = of_version_3(
        "INSERT INTO queues VALUES (3, 'worker'), (7, 'other');
         INSERT INTO messages (queue, position, subscription, sent_at, visible_at, first_received_at, received_at, receive_count)
           VALUES (3, 1, 3, 5, 0, NULL, NULL, 0);",
    );
    let beside = shell(&store.files().database);
    for version in 4..=6 {
        beside.execute_batch(schema::MIGRATIONS[version - 1]).unwrap();
        beside.pragma_update(None, "user_version", version as i32).unwrap();
    }
    beside.execute_batch("UPDATE queues SET retention = 99 WHERE id = 7").unwrap();
    let mut opened = store.open();
    let made = |opened: &mut Opened<SqliteBackend>, name: &str| {
        let queue = write(&mut opened.backend, |tx| tx.create_queue(name, None)).unwrap();
        (queue.0.id.0, queue.1)
    };
    assert_eq!(made(&mut opened, "worker"), (3, false));
    assert_eq!(
        opened.reader.queue_depth(storage::entities::QueueId(3), Stamp::default()).unwrap().visible,
        1
    );
    let kept: i64 =
        beside.query_row("SELECT retention FROM queues WHERE id = 7", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 99);
    assert_eq!(made(&mut opened, "new"), (8, true));
    let topic = write(&mut opened.backend, |tx| tx.create_topic("t")).unwrap();
    assert_eq!((topic.0.id.0, topic.1), (1, false));
    assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
}

/// A log of version 7 takes messages beside its exchanges, and what stands in it is not written anew.
#[test]
fn a_log_of_version_7_takes_messages() {
    let store = of_version_3("INSERT INTO queues VALUES (1, 'q'); DELETE FROM deliveries;");
    let beside = shell(&store.files().database);
    for version in 4..=7 {
        beside.execute_batch(schema::MIGRATIONS[version - 1]).unwrap();
        beside.pragma_update(None, "user_version", version as i64).unwrap();
    }
    let message = sample_message(7, "any text", &event::message::Details::default());
    let insert = "INSERT INTO events (id, topic, recorded_at, outcome, overlapped, key, request)
                  VALUES (randomblob(16), 1, 5, 'published', 0, 'k', 'text')";
    assert!(beside.execute(insert, []).is_err(), "it does not know the word");
    let schema_of = |table: &str| -> String {
        let sql = "SELECT sql FROM sqlite_schema WHERE name = ?1";
        beside.query_row(sql, [table], |row| row.get(0)).unwrap()
    };
    let before = schema_of("events");
    let mut opened = store.open();
    let known = "('succeeded', 'unknown')";
    assert_eq!(schema_of("events"), before.replace(known, &format!("{known} OR outcome = 'published'")));
    let old = opened.reader.event_at(Position(1)).unwrap().unwrap();
    assert_eq!(&*old.body.exchange().unwrap().request, "{}");
    let position = write(&mut opened.backend, |tx| tx.append(&message)).unwrap();
    assert_eq!(opened.reader.event_at(position).unwrap().unwrap().body, message);
    let sent = event::NewEvent {
        topic: event::TopicId::NONE,
        ..sample_message(8, "sent", &event::message::Details::default())
    };
    let queue = storage::entities::QueueId(1);
    assert!(write(&mut opened.backend, |tx| tx.send(&sent, queue, Duration::ZERO)).unwrap().is_some());
    assert!(beside.execute("UPDATE events SET outcome = 'other'", []).is_err(), "and no other word");
    assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
}

/// Queues of version 8 give nothing up, until their owner says so; their messages are not written anew.
#[test]
fn messages_of_version_8_stay_where_they_are_and_can_be_given_up() {
    let store = of_version_3(
        "INSERT INTO queues VALUES (1, 'worker'), (2, 'dead');
         INSERT INTO messages (queue, position, subscription, sent_at, visible_at, first_received_at, received_at, receive_count)
           VALUES (1, 1, 3, 5, 0, 6, 6, 2), (1, 1, 3, 5, 0, NULL, NULL, 0);",
    );
    let beside = shell(&store.files().database);
    for version in 4..=8 {
        beside.execute_batch(schema::MIGRATIONS[version - 1]).unwrap();
        beside.pragma_update(None, "user_version", version as i64).unwrap();
    }
    let mut opened = store.open();
    let [worker, dead] = [1, 2].map(storage::entities::QueueId);
    let limits: Vec<_> = opened.reader.queues().unwrap().into_iter().map(|(_, limits)| limits).collect();
    assert_eq!(limits, [storage::queue::Limits::default(), storage::queue::Limits::default()]);
    let receive = |opened: &mut Opened<SqliteBackend>, queue| {
        let now = storage::memory::SAMPLE_TIME;
        let received = write(&mut opened.backend, |tx| tx.receive(queue, 9, Duration::ZERO, now)).unwrap();
        received.iter().map(|one| (one.receive_count, one.given_up_by)).collect::<Vec<_>>()
    };
    assert_eq!(receive(&mut opened, worker), [(3, None), (1, None)]);
    let redrive = storage::redrive::Redrive { to: "dead".into(), max_receives: 3 };
    assert!(write(&mut opened.backend, |tx| tx.set_queue_redrive(worker, Some(&redrive))).unwrap());
    assert_eq!(receive(&mut opened, worker), [(2, None)], "what it was handed out before counts");
    assert_eq!(receive(&mut opened, dead), [(4, Some(worker))]);
    assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
}

#[test]
fn no_constraint_makes_an_insertion_build_a_table() {
    let store = InTemp::new();
    drop(store.open());
    let database = shell(&store.files().database);
    for sql in [
        "INSERT INTO events (id, topic, recorded_at, outcome, overlapped, key, request)
         VALUES (?1, 1, 5, ?2, 0, 'k', '')",
        "INSERT INTO intents (incarnation, id, topic, key, publish_unknown, started_at, request)
         VALUES (1, ?1, 1, 'k', 1, 5, ?2)",
    ] {
        let mut plan = database.prepare(&format!("EXPLAIN {sql}")).unwrap();
        let steps = plan.query_map(["", ""], |row| row.get("opcode")).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(steps.iter().any(|step| step == "Insert"), "{sql}: {steps:?}");
        assert!(!steps.iter().any(|step| step == "OpenEphemeral"), "{sql}: {steps:?}");
    }
}

#[test]
fn a_start_without_room_says_so() {
    let store = InTemp::new();
    drop(store.open());
    let database = shell(&store.files().database);
    let pages: i64 = database.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    database.pragma_update(None, "max_page_count", pages).unwrap();
    let full = database.execute_batch("CREATE TABLE more (a); CREATE TABLE even_more (a)").unwrap_err();
    let said = open::failing(&store.files(), "checkpoint")(full).to_string();
    assert!(said.ends_with("/data is full: make room there and start again, nothing is lost"), "{said}");
}

#[test]
fn an_interrupted_first_start_is_begun_again() {
    let store = InTemp::new();
    std::fs::create_dir(store.dir()).unwrap();
    std::fs::write(store.files().database, "").unwrap();
    let opened = store.open();
    assert!(!opened.unclean);
    assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
}

#[test]
fn a_database_that_is_gone_is_not_begun_anew() {
    for (orderly, rest) in [(true, "the locks of its runs"), (false, "a write-ahead log")] {
        for lost in [|file: &Path| std::fs::write(file, ""), |file: &Path| std::fs::remove_file(file)] {
            let store = InTemp::new();
            let mut opened = store.open();
            write(&mut opened.backend, |tx| tx.append(&sample_event(1))).unwrap();
            let log = std::fs::read(&store.files().wal).unwrap();
            opened.backend.close();
            drop(opened);
            if !orderly {
                std::fs::write(&store.files().wal, &log).unwrap();
            }
            lost(&store.files().database).unwrap();
            let refusal = store.refusal();
            let expected = format!(
                "TMP/data/retrohook.db is empty or missing, but its directory has what a store left behind ({rest}); nothing \
                 was overwritten: restore the database, or choose another directory with --data-dir"
            );
            assert_eq!(refusal, expected);
            assert!(inspect(&store.dir()).is_err_and(|error| error.to_string().contains("left behind")));
            assert_eq!(
                std::fs::read(&store.files().wal).unwrap_or_default(),
                if orderly { vec![] } else { log }
            );
        }
    }
}

#[test]
fn the_index_of_a_log_that_cannot_grow_is_a_full_disk() {
    let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(SQLITE_IOERR_SHMSIZE), None);
    assert!(matches!(failed("commit")(error), StoreError::Full(_)));
    let other = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(SQLITE_IOERR_FSYNC), None);
    assert!(matches!(failed("commit")(other), StoreError::Io { .. }));
}

#[test]
fn the_settings_are_those_of_a_durable_store() {
    let store = InTemp::new();
    let opened = store.open();
    let database = opened.backend.transaction.database();
    let setting = |name: &str| {
        database.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap()
    };
    let number = rusqlite::types::Value::Integer;
    assert_eq!(setting("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    assert_eq!(setting("synchronous"), number(2), "FULL");
    assert_eq!(setting("wal_autocheckpoint"), number(0));
    assert_eq!(setting("auto_vacuum"), number(2), "INCREMENTAL");
    assert_eq!(setting("page_size"), number(4_096));
}

#[test]
fn people_can_read_the_tables() {
    let store = InTemp::new();
    let mut opened = store.open();
    let body = sample_event(1);
    write(&mut opened.backend, |tx| tx.append(&body)).unwrap();
    let sql = "SELECT outcome, key, json_extract(request, '$.method'), json_extract(answer, '$.status') FROM events";
    let row = shell(&store.files().database)
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap();
    assert_eq!(row, ("succeeded".to_owned(), body.key.to_string(), "PUT".to_owned(), 204));
}

#[test]
fn an_orderly_end_leaves_no_lock_of_its_run() {
    let store = InTemp::new();
    let mut opened = store.open();
    let locks = || std::fs::read_dir(store.dir().join("incarnations")).unwrap().count();
    assert_eq!(locks(), 1);
    opened.backend.close();
    drop(opened);
    assert_eq!(locks(), 0);
}

#[test]
fn a_look_at_an_older_version_says_what_to_do() {
    let store = of_version_1();
    for version in 1..schema::VERSION {
        let database = shell(&store.files().database);
        if version > 1 {
            database.execute_batch(schema::MIGRATIONS[version as usize - 1]).unwrap();
            database.pragma_update(None, "user_version", version).unwrap();
        }
        drop(database);
        let refused = inspect(&store.dir()).err().expect("its tables are others").to_string();
        let refused = refused.replace(store.0.path().to_str().unwrap(), "TMP");
        let expected = format!(
            "TMP/data/retrohook.db has schema {version} of an older version, this one knows {}; SQLite finds no damage in it, and \
             it was left as it is: a start with this version brings it up to date",
            schema::VERSION
        );
        assert_eq!(refused, expected);
    }
    store.open();
    assert!(inspect(&store.dir()).unwrap().check(true).unwrap().is_empty());
}

#[test]
fn a_look_changes_nothing() {
    let store = InTemp::new();
    assert!(inspect(&store.dir()).is_err());
    assert!(!store.dir().exists());
    let mut opened = store.open();
    write(&mut opened.backend, |tx| tx.append(&sample_event(1))).unwrap();
    let beside = inspect(&store.dir()).unwrap();
    assert_eq!(samples(&*beside, 9), [1], "while a process uses it");
    drop(beside);
    opened.backend.close();
    drop(opened);
    let after = inspect(&store.dir()).unwrap();
    assert_eq!(samples(&*after, 9), [1]);
    assert_eq!(after.check(true).unwrap(), [""; 0]);
    drop(after);
    assert!(!store.open().unclean);
}
