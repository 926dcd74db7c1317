//! The values of settings: which ones are accepted, and the messages for all others.

use std::convert::Infallible;
use std::time::Duration;

use event::Timestamp;
use event::timestamp::Clock;

use crate::clock::WallClock;

/// The longest time that a setting may have, in seconds: a day.
const MAX_SECONDS: u64 = 86_400;

/// A boolean, in the spellings that are usual in environment variables.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" | "" => Ok(false),
        _ => Err("write 1, true, yes or on, or else 0, false, no or off".into()),
    }
}

/// Seconds, or a number with a unit of time.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let forms = "write seconds, `30`, or a whole number with a unit: `30s`, `5m` or `1h`";
    let (number, unit) = number_and_unit(text).ok_or(forms)?;
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("`{unit}` is not a unit here: {forms}")),
    };
    let seconds = number.checked_mul(factor).filter(|seconds| *seconds <= MAX_SECONDS);
    seconds.ok_or_else(|| "it is too long: the longest time is `24h`".into())
}

/// Bytes, or a number with a binary unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let forms =
        "write bytes, `268435456`, or a whole number with a unit: `512KiB`, `256MiB`, `10GiB` or `1TiB`";
    let (number, unit) = number_and_unit(text).ok_or(forms)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(format!("`{unit}` is not a unit here: {forms}")),
    };
    number.checked_mul(factor).ok_or_else(|| "it is too large: the largest size is `16777215TiB`".into())
}

/// A whole number and the letters after it.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    Some((digits.trim().parse().ok()?, &text[digits.len()..]))
}

/// A time of RFC 3339, or how long ago it was.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let forms = "write a time, `2026-11-26T09:42:02Z`, or how long ago: `30s`, `10m`, `2h` or `1d`";
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let (number, unit) = number_and_unit(text).ok_or(forms)?;
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(forms.into()),
    };
    Ok(WallClock.now().minus(Duration::from_secs(number.saturating_mul(factor))))
}

/// A number of threads.
pub(super) fn workers(text: &str) -> Result<u16, String> {
    let number = text.parse().ok().filter(|number| (1..=1_024).contains(number));
    number.ok_or_else(|| "write a whole number from 1 to 1024, or leave it out for one thread a core".into())
}

/// Twelve digits.
pub(super) fn account_id(text: &str) -> Result<String, String> {
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits {
        Ok(text.to_owned())
    } else {
        Err("an account id has twelve digits, like 000000000000".into())
    }
}

/// Letters, digits and hyphens.
pub(super) fn region(text: &str) -> Result<String, String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain {
        Ok(text.to_owned())
    } else {
        Err("a region has letters, digits and hyphens, like us-east-1".into())
    }
}

/// Refuses a file that `run` was given without `-c`.
pub(super) fn misplaced_file(text: &str) -> Result<Infallible, String> {
    Err(format!("configuration files are named with -c: retrohook run -c {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago_it_was() {
        assert_eq!(moment("1970-01-01T00:00:07Z"), Ok(Timestamp::from_millis(7_000)));
        let ago = WallClock.now().since(moment("2h").unwrap());
        assert!((7_199..7_300).contains(&ago.as_secs()), "{ago:?}");
        for wrong in ["", "yesterday", "10", "5w", "-1h"] {
            assert!(moment(wrong).unwrap_err().contains("`10m`"), "{wrong}");
        }
    }

    #[test]
    fn a_switch_takes_what_environments_write() {
        for yes in ["1", "true", "yes", "on", "TRUE", "On"] {
            assert_eq!(switch(yes), Ok(true), "{yes}");
        }
        for no in ["0", "false", "no", "off", "False", ""] {
            assert_eq!(switch(no), Ok(false), "{no}");
        }
        assert!(switch("maybe").unwrap_err().contains("yes or on"));
    }

    #[test]
    fn times_and_sizes_name_the_forms_that_they_take() {
        assert_eq!((seconds("30"), seconds("5m"), seconds("24h")), (Ok(30), Ok(300), Ok(86_400)));
        for bad in ["", "s", "1.5h", "-1", "30 seconds", "30S", "500ms", "soon"] {
            let error = seconds(bad).unwrap_err();
            assert!(error.contains("`30`") && error.contains("`5m`"), "{bad}: {error}");
        }
        assert!(seconds("25h").unwrap_err().contains("24h"));
        assert!(seconds("18446744073709551615h").unwrap_err().contains("24h"));

        assert_eq!((size("256MiB"), size("0"), size("1 TiB")), (Ok(256 << 20), Ok(0), Ok(1 << 40)));
        for bad in ["", "MiB", "many", "1GB", "0.5GiB", "-1"] {
            let error = size(bad).unwrap_err();
            assert!(error.contains("268435456") && error.contains("`256MiB`"), "{bad}: {error}");
        }
        assert!(size("16777216TiB").unwrap_err().contains("16777215TiB"));
        assert_eq!(size("16777215TiB"), Ok(16_777_215 << 40));
    }
}
