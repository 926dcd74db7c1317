//! Attempts under way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Position, Stamp, Timestamp};
use foldhash::{HashMap, HashSet};
use storage::delivery::{Delivery, DeliveryId, DeliveryState};
use storage::entities::SubscriptionId;
use storage::throttle::Throttle;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::SLOW;
use super::sender::{End, Sender};
use crate::budget::Charge;
use crate::sink::{AttemptReport, Failure};

/// An attempt that is about to be made; everything that must be durable before it is.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) event: Arc<Event>,
    /// Its share of the budget, until the attempt has ended.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pub(super) charge: Charge,
    /// Which attempt.
    pub(super) number: u32,
    /// When the first attempt was, or when its waits began anew.
    pub(super) since: Stamp,
    /// How many attempts were begun before that.
    pub(super) anew_after: u32,
    pub(super) began: Stamp,
    /// The wall time of the first attempt, to be shown.
    pub(super) began_at: Timestamp,
    /// When it was due, if it is made earlier.
    pub(super) due: Option<Stamp>,
    pub(super) row: Row,
}

impl Dispatch {
    /// Its row.
    pub(super) fn to_row(&self, subscription: SubscriptionId, state: DeliveryState) -> Delivery {
        Delivery {
            id: DeliveryId { subscription, position: self.event.position },
            key: self.event.body.key.to_string(),
            state,
            attempts: self.number,
            since: self.since,
            anew_after: self.anew_after,
        }
    }

    /// How many attempts count for the delivery policy, with this one.
    pub(super) fn counted(&self) -> u32 {
        self.number.saturating_sub(self.anew_after)
    }
}

/// Whether the delivery has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// None: only the cursor covers it.
    None,
    /// In the store, or in the next commit.
    Stored,
}

/// An attempt that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) dispatch: Dispatch,
    pub(super) took: Duration,
    pub(super) end: End,
}

/// The attempts of one subscription that have begun and not ended, each in a task of its own.
#[derive(Default)]
pub(super) struct Attempts {
    tasks: JoinSet<End>,
    under_way: HashMap<Id, UnderWay>,
    positions: HashSet<Position>,
    /// First attempts in the order in which they began, each with the moment from which it counts as slow.
    slow: VecDeque<(Instant, Id)>,
    /// Attempts that have a row.
    rows: usize,
    /// Attempts that had a row when they began: a first attempt that became slow takes no room from retries.
    retries: usize,
}

struct UnderWay {
    task: AbortHandle,
    began: Instant,
    dispatch: Dispatch,
    is_retry: bool,
}

impl Attempts {
    pub(super) fn begin(&mut self, dispatch: Dispatch, sender: &Arc<Sender>) {
        let began = Instant::now();
        let attempt = sender.clone().attempt(dispatch.event.clone(), dispatch.number);
        let task = self.tasks.spawn(attempt);
        let id = task.id();
        self.positions.insert(dispatch.event.position);
        let is_retry = dispatch.row == Row::Stored;
        if is_retry {
            self.rows += 1;
            self.retries += 1;
        } else {
            self.slow.push_back((began + SLOW, id));
        }
        self.under_way.insert(id, UnderWay { task, began, dispatch, is_retry });
    }

    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Attempts under way that have a row.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Attempts under way that had a row when they began.
    pub(super) fn retries(&self) -> usize {
        self.retries
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.positions.contains(&position)
    }

    /// The positions of all attempts under way.
    pub(super) fn positions(&self) -> HashSet<Position> {
        self.positions.clone()
    }

    /// The keys of all attempts under way.
    pub(super) fn keys(&self) -> HashSet<Arc<str>> {
        self.under_way.values().map(|dispatch| dispatch.dispatch.event.body.key.clone()).collect()
    }

    /// An attempt that has ended, if there is one.
    pub(super) fn try_next_ended(&mut self) -> Option<Ended> {
        loop {
            let joined = self.tasks.try_join_next_with_id()?;
            if let Some(ended) = self.ended(joined) {
                return Some(ended);
            }
        }
    }

    /// The next attempt to end; pending while none is under way.
    pub(super) async fn next_ended(&mut self) -> Ended {
        while let Some(joined) = self.tasks.join_next_with_id().await {
            if let Some(ended) = self.ended(joined) {
                return ended;
            }
        }
        std::future::pending().await
    }

    fn ended(&mut self, joined: Result<(Id, End), JoinError>) -> Option<Ended> {
        let (id, end) = match joined {
            Ok(ended) => ended,
            Err(error) => (error.id(), End::Report(broken_off(&error))),
        };
        let (dispatch, took) = self.remove(id)?;
        Some(Ended { dispatch, took, end })
    }

    fn remove(&mut self, id: Id) -> Option<(Dispatch, Duration)> {
        let UnderWay { began, dispatch, is_retry, task: _ } = self.under_way.remove(&id)?;
        self.positions.remove(&dispatch.event.position);
        self.rows -= usize::from(dispatch.row == Row::Stored);
        self.retries -= usize::from(is_retry);
        Some((dispatch, began.elapsed()))
    }

    fn find(&self, position: Position) -> Option<Id> {
        if !self.contains(position) {
            return None;
        }
        let at = |one: &&UnderWay| one.dispatch.event.position == position;
        self.under_way.values().find(at).map(|one| one.task.id())
    }

    /// Cuts an attempt off: the endpoint may have got it all the same. Nothing more is heard of it. Returns it, and how long it took.
    pub(super) fn cut_off(&mut self, position: Position) -> Option<(Dispatch, Duration)> {
        let id = self.find(position)?;
        self.under_way.get(&id)?.task.abort();
        self.remove(id)
    }

    /// Lets the waits of a delivery with a row begin anew with the attempt that is under way. Returns the attempt.
    pub(super) fn begin_anew(&mut self, position: Position, now: Stamp) -> Option<&Dispatch> {
        let id = self.find(position)?;
        let dispatch = &mut self.under_way.get_mut(&id)?.dispatch;
        if dispatch.row == Row::None {
            return None;
        }
        dispatch.since = now;
        dispatch.anew_after = dispatch.number.saturating_sub(1);
        dispatch.due = None;
        Some(dispatch)
    }

    /// When the next attempt becomes slow.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        self.slow.front().map(|(at, _)| *at)
    }

    /// An attempt that has become slow and has no row yet; from now on it counts as one with a row.
    pub(super) fn next_slow(&mut self, now: Instant) -> Option<&Dispatch> {
        while self.slow.front().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = self.slow.pop_front()?;
            if self.under_way.contains_key(&id) {
                let dispatch = self.under_way.get_mut(&id)?;
                dispatch.dispatch.row = Row::Stored;
                self.rows += 1;
                return Some(&dispatch.dispatch);
            }
        }
        None
    }
}

/// The report of an attempt whose task panicked: it is a failed attempt like any other.
pub(super) fn broken_off(error: &JoinError) -> AttemptReport {
    static BROKEN_OFF: Throttle = Throttle::new();
    if let Some(times) = BROKEN_OFF.happened() {
        tracing::error!(%error, times, "the task of an attempt ended unexpectedly");
    }
    AttemptReport::failed(Failure::Internal, "the attempt broke off", Duration::ZERO)
}
