//! Waiting for a condition, with a deadline: tests never sleep for a fixed time.

use std::time::{Duration, Instant};

/// How long a test waits for something that should happen at once.
pub const SOON: Duration = Duration::from_secs(20);

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until `condition` gives a value.
///
/// # Panics
/// With `what` after [`SOON`].
#[track_caller]
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, condition)
}

/// Waits until `condition` gives a value, at most for `limit`.
///
/// # Panics
/// With `what` after `limit`.
#[track_caller]
pub fn within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        pause(LOOK_AGAIN);
    }
}

/// Between two looks; and where a script asks a server to be slow.
#[expect(clippy::disallowed_methods, reason = "the one place where tests may wait")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
