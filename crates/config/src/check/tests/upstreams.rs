//! Upstreams with their targets, and groups of consumers.

use entities::{Algorithm, ids};

use super::{accept, check};

#[test]
fn upstreams_have_targets_nested_or_at_the_top() {
    for version in ["1.1", "2.1", "3.0"] {
        let config = accept(&[&format!(
            r#"
_format_version: "{version}"
upstreams:
- name: Billing
  algorithm: least-connections
  host_header: billing.example.com
  hash_on: header
  hash_on_header: X-Id
  slots: 10000
  use_srv_name: false
  client_certificate: null
  healthchecks: {{ active: {{ timeout: 1, healthy: {{ interval: 5 }} }} }}
  tags: [a]
  targets:
  - {{ target: "10.0.0.1:80", weight: 20, created_at: 1600000000.25 }}
  - {{ target: Host.internal }}
targets:
- {{ upstream: Billing, target: "[::1]:81", weight: 0, id: 6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11 }}
consumer_groups: [{{ name: gold, consumers: [] }}]
services: [{{ name: s, host: BILLING, routes: [{{ paths: [/] }}] }}]
"#
        )]);
        let [upstream] = &config.set.upstreams[..] else { panic!("an upstream") };
        assert_eq!(upstream.id, ids::of_name("upstreams", "Billing"));
        assert_eq!((upstream.algorithm, upstream.tags.len()), (Algorithm::LeastConnections, 1));
        let settings: Vec<&str> = upstream.settings.keys().map(String::as_str).collect();
        assert_eq!(settings, ["hash_on", "hash_on_header", "slots", "healthchecks"]);
        let targets: Vec<_> = config.set.targets.iter().map(|one| (one.label(), one.weight)).collect();
        let labels = ["10.0.0.1:80", "host.internal:8000", "[::1]:81"].map(str::to_owned);
        assert_eq!(targets, labels.into_iter().zip([20, 100, 0]).collect::<Vec<_>>());
        assert!(config.set.targets.iter().all(|target| target.upstream == upstream.id));
        assert_eq!(config.set.targets[0].id, ids::of_target(upstream.id, "10.0.0.1", 80));
        assert_eq!(config.set.consumer_groups[0].id, ids::of_name("consumer_groups", "gold"));
        // Those with a weight are served.
        assert_eq!(config.served.upstreams[0].targets.len(), 2);
        let warnings: Vec<_> = config.warnings.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(
            warnings,
            ["`algorithm` has no effect", "`hash_on` has no effect", "`healthchecks` has no effect"]
        );
    }
}

#[test]
fn what_an_export_writes_of_an_upstream_is_no_wish() {
    let config = accept(&[r#"
_format_version: "3.0"
upstreams:
- name: u
  algorithm: round-robin
  hash_on: none
  hash_fallback: none
  hash_on_cookie_path: /
  healthchecks:
    active: { concurrency: 10, timeout: 1, healthy: { interval: 0, successes: 0 }, unhealthy: { timeouts: 0 } }
    passive: { healthy: { successes: 0 }, unhealthy: { http_failures: 0, http_statuses: [429, 500] } }
"#]);
    assert_eq!(config.warnings, []);
}

#[test]
fn what_is_wrong_with_upstreams_is_said_by_its_place() {
    check(
        &[r#"
_format_version: "3.0"
upstreams:
- name: "10.0.0.1"
- name: a
  use_srv_name: true
  targets:
  - { target: "x:0" }
  - { target: "y:80", upstream: a }
  - { target: "y:80" }
  - target: z
    weight: 70000
- name: a
targets: [{ target: q }, { target: q, upstream: b }]
consumer_groups:
- name: gold
  plugins:
  - name: tap
- name: gold
"#],
        r#"
gateway.yaml:3:9: upstreams[0].name: invalid name ('10.0.0.1'): no IP addresses allowed
  hint: services have it as their host: letters, digits, `-`, `_` and dots
gateway.yaml:5:17: upstreams[1].use_srv_name: not supported yet
  hint: name each address as a target of its own
gateway.yaml:7:15: upstreams[1].targets[0].target: invalid target ('x:0'): invalid port
  hint: write a host name or an IP address, with or without a port: `target: "10.0.0.1:8080"`
gateway.yaml:8:33: upstreams[1].targets[1].upstream: value must be null
  hint: it is under its upstream already: remove the key
gateway.yaml:9:15: upstreams[1].targets[2].target: uniqueness violation: 'targets' entity with this upstream and target set to 'y:80' already declared
  hint: the first one is at gateway.yaml:8:15: add the two weights, and remove one
gateway.yaml:11:13: upstreams[1].targets[3].weight: value should be between 0 and 65535
  hint: 70000 is too large
gateway.yaml:12:9: upstreams[2].name: uniqueness violation: 'upstreams' entity with name set to 'a' already declared
  hint: the first one is at gateway.yaml:4:9: rename or remove one
gateway.yaml:13:11: targets[0]: required field missing: `upstream`
  hint: name the upstream, or put this under one
gateway.yaml:13:49: targets[1].upstream: invalid reference 'upstream: b' (no such entry in 'upstreams')
  hint: upstreams that exist: `10.0.0.1`, `a`, `a`
gateway.yaml:16:3: consumer_groups[0].plugins: not supported yet
  hint: put the plug-in on each consumer: no plug-in is for a group yet
gateway.yaml:18:9: consumer_groups[1].name: uniqueness violation: 'consumer_groups' entity with name set to 'gold' already declared
  hint: the first one is at gateway.yaml:15:9: rename or remove one
11 problems
"#,
    );
}

#[test]
fn of_a_block_the_line_of_its_key_is_said() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: s
  url:
    http://a
    http://b
  routes:
  - paths:
      - a
    headers:
      x: [y]
    tags:
      a: b
"#],
        r#"
gateway.yaml:4:3: services[0].url: not a URL: invalid international domain name
  hint: write it like http://localhost:9000/path
gateway.yaml:9:9: services[0].routes[0].paths[0]: should start with: / (fixed path) or ~/ (regex path)
  hint: put a slash in front
gateway.yaml:10:5: services[0].routes[0].headers: not supported yet
  hint: match by `hosts`, `paths` or `methods`
gateway.yaml:12:5: services[0].routes[0].tags: expected a list, found a mapping
  hint: put `- ` in front of its first key
4 problems
"#,
    );
}
