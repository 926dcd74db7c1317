//! What the gateway serves, one immutable generation at a time, and how the next one replaces the last.
//!
//! A [`Snapshot`] is published on one watch channel. On each core a task waits for it and replaces the core's own `Rc`. So a request costs one
//! clone of an `Rc` that no other core has: no lock, and no atomic operation on memory that another core writes. A request goes on with the
//! generation with which it began; at no time does a core have no generation, or half of one.

use std::collections::HashSet;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pipeline::context::{RouteRef, Routes};
use pipeline::{Chains, RouteFacts};
use tokio::sync::watch;
use uuid::Uuid;

use crate::router::Router;
use crate::service::Service;
use crate::stats::RouteNumber;

/// One generation of what the gateway serves: the routes with their services and plug-ins.
pub struct Snapshot {
    generation: u64,
    router: Router,
    /// Upstreams whose targets take turns.
    upstreams: HashSet<Uuid>,
}

impl Snapshot {
    /// A generation, whose number is at least 1.
    pub fn new(generation: u64, router: Router) -> Self {
        let upstreams = router.routes().filter_map(|route| route.service.as_ref()?.upstream()).collect();
        Self { generation, router, upstreams }
    }

    /// Its number.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a route of it leads to the targets of this upstream.
    pub(crate) fn has_upstream(&self, id: &Uuid) -> bool {
        self.upstreams.contains(id)
    }

    /// Its routes.
    pub fn router(&self) -> &Router {
        &self.router
    }
}

/// A generation as one core holds it. Requests share the core's own `Rc` of it, so that counting them touches no memory of another core.
pub(crate) struct Served(Arc<Snapshot>);

impl Served {
    /// As a core holds it.
    pub fn of(snapshot: impl Into<Arc<Snapshot>>) -> Rc<Self> {
        Rc::new(Self(snapshot.into()))
    }
}

impl Deref for Served {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl Routes for Served {
    fn facts(&self, index: usize) -> &RouteFacts {
        &self.0.router.route(index).facts
    }
}

/// The route of a request, if it has one, together with the generation with which it began. A running exchange keeps it.
pub(crate) struct Place {
    served: Rc<Served>,
    route: Option<usize>,
}

impl Place {
    /// On the route at this index.
    pub fn on_route(served: Rc<Served>, index: usize) -> Self {
        Self { served, route: Some(index) }
    }

    /// Without a route.
    pub fn unrouted(served: Rc<Served>) -> Self {
        Self { served, route: None }
    }

    /// The chains of plug-ins for it.
    pub fn chains(&self) -> &Chains {
        let router = self.served.router();
        self.route.map_or(router.unrouted(), |index| &router.route(index).chains)
    }

    /// Where its requests are counted.
    pub fn number(&self) -> RouteNumber {
        self.route.map_or(RouteNumber::UNROUTED, |index| self.served.router().route(index).number)
    }

    /// The route as plug-ins see it.
    pub fn route(&self) -> Option<RouteRef> {
        self.route.map(|index| RouteRef::new(self.served.clone(), index))
    }
}

/// The service that a request goes to, together with the generation with which it began. Clones touch no memory of another core.
#[derive(Clone)]
pub(crate) struct ServiceRef {
    served: Rc<Served>,
    route: usize,
    target: usize,
}

impl ServiceRef {
    /// The service of the route at this index, at this one of its targets; `None` if the route has none there.
    pub fn new(served: Rc<Served>, route: usize, target: usize) -> Option<Self> {
        served.router().route(route).service.as_ref()?.at(target)?;
        Some(Self { served, route, target })
    }
}

impl Deref for ServiceRef {
    type Target = Service;

    #[expect(
        clippy::expect_used,
        reason = "it is made only where there is one, and a generation never changes"
    )]
    fn deref(&self) -> &Service {
        let backend = self.served.router().route(self.route).service.as_ref();
        backend.and_then(|backend| backend.at(self.target)).expect("a service that was there")
    }
}

/// Publishes generations to the cores of a gateway. Clones publish to the same.
#[derive(Clone)]
pub struct Publisher {
    current: watch::Sender<Arc<Snapshot>>,
    /// The generation that each core holds.
    held: watch::Receiver<Vec<u64>>,
}

/// The error for a generation that is not newer than the one that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("generation {refused} is not newer than generation {served}, which is served")]
pub struct NotNewer {
    /// The one that was to be published.
    pub refused: u64,
    /// The one that stays.
    pub served: u64,
}

/// The error if some cores have not taken over a generation yet. They do it as soon as they can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{behind} of {cores} cores have not taken it over within {} s", .limit.as_secs_f32())]
pub struct CoresBehind {
    /// How many do not hold it.
    pub behind: usize,
    /// How many there are.
    pub cores: usize,
    /// How long they were waited for.
    pub limit: Duration,
}

impl Publisher {
    /// For this many cores. Returns a follower for each.
    pub(crate) fn new(first: Arc<Snapshot>, cores: usize) -> (Self, Vec<Follower>) {
        let (current, published) = watch::channel(first);
        let (holds, held) = watch::channel(vec![0; cores]);
        let follower = |core| Follower { published: published.clone(), holds: holds.clone(), core };
        let followers = (0..cores).map(follower).collect();
        (Self { current, held }, followers)
    }

    /// The generation that was published last.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.borrow().clone()
    }

    /// Publishes a generation. Requests that begin later use it, on each core as soon as that core has taken it over: see
    /// [`Receipt::held_by_all`].
    ///
    /// # Errors
    /// If a generation as new as this one is served.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Result<Receipt, NotNewer> {
        let generation = snapshot.generation;
        let mut served = 0;
        let mut previous = None;
        self.current.send_if_modified(|current| {
            served = current.generation;
            if generation > served {
                previous = Some(std::mem::replace(current, snapshot));
            }
            previous.is_some()
        });
        let previous = previous.ok_or(NotNewer { refused: generation, served })?;
        Ok(Receipt { generation, held: self.held.clone(), previous: Retired(previous) })
    }
}

/// The result of publishing a generation.
#[must_use = "cores take a generation over a moment later, and a receipt that is dropped at once leaves the work of freeing the old one to a core"]
pub struct Receipt {
    generation: u64,
    held: watch::Receiver<Vec<u64>>,
    previous: Retired,
}

/// A generation that was served before. Keep it until nobody else has it: whoever drops it last has to free thousands of routes, and that must
/// not be a core. Requests that began with it have it until they end.
#[must_use = "if it is dropped while requests have it, a core has to free it"]
pub struct Retired(Arc<Snapshot>);

impl Retired {
    /// Whether some request, or a core, still has it.
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Receipt {
    /// The generation before this one.
    pub fn into_previous(self) -> Retired {
        self.previous
    }

    /// Resolves when every core has taken over this generation or a newer one: no request that begins later uses an older one. Needs a tokio
    /// runtime with a timer, and must not run on a core.
    ///
    /// # Errors
    /// If that takes longer than the limit.
    pub async fn held_by_all(&mut self, limit: Duration) -> Result<(), CoresBehind> {
        let generation = self.generation;
        let all = self.held.wait_for(|held| held.iter().all(|held| *held >= generation));
        // An error means that no core is left, so nothing uses an older generation either.
        if tokio::time::timeout(limit, all).await.is_ok() {
            return Ok(());
        }
        let held = self.held.borrow();
        let behind = held.iter().filter(|held| **held < generation).count();
        Err(CoresBehind { behind, cores: held.len(), limit })
    }
}

/// How one core gets generations and reports which one it has.
pub(crate) struct Follower {
    published: watch::Receiver<Arc<Snapshot>>,
    holds: watch::Sender<Vec<u64>>,
    core: usize,
}

impl Follower {
    /// The current generation, for a core that starts.
    pub fn begin(&mut self) -> Rc<Served> {
        let snapshot = Served::of(self.published.borrow_and_update().clone());
        self.holds(snapshot.generation);
        snapshot
    }

    /// Waits for the next generation. If several are published at once, only the last one is returned.
    pub async fn next(&mut self) -> Rc<Served> {
        if self.published.changed().await.is_err() {
            // Nobody is left to publish another one.
            std::future::pending::<()>().await;
        }
        Served::of(self.published.borrow_and_update().clone())
    }

    /// Reports that the core begins every request with this generation from now on.
    pub fn holds(&self, generation: u64) {
        self.holds.send_modify(|held| held[self.core] = generation);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // A core that has ended serves no older generation.
        self.holds(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(generation: u64) -> Arc<Snapshot> {
        Arc::new(Snapshot::new(generation, Router::new(Vec::<Arc<crate::table::Route>>::new()).unwrap()))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_receipt_waits_for_every_core_and_not_for_ever() {
        let (publisher, mut followers) = Publisher::new(snapshot(1), 2);
        followers.iter_mut().for_each(|follower| drop(follower.begin()));
        let publish = |generation| publisher.publish(snapshot(generation)).unwrap();
        block_on(async {
            followers[0].holds(2);
            let behind = publish(2).held_by_all(SHORT).await.unwrap_err();
            assert_eq!((behind.behind, behind.cores), (1, 2));
            assert_eq!(behind.to_string(), "1 of 2 cores have not taken it over within 0.02 s");
            let mut receipt = publish(3);
            let follow = async {
                for follower in &mut followers {
                    let next = follower.next().await;
                    assert_eq!(next.generation(), 3, "one may be left out");
                    follower.holds(3);
                }
            };
            let (held, ()) = tokio::join!(receipt.held_by_all(LONG), follow);
            assert_eq!(held, Ok(()));
            let mut receipt = publish(4);
            followers.clear();
            assert_eq!(receipt.held_by_all(LONG).await, Ok(()), "cores that have ended are not waited for");
        });
    }

    #[test]
    fn a_generation_that_is_not_newer_changes_nothing() {
        let (publisher, mut followers) = Publisher::new(snapshot(2), 1);
        drop(followers[0].begin());
        for old in [1, 2] {
            let refused = publisher.publish(snapshot(old)).err();
            assert_eq!(refused, Some(NotNewer { refused: old, served: 2 }));
        }
        assert_eq!(publisher.current().generation(), 2);
        assert!(!followers[0].published.has_changed().unwrap());
    }

    #[test]
    fn whoever_published_is_the_last_to_hold_the_previous_generation() {
        let (publisher, mut followers) = Publisher::new(snapshot(1), 1);
        let first = Arc::downgrade(&publisher.current());
        let held_by_core = followers[0].begin();
        let of_a_request = held_by_core.clone();
        let receipt = publisher.publish(snapshot(2)).unwrap();
        drop(held_by_core);
        let retired = receipt.into_previous();
        assert!(retired.is_in_use(), "a request began with it");
        drop(of_a_request);
        assert!(!retired.is_in_use());
        assert_eq!(first.strong_count(), 1, "nobody else has it");
        drop(retired);
        assert_eq!(first.strong_count(), 0);
    }
}
