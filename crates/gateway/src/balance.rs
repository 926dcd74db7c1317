//! Which of an upstream's targets a request goes to: they take turns, each as often as its weight says.
//!
//! The order of the turns is made once, when a route is compiled: nginx's smooth weighted round-robin, so that a target with a large weight does
//! not get its requests in a row. Each core counts its own turns, so that a request costs one count that no other core writes.

use std::cell::RefCell;
use std::sync::Arc;

use foldhash::HashMap;
use uuid::Uuid;

use crate::service::Service;

/// The most turns in an order, which then repeats. Weights that would need more are rounded, and a target with a weight has at least one turn.
const MAX_TURNS: u64 = 4_096;

/// Where requests go.
#[derive(Clone, Debug)]
pub enum Backend {
    /// To one address.
    One(Arc<Service>),
    /// To the targets of an upstream, in turns.
    Turns(Arc<Turns>),
}

impl Backend {
    /// The service at this one of its targets: the only one, or the one at this index.
    pub(crate) fn at(&self, target: usize) -> Option<&Service> {
        match self {
            Self::One(service) => Some(service),
            Self::Turns(turns) => turns.targets.get(target).map(|service| &**service),
        }
    }

    /// The upstream whose targets take turns, if they do.
    pub(crate) fn upstream(&self) -> Option<Uuid> {
        match self {
            Self::One(_) => None,
            Self::Turns(turns) => Some(turns.upstream),
        }
    }
}

impl From<Arc<Service>> for Backend {
    fn from(service: Arc<Service>) -> Self {
        Self::One(service)
    }
}

/// A service at each target of its upstream, and their order.
#[derive(Debug)]
pub struct Turns {
    upstream: Uuid,
    targets: Vec<Arc<Service>>,
    /// Indexes of targets; empty if none has a weight.
    order: Vec<u16>,
}

impl Turns {
    /// A service at these targets of the upstream, each with its weight.
    pub fn new(upstream: Uuid, targets: Vec<(Arc<Service>, u16)>) -> Self {
        let weights: Vec<u16> = targets.iter().map(|(_, weight)| *weight).collect();
        let targets = targets.into_iter().map(|(service, _)| service).collect();
        Self { upstream, targets, order: order(&weights) }
    }
}

/// How many requests a core has sent to each upstream.
#[derive(Debug, Default)]
pub struct Counts(RefCell<HashMap<Uuid, usize>>);

impl Counts {
    /// The index of the target for the next request; `None` if there is no target.
    pub fn choose(&self, backend: &Backend) -> Option<usize> {
        let turns = match backend {
            Backend::One(_) => return Some(0),
            Backend::Turns(turns) => &**turns,
        };
        let mut counts = self.0.borrow_mut();
        let count = counts.entry(turns.upstream).or_default();
        // The count goes on from one generation to the next, and their orders may differ in length.
        let turn = turns.order.get(*count % turns.order.len().max(1))?;
        *count = count.wrapping_add(1);
        Some(usize::from(*turn))
    }

    /// Forgets the upstreams that have ended. A request of an older generation may bring one back; then the next generation drops it.
    pub fn keep(&self, is_served: impl Fn(&Uuid) -> bool) {
        self.0.borrow_mut().retain(|upstream, _| is_served(upstream));
    }
}

/// nginx's order: in each turn every target's score grows by its weight; the target with the highest score gets the turn, and its score drops by
/// the sum of all weights.
fn order(weights: &[u16]) -> Vec<u16> {
    let weights = scaled(weights);
    let total: i64 = weights.iter().sum();
    let mut riches = vec![0; weights.len()];
    let turn = |_| {
        let mut richest: Option<usize> = None;
        for (index, weight) in weights.iter().enumerate() {
            riches[index] += weight;
            if *weight > 0 && richest.is_none_or(|other| riches[index] > riches[other]) {
                richest = Some(index);
            }
        }
        let index = richest?;
        riches[index] -= total;
        u16::try_from(index).ok()
    };
    (0..total).filter_map(turn).collect()
}

/// The weights in small numbers of the same ratio.
fn scaled(weights: &[u16]) -> Vec<i64> {
    let divisor = weights.iter().fold(0, |divisor, weight| common(divisor, u64::from(*weight))).max(1);
    let weights: Vec<u64> = weights.iter().map(|weight| u64::from(*weight) / divisor).collect();
    let total: u64 = weights.iter().sum();
    let scale = |weight: u64| match total > MAX_TURNS {
        true if weight > 0 => (weight * MAX_TURNS / total).max(1),
        _ => weight,
    };
    weights.into_iter().map(|weight| scale(weight) as i64).collect()
}

/// The greatest common divisor.
fn common(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { common(other, one % other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_target_has_more_turns_and_no_run_of_them() {
        assert_eq!(order(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(order(&[50, 30, 20]).len(), 10, "in small numbers");
        assert_eq!(order(&[100, 100]), [0, 1]);
        assert_eq!(order(&[7]), [0]);
        assert_eq!((order(&[0, 3]), order(&[0]), order(&[])), (vec![1], vec![], vec![]));
    }

    #[test]
    fn an_upstream_that_has_ended_is_forgotten_and_the_others_go_on_with_their_turns() {
        let target = |port| {
            let patience = std::time::Duration::from_secs(1);
            let service = Service {
                name: "service".into(),
                destination: crate::destination::Destinations::default().get("127.0.0.1", port),
                host_header: http::HeaderValue::from_static("service.test"),
                path: "/".into(),
                connect_timeout: patience,
                write_timeout: patience,
                read_timeout: patience,
                condition: Arc::default(),
            };
            (Arc::new(service), 1)
        };
        let backend =
            |id| Backend::Turns(Arc::new(Turns::new(Uuid::from_u128(id), vec![target(1), target(2)])));
        let (one, other) = (backend(1), backend(2));
        let counts = Counts::default();
        let first = counts.choose(&one).unwrap();
        counts.choose(&other).unwrap();
        counts.keep(|upstream| Some(*upstream) == one.upstream());
        assert_eq!(counts.0.borrow().len(), 1);
        assert_ne!(counts.choose(&one).unwrap(), first, "it was the other one's turn");
    }

    #[test]
    fn weights_that_have_nothing_in_common_are_rounded() {
        let order = order(&[65_535, 65_521, 1]);
        assert!(order.len() as u64 <= MAX_TURNS + 2, "{}", order.len());
        let turns = |target: u16| order.iter().filter(|turn| **turn == target).count();
        assert_eq!((turns(2), turns(0).abs_diff(turns(1)) <= 1), (1, true));
    }
}
