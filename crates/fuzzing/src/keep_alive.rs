//! A `Keep-Alive` of a service.
//!
//! What must hold: a connection is never kept idle for longer than the service said, or than a minute, and not shorter than half of what it said; a
//! parameter of another name says nothing, and the first time that is said counts.

use std::time::Duration;

use gateway::keep_alive::said;

/// The longest that a connection is kept idle.
const LONGEST: Duration = Duration::from_secs(60);

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let time = said(data);
    assert!(time.is_none_or(|time| time <= LONGEST), "{time:?}");
    let around = |before: &[u8], after: &[u8]| said(&[before, data, after].concat());
    assert_eq!(around(b"max=5,", b""), time, "after another parameter");
    assert_eq!(around(b"timeouts=9, ", b" "), time, "after a longer name");
    let Ok(text) = std::str::from_utf8(data) else {
        assert_eq!(time, None, "it is no text");
        return;
    };
    assert_eq!(around(b"", b", timeout=3"), time.or(Some(Duration::from_secs(2))), "the first time counts");
    assert_eq!(time, expected(text));
}

/// The same, character by character.
fn expected(text: &str) -> Option<Duration> {
    let seconds = text.split(',').find_map(number)?;
    let said = Duration::from_secs(seconds.into());
    let early = if seconds < 2 { said / 2 } else { said - Duration::from_secs(1) };
    Some(early.min(LONGEST))
}

/// The number of a parameter `timeout`.
fn number(parameter: &str) -> Option<u32> {
    let equals = parameter.find('=')?;
    if !parameter[..equals].trim().eq_ignore_ascii_case("timeout") {
        return None;
    }
    let digits = parameter[equals + 1..].trim().trim_matches('"');
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value = |sum: u64, digit: u8| (sum * 10 + u64::from(digit - b'0')).min(u64::from(u32::MAX) + 1);
    all.then(|| digits.bytes().fold(0, value)).and_then(|value| u32::try_from(value).ok())
}
