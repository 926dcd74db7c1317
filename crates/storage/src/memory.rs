//! The in-memory store, for tests and simulations: the whole contract of [`backend`](crate::backend) except durability.
//!
//! What is stored: the tables of [`state`], each a sorted map. What makes an update atomic: a transaction works on a copy of the tables
//! (each is copied when it is first written to), and a commit replaces the committed tables by the copy. What a start repairs: nothing; the
//! intents of backends that were dropped wait for [`JournalTx::recover`](crate::ports::JournalTx::recover). Deliberately not supported: a limit on
//! free disk space, and speed (a commit costs as much as the tables that it changes are long).

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use event::{Position, Stamp};

use crate::backend::{Backend, Committed, Opened, Reader, Tx};
use crate::clock::Record;
use crate::entities::{Incarnation, SubscriptionId, Whose};
use crate::retention::Room;
use crate::{Result, StoreError};

mod entities;
mod faults;
mod housekeeping;
mod owners;
mod queues;
mod reader;
mod samples;
mod state;
mod transaction;

pub use faults::ReadFaults;
use reader::MemoryReader;
pub use samples::{SAMPLE_TIME, sample_event, sample_exchange, sample_id, sample_intent, sample_message};
use state::State;
use transaction::Transaction;

/// Opens a store of its own, empty.
pub fn open() -> Opened<MemoryBackend> {
    Memory::default().open()
}

/// What stays while backends are opened and dropped: the part of a disk. Clones share it. Tests make commits fail or wait through it.
#[derive(Clone, Default)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    gate: Mutex<Gate>,
    gate_changed: Condvar,
}

#[derive(Default)]
struct Kept {
    state: State,
    /// Incarnations whose backend exists.
    live: BTreeSet<Incarnation>,
    /// Whether a backend was dropped without `close` since the store was last opened.
    unclean: bool,
}

/// What makes commits fail or wait.
#[derive(Default)]
struct Gate {
    /// One entry for each of the next commits; `None` lets it succeed.
    faults: VecDeque<Option<CommitFault>>,
    blockers: u32,
    /// Commits that wait for the blockers to go.
    waiting: u32,
}

/// How a commit is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// With [`StoreError::Full`]. Nothing of the transaction is kept.
    Full,
    /// With [`StoreError::Io`]. Nothing of the transaction is kept, and the next commit succeeds, as it may after a failed fsync.
    Io,
}

impl Memory {
    /// Opens the store as a new incarnation.
    pub fn open(&self) -> Opened<MemoryBackend> {
        let mut kept = self.shared.kept();
        let incarnation = kept.state.new_incarnation();
        kept.live.insert(incarnation);
        let unclean = std::mem::take(&mut kept.unclean);
        drop(kept);
        let backend = MemoryBackend { shared: self.shared.clone(), incarnation, open: None, closed: false };
        Opened { backend, reader: self.reader_with(Arc::default()), incarnation, unclean }
    }

    /// A new reader, whose reads can be made to fail.
    pub fn reader_with(&self, faults: Arc<ReadFaults>) -> Arc<dyn Reader> {
        Arc::new(MemoryReader { shared: self.shared.clone(), faults })
    }

    /// See [`Backend::kept_clock`].
    pub fn kept_clock(&self) -> Option<Record> {
        self.shared.kept().state.kept_clock()
    }

    /// Makes one of the next commits fail: the first call the next one, the second call the one after it, and so on.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.shared.gate().faults.push_back(Some(fault));
    }

    /// Lets one of the next commits succeed, counted together with [`Memory::fail_next_commit`], so that a later one can be made to fail.
    pub fn spare_next_commit(&self) {
        self.shared.gate().faults.push_back(None);
    }

    /// Makes the event at this position unreadable.
    pub fn damage(&self, position: Position) {
        self.shared.kept().state.damaged.edit().insert(position, ());
    }

    /// Makes every commit wait until the returned value is dropped.
    pub fn block_commits(&self) -> BlockedCommits {
        self.shared.gate().blockers += 1;
        BlockedCommits { shared: self.shared.clone() }
    }
}

/// Commits wait while this exists.
#[must_use = "commits wait only while this exists"]
pub struct BlockedCommits {
    shared: Arc<Shared>,
}

impl BlockedCommits {
    /// Blocks this thread until a commit waits, for at most `patience`. Returns whether one waits.
    pub fn wait_for_commit(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut gate = self.shared.gate();
        while gate.waiting == 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (gate, _) =
                self.shared.gate_changed.wait_timeout(gate, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }
}

impl Drop for BlockedCommits {
    fn drop(&mut self) {
        self.shared.gate().blockers -= 1;
        self.shared.gate_changed.notify_all();
    }
}

impl Shared {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The committed tables as they are now.
    fn state(&self) -> State {
        self.kept().state.clone()
    }

    fn pass_gate(&self) -> Result<()> {
        let mut gate = self.gate();
        gate.waiting += 1;
        self.gate_changed.notify_all();
        while gate.blockers > 0 {
            gate = self.gate_changed.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.waiting -= 1;
        match gate.faults.pop_front().flatten() {
            None => Ok(()),
            Some(CommitFault::Full) => Err(StoreError::Full("a test filled it".into())),
            Some(CommitFault::Io) => {
                Err(StoreError::io("commit", std::io::Error::other("a test made the commit fail")))
            }
        }
    }
}

/// The in-memory store's write side.
pub struct MemoryBackend {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    open: Option<Transaction>,
    closed: bool,
}

impl Backend for MemoryBackend {
    fn kept_clock(&self) -> Option<Record> {
        self.shared.kept().state.kept_clock()
    }

    fn begin(&mut self, now: Stamp) -> Result<()> {
        let kept = self.shared.kept();
        let dead = kept.state.incarnations().filter(|known| !kept.live.contains(known)).collect();
        self.open = Some(Transaction::new(kept.state.clone(), now, self.incarnation, dead));
        Ok(())
    }

    fn tx(&mut self) -> &mut dyn Tx {
        self.open.as_mut().expect("begin() opens the transaction")
    }

    fn commit(&mut self) -> Result<Committed> {
        let Transaction { state, committed, .. } = self.open.take().expect("begin() opens the transaction");
        self.shared.pass_gate()?;
        self.shared.kept().state = state;
        Ok(committed)
    }

    fn rollback(&mut self) {
        self.open = None;
    }

    fn whose(&mut self, id: SubscriptionId) -> Option<Whose> {
        let state = self.shared.state();
        let known = &state.subscriptions.get(&id)?.subscription;
        Some(known.whose(state.topics.get(&known.topic).map(String::as_str)))
    }

    fn room(&mut self) -> Result<Room> {
        Ok(Room { used: self.shared.state().bytes(), unused: 0, disk_free: u64::MAX })
    }

    fn close(&mut self) {
        self.closed = true;
    }
}

impl Drop for MemoryBackend {
    fn drop(&mut self) {
        let mut kept = self.shared.kept();
        kept.live.remove(&self.incarnation);
        kept.unclean |= !self.closed;
    }
}

#[cfg(test)]
mod tests;
