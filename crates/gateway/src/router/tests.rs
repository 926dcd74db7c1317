//! The router against Kong's order.

use pipeline::{Chains, RouteFacts};
use regex::Regex;

use super::*;
use crate::balance::Backend;
use crate::service::Service;
use crate::snapshot::{Served, ServiceRef, Snapshot};

/// `name | hosts | paths | methods`, each list separated by blanks.
fn route(line: &str) -> Route {
    let mut columns = line.split('|').map(str::trim);
    let mut list = || columns.next().unwrap_or("").split_whitespace();
    let name = list().collect::<String>();
    let (name, priority) = name.split_once('^').map_or((name.as_str(), 0), |(n, p)| (n, p.parse().unwrap()));
    Route {
        name: name.to_owned(),
        hosts: list().map(HostPattern::parse).collect(),
        paths: list()
            .map(|path| match path.strip_prefix('~') {
                Some(regex) => PathPattern::Regex(Regex::new(&format!("^(?:{regex})")).unwrap()),
                None => PathPattern::Prefix(path.to_owned()),
            })
            .collect(),
        methods: list().map(|method| method.parse().unwrap()).collect(),
        regex_priority: priority,
        strip_path: true,
        path_handling: entities::PathHandling::V0,
        path_forwarding: entities::PathForwarding::Raw,
        preserve_host: false,
        rewrites: Default::default(),
        request_buffering: true,
        https_only: None,
        service: None,
        chains: Chains::default(),
        facts: RouteFacts {
            service: String::new(),
            route: name.to_owned(),
            api: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        },
        number: Default::default(),
    }
}

/// A service that the only route of a generation leads to.
pub(crate) fn serves(service: Service) -> ServiceRef {
    let service = Some(Backend::from(Arc::new(service)));
    let router = Router::new(vec![Route { service, ..route("only") }]).unwrap();
    ServiceRef::new(Served::of(Snapshot::new(1, router)), 0, 0).unwrap()
}

fn router(lines: &[&str]) -> Router {
    Router::new(lines.iter().map(|line| route(line)).collect()).unwrap()
}

/// The name of the route and the bytes matched, `-` for none.
fn find(router: &Router, request: &str) -> String {
    let mut words = request.split_whitespace();
    let method = words.next().unwrap().parse().unwrap();
    let path = words.next().unwrap();
    match router.find(&method, words.next(), 8000, path) {
        Some(found) => format!("{} {}", found.route.name, found.matched),
        None => "-".into(),
    }
}

fn check(routes: &[&str], cases: &[(&str, &str)]) {
    let router = router(routes);
    for (request, expected) in cases {
        assert_eq!(find(&router, request), *expected, "{request}");
    }
}

#[test]
fn the_longest_prefix_wins_and_a_prefix_is_of_the_string() {
    check(
        &["short||/orders", "long||/orders/eu", "two||/a /a/b"],
        &[
            ("GET /orders/eu/1", "long 10"),
            ("GET /orders2", "short 7"),
            ("GET /a/b/c", "two 4"),
            ("GET /other", "-"),
        ],
    );
}

#[test]
fn more_attributes_win_over_fewer_then_hosts_over_paths_over_methods() {
    check(
        &["method||| PUT", "path||/p", "host|a.com", "both||/p|PUT", "all|a.com|/p|PUT"],
        &[
            ("PUT /p a.com", "all 2"),
            ("PUT /p", "both 2"),
            ("GET /p a.com", "host 0"),
            ("GET /p", "path 2"),
            ("PUT /x", "method 0"),
        ],
    );
}

#[test]
fn plain_hosts_before_wildcards_with_and_without_port() {
    check(
        &["wild|*.a.com", "right|a.*", "plain|x.a.com", "port|x.a.com:9000"],
        &[
            ("GET / x.a.com", "plain 0"),
            ("GET / x.a.com:8000", "plain 0"),
            ("GET / y.z.a.com", "wild 0"),
            ("GET / a.com", "right 0"),
            ("GET / .a.com", "-"),
            ("GET /", "-"),
        ],
    );
    check(&["port|x.a.com:8000"], &[("GET / x.a.com", "port 0"), ("GET / x.a.com:1", "-")]);
}

#[test]
fn a_wildcard_may_ask_for_a_port_at_either_end() {
    check(
        &["right|example.*:8000", "left|*.a.com:9000", "any|example.*", "plain|example.org"],
        &[
            ("GET / example.com:8000", "right 0"),
            // The listener's port is that of a host without one.
            ("GET / example.com", "right 0"),
            ("GET / example.co.uk:8000", "right 0"),
            ("GET / example.com:80", "any 0"),
            ("GET / example.com:18000", "any 0"),
            ("GET / example.:8000", "-"),
            ("GET / x.a.com:9000", "left 0"),
            ("GET / x.a.com", "-"),
            // Kong ranks a wildcard with a port above a plain host.
            ("GET / example.org", "right 0"),
            ("GET / example.org:80", "plain 0"),
        ],
    );
}

#[test]
fn regexes_before_prefixes_by_priority_then_length() {
    check(
        &["prefix||/profiles/7", r"low||~/profiles/\d+", r"high^5||~/prof", r"other||~/x(?<id>\d)"],
        &[("GET /profiles/7/y", "high 5"), ("GET /x1y", "other 3"), ("GET /y/x1", "-")],
    );
    check(&[r"short||~/p\d", r"long||~/p\d+$"], &[("GET /p12", "long 4"), ("GET /p12/", "short 3")]);
}

#[test]
fn ties_go_to_the_first_created() {
    check(&["first||/p", "second||/p"], &[("GET /p", "first 2")]);
}

#[test]
fn a_better_rank_with_the_wrong_method_does_not_hide_the_next() {
    check(&["get||/p/q|GET", "put||/p|PUT"], &[("PUT /p/q", "put 2"), ("POST /p/q", "-")]);
}

#[test]
fn ipv6_hosts_keep_their_brackets() {
    assert_eq!(without_port("[::1]:8000"), "[::1]");
    assert_eq!(without_port("[::1]"), "[::1]");
    assert_eq!(without_port("a.com:80"), "a.com");
}
