//! What a start finds after a crash, and what it does about it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use event::timestamp::Clock;
use event::{Intent, Outcome};
use storage::clock::StoreClock;
use storage::entities::{Desired, DesiredSubscription, Incarnation, Protocol};
use storage::writer::{Config, Writer};

use super::*;

fn after(secs: u64) -> Timestamp {
    storage::memory::SAMPLE_TIME.plus(std::time::Duration::from_secs(secs))
}

/// A store with samples 1 to 9 and the intent of sample 10, that was not closed.
fn crashed() -> InTemp {
    let store = InTemp::new();
    let mut opened = store.open();
    for n in 1..10 {
        write(&mut opened.backend, |tx| tx.append(&sample_event(n))).unwrap();
    }
    write(&mut opened.backend, |tx| tx.insert_intent(&sample_intent(10))).unwrap();
    let copy = store.as_after_a_crash();
    assert!(copy.files().wal_bytes() > 0);
    copy
}

#[test]
fn an_unclean_start_moves_the_whole_log_into_the_database() {
    let store = crashed();
    let opened = store.open();
    assert!(opened.unclean);
    assert_eq!(samples(&*opened.reader, 10), (1..10).collect::<Vec<_>>());
    let without_log = store.as_after_a_crash();
    std::fs::remove_file(without_log.files().wal).unwrap();
    let database = shell(&without_log.files().database);
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        database.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!([count("events"), count("intents")], [9, 1]);
}

#[test]
fn intents_of_a_crashed_process_are_recovered() {
    let store = crashed();
    let mut opened = store.open();
    assert_eq!(write(&mut opened.backend, |tx| tx.recover(after(1), 9)).unwrap(), 1);
    assert_eq!(samples(&*opened.reader, 10), (1..=10).collect::<Vec<_>>());
    let locks = std::fs::read_dir(store.dir().join("incarnations")).unwrap().count();
    assert_eq!(locks, 1, "the dead one's lock is gone");
    opened.backend.close();
    drop(opened);
    assert!(!store.open().unclean);
}

#[test]
fn a_log_that_ends_in_the_middle_of_a_commit_loses_that_commit_alone() {
    let store = crashed();
    let wal = OpenOptions::new().write(true).open(store.files().wal).unwrap();
    wal.set_len(store.files().wal_bytes() - 100).unwrap();
    let opened = store.open();
    assert!(opened.unclean);
    assert_eq!(samples(&*opened.reader, 10), (1..10).collect::<Vec<_>>());
    assert_eq!(
        opened.reader.stats().unwrap().open_intents,
        0,
        "it was the last commit, and nobody was told of it"
    );
    assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
}

/// The length of the log's frames.
const FRAME: u64 = 24 + 4_096;

fn flip(file: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(file).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn frames_after_a_damaged_one_are_counted() {
    let whole = crashed();
    let wal = whole.files().wal;
    let frames = (whole.files().wal_bytes() - 32) / FRAME;
    assert!(frames > 10);
    assert_eq!(wal::cut(&wal).unwrap(), None);
    let pristine = std::fs::read(&wal).unwrap();
    let sizes = |frame: u64| &pristine[(32 + (frame - 1) * FRAME + 4) as usize..][..4];
    let commits = |after: u64| (after + 1..=frames).filter(|frame| sizes(*frame) != [0; 4]).count() as u64;
    // A byte of a page; of a frame's header, which spoils the checksum of the next one, too; of the log's header.
    let page = |frame: u64| 32 + (frame - 1) * FRAME + 24 + 100;
    for (at, damaged, spoiled) in [(page(3), 3, 0), (page(3) - 104, 3, 1), (page(1), 1, 0), (17, 0, 0)] {
        std::fs::write(&wal, &pristine).unwrap();
        flip(&wal, at);
        let expected =
            wal::Cut { damaged, frames: frames - damaged - spoiled, commits: commits(damaged + spoiled) };
        assert_eq!(wal::cut(&wal).unwrap(), Some(expected), "byte {at}");
    }
    std::fs::write(&wal, &pristine).unwrap();
    flip(&wal, page(frames));
    assert_eq!(wal::cut(&wal).unwrap(), None, "a last frame that is torn is how a crash leaves it");
    std::fs::write(&wal, &pristine[..pristine.len() - 100]).unwrap();
    assert_eq!(wal::cut(&wal).unwrap(), None);
    std::fs::write(&wal, "").unwrap();
    assert_eq!(wal::cut(&wal).unwrap(), None);
    std::fs::remove_file(&wal).unwrap();
    assert_eq!(wal::cut(&wal).unwrap(), None);
}

#[test]
fn what_an_earlier_round_of_the_log_left_is_no_part_of_it() {
    let store = InTemp::new();
    let mut opened = store.open();
    for n in 1..10 {
        write(&mut opened.backend, |tx| tx.append(&sample_event(n))).unwrap();
    }
    assert!(checkpoint::checkpoint(opened.backend.transaction.database(), Mode::Restart).unwrap());
    write(&mut opened.backend, |tx| tx.append(&sample_event(11))).unwrap();
    let copy = store.as_after_a_crash();
    assert!(copy.files().wal_bytes() > 10 * FRAME, "the file keeps its length");
    assert_eq!(wal::cut(&copy.files().wal).unwrap(), None);
}

#[test]
fn a_log_that_is_damaged_in_its_middle_is_kept_aside() {
    let store = crashed();
    let wal = store.files().wal;
    flip(&wal, 32 + 2 * FRAME + 100);
    let damaged = std::fs::read(&wal).unwrap();
    drop(store.open());
    let entries = std::fs::read_dir(store.dir()).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<PathBuf> =
        entries.filter(|path| path.to_string_lossy().contains("-wal.damaged-")).collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(std::fs::read(&aside[0]).unwrap(), damaged);
}

/// A page that belongs to one large event alone.
#[test]
fn a_damaged_page_spoils_the_event_that_it_is_of_alone() {
    let store = InTemp::new();
    let mut opened = store.open();
    let large: std::sync::Arc<str> = format!("{{\"x\":\"{}\"}}", "y".repeat(20_000)).into();
    for n in 1..=4 {
        let body = sample_exchange(n, |exchange| exchange.request = large.clone());
        write(&mut opened.backend, |tx| tx.append(&body)).unwrap();
    }
    opened.backend.close();
    drop(opened);
    let database = std::fs::read(store.files().database).unwrap();
    let in_overflow: Vec<usize> = (1..database.len() / 4_096)
        .filter(|page| database[page * 4_096 + 4..(page + 1) * 4_096].iter().all(|byte| *byte == b'y'))
        .collect();
    // A page number that is none, in the second event's chain: its pages follow those of the first.
    let page = in_overflow[in_overflow.len() / 4 + 1];
    let file = OpenOptions::new().write(true).open(store.files().database).unwrap();
    file.write_all_at(&[0xff; 4], page as u64 * 4_096).unwrap();
    let reader = inspect(&store.dir()).unwrap();
    let whole = reader.events_before(None, 9, usize::MAX).unwrap().events;
    assert_eq!(whole.len(), 3, "{:?}", whole.iter().map(|event| event.position).collect::<Vec<_>>());
    let lost = (1..=4).find(|n| whole.iter().all(|event| event.position.0 != *n)).unwrap();
    let at = |position| reader.event_at(Position(position));
    assert!(matches!(at(lost), Err(StoreError::Damaged(_))));
    let topic = sample_event(1).topic;
    let rest = reader.events_after(topic, Position(lost), 9, usize::MAX).unwrap();
    assert_eq!(rest.len() as i64, 4 - lost);
    // Housekeeping fails at it once, and goes around it then.
    drop(reader);
    let mut opened = store.open();
    let long_after = after(1_000_000);
    let mut housekeep = || {
        let much_later = Stamp::from_micros(1_000_000_000_000);
        write_at(&mut opened.backend, much_later, |tx| tx.housekeep(&Retention::default(), long_after, 64))
            .map(|done| done.rows)
    };
    assert!(matches!(housekeep(), Err(StoreError::Damaged(_))));
    assert_eq!(housekeep().unwrap(), 3);
    assert_eq!(housekeep().unwrap(), 0);
    let left: i64 = shell(&store.files().database)
        .query_row("SELECT sum(position) FROM events", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, lost);
}

#[test]
fn a_damaged_database_is_refused_after_an_unclean_end() {
    let whole = crashed();
    drop(whole.open());
    let store = whole.as_after_a_crash();
    let database = OpenOptions::new().write(true).open(store.files().database).unwrap();
    let pages = database.metadata().unwrap().len() / 4_096;
    for page in 2..pages {
        database.write_all_at(&[0x5a; 64], page * 4_096).unwrap();
    }
    let refusal = store.refusal();
    assert!(refusal.contains("retrohook.db is damaged"), "{refusal}");
    assert!(refusal.contains("`retrohook check --data TMP/data`"), "{refusal}");
}

#[test]
fn an_incarnation_whose_lock_is_held_lives() {
    let store = crashed();
    let lock = store.dir().join("incarnations/1.lock");
    std::fs::create_dir(lock.parent().unwrap()).unwrap();
    let mut opened = store.open();
    assert_eq!(opened.incarnation, Incarnation(2));
    let held = std::fs::File::create(&lock).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(write(&mut opened.backend, |tx| tx.recover(after(1), 9)).unwrap(), 0);
    drop(held);
    assert_eq!(write(&mut opened.backend, |tx| tx.recover(after(1), 9)).unwrap(), 1);
    assert!(!lock.exists());
}

#[test]
fn an_incarnation_whose_lock_was_deleted_lives_while_anybody_else_does() {
    let store = crashed();
    let mut opened = store.open();
    assert_eq!(opened.incarnation, Incarnation(2));
    let others_share = std::fs::File::open(store.dir().join("incarnations")).unwrap();
    rustix::fs::flock(&others_share, rustix::fs::FlockOperation::NonBlockingLockShared).unwrap();
    for _ in 0..2 {
        assert_eq!(write(&mut opened.backend, |tx| tx.recover(after(1), 9)).unwrap(), 0);
    }
    drop(others_share);
    assert_eq!(write(&mut opened.backend, |tx| tx.recover(after(1), 9)).unwrap(), 1);
}

#[test]
fn a_recovery_that_is_rolled_back_forgets_nothing() {
    let store = crashed();
    let mut opened = store.open();
    opened.backend.begin(Stamp::default()).unwrap();
    assert_eq!(opened.backend.tx().recover(after(1), 9).unwrap(), 1);
    opened.backend.rollback();
    assert_eq!(write(&mut opened.backend, |tx| tx.recover(after(1), 9)).unwrap(), 1);
}

#[test]
fn the_check_finds_what_points_at_nothing() {
    let store = InTemp::new();
    let opened = store.open();
    shell(&store.files().database)
        .execute_batch(
            "INSERT INTO messages VALUES (7, 1, 4, 1, 0, 0, NULL, NULL, 0, 0, NULL, NULL);
             INSERT INTO deliveries VALUES (3, 5, 'k', 'behind', NULL, NULL, 0, 0, NULL, NULL);
             INSERT INTO attempts VALUES (1, 6, 1, 1, zeroblob(16), 0, 0, NULL, NULL, x'', NULL);
             INSERT INTO intents VALUES (1, 99, zeroblob(16), 1, 'k', 1, 0, '{}');",
        )
        .unwrap();
    assert_eq!(
        opened.reader.check(true).unwrap(),
        [
            "message 7 points at no event",
            "a delivery points at no event (5)",
            "a delivery belongs to no subscription (3)",
            "message 7 is in no queue",
            "an attempt points at no event (6)",
            "an open intent belongs to no run (99)",
        ]
    );
    assert_eq!(opened.reader.check(false).unwrap(), [""; 0], "it does not go through whole tables");
}

fn numbered(n: u32) -> event::EventId {
    event::EventId::from_bytes(u128::from(n).to_be_bytes())
}

/// 600 intents that are settled, but for those in `left`; one more that is not; then a crash.
fn crashed_after_many(left: &[u32]) -> InTemp {
    let store = InTemp::new();
    let mut opened = store.open();
    for n in 0..=600 {
        let intent = Intent { id: numbered(n), ..sample_intent(1) };
        write(&mut opened.backend, |tx| tx.insert_intent(&intent)).unwrap();
        write(&mut opened.backend, |tx| match n {
            n if left.contains(&n) || n == 600 => Ok(()),
            // Of the last ones no row stays: their numbers must not be given again.
            n if n % 3 == 0 || n > 400 => tx.remove_intent(intent.id).map(drop),
            _ => tx.append(&NewEvent { id: intent.id, ..sample_event(1) }).map(drop),
        })
        .unwrap();
    }
    assert_eq!(opened.reader.stats().unwrap().open_intents, left.len() as u64 + 1);
    store.as_after_a_crash()
}

#[test]
fn open_intents_are_found_without_the_settled_ones_before_them() {
    for (left, noted) in [(&[][..], 599), (&[300, 560], 301), (&[0, 599], 1)] {
        let store = crashed_after_many(left);
        let sql = "SELECT min(open_from) FROM incarnations";
        let from = shell(&store.files().database).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert!((noted..noted + 3).contains(&from), "open from {from}");
        let mut opened = store.open();
        let mut recover = || write(&mut opened.backend, |tx| tx.recover(after(1), 2)).unwrap();
        let expected = left.len() + 1;
        assert_eq!([recover(), recover(), recover()].iter().sum::<usize>(), expected, "{left:?}");
        for n in left.iter().chain(&[600]) {
            let event = opened.reader.event(numbered(*n)).unwrap().expect("it was open");
            assert_eq!(event.body.exchange().unwrap().request, sample_intent(1).request);
            assert!(matches!(event.body.outcome(), Outcome::Unknown(_)));
        }
        assert_eq!(opened.reader.check(true).unwrap(), [""; 0]);
    }
}

/// A machine whose wall clock stands still.
struct Machine {
    wall: Timestamp,
    uptime: AtomicU64,
}

impl Machine {
    fn new(wall: Timestamp) -> Arc<Self> {
        Arc::new(Self { wall, uptime: AtomicU64::new(1) })
    }
}

impl Clock for Machine {
    fn now(&self) -> Timestamp {
        self.wall
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.uptime.load(Ordering::SeqCst))
    }
}

/// What was hidden within the minute before a power cut stays hidden for its timeout, even if the machine comes back in the past.
#[test]
fn a_power_cut_leaves_no_row_ahead_of_the_clock() {
    let store = InTemp::new();
    let Opened { backend, .. } = store.open();
    let machine = Machine::new(after(0));
    let (clock, vitals) = (machine.clone(), storage::vital::vitals().0);
    let config =
        Config { backend, feed: storage::Feed::default(), clock, retention: Retention::default(), vitals };
    let (writer, thread) = Writer::spawn(config).unwrap();
    let subscription = DesiredSubscription {
        topic: "t".into(),
        name: None,
        protocol: Protocol::Sqs,
        endpoint: "worker".into(),
        confirm_with: None,
        uuid: uuid::Uuid::nil(),
    };
    let desired = Desired { subscriptions: vec![subscription], ..Desired::default() };
    let entities = writer.transact(move |tx| tx.sync_entities(&desired, after(0))).wait().unwrap();
    let queue = entities.queues[0].id;
    writer.publish(sample_event(1)).wait().unwrap();
    machine.uptime.fetch_add(40, Ordering::SeqCst);
    let visibility = Duration::from_secs(30);
    let received = writer.transact(move |tx| tx.receive(queue, 1, visibility, after(0))).wait().unwrap();
    assert_eq!(received.len(), 1);
    let hidden_at = writer.clock().now();

    let store = store.as_after_a_crash();
    let Opened { backend, reader, .. } = store.open();
    let (resumed, _) = StoreClock::resume(backend.kept_clock(), Machine::new(Timestamp::default()));
    assert_eq!(resumed.now(), hidden_at);
    let visible = |at: Stamp| reader.queue_depth(queue, at).unwrap().visible;
    assert_eq!((visible(resumed.now()), visible(resumed.now().plus(visibility))), (0, 1));
    writer.stop();
    thread.join().unwrap();
}
