//! The wall clock: the one place that reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use event::Timestamp;
use event::timestamp::Clock;

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is wrong beyond help; the epoch is the least harmful reading of it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}
