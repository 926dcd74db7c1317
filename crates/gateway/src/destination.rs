//! Where a connection to a service leads, and so what makes one connection as good as another.
//!
//! The pools of upstream connections are keyed by a destination's number. Two services, of one generation of the configuration or of two,
//! that lead to the same host and port share one [`Destination`], and with it the connections that are kept: a reload that leaves an
//! address alone leaves its connections alone. Whatever else comes to tell connections apart (TLS, SNI, a client certificate) belongs in here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A number that no other destination has. It belongs to the process and not to one [`Destinations`], so that a snapshot which was
/// compiled with other destinations than the last one can at worst reuse no connection, and never one that leads elsewhere.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A host and a port. Lives for as long as a generation, or a request under way, leads there.
#[derive(Debug)]
pub struct Destination {
    id: DestinationId,
    /// A host name or an IP literal (without brackets).
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Destination {
    /// What the hot path knows it by.
    pub(crate) fn id(&self) -> DestinationId {
        self.id
    }
}

/// The number of a [`Destination`]; never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DestinationId(u64);

/// All destinations of a gateway, over all generations of its configuration. Equal ones are one.
#[derive(Debug, Default)]
pub struct Destinations(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    destinations: HashMap<(String, u16), Weak<Destination>>,
    /// When there are so many, those that nothing leads to any more are forgotten.
    sweep_at: usize,
}

/// Fewer are not worth a sweep.
const SWEEP_AT_LEAST: usize = 64;

impl Destinations {
    /// The destination of this host and port.
    pub fn get(&self, host: &str, port: u16) -> Arc<Destination> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (host.to_owned(), port);
        if let Some(destination) = known.destinations.get(&key).and_then(Weak::upgrade) {
            return destination;
        }
        known.sweep();
        let id = DestinationId(NEXT.fetch_add(1, Ordering::Relaxed));
        let destination = Arc::new(Destination { id, host: host.to_owned(), port });
        known.destinations.insert(key, Arc::downgrade(&destination));
        destination
    }
}

impl Known {
    /// Seldom: each sweep pays for as many insertions as it leaves entries.
    fn sweep(&mut self) {
        if self.destinations.len() >= self.sweep_at {
            self.destinations.retain(|_, destination| destination.strong_count() > 0);
            self.sweep_at = (2 * self.destinations.len()).max(SWEEP_AT_LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_destinations_are_one_for_as_long_as_something_leads_there() {
        let destinations = Destinations::default();
        let first = destinations.get("a.test", 80);
        assert_eq!(destinations.get("a.test", 80).id(), first.id());
        let others = [destinations.get("a.test", 81), destinations.get("b.test", 80)];
        assert!(others.iter().all(|other| other.id() != first.id()));
        let known = first.id();
        drop(first);
        assert_ne!(destinations.get("a.test", 80).id(), known, "its number is not used again");
        let elsewhere = Destinations::default().get("a.test", 81);
        assert!(others.iter().all(|other| other.id() != elsewhere.id()), "nor by anybody else");
    }

    #[test]
    fn what_nothing_leads_to_is_forgotten() {
        let destinations = Destinations::default();
        let kept = destinations.get("kept.test", 80);
        for count in 0..10 * SWEEP_AT_LEAST {
            destinations.get(&format!("{count}.test"), 80);
        }
        assert!(destinations.0.lock().unwrap().destinations.len() <= SWEEP_AT_LEAST);
        assert_eq!(destinations.get("kept.test", 80).id(), kept.id());
    }
}
