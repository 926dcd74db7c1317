//! Commits that find no space, commits that fail, and the log between them.

use super::*;

/// A sample whose facts take so many bytes.
fn large(n: u8, bytes: usize) -> NewEvent {
    sample_exchange(n, |exchange| exchange.request = format!("\"{}\"", "x".repeat(bytes)).into())
}

/// Lets the database have no more pages than it has, as a full disk does.
fn fill_disk(backend: &SqliteBackend) {
    let database = backend.transaction.database();
    let pages: i64 = database.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    database.pragma_update(None, "max_page_count", pages).unwrap();
}

fn make_space(backend: &SqliteBackend) {
    backend.transaction.database().pragma_update(None, "max_page_count", 1_000_000).unwrap();
}

#[test]
fn a_full_disk_takes_nothing_of_a_commit_and_leaves_the_store_usable() {
    let store = InTemp::new();
    let Opened { mut backend, reader, .. } = store.open();
    write(&mut backend, |tx| tx.append(&sample_event(1))).unwrap();
    fill_disk(&backend);
    let refused = write(&mut backend, |tx| {
        tx.insert_intent(&sample_intent(2))?;
        tx.append(&large(3, 100_000))
    });
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(samples(&*reader, 9), [1]);
    assert_eq!(reader.stats().unwrap().open_intents, 0);
    make_space(&backend);
    write(&mut backend, |tx| {
        assert!(!tx.remove_intent(sample_id(2))?, "the intent of the refused commit is forgotten");
        tx.append(&large(3, 100_000))
    })
    .unwrap();
    assert_eq!(samples(&*reader, 9), [1, 3]);
    assert_eq!(reader.check(true).unwrap(), [""; 0]);
}

#[test]
fn intents_are_refused_below_the_disks_reserve() {
    let store = InTemp::new();
    let room = store.open().backend.room().unwrap();
    let roomy = Retention { min_free_bytes: 0, ..Retention::default() };
    assert!(roomy.admit(room).is_ok());
    let refused = Retention { min_free_bytes: u64::MAX, ..roomy }.admit(room);
    assert!(matches!(&refused, Err(StoreError::Full(why)) if why.contains("kept free")), "{refused:?}");
}

#[test]
fn after_a_commit_that_failed_nothing_is_checkpointed_and_the_end_is_unclean() {
    let store = InTemp::new();
    let mut opened = store.open();
    write(&mut opened.backend, |tx| tx.append(&sample_event(1))).unwrap();
    let before = store.files().wal_bytes();
    opened.backend.begin(Stamp::default()).unwrap();
    // Behind the store's back, so that its commit fails.
    opened.backend.transaction.database().execute_batch("ROLLBACK").unwrap();
    let failed = opened.backend.commit();
    assert!(matches!(failed, Err(StoreError::Io { .. })), "{failed:?}");
    opened.backend.between_commits();
    opened.backend.close();
    drop(opened);
    assert_eq!(store.files().wal_bytes(), before, "the log is as it was");
    let opened = store.open();
    assert!(opened.unclean);
    assert_eq!(samples(&*opened.reader, 9), [1]);
}

#[test]
fn the_log_is_kept_short_while_commits_go_on() {
    let store = InTemp::new();
    let Opened { mut backend, reader, .. } = store.open();
    let mut longest = 0;
    for n in 0..1_000u32 {
        let id = event::EventId::from_bytes(u128::from(n).to_be_bytes());
        let event = NewEvent { id, ..large(1, 40_000) };
        write(&mut backend, |tx| tx.append(&event)).unwrap();
        longest = longest.max(store.files().wal_bytes());
    }
    assert!(longest < 32 << 20, "the log grew to {longest} bytes");
    assert!(backend.log.bytes() < 20 << 20, "the log begins anew inside its file");
    assert_eq!(reader.stats().unwrap().wal_bytes, store.files().wal_bytes());
    assert!(reader.stats().unwrap().bytes > 30 << 20, "it went into the database");
    backend.close();
    assert_eq!(store.files().wal_bytes(), 0);
}

#[test]
fn an_open_read_holds_up_the_log_and_not_the_commits() {
    let store = InTemp::new();
    let Opened { mut backend, reader, .. } = store.open();
    write(&mut backend, |tx| tx.append(&sample_event(1))).unwrap();
    let reading = shell(&store.files().database);
    reading.execute_batch("BEGIN; SELECT * FROM events").unwrap();
    let _: i64 = reading.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    backend.checkpoints.make_room();
    for n in 2..=40 {
        write(&mut backend, |tx| tx.append(&large(n, 1_000))).unwrap();
    }
    assert!(store.files().wal_bytes() > 0, "the read stands in the log");
    assert_eq!(samples(&*reader, 50), (1..=40).collect::<Vec<_>>());
    reading.execute_batch("ROLLBACK").unwrap();
    backend.checkpoints.make_room();
    backend.between_commits();
    assert_eq!(store.files().wal_bytes(), 0);
}

#[test]
fn more_readers_than_connections_take_turns() {
    let store = InTemp::new();
    let Opened { mut backend, reader, .. } = store.open();
    write(&mut backend, |tx| tx.append(&sample_event(1))).unwrap();
    let expected = Event { position: event::Position(1), stamp: Stamp::default(), body: sample_event(1) };
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(reader.event(sample_id(1)).unwrap().as_ref(), Some(&expected));
                }
            });
        }
    });
}

#[test]
fn unused_pages_go_back_to_the_file_system() {
    let store = InTemp::new();
    let Opened { mut backend, reader, .. } = store.open();
    for n in 1..=100 {
        write(&mut backend, |tx| tx.append(&large(n, 300_000))).unwrap();
    }
    let before = reader.stats().unwrap().bytes;
    let wall = sample_event(200).recorded_at;
    for _ in 0..20 {
        let much_later = Stamp::from_micros(1_000_000_000_000);
        write_at(&mut backend, much_later, |tx| tx.housekeep(&Retention::default(), wall, 64)).unwrap();
    }
    assert_eq!(samples(&*reader, 100), [0; 0]);
    let stats = reader.stats().unwrap();
    assert!(stats.bytes < before, "{} bytes of {before} are left", stats.bytes);
    assert_eq!(reader.check(true).unwrap(), [""; 0]);
}
