//! The log lines of a worker about single events: each kind at most once a second, with the number of its events. Otherwise an endpoint that
//! refuses everything would cause one line for each event.

use storage::throttle::Throttle;

#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) dead_letter: Throttle,
    pub(super) unsendable: Throttle,
    pub(super) failing: Throttle,
    pub(super) set_aside: Throttle,
    pub(super) skipped: Throttle,
}
