//! Tables of answers and of waits.

use bytes::Bytes;
use delivery::sink::Failure;

use super::super::AttemptError;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// The wall clock.
const WALL: Timestamp = Timestamp::from_millis(784_111_777_000); // Sun, 06 Nov 1994 08:49:37 GMT

fn answered(status: u16, retry_after: Option<&str>) -> Reply {
    Reply {
        status: Some(status),
        took: SECOND,
        answer: Bytes::new(),
        error: None,
        retry_after: retry_after.map(str::to_owned),
    }
}

fn unanswered(kind: Failure, text: &str) -> Reply {
    let error = Some(AttemptError { kind, text: text.to_owned() });
    Reply { status: None, error, ..answered(0, None) }
}

#[test]
fn only_2xx_is_success_and_only_410_is_final() {
    for (status, expected) in [
        (200, "delivered"),
        (204, "delivered"),
        (299, "delivered"),
        (199, "failed"),
        (301, "failed"),
        (307, "failed"),
        (400, "failed"),
        (404, "failed"),
        (410, "refused"),
        (429, "failed"),
        (500, "failed"),
        (503, "failed"),
    ] {
        let means = match verdict(&answered(status, None), WALL) {
            Verdict::Delivered => "delivered",
            Verdict::Refused { .. } => "refused",
            Verdict::Failed { .. } => "failed",
        };
        assert_eq!(means, expected, "{status}");
    }
    for kind in
        [Failure::Blocked, Failure::Dns, Failure::Connect, Failure::Tls, Failure::Timeout, Failure::Broken]
    {
        let failed = Verdict::Failed { reason: "x".into(), wait: None };
        assert_eq!(verdict(&unanswered(kind, "x"), WALL), failed, "{kind:?}");
    }
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
    for (status, heeded) in [(299, false), (300, true), (399, true), (400, false), (428, false), (430, false)]
    {
        assert_eq!(asked_wait(&answered(status, Some("9")), WALL).is_some(), heeded, "{status}");
    }
    assert_eq!(asked_wait(&answered(429, None), WALL), None);
    for (seconds, capped) in [(86_399, 86_399), (86_400, 86_400), (86_401, 86_400)] {
        let asked = asked_wait(&answered(429, Some(&seconds.to_string())), WALL);
        assert_eq!(asked, Some(Duration::from_secs(capped)), "{seconds}");
    }
}

#[test]
fn says_what_went_wrong() {
    assert_eq!(describe(&answered(500, None)), "answered 500");
    assert_eq!(describe(&answered(302, None)), "answered 302; redirects are not followed");
    assert_eq!(describe(&unanswered(Failure::Dns, "no such name")), "no such name");
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
    let nothing = Reply { status: None, ..answered(200, None) };
    assert_eq!(verdict(&nothing, WALL), Verdict::Failed { reason: "no answer".into(), wait: None });
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
    fn any_retry_after_is_read_or_refused(text in "\\PC{0,40}") {
        let _ = parse_retry_after(&text, WALL);
    }
}
