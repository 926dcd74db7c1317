//! Tests of the policy: tables of answers and times, and what holds for all of them.

use super::*;

/// The store's clock.
const NOW: Stamp = Stamp::from_micros(5_000_000_000_000_000);

#[test]
fn the_patient_schedule_is_the_documented_one() {
    let policy = Policy::default();
    let mut now = NOW;
    let mut waits = Vec::new();
    for attempts in 1.. {
        let Next::Retry(at) = policy.next(attempts, NOW, now, None, 0.0) else { break };
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
        assert_eq!(policy.next(2, NOW, NOW, None, jitter), expected, "{jitter}");
    }
}

#[test]
fn an_endpoint_gets_the_longer_wait_that_it_asked_for() {
    let policy = Policy::default();
    let next = |since: Stamp, asked: Duration| policy.next(1, since, NOW, Some(asked), 0.0);
    assert_eq!(next(NOW, SECOND), Next::Retry(NOW.plus(5 * SECOND)));
    assert_eq!(next(NOW, MINUTE), Next::Retry(NOW.plus(MINUTE)));
    assert_eq!(next(NOW, 1_000 * HOUR), Next::Retry(NOW.plus(24 * HOUR)));
    let nearly_over = NOW.minus(71 * HOUR);
    assert_eq!(next(nearly_over, 24 * HOUR), Next::Retry(NOW.plus(HOUR)), "never beyond the end");
}

#[test]
fn gives_up_three_days_after_the_first_attempt() {
    let policy = Policy::default();
    assert_eq!(policy.next(40, NOW.minus(71 * HOUR), NOW, None, 0.0), Next::Exhausted);
    assert_eq!(policy.next(40, NOW.minus(70 * HOUR), NOW, None, 0.0), Next::Retry(NOW.plus(2 * HOUR)));
    assert_eq!(
        policy.next(1, NOW.plus(HOUR), NOW, None, 0.0),
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
    let next = |since: Stamp| policy.next(1, since, NOW, None, 0.0);
    let end = NOW.minus(HOUR - MINUTE);
    assert_eq!(next(end), Next::Retry(NOW.plus(MINUTE)));
    assert_eq!(next(end.minus(Duration::from_micros(1))), Next::Exhausted);
    let asked = policy.next(1, end.plus(SECOND), NOW, Some(HOUR), 0.0);
    assert_eq!(asked, Next::Retry(NOW.plus(MINUTE + SECOND)), "what it asked for ends there, too");
}

#[test]
fn the_last_wait_repeats_and_there_is_always_one() {
    let policy = Policy { waits: vec![SECOND, MINUTE], give_up_after: HOUR };
    for (attempts, wait) in [(0, SECOND), (1, SECOND), (2, MINUTE), (3, MINUTE), (u32::MAX, MINUTE)] {
        assert_eq!(policy.next(attempts, NOW, NOW, None, 0.0), Next::Retry(NOW.plus(wait)), "{attempts}");
    }
    let none = Policy { waits: Vec::new(), give_up_after: HOUR };
    assert_eq!(none.next(1, NOW, NOW, None, 0.0), Next::Retry(NOW.plus(SECOND)));
}

#[test]
fn a_wait_that_was_asked_for_is_capped_at_a_day() {
    for (seconds, capped) in [(86_399, 86_399), (86_400, 86_400), (86_401, 86_400)] {
        let policy = Policy::default();
        let asked = Some(Duration::from_secs(seconds));
        let expected = Next::Retry(NOW.plus(Duration::from_secs(capped)));
        assert_eq!(policy.next(1, NOW, NOW, asked, 0.0), expected, "{seconds}");
    }
}

proptest::proptest! {
    #[test]
    fn a_retry_is_never_in_the_past_and_never_beyond_the_end(
        attempts in 0u32..200, age in 0u64..300_000, asked in proptest::option::of(0u64..1_000_000), jitter in -2.0..2.0f64,
    ) {
        let since = NOW.minus(Duration::from_secs(age));
        let policy = Policy::default();
        if let Next::Retry(at) = policy.next(attempts, since, NOW, asked.map(Duration::from_secs), jitter) {
            proptest::prop_assert!(at >= NOW && at <= since.plus(policy.give_up_after));
        }
    }
}
