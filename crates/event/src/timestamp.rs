//! Points in time, in microseconds: on the wall clock, for whoever reads them, and on the store's own clock, for whatever ages.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// `2012-04-25T21:49:25.719Z`, the form of SNS and of RFC 3339.
const ISO_8601_MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// This time plus `by`; saturates at the end of the range.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_micros() as u64))
    }

    /// This time less `by`; saturates at the epoch.
    #[must_use]
    pub const fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_micros() as u64))
    }

    /// How long after `earlier` this is; zero if it is not after it (clocks step back). Only for what was said by others, as in
    /// `Retry-After`: no age, due time or limit is measured on the wall clock. They are [`Stamp`]s.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A moment on the store's own clock (`storage::clock`), in microseconds. It reads like a wall time of a machine whose clock was never
/// set, but only differences of stamps mean anything: ages, due times and limits are measured with them, and none is ever shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// From the number that a store keeps.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// As a store keeps it.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// This moment plus `by`; saturates at the end of the range.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by.as_micros() as u64))
    }

    /// This moment less `by`; saturates at zero.
    #[must_use]
    pub const fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by.as_micros() as u64))
    }

    /// How long after `earlier` this is; zero if it is not after it: what lies ahead counts as now.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 in UTC with milliseconds, `2012-04-25T21:49:25.719Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000;
        let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        f.write_str(&moment.format(ISO_8601_MILLIS).map_err(|_| fmt::Error)?)
    }
}

/// A text is not a time of RFC 3339 since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a time as RFC 3339 writes it, such as 2026-11-26T09:42:02Z")]
pub struct ParseTimeError;

impl FromStr for Timestamp {
    type Err = ParseTimeError;

    /// Reads a time of RFC 3339, in any offset, with or without fractions of a second.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| ParseTimeError)?;
        let micros = moment.unix_timestamp_nanos() / 1_000;
        u64::try_from(micros).map(Self).map_err(|_| ParseTimeError)
    }
}

/// Where the time comes from: the machine's clocks in a running gateway, simulated ones in tests.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: for times that are shown or sent. Anybody may set it, so nothing is measured with it.
    fn now(&self) -> Timestamp;

    /// How long the machine has been up, asleep or awake. Nobody sets this clock and it never goes back: the difference of two readings
    /// of one process is the time that passed in between.
    fn uptime(&self) -> Duration;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_sns_writes_it() {
        assert_eq!(Timestamp::from_millis(1_335_390_565_719).to_string(), "2012-04-25T21:49:25.719Z");
    }

    #[test]
    fn reads_what_it_writes_and_other_forms_of_rfc_3339() {
        let time = Timestamp::from_millis(1_335_390_565_719);
        for (text, expected) in [
            ("2012-04-25T21:49:25.719Z", Ok(time)),
            ("2012-04-25T23:49:25.719+02:00", Ok(time)),
            ("2012-04-25T21:49:25Z", Ok(Timestamp::from_millis(1_335_390_565_000))),
            ("2012-04-25T21:49:25.000001Z", Ok(Timestamp::from_micros(1_335_390_565_000_001))),
            ("1969-12-31T23:59:59Z", Err(ParseTimeError)),
            ("2012-04-25T21:49:25", Err(ParseTimeError)),
            ("2012-04-25", Err(ParseTimeError)),
            ("1335390565", Err(ParseTimeError)),
            ("", Err(ParseTimeError)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn never_goes_below_zero_when_clocks_step_back() {
        let now = Timestamp::from_millis(5);
        assert_eq!(now.since(Timestamp::from_millis(9)), Duration::ZERO);
        assert_eq!(now.minus(Duration::from_secs(1)), Timestamp::from_micros(0));
    }

    #[test]
    fn counts_in_each_unit() {
        let time = Timestamp::from_millis(7_003);
        assert_eq!((time.as_micros(), time.as_millis(), time.as_secs()), (7_003_000, 7_003, 7));
        assert_eq!(Timestamp::from_micros(7_999_999).as_millis(), 7_999);
        let later = time.plus(Duration::from_micros(5));
        assert_eq!((later.as_micros(), later.since(time)), (7_003_005, Duration::from_micros(5)));
        assert_eq!(later.minus(Duration::from_micros(5)), time);
        assert_eq!(Timestamp::from_micros(u64::MAX - 1).plus(Duration::from_secs(9)).as_micros(), u64::MAX);
    }

    #[test]
    fn a_time_that_cannot_be_written_is_an_error_and_no_panic() {
        use std::fmt::Write;
        assert!(write!(String::new(), "{}", Timestamp::from_micros(u64::MAX)).is_err());
    }

    #[test]
    fn a_stamp_ahead_counts_as_now() {
        let now = Stamp::from_micros(5_000_000);
        assert_eq!(now.since(now.plus(Duration::from_secs(9))), Duration::ZERO);
        assert_eq!(now.plus(Duration::from_micros(9)).as_micros(), 5_000_009);
        assert_eq!(now.since(now.minus(Duration::from_secs(2))), Duration::from_secs(2));
        assert_eq!(now.minus(Duration::from_secs(6)), Stamp::from_micros(0));
        assert_eq!(Stamp::from_micros(u64::MAX).plus(Duration::from_secs(1)), Stamp::from_micros(u64::MAX));
    }
}
