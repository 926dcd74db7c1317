//! Windows of time, and which one a moment is in. They begin with the second, minute, hour, day, month and year of UTC.

use event::Timestamp;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Period {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Year];

    /// Its name in options and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The window that a moment is in.
    pub fn window(self, now: Timestamp) -> Window {
        let seconds = now.as_secs();
        let fixed = |length: u64| {
            let begin = seconds - seconds % length;
            Window { begin, end: begin + length }
        };
        match self {
            Self::Second => fixed(1),
            Self::Minute => fixed(60),
            Self::Hour => fixed(3_600),
            Self::Day => fixed(DAY),
            Self::Month => {
                let (year, month) = month_of(seconds / DAY);
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                Window { begin: first_of(year, month) * DAY, end: first_of(next.0, next.1) * DAY }
            }
            Self::Year => {
                let (year, _) = month_of(seconds / DAY);
                Window { begin: first_of(year, 1) * DAY, end: first_of(year + 1, 1) * DAY }
            }
        }
    }
}

const DAY: u64 = 86_400;

/// In seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub begin: u64,
    /// The first second that is not in it.
    pub end: u64,
}

impl Window {
    /// Whole seconds to its end, at least 1.
    pub fn left(&self, now: Timestamp) -> u64 {
        self.end.saturating_sub(now.as_secs()).max(1)
    }
}

/// Year and month of a day since 1970. After Howard Hinnant's `civil_from_days`, with years that begin in March.
fn month_of(day: u64) -> (u64, u64) {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_first = (5 * of_year + 2) / 153;
    let month = if march_first < 10 { march_first + 3 } else { march_first - 9 };
    (year + era * 400 + u64::from(month <= 2), month)
}

/// The first day of a month, counted from 1970.
fn first_of(year: u64, month: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let march_first = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march_first + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(period: Period, seconds: u64) -> (u64, u64) {
        let Window { begin, end } = period.window(Timestamp::from_millis(seconds * 1_000 + 999));
        (begin, end)
    }

    #[test]
    fn windows_begin_where_calendars_say() {
        // 2024-02-29T12:34:56Z, computed apart from this code.
        let leap = 1_709_210_096;
        assert_eq!(window(Period::Second, leap), (leap, leap + 1));
        assert_eq!(window(Period::Minute, leap), (1_709_210_040, 1_709_210_100));
        assert_eq!(window(Period::Hour, leap), (1_709_208_000, 1_709_211_600));
        assert_eq!(window(Period::Day, leap), (1_709_164_800, 1_709_251_200));
        assert_eq!(window(Period::Month, leap), (1_706_745_600, 1_709_251_200));
        assert_eq!(window(Period::Year, leap), (1_704_067_200, 1_735_689_600));
        // 2026-12-31T23:59:59Z: the last second of a year.
        let last = 1_798_761_599;
        assert_eq!(window(Period::Month, last), (1_796_083_200, 1_798_761_600));
        assert_eq!(window(Period::Year, last), (1_767_225_600, 1_798_761_600));
        assert_eq!((window(Period::Month, 0).0, window(Period::Year, 0).0), (0, 0));
    }

    #[test]
    fn every_day_of_four_centuries_is_in_its_month() {
        for day in 0..146_097 {
            for period in [Period::Month, Period::Year] {
                let (begin, end) = window(period, day * DAY);
                assert!(begin <= day * DAY && day * DAY < end, "{day} {period:?}");
                assert_eq!(window(period, end).0, end, "windows leave no gap: {day} {period:?}");
            }
        }
    }
}
