//! What an accepted configuration says.

use std::time::Duration;

use entities::{Format, Protocol, ServedRoute, ids};
use uuid::Uuid;

use super::accept;
use crate::loaded::Config;

const PROFILES: &str = r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  routes:
  - name: profiles
    paths: [/profiles]
    strip_path: false
  plugins:
  - name: publish-sns
    config:
      topic_arn: profile-changes
      routes:
      - { method: PUT, matcher: "^/profiles/[^/]+$" }
topics:
- name: profile-changes
  subscriptions:
  - { protocol: http, endpoint: "http://localhost:9100/expire" }
  - { protocol: sqs,  endpoint: profile-worker }
queues:
- name: profile-worker
"#;

fn first(config: &Config) -> &ServedRoute {
    config.served.routes.first().expect("a route")
}

#[test]
fn the_complete_configuration_of_the_design() {
    let config = accept(&[PROFILES]);
    let ServedRoute { service, route, plugins } = first(&config);
    let service = service.as_ref().expect("a service");
    assert_eq!((service.host.as_str(), service.port, &service.path), ("localhost", 9000, &None));
    assert_eq!(service.read_timeout, Duration::from_secs(60));
    assert_eq!(service.id.to_string(), "ac6337b5-a72a-5c03-bcf7-97719f943af8");
    assert_eq!(route.id.to_string(), "731efa0b-d28e-5d6c-b831-e9570735de50");
    assert_eq!(route.paths, ["/profiles"]);
    assert!(!route.strip_path);
    assert_eq!((plugins[0].plugin.name.as_str(), plugins[0].owner.as_str()), ("publish-sns", "profiles"));
    assert_eq!(plugins[0].plugin.config["routes"][0]["method"], "PUT");
    let [http, sqs] = &config.set.subscriptions[..] else { panic!("two subscriptions") };
    assert_eq!((http.protocol, http.endpoint.as_str()), (Protocol::Http, "http://localhost:9100/expire"));
    assert!(http.confirm && !http.raw_message_delivery && !http.fifo);
    assert_eq!((http.timeout, http.max_in_flight), (Duration::from_secs(15), 256));
    assert_eq!((sqs.protocol, sqs.endpoint.as_str(), sqs.confirm), (Protocol::Sqs, "profile-worker", false));
    assert_eq!(config.set.queues[0].visibility_timeout, Duration::from_secs(30));
    assert_eq!(config.set.queues[0].receive_wait_time, Duration::ZERO);
    assert_eq!(config.set.queues[0].message_retention_period, Duration::from_secs(14 * 86_400));
}

#[test]
fn json_is_yaml() {
    let config = accept(&[r#"{
        "_format_version": "3.0",
        "services": [{"name": "a", "host": "x", "routes": [{"paths": ["\/a"], "methods": ["GET"]}]}]
    }"#]);
    assert_eq!(first(&config).route.paths, ["/a"]);
}

#[test]
fn a_file_of_deck_is_read() {
    let config = accept(&[r#"
_format_version: "3.0"
_info:
  select_tags: [team-a]
  defaults: {}
_workspace: default
consumers: []
services:
- connect_timeout: 60000
  enabled: true
  host: profiles.internal
  name: profiles
  port: 80
  protocol: http
  read_timeout: 60000
  retries: 5
  routes:
  - https_redirect_status_code: 426
    name: profiles
    path_handling: v0
    paths: [/profiles]
    preserve_host: false
    protocols: [http, https]
    regex_priority: 0
    request_buffering: true
    response_buffering: true
    snis: null
    headers: {}
    strip_path: true
  tags: [team-a]
  write_timeout: 60000
  created_at: 1600000000
plugins:
- name: tap
  route: { name: profiles }
  config: { topic_arn: t, routes: [{ method: GET, matcher: . }] }
  enabled: true
  protocols: [grpc, grpcs, http, https]
topics: [{ name: t }]
"#]);
    let ServedRoute { service, plugins, .. } = first(&config);
    let service = service.as_ref().expect("a service");
    assert_eq!(service.created_at.as_millis(), 1_600_000_000_000);
    assert_eq!(service.tags, ["team-a"]);
    assert_eq!(plugins[0].owner, "profiles");
}

/// The config of a plug-in that names itself, for telling which one was chosen.
fn tap(matcher: &str, scope: &str) -> String {
    format!(
        "- {{ name: tap, {scope} config: {{ topic_arn: t, routes: [{{ method: GET, matcher: {matcher} }}] }} }}\n"
    )
}

#[test]
fn the_most_specific_plug_in_of_a_kind_runs() {
    let base = r#"_format_version: "3.0"
topics: [{ name: t }]
services:
- { name: a, host: x, routes: [{ name: r1, paths: [/1] }, { name: r2, paths: [/2] }, { name: r3, paths: [/3] }] }
- { name: b, host: x, routes: [{ name: r4, paths: [/4] }] }
plugins:
"#;
    let text = [
        base,
        &tap("all", ""),
        &tap("service", "service: a,"),
        &tap("route", "route: r1,"),
        &tap("both", "route: r2, service: a,"),
        &tap("weaker", "route: r2,"),
        &tap("off", "route: r3, enabled: false,"),
    ]
    .concat();
    let config = accept(&[&text]);
    let chosen: Vec<_> = config
        .served
        .routes
        .iter()
        .map(|ServedRoute { route, plugins, .. }| {
            let [plugin] = &plugins[..] else { panic!("one plug-in on {:?}", route.name) };
            let matcher = plugin.plugin.config["routes"][0]["matcher"].as_str().unwrap().to_owned();
            (route.label(), plugin.owner.clone(), matcher)
        })
        .collect();
    let chosen: Vec<_> = chosen.iter().map(|(r, o, m)| (r.as_str(), o.as_str(), m.as_str())).collect();
    assert_eq!(
        chosen,
        [("r1", "r1", "route"), ("r2", "r2", "both"), ("r3", "a", "service"), ("r4", "global", "all")]
    );
}

#[test]
fn files_complete_each_other() {
    let config = accept(&[
        "_format_version: '3.0'\nroutes: [{ name: r, paths: [/], service: s }]\n",
        "_format_version: '3.0'\nservices: [{ name: s, host: x }]\n",
    ]);
    assert_eq!(first(&config).route.name.as_deref(), Some("r"));
}

#[test]
fn routes_of_a_disabled_service_are_not_routed_to() {
    let config = accept(&[
        "_format_version: '3.0'\nservices: [{ name: s, host: x, enabled: false, routes: [{ paths: [/] }] }]\n",
    ]);
    assert_eq!((config.set.services.len(), config.set.routes.len()), (1, 1));
    assert_eq!(config.served.routes.len(), 0);
}

#[test]
fn entities_without_a_name_have_ids_of_their_own_that_stay() {
    let text = "_format_version: '3.0'\nservices:\n- { host: x, routes: [{ paths: [/a] }, { paths: [/b] }] }\n- { host: x, routes: [{ paths: [/c] }] }\n";
    let ids = || -> Vec<Uuid> {
        let config = accept(&[text]);
        config.served.routes.iter().flat_map(|one| [one.service.as_ref().unwrap().id, one.route.id]).collect()
    };
    let mut unique = ids();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 5, "two services and three routes");
    assert_eq!(ids(), ids());
}

#[test]
fn a_secret_comes_from_the_file_or_the_environment_and_is_not_printed() {
    let config = accept(&[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: "http://a", format: standard-webhooks, secret: "{vault://env/webhook-secret}" }
  - protocol: https
    endpoint: https://b
    format: standard-webhooks
    secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, "{vault://env/WEBHOOK_SECRET}"]
"#]);
    for (subscription, count) in config.set.subscriptions.iter().zip([1, 2]) {
        let Format::StandardWebhooks { secrets } = &subscription.format else { panic!("standard webhooks") };
        assert_eq!(secrets.len(), count);
        assert!(secrets.iter().all(|one| one.expose() == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert!(!subscription.confirm, "Standard Webhooks has no handshake");
    }
    let printed = format!("{config:?}");
    assert!(printed.contains("[secret]") && !printed.contains("whsec_"), "{printed}");
}

#[test]
fn anchors_and_merges_share_settings() {
    let config = accept(&[r#"
_format_version: "3.0"
services:
- &base { name: a, host: x, port: 81, tags: &tags [one] }
- { <<: *base, name: b, port: 82 }
- { name: c, host: x, tags: *tags, routes: [{ paths: [/] }] }
"#]);
    let seen: Vec<_> = config.set.services.iter().map(|s| (s.label(), s.port, s.tags.len())).collect();
    assert_eq!(seen, [("a".into(), 81, 1), ("b".into(), 82, 1), ("c".into(), 80, 1)]);
}

/// What a file says of an entity stays with it, also where nothing is served of it.
#[test]
fn what_is_not_enabled_is_kept_with_ids_tags_and_times() {
    let config = accept(&[r#"
_format_version: "3.0"
topics: [{ name: t }]
services:
- name: s
  id: 6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11
  host: x
  tags: [team-a]
  created_at: 1600000000
  updated_at: 1600000060
  routes: [{ name: r, paths: [/], tags: [b], created_at: 1600000001 }]
plugins:
- name: tap
  id: 0B0F5B4A-58D5-4D38-9A0C-1F6E2E1B6A01
  route: r
  enabled: false
  tags: [c]
  created_at: 1600000002
  config: { topic_arn: t, routes: [{ method: GET, matcher: . }] }
- { name: publish-sns, route: r, config: { topic_arn: t, routes: [{ method: GET, matcher: . }] } }
"#]);
    let [off, on] = &config.set.plugins[..] else { panic!("two plug-ins") };
    assert_eq!(off.id.to_string(), "0b0f5b4a-58d5-4d38-9a0c-1f6e2e1b6a01");
    assert_eq!(
        (off.enabled, off.tags.as_slice(), off.created_at.as_secs()),
        (false, &["c".into()][..], 1_600_000_002)
    );
    assert_eq!(off.route, Some(config.set.routes[0].id));
    assert_eq!(on.id, ids::of_plugin("publish-sns", None, on.route, None));
    let [service] = &config.set.services[..] else { panic!("one service") };
    assert_eq!(service.id.to_string(), "6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11");
    assert_eq!((service.created_at.as_secs(), service.updated_at.as_secs()), (1_600_000_000, 1_600_000_060));
    assert_eq!(config.set.routes[0].updated_at.as_secs(), 1_600_000_001);
    let running: Vec<_> = first(&config).plugins.iter().map(|one| one.plugin.name.as_str()).collect();
    assert_eq!(running, ["publish-sns"]);
}
