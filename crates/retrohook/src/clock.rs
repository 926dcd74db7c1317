//! The machine's clocks: the one place that reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use event::Timestamp;
use event::timestamp::Clock;
use rustix::time::{ClockId, clock_gettime};

/// The system's clock.
#[derive(Clone, Copy, Debug)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        // A clock before 1970 is certainly wrong; the epoch is the least harmful reading of it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn uptime(&self) -> Duration {
        // Unlike the monotonic clock it counts the time in which the machine sleeps.
        let up = clock_gettime(ClockId::Boottime);
        Duration::new(u64::try_from(up.tv_sec).unwrap_or(0), u32::try_from(up.tv_nsec).unwrap_or(0))
    }
}
