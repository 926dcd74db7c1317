//! Limits how many attempts may be under way, in total and at one endpoint. Each needs a turn.
//!
//! Every attempt needs a file descriptor, so their number is limited. An attempt beyond the limit waits, and its timeout does not run. An
//! endpoint may have at most as many turns as are still free. So an endpoint that never answers takes half of them, a second one half of the
//! rest, and as long as there are fewer endpoints than turns, each endpoint can get one. Among those that wait, the endpoint with the fewest
//! turns is first, and of its attempts the oldest.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use delivery::Endpoint;
use foldhash::HashMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The time between two log lines that say that attempts wait.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How many connections the sink may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// To all endpoints together, idle ones included; at least 1.
    pub max: usize,
    /// To one endpoint (a URL), in use; at least 1. Besides this limit, an endpoint never has more than are free.
    pub max_per_endpoint: usize,
}

impl Connections {
    /// The most that the sink ever needs.
    const MOST: usize = 4_096;

    /// As many as there are descriptors for deliveries, but no more than 4,096; half of that to one endpoint, but no more than a subscription
    /// may have attempts under way.
    pub fn within(descriptors: usize) -> Self {
        let max = descriptors.clamp(1, Self::MOST);
        Self { max, max_per_endpoint: (max / 2).clamp(1, delivery::window::MAX_IN_FLIGHT) }
    }
}

/// The turns; clones share them.
#[derive(Clone)]
pub(super) struct Turns {
    state: Arc<Mutex<State>>,
}

struct State {
    limits: Connections,
    taken: usize,
    waiting: usize,
    endpoints: HashMap<Key, Share>,
    said_at: Option<Instant>,
}

/// The turns of one endpoint, kept while it has any or waits for one.
#[derive(Default)]
struct Share {
    taken: usize,
    /// Attempts that wait for a turn, the oldest first. A closed one does not wait any more.
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// An endpoint, identified by scheme, host, port and path.
#[derive(Clone)]
struct Key(Arc<Endpoint>);

impl Key {
    fn parts(&self) -> impl PartialEq + Hash {
        let endpoint = &*self.0;
        (endpoint.scheme, &endpoint.host, endpoint.port, endpoint.path.as_str())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.parts() == other.parts()
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// The permission to have a connection to an endpoint; given back when dropped.
pub(super) struct Turn {
    turns: Turns,
    key: Key,
}

impl Turns {
    pub(super) fn new(limits: Connections) -> Self {
        let limits = Connections { max: limits.max.max(1), max_per_endpoint: limits.max_per_endpoint.max(1) };
        let (endpoints, said_at) = (HashMap::default(), None);
        Self { state: Arc::new(Mutex::new(State { limits, taken: 0, waiting: 0, endpoints, said_at })) }
    }

    /// Waits for a turn.
    pub(super) async fn take(&self, endpoint: &Arc<Endpoint>) -> Turn {
        let key = Key(endpoint.clone());
        let handed = {
            let mut state = self.state();
            let most = state.most();
            let share = state.endpoints.entry(key.clone()).or_default();
            if share.waiting.is_empty() && share.taken < most {
                share.taken += 1;
                state.taken += 1;
                None
            } else {
                let (hand, handed) = oneshot::channel();
                state.wait(&key, hand);
                Some(handed)
            }
        };
        match handed {
            None => Turn { turns: self.clone(), key },
            Some(handed) => match handed.await {
                Ok(turn) => turn,
                // Every waiting attempt gets a turn as long as these turns exist, and `self` keeps them.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// One more turn for an endpoint, if nobody waits for one.
    pub(super) fn try_take(&self, endpoint: &Arc<Endpoint>) -> Option<Turn> {
        let key = Key(endpoint.clone());
        let mut state = self.state();
        let taken = state.endpoints.get(&key).map_or(0, |share| share.taken);
        (state.waiting == 0 && taken < state.most()).then(|| {
            state.take(&key);
            drop(state);
            Turn { turns: self.clone(), key }
        })
    }

    /// How many connections may be idle now.
    pub(super) fn room_for_idle(&self) -> usize {
        let state = self.state();
        state.limits.max.saturating_sub(state.taken)
    }

    /// How many wait for a turn.
    pub(super) fn waiting(&self) -> usize {
        self.state().waiting
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.state().taken
    }

    fn give_back(&self, key: &Key) {
        let mut granted = Vec::new();
        {
            let mut state = self.state();
            state.give_back(key);
            while let Some(next) = state.grant() {
                granted.push(next);
            }
        }
        for (hand, key) in granted {
            // One that was given up at this moment gives its turn back as it is dropped.
            drop(hand.send(Turn { turns: self.clone(), key }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many turns an endpoint may have now; one that has fewer may have another.
    fn most(&self) -> usize {
        let free = self.limits.max.saturating_sub(self.taken);
        free.min(self.limits.max_per_endpoint)
    }

    fn take(&mut self, key: &Key) {
        self.taken += 1;
        self.endpoints.entry(key.clone()).or_default().taken += 1;
    }

    fn wait(&mut self, key: &Key, hand: oneshot::Sender<Turn>) {
        self.waiting += 1;
        let share = self.endpoints.entry(key.clone()).or_default();
        share.waiting.push_back(hand);
        let is_said = self.said_at.is_some_and(|at| at.elapsed() < SAY_EVERY);
        if !is_said {
            self.said_at = Some(Instant::now());
            tracing::warn!(
                host = %key.0.authority.to_str().unwrap_or_default(),
                connections = share.taken,
                all_connections = self.taken,
                limit = self.limits.max,
                "deliveries wait for a free connection: endpoints answer slowly or not at all; a higher LimitNOFILE allows more"
            );
        }
    }

    fn give_back(&mut self, key: &Key) {
        self.taken -= 1;
        if let Some(share) = self.endpoints.get_mut(key) {
            share.taken -= 1;
            if share.taken == 0 && share.waiting.is_empty() {
                self.endpoints.remove(key);
            }
        }
    }

    /// Takes a turn for the next that waits, if there is one.
    fn grant(&mut self) -> Option<(oneshot::Sender<Turn>, Key)> {
        while self.waiting > 0 {
            let waiting = self.endpoints.iter_mut().filter(|(_, share)| !share.waiting.is_empty());
            let (key, share) = waiting.min_by_key(|(_, share)| share.taken)?;
            let (key, taken) = (key.clone(), share.taken);
            let is_closed = share.waiting.front().is_some_and(oneshot::Sender::is_closed);
            if !is_closed && taken >= self.most() {
                return None;
            }
            let share = self.endpoints.get_mut(&key)?;
            let hand = share.waiting.pop_front()?;
            self.waiting -= 1;
            if !is_closed {
                self.take(&key);
                return Some((hand, key));
            }
            if share.taken == 0 && share.waiting.is_empty() {
                self.endpoints.remove(&key);
            }
        }
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.give_back(&self.key);
    }
}

#[cfg(test)]
mod tests;
