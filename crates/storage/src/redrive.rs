//! Dead-letter queues: when a queue gives a message up, which queue gets it, and what a commit reports about it.
//!
//! A message is given up by the receive that would hand it out once too often, or by housekeeping when it is older than the queue's retention and
//! the dead-letter queue keeps messages for longer. It moves in that transaction, so it is always in exactly one queue. It keeps its number, its
//! age and its `receive_count`. But for its policy, each queue counts only the receives that it made itself. So a dead-letter queue may have a
//! dead-letter queue, and two queues may be each other's.

use crate::entities::QueueId;

/// When a queue gives a message up, and to which queue: its redrive policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The bare name of the dead-letter queue. While there is no queue of this name, nothing is given up.
    pub to: String,
    /// How often a message is handed out at most (SQS's `maxReceiveCount`).
    pub max_receives: u32,
}

/// How many messages one receive gives up at most. The others wait for the next receive, and receivers that wait for the queue are woken for it.
pub const MAX_GIVEN_UP: u64 = 100;

/// Why a queue gave a message up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// The queue had handed it out as often as its redrive policy allows.
    Receives,
    /// It was older than the queue's retention.
    Age,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Receives, Self::Age];

    /// Its word in metrics and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receives => "max_receive_count",
            Self::Age => "message_retention_period",
        }
    }
}

/// Between which queues messages moved, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The name of the queue that gave them up.
    pub from: String,
    /// The name of its dead-letter queue.
    pub to: String,
    /// Why it gave them up.
    pub why: Why,
}

/// A queue's redrive policy with the dead-letter queue looked up. `P` is how a store identifies a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy<P> {
    /// The queue's own name.
    pub from: String,
    /// The redrive policy.
    pub redrive: Redrive,
    /// The dead-letter queue; `None` if there is no queue of its name.
    pub target: Option<P>,
}

/// What a receive does with a visible message, by the policy of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<P> {
    /// Hands it out.
    HandOut,
    /// Moves it to this dead-letter queue.
    GiveUp(P),
    /// Hands it out once more, because its dead-letter queue does not exist.
    Keep,
}

impl<P: Copy> Policy<P> {
    /// What a receive does with a message that this queue has handed out `receives` times so far.
    pub fn judge(&self, receives: u32) -> Verdict<P> {
        match self.target {
            _ if receives < self.redrive.max_receives => Verdict::HandOut,
            Some(target) => Verdict::GiveUp(target),
            None => Verdict::Keep,
        }
    }

    /// From this queue to its dead-letter queue, for this reason.
    pub fn way(&self, why: Why) -> Way {
        Way { from: self.from.clone(), to: self.redrive.to.clone(), why }
    }
}

/// What a receive met that its commit must report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetByReceive {
    /// How many damaged messages it set aside.
    pub set_aside: u64,
    /// How many messages it moved to the dead-letter queue.
    pub given_up: u64,
    /// How many messages it handed out once more because their dead-letter queue does not exist.
    pub kept: u64,
}

impl MetByReceive {
    /// Whether it may give up one more message.
    pub fn may_give_up(&self) -> bool {
        self.given_up < MAX_GIVEN_UP
    }

    /// Whether it stopped at [`MAX_GIVEN_UP`].
    pub fn is_cut_short(&self) -> bool {
        !self.may_give_up()
    }
}

/// For a message in a dead-letter queue: how it came there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The queue that gave it up.
    pub by: QueueId,
    /// Its `receive_count` at that moment. The dead-letter queue's own receives count from here.
    pub after: u32,
}
