//! The lines that a worker writes about single events: each kind at most once a second, with the number. An endpoint that refuses everything
//! would have one for each event.

use storage::throttle::Throttle;

#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) dead_letter: Throttle,
    pub(super) unsendable: Throttle,
    pub(super) failing: Throttle,
    pub(super) set_aside: Throttle,
    pub(super) skipped: Throttle,
}
