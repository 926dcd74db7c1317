//! What is counted, for how long, and what goes when there is no more room.

use super::*;

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn limits(limits: &[(Period, u64)]) -> Limits {
    let mut all = Limits::default();
    limits.iter().for_each(|(period, limit)| all[*period as usize] = Some(*limit));
    all
}

/// Whether an address is let through by a limit for a minute.
fn passes(table: &Table, who: impl Hash, limit: u64, second: u64) -> bool {
    table.take(Kind::Address, who, &limits(&[(Period::Minute, limit)]), at(second)).passes
}

#[test]
fn a_window_lets_its_limit_through_and_the_next_one_begins_anew() {
    let table = Table::default();
    let limits = limits(&[(Period::Second, 2), (Period::Minute, 3)]);
    let look = |second| {
        let looked = table.take(Kind::Known, "ann", &limits, at(second));
        (looked.passes, looked.left.iter().flatten().map(|one| one.left).collect::<Vec<_>>())
    };
    assert_eq!(look(120), (true, vec![2, 3]));
    assert_eq!(look(120), (true, vec![1, 2]));
    assert_eq!(look(120), (false, vec![0, 1]), "and a refused one is not counted");
    assert_eq!(look(121), (true, vec![2, 1]));
    assert_eq!(look(122), (false, vec![2, 0]));
    assert_eq!(look(180), (true, vec![2, 3]));
    assert!(table.take(Kind::Known, "bob", &limits, at(120)).passes, "others count for themselves");
}

#[test]
fn a_clock_that_is_set_frees_and_freezes_nobody() {
    let table = Table::default();
    let look = |second| passes(&table, "ann", 1, second);
    assert!(look(600));
    assert!(!look(599), "a second back is the same budget");
    assert!(!look(600));
    assert!(look(1_000_000), "a jump forward");
    assert!(look(660), "and back: nothing waits for the future");
    assert!(!look(661));
}

/// So many that every part of a table is full several times.
const MANY: usize = 3 * PARTS * Kind::Address.room();

#[test]
fn however_many_strangers_ask_no_consumer_begins_anew() {
    let table = Table::default();
    let limits = limits(&[(Period::Year, 1)]);
    let ask = |kind, who: usize| table.take(kind, who, &limits, at(60));
    for consumer in 0..1_000 {
        assert!(ask(Kind::Known, consumer).passes);
    }
    let forgotten: usize = (0..MANY).map(|stranger| ask(Kind::Address, stranger).forgotten).sum();
    assert!(forgotten > 0, "there are too many of them");
    assert_eq!((0..MANY).filter(|text| ask(Kind::Text, *text).passes).count(), MANY);
    for consumer in 0..1_000 {
        assert!(!ask(Kind::Known, consumer).passes, "{consumer}");
    }
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_used_up_goes_last() {
    let table = Table::default();
    for _ in 0..2 {
        assert!(passes(&table, "used up", 2, 60));
    }
    let limits = limits(&[(Period::Minute, 2)]);
    let forgotten: usize =
        (0..MANY).map(|other| table.take(Kind::Address, other, &limits, at(60)).forgotten).sum();
    assert!(forgotten > PARTS * Kind::Address.room(), "{forgotten}");
    let kept = |part: &Mutex<Part>| part.lock().unwrap().of_kinds[Kind::Address as usize].len();
    let kept: usize = table.parts.iter().map(kept).sum();
    assert!(kept <= PARTS * Kind::Address.room(), "{kept}");
    assert!(!passes(&table, "used up", 2, 60), "though it did not ask meanwhile");
}

#[test]
fn of_those_that_have_used_alike_who_asks_again_and_again_is_not_forgotten() {
    let table = Table::default();
    assert!(passes(&table, "ann", 1, 60));
    for other in 0..MANY {
        assert!(passes(&table, other, 1, 60), "whoever is new is let through");
        if other % 512 == 0 {
            assert!(!passes(&table, "ann", 1, 60), "after {other}");
        }
    }
}

#[test]
fn those_whose_windows_have_ended_go_first() {
    let table = Table::default();
    let limits = limits(&[(Period::Minute, 1)]);
    for earlier in 0..MANY / 6 {
        table.take(Kind::Address, earlier, &limits, at(0));
    }
    let now = MANY..MANY + MANY / 6;
    let forgotten: usize =
        now.clone().map(|who| table.take(Kind::Address, who, &limits, at(60)).forgotten).sum();
    assert_eq!(forgotten, 0, "nobody whose window is open");
    for who in now {
        assert!(!passes(&table, who, 1, 60), "{who}");
    }
}

#[test]
fn exactly_the_limit_passes_whoever_asks_at_once() {
    let table = Arc::new(Table::default());
    let limits = limits(&[(Period::Minute, 500), (Period::Hour, 1_000)]);
    let passed: usize = std::thread::scope(|scope| {
        let asking = (0..4).map(|_| {
            let (table, limits) = (table.clone(), &limits);
            let ask = move |_: &usize| table.take(Kind::Known, "ann", limits, at(60)).passes;
            scope.spawn(move || (0..400).filter(ask).count())
        });
        let asking: Vec<_> = asking.collect();
        asking.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(passed, 500);
}

#[test]
fn a_plugin_has_its_counts_as_long_as_a_generation_has_it() {
    let counters = Counters::default();
    let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let take = |table: &Table| passes(table, "ann", 1, 60);
    let first = counters.of(one);
    assert!(take(&first));
    let next = counters.of(one);
    drop(first);
    assert!(!take(&next), "the next generation goes on");
    assert!(take(&counters.of(other)));
    drop(next);
    assert!(take(&counters.of(one)), "nobody had it any more");
    assert_eq!(counters.0.lock().unwrap().len(), 1, "what is gone takes no room");
}
