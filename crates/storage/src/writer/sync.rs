//! The locks and wake-ups that bell, inbox and receipt are made of.
//!
//! These three import them only from here, so that `tests/interleavings.rs` can replace them by loom's and try every order in which threads may
//! run.

pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
pub(super) use std::thread::{Thread, current, park};

use std::cell::RefCell;

use super::bell::Bell;

thread_local! {
    static BELL: RefCell<Option<Bell>> = const { RefCell::new(None) };
}

/// The bell of this thread, if it has one.
pub(super) fn bell_of_this_thread() -> Option<Bell> {
    BELL.with_borrow(Clone::clone)
}

/// Installs a bell in this thread, or removes it.
pub(super) fn hang_up(bell: Option<Bell>) {
    BELL.set(bell);
}
