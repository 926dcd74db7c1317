//! Tests of the policy: tables of answers and times, and what holds for all of them.

use super::*;

/// The store's clock.
const NOW: Stamp = Stamp::from_micros(5_000_000_000_000_000);

/// An attempt that failed now, made when it was due.
fn failed(attempts: u32, since: Stamp) -> Failed {
    Failed { attempts, since, now: NOW, due: None, asked: None }
}

#[test]
fn the_patient_schedule_is_the_documented_one() {
    let policy = Policy::default();
    let mut now = NOW;
    let mut waits = Vec::new();
    for attempts in 1.. {
        let Next::Retry(at) = policy.next(&Failed { now, ..failed(attempts, NOW) }, 0.0) else { break };
        waits.push(at.since(now).as_secs());
        now = at;
    }
    assert_eq!(waits[..9], [5, 30, 120, 600, 1_800, 3_600, 7_200, 7_200, 7_200]);
    let tried_for = now.since(NOW);
    assert!(tried_for <= 72 * HOUR && tried_for > 69 * HOUR, "{tried_for:?}");
}

#[test]
fn jitter_moves_a_wait_by_a_tenth() {
    let policy = Policy::default();
    for (jitter, millis) in [(-1.0, 27_000), (0.0, 30_000), (1.0, 33_000), (9.0, 33_000)] {
        let expected = Next::Retry(NOW.plus(Duration::from_millis(millis)));
        assert_eq!(policy.next(&failed(2, NOW.minus(5 * SECOND)), jitter), expected, "{jitter}");
    }
}

#[test]
fn an_endpoint_gets_the_longer_wait_that_it_asked_for() {
    let policy = Policy::default();
    let next =
        |since: Stamp, asked: Duration| policy.next(&Failed { asked: Some(asked), ..failed(1, since) }, 0.0);
    assert_eq!(next(NOW, SECOND), Next::Retry(NOW.plus(5 * SECOND)));
    assert_eq!(next(NOW, MINUTE), Next::Retry(NOW.plus(MINUTE)));
    assert_eq!(next(NOW, 1_000 * HOUR), Next::Retry(NOW.plus(24 * HOUR)));
    let nearly_over = NOW.minus(71 * HOUR);
    assert_eq!(next(nearly_over, 24 * HOUR), Next::Retry(NOW.plus(HOUR)), "never beyond the end");
}

#[test]
fn gives_up_three_days_after_the_first_attempt() {
    let policy = Policy::default();
    assert_eq!(policy.next(&failed(40, NOW.minus(71 * HOUR)), 0.0), Next::Exhausted);
    assert_eq!(policy.next(&failed(40, NOW.minus(70 * HOUR)), 0.0), Next::Retry(NOW.plus(2 * HOUR)));
    assert_eq!(
        policy.next(&failed(1, NOW.plus(HOUR)), 0.0),
        Next::Retry(NOW.plus(5 * SECOND)),
        "what lies ahead counts as now"
    );
}

#[test]
fn says_how_long_in_words() {
    assert_eq!(in_words(72 * HOUR), "3 days");
    assert_eq!(in_words(HOUR), "1 hour");
    assert_eq!(in_words(90 * SECOND), "1 minute");
    assert_eq!(in_words(2 * SECOND), "2 seconds");
}

#[test]
fn words_change_at_whole_units() {
    for (seconds, words) in [
        (0, "0 seconds"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (119, "1 minute"),
        (120, "2 minutes"),
        (3_599, "59 minutes"),
        (3_600, "1 hour"),
        (7_200, "2 hours"),
        (86_399, "23 hours"),
        (86_400, "1 day"),
        (172_799, "1 day"),
        (172_800, "2 days"),
    ] {
        assert_eq!(in_words(Duration::from_secs(seconds)), words, "{seconds}");
    }
}

#[test]
fn the_last_try_is_at_the_end_and_not_behind_it() {
    let policy = Policy { waits: vec![MINUTE], give_up_after: HOUR };
    let next = |since: Stamp| policy.next(&failed(1, since), 0.0);
    let end = NOW.minus(HOUR - MINUTE);
    assert_eq!(next(end), Next::Retry(NOW.plus(MINUTE)));
    assert_eq!(next(end.minus(Duration::from_micros(1))), Next::Exhausted);
    let asked = policy.next(&Failed { asked: Some(HOUR), ..failed(1, end.plus(SECOND)) }, 0.0);
    assert_eq!(asked, Next::Retry(NOW.plus(MINUTE + SECOND)), "what it asked for ends there, too");
}

#[test]
fn the_last_wait_repeats_and_there_is_always_one() {
    let policy = Policy { waits: vec![SECOND, MINUTE], give_up_after: HOUR };
    for (attempts, wait) in [(0, SECOND), (1, SECOND), (2, MINUTE), (3, MINUTE), (u32::MAX, MINUTE)] {
        assert_eq!(
            policy.next(&failed(attempts, NOW.minus(MINUTE)), 0.0),
            Next::Retry(NOW.plus(wait)),
            "{attempts}"
        );
    }
    let none = Policy { waits: Vec::new(), give_up_after: HOUR };
    assert_eq!(none.next(&failed(1, NOW), 0.0), Next::Retry(NOW.plus(SECOND)));
}

#[test]
fn a_wait_that_was_asked_for_is_capped_at_a_day() {
    for (seconds, capped) in [(86_399, 86_399), (86_400, 86_400), (86_401, 86_400)] {
        let policy = Policy::default();
        let asked = Some(Duration::from_secs(seconds));
        let expected = Next::Retry(NOW.plus(Duration::from_secs(capped)));
        assert_eq!(policy.next(&Failed { asked, ..failed(1, NOW) }, 0.0), expected, "{seconds}");
    }
}

#[test]
fn an_attempt_before_its_time_leaves_the_plan_as_it_was() {
    let policy = Policy::default();
    let due = NOW.plus(20 * MINUTE);
    let early = Failed { due: Some(due), ..failed(6, NOW.minus(HOUR)) };
    assert_eq!(policy.next(&early, 0.0), Next::Retry(due));
    assert_eq!(
        policy.next(&Failed { asked: Some(HOUR), ..early }, 0.0),
        Next::Retry(NOW.plus(HOUR)),
        "it asked"
    );
    let last = Failed { since: NOW.minus(72 * HOUR - 20 * MINUTE), ..early };
    assert_eq!(policy.next(&last, 0.0), Next::Retry(due), "the end of its time is no reason to go before it");
    let soon = Failed { since: NOW, due: Some(due), ..failed(2, NOW) };
    assert_eq!(
        policy.next(&soon, 0.0),
        Next::Retry(NOW.plus(5 * SECOND)),
        "a plan of older waits is not kept"
    );
    let past = Failed { due: Some(NOW.minus(SECOND)), ..failed(1, NOW) };
    assert_eq!(policy.next(&past, 0.0), Next::Retry(NOW.plus(5 * SECOND)), "it came due while it was tried");
}

#[test]
fn waits_grow_no_faster_than_a_delivery_gets_older() {
    let policy = Policy::default();
    // Tried every five seconds, because somebody starts the process anew so often.
    let wait =
        |age: u64| match policy.next(&failed(1 + age as u32 / 5, NOW.minus(Duration::from_secs(age))), 0.0) {
            Next::Retry(at) => at.since(NOW).as_secs(),
            Next::Exhausted => panic!("{age} s are not three days"),
        };
    let ages = [0, 4, 5, 30, 35, 139, 140, 330, 700, 3_000];
    assert_eq!(ages.map(wait), [5, 5, 30, 30, 120, 120, 600, 600, 1_800, 3_600]);
}

proptest::proptest! {
    #[test]
    fn a_retry_is_never_in_the_past_and_never_beyond_the_end(
        attempts in 0u32..200, age in 0u64..300_000, asked in proptest::option::of(0u64..1_000_000), jitter in -2.0..2.0f64,
    ) {
        let since = NOW.minus(Duration::from_secs(age));
        let policy = Policy::default();
        if let Next::Retry(at) = policy.next(&Failed { asked: asked.map(Duration::from_secs), ..failed(attempts, since) }, jitter) {
            proptest::prop_assert!(at >= NOW && at <= since.plus(policy.give_up_after));
        }
    }
}
