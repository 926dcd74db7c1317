//! The client that gets a service's interim answers.

use std::rc::Rc;

use listener::places::Seat;

use crate::interim::Scan;

/// The client that gets them.
#[derive(Clone, Debug)]
pub(crate) struct Audience {
    seat: Rc<Seat>,
    turn: u64,
}

impl Audience {
    /// The client whose request is being answered now.
    pub fn of(seat: Rc<Seat>) -> Self {
        let turn = seat.turn();
        Self { seat, turn }
    }
}

/// Looks at the bytes of one answer after the other.
#[derive(Debug, Default)]
pub(super) struct Interim {
    audience: Option<Audience>,
    scan: Scan,
}

impl Interim {
    /// For a new request; nobody gets anything if `audience` is `None`.
    pub fn begin(&mut self, audience: Option<Audience>) {
        *self = Self { audience, scan: Scan::default() };
    }

    /// Looks at bytes that came.
    #[inline]
    pub fn came(&mut self, bytes: &[u8]) {
        if let Some(Audience { seat, turn }) = &self.audience {
            self.scan.came(bytes, |head| seat.send_interim(*turn, head));
            if self.scan.is_over() {
                // A kept connection would hold on to a client that has left.
                self.audience = None;
            }
        }
    }
}
