//! One wake-up per commit and thread.
//!
//! Waking a task of a runtime from another thread costs a system call, and a commit resolves the receipts of many exchanges at once. So a thread
//! may have a [`Bell`]: a task that the writer wakes once for all tasks of the thread, and that wakes these from inside the thread.

use std::future::poll_fn;
use std::sync::PoisonError;
use std::task::{Poll, Waker};

use super::sync::{Arc, Mutex, MutexGuard, hang_up};
use crate::failpoint;

/// Wakes the tasks of one thread together. All clones are the same bell.
#[derive(Clone, Default)]
pub struct Bell(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    /// Tasks whose receipts are resolved.
    tasks: Vec<Waker>,
    /// The bell's own task, once it has been polled.
    ringer: Option<Waker>,
}

impl Bell {
    /// Installs a bell in this thread, and wakes the thread's tasks as long as the future lives. Receipts that are polled in this thread use the
    /// bell. Spawn the future on the only runtime of the thread; it never resolves.
    pub async fn serve() {
        failpoint::hit(failpoint::WAKE_UPS);
        let bell = Self::default();
        hang_up(Some(bell.clone()));
        let _taken_down = TakenDown(bell.clone());
        poll_fn(|cx| {
            let mut waiting = bell.waiting();
            let tasks = std::mem::take(&mut waiting.tasks);
            waiting.ringer = Some(cx.waker().clone());
            drop(waiting);
            tasks.into_iter().for_each(Waker::wake);
            Poll::Pending
        })
        .await
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self, tasks: &mut Vec<Waker>) {
        let mut waiting = self.waiting();
        match &waiting.ringer {
            Some(ringer) => {
                let ringer = ringer.clone();
                waiting.tasks.append(tasks);
                drop(waiting);
                ringer.wake();
            }
            // The bell's task does not run yet, or not any more.
            None => tasks.drain(..).for_each(Waker::wake),
        }
    }
}

/// Removes the bell when its task ends, and wakes the tasks that it still had to wake.
struct TakenDown(Bell);

impl Drop for TakenDown {
    fn drop(&mut self) {
        hang_up(None);
        let mut waiting = self.0.waiting();
        waiting.ringer = None;
        let tasks = std::mem::take(&mut waiting.tasks);
        drop(waiting);
        tasks.into_iter().for_each(Waker::wake);
    }
}

/// The tasks that a commit wakes, when this is dropped.
#[derive(Default)]
pub(super) struct Rings {
    /// One entry for each thread, so there are few.
    by_bell: Vec<(Bell, Vec<Waker>)>,
}

impl Rings {
    pub(super) fn wake(&mut self, waker: Waker, bell: Option<Bell>) {
        let Some(bell) = bell else { return waker.wake() };
        match self.by_bell.iter_mut().find(|(known, _)| Arc::ptr_eq(&known.0, &bell.0)) {
            Some((_, tasks)) => tasks.push(waker),
            None => self.by_bell.push((bell, vec![waker])),
        }
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        for (bell, tasks) in &mut self.by_bell {
            bell.ring(tasks);
        }
    }
}
