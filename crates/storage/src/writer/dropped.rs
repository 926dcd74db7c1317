//! Events that are never in the log, although something happened: those of durability `memory`, which nobody was promised, and of durability
//! `outcome`, whose clients were told so where they still waited. Each is counted with its reason, and a log line says it, once a second at most.

use std::sync::atomic::{AtomicU64, Ordering};

use super::change::{Claim, Settlement};
use crate::throttle::Throttle;
use crate::{StoreError, describe};

/// Why an event was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The store has no room.
    NoRoom,
    /// As many changes wait for the writer as may, or as many outcomes wait for room.
    QueueFull,
    /// A commit has failed for good, so nothing is committed any more.
    Latched,
    /// The writer has stopped before there was room for it.
    Stopped,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [Self; 4] = [Self::NoRoom, Self::QueueFull, Self::Latched, Self::Stopped];

    /// As the label of the metric has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRoom => "no_room",
            Self::QueueFull => "queue_full",
            Self::Latched => "latched",
            Self::Stopped => "stopped",
        }
    }
}

/// How many events were dropped, by reason. Any thread counts.
#[derive(Default)]
pub struct DroppedEvents([AtomicU64; DropReason::ALL.len()]);

impl DroppedEvents {
    /// How many were dropped for this reason since the process started.
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize].load(Ordering::Relaxed)
    }

    /// Counts one more, and says it if a line is due. `cause` is the error that the event met.
    pub(super) fn note(&self, reason: DropReason, cause: &StoreError) {
        static SAID: [Throttle; DropReason::ALL.len()] =
            [Throttle::new(), Throttle::new(), Throttle::new(), Throttle::new()];
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(times) = SAID[reason as usize].happened() {
            tracing::warn!(
                reason = reason.as_str(),
                cause = describe(cause),
                times,
                "an event was dropped: its request went through, and its rule asks for no durable intent (durability memory or outcome); \
                 use `durability: intent` for events that must not be lost"
            );
        }
    }

    /// Like [`DroppedEvents::note`], for an outcome that is refused for good; only if its event is gone with it.
    pub(super) fn note_refused(&self, refused: &Settlement, reason: DropReason, cause: &StoreError) {
        if refused.loses_its_event() {
            self.note(reason, cause);
        }
    }
}

impl Settlement {
    /// Whether its event is gone if the store never takes it: nothing of it is on the disk, and nobody sends it again. The next start finds an
    /// intent, and makes an event of it.
    pub(super) fn loses_its_event(&self) -> bool {
        match self.claim {
            Claim::Owed | Claim::Nothing => self.event.is_some(),
            Claim::Intent(_) | Claim::Asked => false,
        }
    }
}
