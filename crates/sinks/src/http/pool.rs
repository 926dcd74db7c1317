//! Connections that wait for their next request.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delivery::{Endpoint, EndpointHost, Scheme};
use foldhash::HashMap;
use tokio::time::Instant;

use super::connection::Connection;

/// An idle connection is closed after this long: below the idle time of common servers.
pub const MAX_IDLE: Duration = Duration::from_secs(4);
/// Idle connections to one endpoint: as many as a subscription may have in flight. With fewer, a busy subscription would open and close
/// a connection for most of its deliveries.
pub const MAX_IDLE_PER_ENDPOINT: usize = delivery::window::MAX_IN_FLIGHT;
/// Idle connections in all.
pub const MAX_IDLE_TOTAL: usize = 2_048;

/// The endpoint of a connection. Its checked address is kept with the connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PoolKey {
    scheme: Scheme,
    host: EndpointHost,
    port: u16,
}

impl PoolKey {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let host = match &endpoint.host {
            EndpointHost::Address(address) => EndpointHost::Address(address.to_canonical()),
            EndpointHost::Name(name) => EndpointHost::Name(name.clone()),
        };
        Self { scheme: endpoint.scheme, host, port: endpoint.port }
    }
}

/// The idle connections; clones share them.
#[derive(Clone, Default)]
pub(super) struct Pool {
    idle: Arc<Mutex<Idle>>,
}

#[derive(Default)]
struct Idle {
    by_key: HashMap<PoolKey, Vec<(Instant, Connection)>>,
    total: usize,
    /// Whether there is a task that closes old connections.
    reaped: bool,
}

impl Pool {
    /// The connection that was used last: the one most likely to be open.
    pub(super) fn take(&self, key: &PoolKey) -> Option<Connection> {
        let mut idle = self.idle();
        let idle = &mut *idle;
        let kept = idle.by_key.get_mut(key)?;
        while let Some((since, mut connection)) = kept.pop() {
            idle.total -= 1;
            if is_usable(since, &mut connection) {
                return Some(connection);
            }
        }
        None
    }

    /// Closes what has been idle longest until no more than `most` are idle.
    pub(super) fn shrink_to(&self, most: usize) {
        let mut idle = self.idle();
        let idle = &mut *idle;
        while idle.total > most {
            // Each endpoint's list has the oldest connection in front, because the most recently used one is taken first.
            let since = |kept: &Vec<(Instant, Connection)>| kept.first().map(|(since, _)| *since);
            let oldest =
                idle.by_key.values_mut().filter(|kept| !kept.is_empty()).min_by_key(|kept| since(kept));
            let Some(kept) = oldest else { return };
            kept.remove(0);
            idle.total -= 1;
        }
    }

    /// Keeps a connection whose last answer was read to its end, if there is room for it.
    pub(super) fn keep(&self, key: PoolKey, connection: Connection) {
        let now = Instant::now();
        if connection.life.is_over(now.into_std()) {
            return;
        }
        let mut idle = self.idle();
        if idle.total >= MAX_IDLE_TOTAL {
            return;
        }
        let kept = idle.by_key.entry(key).or_default();
        if kept.len() >= MAX_IDLE_PER_ENDPOINT {
            return;
        }
        kept.push((now, connection));
        idle.total += 1;
        if !std::mem::replace(&mut idle.reaped, true) {
            tokio::spawn(reap(Arc::downgrade(&self.idle)));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.idle().total
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_usable(idle_since: Instant, connection: &mut Connection) -> bool {
    let now = Instant::now();
    let is_young = now - idle_since < MAX_IDLE && !connection.life.is_over(now.into_std());
    is_young && connection.is_quiet()
}

/// Closes what is too old, until nothing is left.
async fn reap(pool: std::sync::Weak<Mutex<Idle>>) {
    loop {
        tokio::time::sleep(MAX_IDLE / 4).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.lock().unwrap_or_else(PoisonError::into_inner);
        idle.by_key.retain(|_, kept| {
            kept.retain_mut(|(since, connection)| is_usable(*since, connection));
            !kept.is_empty()
        });
        idle.total = idle.by_key.values().map(Vec::len).sum();
        if idle.total == 0 {
            idle.reaped = false;
            return;
        }
    }
}
