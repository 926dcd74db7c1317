//! The addresses of a name: the order in which they are tried.

use std::net::IpAddr;

/// The address that a host is, if it is one. An IPv4 address in IPv6 clothing (`::ffff:127.0.0.1`) is the IPv4 address: it can be
/// dialled where there is no IPv6, and it is the same connection either way.
pub fn literal(host: &str) -> Option<IpAddr> {
    host.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// All addresses of a name, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// Of the family that the resolver put first.
    preferred: Vec<IpAddr>,
    /// Of the other family.
    other: Vec<IpAddr>,
}

impl Addresses {
    /// From what the resolver found, in its order.
    pub(crate) fn new(found: Vec<IpAddr>) -> Self {
        let mut addresses = Self { preferred: Vec::new(), other: Vec::new() };
        for address in found.iter().map(IpAddr::to_canonical) {
            let is_preferred =
                addresses.preferred.first().is_none_or(|first| first.is_ipv4() == address.is_ipv4());
            let family = if is_preferred { &mut addresses.preferred } else { &mut addresses.other };
            if !family.contains(&address) {
                family.push(address);
            }
        }
        addresses
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.preferred.is_empty()
    }

    /// In the order in which they are to be tried: the families take turns, the resolver's first goes first. Within a family the first
    /// one changes with `turn`, so that connections are spread over all addresses of a name, also while its answer is kept.
    pub(crate) fn in_order(&self, turn: usize) -> Vec<IpAddr> {
        let (mut preferred, mut other) = (rotated(&self.preferred, turn), rotated(&self.other, turn));
        let mut order = Vec::with_capacity(self.preferred.len() + self.other.len());
        loop {
            let before = order.len();
            order.extend(preferred.next());
            order.extend(other.next());
            if order.len() == before {
                return order;
            }
        }
    }
}

fn rotated(addresses: &[IpAddr], turn: usize) -> impl Iterator<Item = IpAddr> {
    let begin = if addresses.is_empty() { 0 } else { turn % addresses.len() };
    addresses[begin..].iter().chain(&addresses[..begin]).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: &[&str], turn: usize, expected: &[&str]) {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(Addresses::new(parse(found)).in_order(turn), parse(expected), "{found:?}, turn {turn}");
    }

    #[test]
    fn families_take_turns_and_each_address_its_turn_to_be_the_first() {
        check(&[], 3, &[]);
        check(&["10.0.0.1"], 7, &["10.0.0.1"]);
        check(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], 0, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        check(&["10.0.0.1", "10.0.0.2", "10.0.0.3"], 4, &["10.0.0.2", "10.0.0.3", "10.0.0.1"]);
        check(&["::1", "::2", "::3", "10.0.0.1"], 0, &["::1", "10.0.0.1", "::2", "::3"]);
        check(&["::1", "::2", "10.0.0.1"], 1, &["::2", "10.0.0.1", "::1"]);
        check(&["10.0.0.1", "::1", "::2"], 0, &["10.0.0.1", "::1", "::2"]);
    }

    #[test]
    fn an_address_counts_once_in_whatever_clothing() {
        check(&["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"], 0, &["10.0.0.1"]);
        assert_eq!(literal("::ffff:127.0.0.1"), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(literal("svc.test"), None);
    }
}
