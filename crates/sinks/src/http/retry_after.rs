//! `Retry-After` (RFC 9110, 10.2.3): seconds, or a date in one of three forms.

use std::time::Duration;

use event::Timestamp;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const IMF_FIXDATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
const ASCTIME: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
);
/// RFC 850's day and time, after the weekday and without its two-digit year.
const RFC_850: &[BorrowedFormatItem<'_>] =
    format_description!("[day]-[month repr:short]-[year] [hour]:[minute]:[second] GMT");

/// The wait from `now` on. Zero for negative numbers and past dates; `None` for what is neither a number nor a date.
pub fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if let Some(digits) = text.strip_prefix('-') {
        return is_digits(digits).then_some(Duration::ZERO);
    }
    if is_digits(text) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let seconds = date(text, now)?.assume_utc().unix_timestamp();
    let at = Timestamp::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000));
    Some(at.since(now))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn date(text: &str, now: Timestamp) -> Option<PrimitiveDateTime> {
    PrimitiveDateTime::parse(text, IMF_FIXDATE)
        .or_else(|_| PrimitiveDateTime::parse(text, ASCTIME))
        .ok()
        .or_else(|| rfc_850(text, now))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`. A two-digit year is the one that is at most 50 years ahead and less than 50 ago.
fn rfc_850(text: &str, now: Timestamp) -> Option<PrimitiveDateTime> {
    let (_, day) = text.split_once(", ")?;
    let (front, behind) = day.split_at_checked(7)?;
    let (two_digits, time) = behind.split_at_checked(2)?;
    let year: u64 = two_digits.parse().ok()?;
    let this_year = 1970 + now.as_secs() / 31_556_952;
    let mut full = this_year - this_year % 100 + year;
    if full > this_year + 50 {
        full -= 100;
    } else if full + 50 <= this_year {
        full += 100;
    }
    PrimitiveDateTime::parse(&format!("{front}{full}{time}"), RFC_850).ok()
}
