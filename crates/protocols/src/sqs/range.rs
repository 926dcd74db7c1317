//! Numbers in an input that must lie in a range.

use std::time::Duration;

use super::Error;

const MAX_SECONDS: i64 = hub::queue::MAX_VISIBILITY.as_secs() as i64;
const MAX_DELAY: i64 = hub::publish::MAX_DELAY.as_secs() as i64;
const MAX_WAIT: i64 = hub::queue::MAX_WAIT.as_secs() as i64;

/// A `VisibilityTimeout`.
pub(super) fn visibility(seconds: i64) -> Result<Duration, Error> {
    let reason = "Must be between 0 and 43200, if provided.";
    seconds_up_to(MAX_SECONDS, seconds).ok_or_else(|| Error::invalid(seconds, "VisibilityTimeout", reason))
}

/// A `WaitTimeSeconds`.
pub(super) fn wait(seconds: i64) -> Result<Duration, Error> {
    let reason = "Must be >= 0 and <= 20, if provided.";
    seconds_up_to(MAX_WAIT, seconds).ok_or_else(|| Error::invalid(seconds, "WaitTimeSeconds", reason))
}

/// A `DelaySeconds`.
pub(super) fn delay(seconds: i64) -> Result<Duration, Error> {
    let reason = "DelaySeconds must be >= 0 and <= 900.";
    seconds_up_to(MAX_DELAY, seconds).ok_or_else(|| Error::invalid(seconds, "DelaySeconds", reason))
}

/// A `MaxNumberOfMessages`.
pub(super) fn messages(number: i64) -> Result<usize, Error> {
    let reason = "Must be between 1 and 10, if provided.";
    let in_bounds =
        usize::try_from(number).ok().filter(|number| (1..=hub::queue::MAX_MESSAGES).contains(number));
    in_bounds.ok_or_else(|| Error::invalid(number, "MaxNumberOfMessages", reason))
}

fn seconds_up_to(max: i64, seconds: i64) -> Option<Duration> {
    let seconds = (0..=max).contains(&seconds).then_some(seconds)?;
    u64::try_from(seconds).ok().map(Duration::from_secs)
}
