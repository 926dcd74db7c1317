//! Tests of the policy: tables of answers and times, and what holds for all of them.

use bytes::Bytes;

use super::*;
use crate::sink::Failure;

/// The wall clock.
const WALL: Timestamp = Timestamp::from_millis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT
/// The store's.
const NOW: Stamp = Stamp::from_micros(5_000_000_000_000_000);

fn answered(status: u16, retry_after: Option<&str>) -> AttemptReport {
    AttemptReport {
        status: Some(status),
        took: SECOND,
        answer: Bytes::new(),
        error: None,
        retry_after: retry_after.map(str::to_owned),
    }
}

#[test]
fn only_2xx_is_success_and_only_410_is_final() {
    for (status, expected) in [
        (200, Verdict::Delivered),
        (204, Verdict::Delivered),
        (299, Verdict::Delivered),
        (199, Verdict::Failed),
        (301, Verdict::Failed),
        (307, Verdict::Failed),
        (400, Verdict::Failed),
        (404, Verdict::Failed),
        (410, Verdict::Gone),
        (429, Verdict::Failed),
        (500, Verdict::Failed),
        (503, Verdict::Failed),
    ] {
        assert_eq!(classify(&answered(status, None)), expected, "{status}");
    }
    for kind in
        [Failure::Blocked, Failure::Dns, Failure::Connect, Failure::Tls, Failure::Timeout, Failure::Broken]
    {
        assert_eq!(classify(&AttemptReport::failed(kind, "x", SECOND)), Verdict::Failed, "{kind:?}");
    }
}

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
fn reads_retry_after_in_all_its_forms() {
    let hour = Some(HOUR);
    for (text, expected) in [
        ("0", Some(Duration::ZERO)),
        (" 120 ", Some(2 * MINUTE)),
        ("-5", Some(Duration::ZERO)),
        ("99999999999999999999", Some(Duration::from_secs(u64::from(u32::MAX)))),
        ("Sun, 06 Nov 1994 09:49:37 GMT", hour),
        ("Sunday, 06-Nov-94 09:49:37 GMT", hour),
        ("Sun Nov  6 09:49:37 1994", hour),
        ("Sun, 06 Nov 1994 07:49:37 GMT", Some(Duration::ZERO)),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("-", None),
        ("Sunday, 06", None),
        ("Sünday, 0ä-Növ-94 09:49:37 GMT", None),
    ] {
        assert_eq!(parse_retry_after(text, WALL), expected, "{text:?}");
    }
}

#[test]
fn heeds_retry_after_only_where_it_has_a_meaning() {
    let heeded = [429, 502, 503, 504, 302].map(|status| (status, Some(MINUTE)));
    for (status, expected) in heeded.into_iter().chain([500, 501, 505, 404].map(|status| (status, None))) {
        assert_eq!(asked_wait(&answered(status, Some("60")), WALL), expected, "{status}");
    }
    assert_eq!(asked_wait(&answered(503, Some("999999")), WALL), Some(MAX_RETRY_AFTER));
}

#[test]
fn says_what_went_wrong() {
    assert_eq!(describe(&answered(500, None)), "answered 500");
    assert_eq!(describe(&answered(302, None)), "answered 302; redirects are not followed");
    assert_eq!(describe(&AttemptReport::failed(Failure::Dns, "no such name", SECOND)), "no such name");
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
        let report = answered(429, Some(&seconds.to_string()));
        assert_eq!(asked_wait(&report, WALL), Some(Duration::from_secs(capped)), "{seconds}");
        let policy = Policy::default();
        let asked = Some(Duration::from_secs(seconds));
        let expected = Next::Retry(NOW.plus(Duration::from_secs(capped)));
        assert_eq!(policy.next(1, NOW, NOW, asked, 0.0), expected, "{seconds}");
    }
    for (status, heeded) in [(299, false), (300, true), (399, true), (400, false), (428, false), (430, false)]
    {
        assert_eq!(asked_wait(&answered(status, Some("9")), WALL).is_some(), heeded, "{status}");
    }
    assert_eq!(asked_wait(&answered(429, None), WALL), None);
}

#[test]
fn only_redirects_are_said_not_to_be_followed() {
    for (status, words) in [
        (299, "answered 299"),
        (300, "answered 300; redirects are not followed"),
        (399, "answered 399; redirects are not followed"),
        (400, "answered 400"),
    ] {
        assert_eq!(describe(&answered(status, None)), words);
    }
    let nothing = AttemptReport { status: None, ..answered(200, None) };
    assert_eq!((describe(&nothing).as_str(), classify(&nothing)), ("no answer", Verdict::Failed));
}

#[test]
fn two_digits_of_a_year_are_within_fifty_years() {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    // From 6 November 1994, 08:49:37.
    let until = |year: &str| {
        let text = format!("Sunday, 06-Nov-{year} 08:49:37 GMT");
        parse_retry_after(&text, WALL)
    };
    assert_eq!(until("93"), Some(Duration::ZERO));
    assert_eq!(until("94"), Some(Duration::ZERO));
    assert_eq!(until("95"), Some(days(365)));
    assert_eq!(until("00"), Some(days(6 * 365 + 2)), "the next century");
    assert_eq!(until("44"), Some(days(50 * 365 + 13)), "fifty years ahead");
    assert_eq!(until("45"), Some(Duration::ZERO), "fifty-one would be");
    // From 2026: 76 is ahead, 77 was.
    let later = Timestamp::from_millis(1_780_000_000_000);
    let at = |year: &str| parse_retry_after(&format!("Sunday, 06-Nov-{year} 08:49:37 GMT"), later).unwrap();
    assert!(at("76") > days(50 * 365) && at("77") == Duration::ZERO);
    assert_eq!(
        parse_retry_after("Sunday, 06-Nov-1994 08:49:37 GMT", WALL),
        None,
        "four digits are none of its forms"
    );
}

#[test]
fn a_date_is_as_far_off_as_it_says() {
    for (text, seconds) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sun, 06 Nov 1994 08:49:38 GMT", 1),
        ("Mon, 07 Nov 1994 08:49:37 GMT", 86_400),
        ("Mon Nov  7 08:49:37 1994", 86_400),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Wed, 31 Dec 1969 23:59:59 GMT", 0),
    ] {
        assert_eq!(parse_retry_after(text, WALL), Some(Duration::from_secs(seconds)), "{text}");
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

    #[test]
    fn any_retry_after_is_read_or_refused(text in "\\PC{0,40}") {
        let _ = parse_retry_after(&text, WALL);
    }
}
