//! Dead-letter queues: when a queue gives a message up, which queue gets it, and what a commit says of that.
//!
//! A message is given up by the receive that would hand it out once too often, or by housekeeping when the queue has kept it for its time and the
//! dead-letter queue keeps messages for longer. It moves in that transaction: it is always in exactly one queue. It stays what it was, with its
//! number, its age and its count of receives. Each queue counts the receives that it made itself, so that a dead-letter queue may have a
//! dead-letter queue, and two queues may even be each other's.

use crate::entities::QueueId;

/// When a queue gives a message up, and to which other one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The bare name of the dead-letter queue. While there is none of this name, nothing is given up.
    pub to: String,
    /// How often a message is handed out at most.
    pub max_receives: u32,
}

/// How many messages one receive gives up at most: more of them wait for the next receive, and those who wait for messages of the queue are woken
/// for it.
pub const MAX_GIVEN_UP: u64 = 100;

/// Why a queue gave a message up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// It had been handed out as often as it may be.
    Receives,
    /// The queue had kept it for its time.
    Age,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Receives, Self::Age];

    /// As metrics call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receives => "max_receive_count",
            Self::Age => "message_retention_period",
        }
    }
}

/// Which way messages went.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The name of the queue that gave them up.
    pub from: String,
    /// The name of its dead-letter queue.
    pub to: String,
    /// Why it gave them up.
    pub why: Why,
}

/// A queue's redrive policy as a receive meets it. `P` is where a store has a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy<P> {
    /// The queue's own name.
    pub from: String,
    /// What its owner said.
    pub redrive: Redrive,
    /// Where the dead-letter queue is; `None` if there is none of its name.
    pub target: Option<P>,
}

/// What a policy says of a message that could be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<P> {
    /// It is handed out.
    HandOut,
    /// It goes to the dead-letter queue.
    GiveUp(P),
    /// It would go there, and there is no such queue: it is handed out once more.
    Keep,
}

impl<P: Copy> Policy<P> {
    /// What becomes of a message that its queue has handed out so often.
    pub fn judge(&self, receives: u32) -> Verdict<P> {
        match self.target {
            _ if receives < self.redrive.max_receives => Verdict::HandOut,
            Some(target) => Verdict::GiveUp(target),
            None => Verdict::Keep,
        }
    }

    /// The way of what it gives up.
    pub fn way(&self, why: Why) -> Way {
        Way { from: self.from.clone(), to: self.redrive.to.clone(), why }
    }
}

/// What a receive came upon beside what it hands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetByReceive {
    /// Damaged messages that it set aside.
    pub set_aside: u64,
    /// Messages that went to the dead-letter queue.
    pub given_up: u64,
    /// Messages that it handed out once more because there is no dead-letter queue.
    pub kept: u64,
}

impl MetByReceive {
    /// Whether it may give up one more.
    pub fn may_give_up(&self) -> bool {
        self.given_up < MAX_GIVEN_UP
    }

    /// Whether it stopped at [`MAX_GIVEN_UP`].
    pub fn is_cut_short(&self) -> bool {
        !self.may_give_up()
    }
}

/// A message's place among queues, for those that were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The queue that gave it up.
    pub by: QueueId,
    /// How often it had been received by then.
    pub after: u32,
}
