//! The locks and wake-ups that bell, inbox and receipt are made of.
//!
//! They name these here alone, so that `tests/interleavings.rs` can put loom's in their place and try every order in which threads may run.

pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
pub(super) use std::thread::{Thread, current, park};

use std::cell::RefCell;

use super::bell::Bell;

thread_local! {
    static BELL: RefCell<Option<Bell>> = const { RefCell::new(None) };
}

/// The bell that hangs in this thread, if one does.
pub(super) fn bell_of_this_thread() -> Option<Bell> {
    BELL.with_borrow(Clone::clone)
}

/// Hangs a bell up in this thread, or takes it down.
pub(super) fn hang_up(bell: Option<Bell>) {
    BELL.set(bell);
}
