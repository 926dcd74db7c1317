//! Counts of one core: only that core writes them, any thread may read them.
//!
//! So a count is a load and a store, and no locked instruction. What is counted by route goes to the place of the route's number, which was given
//! when the route was compiled: a request looks nothing up.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use http::StatusCode;
use storage::writer::{Histogram, count};

use crate::answer::Refusal;

/// Routes that are counted each for itself, since the process began; all further ones are counted together.
pub const MAX_ROUTES: usize = 1_000;

/// Answers by the first digit of their status, 2 to 5. 1xx is never passed on; anything above counts as 5.
const CLASSES: usize = 4;
/// Bounds of the buckets: powers of four, from 64 µs to 67 s.
const BUCKETS: usize = 12;
/// The first bound is `4^FIRST` µs.
const FIRST: u32 = 3;

/// Where the requests of a route are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RouteNumber(u16);

impl RouteNumber {
    /// Requests without a route.
    pub const UNROUTED: Self = Self(0);
    /// Routes beyond [`MAX_ROUTES`].
    pub const OTHER: Self = Self(1);

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Gives routes their numbers, over all generations: a route of the same service and the same name keeps its number, and no other route gets it.
/// Clones share it.
#[derive(Clone, Debug)]
pub struct Numbering(Arc<Mutex<Numbers>>);

#[derive(Debug)]
struct Numbers {
    by_name: HashMap<Names, RouteNumber>,
    names: Vec<Names>,
}

/// A service's and a route's name; those without one have their id.
pub type Names = (String, String);

impl Default for Numbering {
    fn default() -> Self {
        let mut numbers = Numbers { by_name: HashMap::new(), names: Vec::new() };
        // In this order: a route that is called `other` is counted there.
        numbers.number(String::new(), String::new());
        numbers.number("other".into(), "other".into());
        Self(Arc::new(Mutex::new(numbers)))
    }
}

impl Numbering {
    /// The number of a route.
    pub fn number(&self, service: &str, route: &str) -> RouteNumber {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.number(service.to_owned(), route.to_owned())
    }

    /// The names by number. Those of requests without a route are empty.
    pub fn names(&self) -> Vec<Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.clone()
    }
}

impl Numbers {
    fn number(&mut self, service: String, route: String) -> RouteNumber {
        let names = (service, route);
        if let Some(known) = self.by_name.get(&names) {
            return *known;
        }
        if self.names.len() >= MAX_ROUTES + 2 {
            return RouteNumber::OTHER;
        }
        let number = RouteNumber(self.names.len() as u16);
        self.names.push(names.clone());
        self.by_name.insert(names, number);
        number
    }
}

/// One core's counts.
pub struct CoreStats {
    /// Connections accepted.
    pub connections: AtomicU64,
    /// From the head of the request to the head of the answer, in microseconds.
    pub micros: Histogram,
    /// Requests that matched a rule.
    pub matched: AtomicU64,
    /// Requests that matched a rule and were refused because their intent was not stored.
    pub refused: AtomicU64,
    /// Connections to upstreams opened.
    pub upstream_connections: AtomicU64,
    /// Requests that the drain's deadline cut off.
    pub(crate) cut: AtomicU64,
    /// Exchanges of all cores that were open when this one came to the drain's deadline.
    pub(crate) left_open: AtomicU64,
    /// By number; made when the first request of a route is answered.
    routes: Box<[OnceLock<Box<RouteCounts>>]>,
    refusals: [AtomicU64; Refusal::ALL.len()],
    /// Answers of plug-ins with a status of 400 or more.
    by_plugins: AtomicU64,
}

#[derive(Default)]
struct RouteCounts([Answers; CLASSES]);

#[derive(Default)]
struct Answers {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Default for CoreStats {
    fn default() -> Self {
        Self {
            connections: AtomicU64::default(),
            micros: Histogram::default(),
            matched: AtomicU64::default(),
            refused: AtomicU64::default(),
            upstream_connections: AtomicU64::default(),
            cut: AtomicU64::default(),
            left_open: AtomicU64::default(),
            routes: (0..MAX_ROUTES + 2).map(|_| OnceLock::new()).collect(),
            refusals: Default::default(),
            by_plugins: AtomicU64::default(),
        }
    }
}

impl CoreStats {
    pub(crate) fn answered(&self, route: RouteNumber, status: StatusCode, took: Duration) {
        let micros = took.as_micros() as u64;
        self.micros.observe(micros);
        if let Some(place) = self.routes.get(route.index()) {
            let counts = place.get_or_init(Box::default);
            let class = usize::from(status.as_u16() / 100).clamp(2, CLASSES + 1) - 2;
            let answers = &counts.0[class];
            count(&answers.buckets[bucket(micros)], 1);
            count(&answers.micros, micros);
        }
    }

    /// Counts an answer of the gateway's own.
    pub(crate) fn refused_because(&self, refusal: Refusal) {
        count(&self.refusals[refusal as usize], 1);
    }

    /// Counts an answer of a plug-in with a status of 400 or more.
    pub(crate) fn refused_by_plugin(&self) {
        count(&self.by_plugins, 1);
    }

    /// Answers by the first digit of their status, `2` to `5`.
    pub fn answers(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let made = || self.routes.iter().filter_map(OnceLock::get);
        (0..CLASSES).map(move |class| (class + 2, made().map(|counts| counts.0[class].count()).sum()))
    }
}

/// The bucket of a value: the first whose bound is not smaller.
fn bucket(micros: u64) -> usize {
    let bits = u64::BITS - micros.saturating_sub(1).leading_zeros();
    (bits.div_ceil(2).saturating_sub(FIRST) as usize).min(BUCKETS - 1)
}

impl Answers {
    fn count(&self) -> u64 {
        self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// The answers of one route with statuses of one class, of all cores together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The route.
    pub route: RouteNumber,
    /// The first digit of the status, 2 to 5.
    pub class: usize,
    /// The sum of the times from the requests' heads to the answers', in microseconds.
    pub micros: u64,
    /// Pairs of an upper bound in microseconds (inclusive; `None` for the last) and the count in that bucket alone.
    pub buckets: Vec<(Option<u64>, u64)>,
}

impl Counted {
    /// Its place in [`Numbering::names`].
    pub fn index(&self) -> usize {
        self.route.index()
    }

    /// How many answers.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// What all cores have answered, by route and class; nothing of what never happened.
pub fn by_route(cores: &[Arc<CoreStats>]) -> Vec<Counted> {
    let mut all = Vec::new();
    for number in 0..MAX_ROUTES + 2 {
        let of_cores: Vec<_> = cores.iter().filter_map(|core| core.routes.get(number)?.get()).collect();
        if of_cores.is_empty() {
            continue;
        }
        for class in 0..CLASSES {
            let answers = || of_cores.iter().map(|counts| &counts.0[class]);
            let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let bucket = |index: usize| {
                let bound = (index < BUCKETS - 1).then(|| 4u64.pow(FIRST + index as u32));
                (bound, answers().map(|answers| load(&answers.buckets[index])).sum())
            };
            let counted = Counted {
                route: RouteNumber(number as u16),
                class: class + 2,
                micros: answers().map(|answers| load(&answers.micros)).sum(),
                buckets: (0..BUCKETS).map(bucket).collect(),
            };
            if counted.count() > 0 {
                all.push(counted);
            }
        }
    }
    all
}

/// Answers of the gateway's own and of its plug-ins with a status of 400 or more, by cause, of all cores together.
pub fn own_answers(cores: &[Arc<CoreStats>]) -> Vec<(&'static str, u64)> {
    let sum = |of: &dyn Fn(&CoreStats) -> u64| cores.iter().map(|core| of(core)).sum();
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let refusals = Refusal::ALL.into_iter();
    let mut all: Vec<_> = refusals
        .map(|refusal| (refusal.cause(), sum(&|core| load(&core.refusals[refusal as usize]))))
        .collect();
    all.push(("plugin", sum(&|core| load(&core.by_plugins))));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_is_not_smaller() {
        for (micros, index) in [(0, 0), (64, 0), (65, 1), (256, 1), (257, 2), (1_024, 2), (67_108_864, 10)] {
            assert_eq!(bucket(micros), index, "{micros}");
        }
        assert_eq!((bucket(67_108_865), bucket(u64::MAX)), (11, 11));
    }

    #[test]
    fn routes_keep_their_numbers_and_those_beyond_the_limit_share_one() {
        let numbering = Numbering::default();
        let first = numbering.number("service", "0");
        for name in 1..MAX_ROUTES {
            assert_ne!(numbering.number("service", &name.to_string()), RouteNumber::OTHER);
        }
        assert_eq!(numbering.number("service", "one more"), RouteNumber::OTHER);
        assert_eq!(numbering.number("service", "0"), first);
        assert_eq!(numbering.number("other", "other"), RouteNumber::OTHER, "it has the name of the others");
        assert_eq!(numbering.names().len(), MAX_ROUTES + 2);
        assert_eq!(numbering.names()[RouteNumber::UNROUTED.index()], Names::default());
    }

    #[test]
    fn answers_are_counted_by_route_and_class_over_all_cores() {
        let cores: Vec<Arc<CoreStats>> = vec![Arc::default(), Arc::default()];
        let route = Numbering::default().number("service", "route");
        cores[0].answered(route, StatusCode::OK, took(50));
        cores[1].answered(route, StatusCode::CREATED, took(300));
        cores[1].answered(route, StatusCode::BAD_GATEWAY, took(1));
        cores[1].answered(RouteNumber::UNROUTED, StatusCode::NOT_FOUND, took(1));
        cores[1].answered(route, StatusCode::from_u16(999).unwrap(), took(1));
        let all = by_route(&cores);
        let brief: Vec<_> = all.iter().map(|one| (one.route, one.class, one.count(), one.micros)).collect();
        assert_eq!(brief, [(RouteNumber::UNROUTED, 4, 1, 1), (route, 2, 2, 350), (route, 5, 2, 2)]);
        assert_eq!(all[1].buckets[..3], [(Some(64), 1), (Some(256), 0), (Some(1_024), 1)]);
        assert_eq!(cores[1].answers().collect::<Vec<_>>(), [(2, 1), (3, 0), (4, 1), (5, 2)]);
    }

    #[test]
    fn own_answers_are_counted_by_cause() {
        let cores: Vec<Arc<CoreStats>> = vec![Arc::default(), Arc::default()];
        cores[0].refused_because(Refusal::NoRoute);
        cores[1].refused_because(Refusal::NoRoute);
        cores[1].refused_by_plugin();
        let all = own_answers(&cores);
        let mut causes: Vec<_> = all.iter().map(|(cause, _)| *cause).collect();
        assert!(all.contains(&("no_route", 2)) && all.contains(&("plugin", 1)), "{all:?}");
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), 3);
        causes.sort_unstable();
        causes.dedup();
        assert_eq!(causes.len(), Refusal::ALL.len() + 1, "each cause has a word of its own");
    }
}
