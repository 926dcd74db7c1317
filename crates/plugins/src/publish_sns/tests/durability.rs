//! What each durability keeps, when, and who waits for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use event::{Decision, EventId, Fate, Outcome, UnknownReason};
use http::HeaderMap;
use pipeline::record::{EventIds, Turn};
use pipeline::{Joint, Watch};
use serde_json::json;
use storage::StoreError;
use storage::memory::CommitFault;
use storage::retention::Retention;
use storage::writer::DropReason;

use super::bench::{Bench, ID, INSTANCE, NOW, TOPIC, answer, block_on, reason, waits};

const ALL: [&str; 4] = ["intent", "strict", "outcome", "memory"];
const OK: Fate = Fate::Answered { status: 200 };
const TIMEOUT: Fate = Fate::Unanswered(UnknownReason::UpstreamTimeout);
const PATIENCE: Duration = Duration::from_secs(20);

fn bench(durability: &str) -> Bench {
    Bench::new(json!({"durability": durability}))
}

fn keeps_intents(durability: &str) -> bool {
    matches!(durability, "intent" | "strict")
}

fn holds_answers(durability: &str) -> bool {
    matches!(durability, "strict" | "outcome")
}

/// Settles and waits for the hold, if there is one. Whether there was.
fn settle(watch: &mut dyn Watch, fate: Fate) -> bool {
    let hold = watch.settle(fate, &answer(&HeaderMap::new()));
    let held = hold.is_some();
    if let Some(hold) = hold {
        block_on(hold).unwrap();
    }
    held
}

fn outcomes(bench: &Bench) -> Vec<Outcome> {
    bench.events().into_iter().map(|event| event.body.outcome()).collect()
}

#[test]
fn a_success_is_one_event_and_leaves_no_intent() {
    for durability in ALL {
        let bench = bench(durability);
        let mut watch = bench.forwarded();
        assert_eq!(bench.open_intents(), u64::from(keeps_intents(durability)), "{durability}");
        assert_eq!(settle(&mut *watch, OK), holds_answers(durability), "{durability}");
        drop(watch);
        let events = bench.events();
        assert_eq!(events.len(), 1, "{durability}");
        let body = &events[0].body;
        assert_eq!((body.id, body.topic, &*body.key), (ID, TOPIC, "users/profiles/7"));
        assert_eq!(body.outcome(), Outcome::Succeeded);
        assert_eq!(body.recorded_at, NOW.plus(Duration::from_millis(4)));
        assert!(!body.exchange().unwrap().overlapped);
        assert_eq!(bench.open_intents(), 0, "{durability}");
    }
}

#[test]
fn what_is_no_event_takes_the_intent_away_and_holds_nothing() {
    for durability in ALL {
        for fate in [Fate::NotSent, Fate::Answered { status: 404 }] {
            let bench = bench(durability);
            let mut watch = bench.forwarded();
            assert!(!settle(&mut *watch, fate), "{durability} {fate:?}");
            assert_eq!(outcomes(&bench), [], "{durability} {fate:?}");
            assert_eq!(bench.open_intents(), 0, "{durability} {fate:?}");
        }
    }
}

#[test]
fn an_unknown_outcome_is_published_unless_the_rule_says_no() {
    for durability in ALL {
        let bench = bench(durability);
        assert_eq!(settle(&mut *bench.forwarded(), TIMEOUT), holds_answers(durability), "{durability}");
        assert_eq!(outcomes(&bench), [Outcome::Unknown(UnknownReason::UpstreamTimeout)], "{durability}");

        let silent = Bench::new(json!({"durability": durability, "publish_unknown": false}));
        assert!(!settle(&mut *silent.forwarded(), TIMEOUT), "{durability}");
        assert_eq!(outcomes(&silent), [], "{durability}");
        assert_eq!(silent.open_intents(), 0, "{durability}");
    }
}

#[test]
fn the_decision_is_the_outcome_table_with_the_rules_statuses() {
    let published = Decision::Publish(Outcome::Succeeded);
    let watch = bench("intent").watch();
    assert_eq!(watch.decision(OK), published);
    assert_eq!(watch.decision(Fate::Answered { status: 303 }), Decision::None);
    let watch = Bench::new(json!({"statuses": [303]})).watch();
    assert_eq!(watch.decision(OK), Decision::None);
    assert_eq!(watch.decision(Fate::Answered { status: 303 }), published);
}

#[test]
fn times_are_those_of_the_rule() {
    let times = |watch: Box<dyn Watch>| [watch.resolve_after(), watch.bound(), watch.store_timeout()];
    assert_eq!(times(bench("intent").watch()), [1, 60, 10].map(Duration::from_secs));
    let other = Bench::new(json!({"resolve_after": 5, "exchange_timeout": 7, "store_timeout": 6}));
    assert_eq!(times(other.watch()), [5, 7, 6].map(Duration::from_millis));
}

#[test]
fn intents_are_waited_for_and_only_by_those_that_keep_one() {
    for durability in ALL {
        let bench = bench(durability);
        let blocked = bench.memory.block_commits();
        let mut watch = bench.watch();
        let hold = watch.intend(&mut Joint::alone());
        assert_eq!(hold.is_some(), keeps_intents(durability), "{durability}");
        let Some(mut hold) = hold else { continue };
        assert!(blocked.wait_for_commit(PATIENCE));
        assert!(waits(&mut hold), "{durability}");
        drop(blocked);
        block_on(hold).unwrap();
        assert_eq!(bench.open_intents(), 1, "{durability}");
    }
}

#[test]
fn two_recorders_of_one_request_wait_for_one_commit() {
    for durability in ["intent", "strict"] {
        let bench = bench(durability);
        let commits = || bench.writer.stats().commits.load(Ordering::Relaxed);
        let headers = HeaderMap::new();
        let further = EventIds::new(ID, INSTANCE, Turn::Further);
        let mut watches = [bench.watch(), bench.watch_of(&headers, |forward| forward.ids = further).unwrap()];
        let before = commits();
        let mut joint = Joint::of_several();
        let holds = watches.each_mut().map(|watch| watch.intend(&mut joint).unwrap());
        drop(joint);
        holds.into_iter().for_each(|hold| block_on(hold).unwrap());
        assert_eq!(commits(), before + 1, "{durability}");
        assert_eq!(bench.open_intents(), 2, "{durability}");

        for watch in &mut watches {
            assert_eq!(settle(&mut **watch, OK), holds_answers(durability), "{durability}");
        }
        let events = bench.events();
        let ids: Vec<_> = events.iter().map(|event| event.body.id).collect();
        assert_eq!(ids, [ID, EventId::further(ID, INSTANCE, 0, 0)], "{durability}");
        assert!(
            events.iter().all(|event| !event.body.exchange().unwrap().overlapped),
            "{durability}: one request"
        );
        assert_eq!(bench.open_intents(), 0, "{durability}");
    }
}

#[test]
fn held_answers_wait_for_the_commit() {
    for durability in ALL {
        let bench = bench(durability);
        let mut watch = bench.forwarded();
        let blocked = bench.memory.block_commits();
        let hold = watch.settle(OK, &answer(&HeaderMap::new()));
        assert_eq!(hold.is_some(), holds_answers(durability), "{durability}");
        assert_eq!(watch.may_hold(), holds_answers(durability), "{durability}");
        assert!(blocked.wait_for_commit(PATIENCE), "{durability}: the outcome is in the queue already");
        if let Some(mut hold) = hold {
            assert!(waits(&mut hold), "{durability}");
            drop(blocked);
            block_on(hold).unwrap();
        }
    }
}

#[test]
fn a_hold_whose_commit_fails_says_so() {
    for durability in ["strict", "outcome"] {
        let bench = bench(durability);
        let mut watch = bench.forwarded();
        bench.memory.fail_next_commit(CommitFault::Io);
        let hold = watch.settle(OK, &answer(&HeaderMap::new())).unwrap();
        assert!(matches!(reason(block_on(hold)), StoreError::Latched(_)), "{durability}");
    }
}

/// A store that takes no intents any more.
fn full(durability: &str) -> Bench {
    let retention = Retention { max_bytes: 0, ..Retention::default() };
    Bench::with_retention(json!({"durability": durability}), retention)
}

#[test]
fn a_refused_intent_is_an_error_and_settles_nothing() {
    for durability in ["intent", "strict", "outcome"] {
        let bench = full(durability);
        let mut watch = bench.watch();
        let refused = block_on(watch.intend(&mut Joint::alone()).unwrap());
        assert!(matches!(reason(refused), StoreError::Full(_)), "{durability}");
        // Whatever the gateway says now: nothing was sent, so nothing is published.
        assert!(!settle(&mut *watch, OK));
        drop(watch);
        assert_eq!(outcomes(&bench), [], "{durability}");
    }
}

#[test]
fn a_store_that_cannot_write_refuses_nothing_in_memory() {
    let bench = bench("memory");
    bench.memory.fail_next_commit(CommitFault::Io);
    assert!(bench.writer.transact(|_| Ok(())).wait().is_err());
    assert!(bench.writer.is_latched());
    let mut watch = bench.watch();
    assert!(watch.intend(&mut Joint::alone()).is_none());
    assert!(watch.settle(OK, &answer(&HeaderMap::new())).is_none());
}

#[test]
fn a_full_store_refuses_no_request_in_memory_but_its_event() {
    let bench = full("memory");
    assert!(!settle(&mut *bench.forwarded(), OK));
    assert_eq!(outcomes(&bench), []);
    assert_eq!(bench.writer.stats().dropped.of(DropReason::NoRoom), 1);
}

#[test]
fn dropped_after_the_head_went_out_it_settles_as_abandoned() {
    for durability in ALL {
        let bench = bench(durability);
        drop(bench.forwarded());
        let events = bench.events();
        assert_eq!(events.len(), 1, "{durability}");
        assert_eq!(events[0].body.outcome(), Outcome::Unknown(UnknownReason::Abandoned));
        assert_eq!(events[0].body.recorded_at, NOW);
        assert_eq!(events[0].body.exchange().unwrap().answer, None);
        assert_eq!(bench.open_intents(), 0, "{durability}");
    }
}

#[test]
fn dropped_before_the_head_went_out_it_leaves_nothing() {
    for durability in ALL {
        let bench = bench(durability);
        drop(bench.watch());
        assert_eq!(outcomes(&bench), [], "{durability}");
    }
    for durability in ["intent", "strict"] {
        let bench = bench(durability);
        let mut watch = bench.watch();
        // The client left while the intent was on its way.
        drop(watch.intend(&mut Joint::alone()));
        drop(watch);
        assert_eq!(outcomes(&bench), [], "{durability}");
        assert_eq!(bench.open_intents(), 0, "{durability}");
    }
}

#[test]
fn dropped_after_the_settlement_it_adds_nothing() {
    for durability in ALL {
        let bench = bench(durability);
        let mut watch = bench.forwarded();
        settle(&mut *watch, OK);
        assert!(!settle(&mut *watch, TIMEOUT), "settled twice");
        drop(watch);
        assert_eq!(outcomes(&bench), [Outcome::Succeeded], "{durability}");
    }
}

#[test]
fn an_abandoned_exchange_is_not_published_when_unknowns_are_not() {
    for durability in ALL {
        let bench = Bench::new(json!({"durability": durability, "publish_unknown": false}));
        drop(bench.forwarded());
        assert_eq!(outcomes(&bench), [], "{durability}");
        assert_eq!(bench.open_intents(), 0, "{durability}");
    }
}

#[test]
fn a_receipt_that_comes_after_the_settlement_does_not_open_it_again() {
    for durability in ["intent", "strict"] {
        let bench = bench(durability);
        let mut watch = bench.watch();
        let late = watch.intend(&mut Joint::alone()).unwrap();
        settle(&mut *watch, Fate::Answered { status: 404 });
        block_on(late).unwrap();
        drop(watch);
        assert_eq!(outcomes(&bench), [], "{durability}");
        assert_eq!(bench.open_intents(), 0, "{durability}");
    }
}
