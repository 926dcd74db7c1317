//! The log lines about the wall clock: that somebody set it, and what that means.

use crate::clock::{Gap, JUMP, Jump, in_words};

/// Reports how the start treated the time before this process.
pub(super) fn tell_gap(gap: Gap) {
    match gap {
        Gap::Behind(by) if by >= JUMP => tracing::warn!(
            behind = in_words(by.as_secs_f64()),
            "the wall clock is behind the time at which this store was last used: times that are shown and sent are wrong until it is \
             set right; what is owed ages by the store's own clock, which does not go back, so nothing is lost by it"
        ),
        Gap::Cut { passed, advanced } => tracing::info!(
            passed = in_words(passed.as_secs_f64()),
            counted = in_words(advanced.as_secs_f64()),
            "by the wall clock this store was not used for longer than is counted: what is owed has aged by what is counted only"
        ),
        Gap::Behind(_) | Gap::Whole => {}
    }
}

/// Reports a jump that was just seen.
pub(super) fn tell_jump(jump: Jump) {
    let by = in_words(jump.seconds);
    let direction = if jump.seconds < 0.0 { "back" } else { "forward" };
    tracing::warn!(
        by,
        direction,
        now = %jump.to,
        "the wall clock was set: times that are shown and sent follow it; ages, retries and limits follow the store's own clock, so \
         nothing is deleted, given up or put off because of it; look at what sets the clock (NTP) if you did not"
    );
}
