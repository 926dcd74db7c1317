//! The changes that are queued for the writer.

use event::{EventId, Intent, NewEvent, Position};

use super::bell::Rings;
use super::inbox::Urgency;
use super::receipt::Reply;
use crate::{Result, StoreError, Tx};

/// A change in the writer's queue.
pub(super) enum Change {
    Intend(Noted),
    /// The intents of one request, which are committed together.
    IntendTogether(Vec<Noted>),
    Settle(Settlement),
    Transact(Box<dyn Transaction>),
    Stop,
}

impl Change {
    /// An outcome that is owed is accepted even if the queue is full, because its request was forwarded on that promise. A change that nobody waits
    /// for may be gathered with others.
    pub(super) fn urgency(&self) -> Urgency {
        match self {
            Self::Settle(settlement) => {
                Urgency { awaited: settlement.reply.is_some(), owed: settlement.is_owed() }
            }
            Self::Stop => Urgency { awaited: true, owed: true },
            Self::Intend(_) | Self::IntendTogether(_) | Self::Transact(_) => {
                Urgency { awaited: true, owed: false }
            }
        }
    }
}

/// An intent that is to be noted.
pub(super) struct Noted {
    pub(super) intent: Intent,
    pub(super) reply: Reply<()>,
    pub(super) request: Request,
}

/// Which request an intent belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A request without an intent before this one.
    New,
    /// The request of the intent before it, which several recorders follow.
    SameAsBefore,
}

/// An outcome that is to be stored: an event, or the end of an intent without one.
pub(super) struct Settlement {
    pub(super) claim: Claim,
    pub(super) event: Option<NewEvent>,
    pub(super) reply: Option<Reply<Option<Position>>>,
}

/// What was promised about an outcome. It decides what happens if there is no room.
#[derive(Clone, Copy)]
pub(super) enum Claim {
    /// It settles this intent, so it is owed.
    Intent(EventId),
    /// It had no intent, but it is owed.
    Owed,
    /// Nobody was promised it. It may be dropped.
    Nothing,
    /// Nobody was promised it, and the sender gets a refusal and may send it again. So it is never kept for later.
    Asked,
}

impl Settlement {
    pub(super) fn is_owed(&self) -> bool {
        !matches!(self.claim, Claim::Nothing | Claim::Asked)
    }

    /// Whether the sender gets a refusal and may send it again.
    pub(super) fn is_asked(&self) -> bool {
        matches!(self.claim, Claim::Asked)
    }

    pub(super) fn intent(&self) -> Option<EventId> {
        match self.claim {
            Claim::Intent(id) => Some(id),
            Claim::Owed | Claim::Nothing | Claim::Asked => None,
        }
    }
}

/// A closure with the reply to its caller, of any type, so that the queue can hold it.
pub(super) trait Transaction: Send {
    fn growth(&self) -> Growth;
    fn apply(&mut self, tx: &mut dyn Tx) -> Result<()>;
    fn finish(self: Box<Self>, result: Result<()>, rings: &mut Rings);
}

pub(super) struct Closure<F, T> {
    pub(super) run: F,
    pub(super) value: Option<T>,
    pub(super) reply: Reply<T>,
    pub(super) growth: Growth,
}

/// Whether a transaction is refused if there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    /// It is not refused: it concerns what the store has already, or makes room.
    None,
    /// It is refused, because it adds to what the store keeps.
    Kept,
}

impl<F, T> Transaction for Closure<F, T>
where
    F: FnMut(&mut dyn Tx) -> Result<T> + Send,
    T: Send,
{
    fn growth(&self) -> Growth {
        self.growth
    }

    fn apply(&mut self, tx: &mut dyn Tx) -> Result<()> {
        self.value = Some((self.run)(tx)?);
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<()>, rings: &mut Rings) {
        let Self { value, reply, .. } = *self;
        reply.send(result.and_then(|()| value.ok_or(StoreError::Closed)), rings);
    }
}
