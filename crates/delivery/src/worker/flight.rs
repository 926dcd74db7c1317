//! Attempts under way.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use event::{Event, Position, Timestamp};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::SLOW;
use super::attempt::{Arrival, Courier};
use crate::sink::{AttemptReport, Failure};

/// An attempt that is about to be made; what it needs is durable.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) event: Arc<Event>,
    /// Which attempt.
    pub(super) number: u32,
    /// When the first attempt was.
    pub(super) since: Timestamp,
    pub(super) began_at: Timestamp,
    pub(super) row: Row,
}

/// Whether the delivery has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// Only the cursor covers it.
    None,
    /// In the store, or in the next commit.
    Stored,
}

/// An attempt that ended.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) trip: Departure,
    pub(super) took: Duration,
    pub(super) arrival: Arrival,
}

#[derive(Default)]
pub(super) struct Flight {
    tasks: JoinSet<Arrival>,
    trips: HashMap<Id, (Instant, Departure)>,
    positions: HashSet<Position>,
    /// First attempts in the order of their beginnings, with the moment from which each is slow.
    slow: VecDeque<(Instant, Id)>,
    retries: usize,
}

impl Flight {
    pub(super) fn depart(&mut self, departure: Departure, courier: &Arc<Courier>) {
        let began = Instant::now();
        let attempt = courier.clone().attempt(departure.event.clone(), departure.number);
        let id = self.tasks.spawn(attempt).id();
        self.positions.insert(departure.event.position);
        match departure.row {
            Row::None => self.slow.push_back((began + SLOW, id)),
            Row::Stored => self.retries += 1,
        }
        self.trips.insert(id, (began, departure));
    }

    pub(super) fn len(&self) -> usize {
        self.trips.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.trips.is_empty()
    }

    /// Attempts under way that have a row.
    pub(super) fn retries(&self) -> usize {
        self.retries
    }

    pub(super) fn contains(&self, position: Position) -> bool {
        self.positions.contains(&position)
    }

    /// An attempt that has ended, if there is one.
    pub(super) fn try_land(&mut self) -> Option<Landed> {
        loop {
            let joined = self.tasks.try_join_next_with_id()?;
            if let Some(landed) = self.landed(joined) {
                return Some(landed);
            }
        }
    }

    /// The next attempt to end; pending while none is under way.
    pub(super) async fn land(&mut self) -> Landed {
        while let Some(joined) = self.tasks.join_next_with_id().await {
            if let Some(landed) = self.landed(joined) {
                return landed;
            }
        }
        std::future::pending().await
    }

    fn landed(&mut self, joined: Result<(Id, Arrival), JoinError>) -> Option<Landed> {
        let (id, arrival) = match joined {
            Ok(ended) => ended,
            Err(error) => (error.id(), broken_off(&error)),
        };
        let (began, trip) = self.trips.remove(&id)?;
        self.positions.remove(&trip.event.position);
        if trip.row == Row::Stored {
            self.retries -= 1;
        }
        Some(Landed { trip, took: began.elapsed(), arrival })
    }

    /// When the next attempt becomes slow.
    pub(super) fn slow_at(&self) -> Option<Instant> {
        self.slow.front().map(|(at, _)| *at)
    }

    /// An attempt that has become slow and has no row yet; from now on it counts as one with a row.
    pub(super) fn next_slow(&mut self, now: Instant) -> Option<&Departure> {
        while self.slow.front().is_some_and(|(at, _)| *at <= now) {
            let (_, id) = self.slow.pop_front()?;
            if self.trips.contains_key(&id) {
                let (_, trip) = self.trips.get_mut(&id)?;
                trip.row = Row::Stored;
                self.retries += 1;
                return Some(trip);
            }
        }
        None
    }
}

/// A panic in a sink is a failed attempt like any other.
fn broken_off(error: &JoinError) -> Arrival {
    tracing::error!(%error, "an attempt broke off");
    Arrival::Report(AttemptReport::failed(Failure::Internal, "the attempt broke off", Duration::ZERO))
}
