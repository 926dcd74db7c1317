//! What an accepted configuration says.

use std::time::Duration;

use storage::entities::Protocol;
use uuid::Uuid;

use super::accept;
use crate::entities::{Config, Format, Fresh, Route, Service};

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

fn first(config: &Config) -> (&Service, &Route) {
    config.routes().next().expect("a route")
}

#[test]
fn the_complete_configuration_of_the_design() {
    let config = accept(&[PROFILES]);
    let (service, route) = first(&config);
    assert_eq!((service.host.as_str(), service.port, &service.path), ("localhost", 9000, &None));
    assert_eq!(service.read_timeout, Duration::from_secs(60));
    assert_eq!(service.id.to_string(), "ac6337b5-a72a-5c03-bcf7-97719f943af8");
    assert_eq!(route.id.to_string(), "731efa0b-d28e-5d6c-b831-e9570735de50");
    assert_eq!(route.paths, ["/profiles"]);
    assert!(!route.strip_path);
    let plugin = &route.plugins[0];
    assert_eq!((plugin.name.as_str(), plugin.owner.as_str()), ("publish-sns", "profiles"));
    assert_eq!(plugin.config["routes"][0]["method"], "PUT");
    let [http, sqs] = &config.subscriptions[..] else { panic!("two subscriptions") };
    assert_eq!((http.protocol, http.endpoint.as_str()), (Protocol::Http, "http://localhost:9100/expire"));
    assert!(http.confirm && !http.raw_message_delivery && !http.fifo);
    assert_eq!((http.timeout, http.max_in_flight), (Duration::from_secs(15), 256));
    assert_eq!((sqs.protocol, sqs.endpoint.as_str(), sqs.confirm), (Protocol::Sqs, "profile-worker", false));
    assert_eq!(config.queues[0].visibility_timeout, Duration::from_secs(30));
    assert_eq!(config.queues[0].receive_wait_time, Duration::ZERO);
    assert_eq!(config.queues[0].message_retention_period, Duration::from_secs(14 * 86_400));
}

#[test]
fn json_is_yaml() {
    let config = accept(&[r#"{
        "_format_version": "3.0",
        "services": [{"name": "a", "host": "x", "routes": [{"paths": ["\/a"], "methods": ["GET"]}]}]
    }"#]);
    assert_eq!(first(&config).1.paths, ["/a"]);
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
    let (service, route) = first(&config);
    assert_eq!(service.created_at.as_millis(), 1_600_000_000_000);
    assert_eq!(service.tags, ["team-a"]);
    assert_eq!(route.plugins[0].owner, "profiles");
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
        .routes()
        .map(|(_, route)| {
            let [plugin] = &route.plugins[..] else { panic!("one plug-in on {:?}", route.name) };
            let matcher = plugin.config["routes"][0]["matcher"].as_str().unwrap().to_owned();
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
    assert_eq!(first(&config).1.name.as_deref(), Some("r"));
}

#[test]
fn routes_of_a_disabled_service_are_not_routed_to() {
    let config = accept(&[
        "_format_version: '3.0'\nservices: [{ name: s, host: x, enabled: false, routes: [{ paths: [/] }] }]\n",
    ]);
    assert_eq!(config.services[0].routes.len(), 1);
    assert_eq!(config.routes().count(), 0);
}

#[test]
fn entities_without_a_name_have_ids_of_their_own_that_stay() {
    let text = "_format_version: '3.0'\nservices:\n- { host: x, routes: [{ paths: [/a] }, { paths: [/b] }] }\n- { host: x, routes: [{ paths: [/c] }] }\n";
    let ids = || -> Vec<Uuid> {
        let config = accept(&[text]);
        config.routes().flat_map(|(service, route)| [service.id, route.id]).collect()
    };
    let mut unique = ids();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), 5, "two services and three routes");
    assert_eq!(ids(), ids());
}

#[test]
fn facts_have_the_api_object_of_kong_0_8() {
    let config = accept(&[PROFILES]);
    let (service, route) = first(&config);
    let facts = route.facts(service);
    assert_eq!((facts.service.as_str(), facts.route.as_str()), ("profiles", "profiles"));
    assert_eq!(
        facts.api.get(),
        r#"{"id":"ac6337b5-a72a-5c03-bcf7-97719f943af8","name":"profiles","upstream_url":"http://localhost:9000","request_path":"/profiles","strip_request_path":false,"preserve_host":false,"created_at":1700000000000}"#
    );
}

#[test]
fn a_service_without_a_name_has_no_name_in_its_facts() {
    let config = accept(&[
        "_format_version: '3.0'\nservices: [{ url: 'http://[::1]:80/base', routes: [{ hosts: [A.example.com] }] }]\n",
    ]);
    let (service, route) = first(&config);
    let api: serde_json::Value = serde_json::from_str(route.facts(service).api.get()).unwrap();
    assert_eq!(api.get("name"), None);
    assert_eq!(api.get("request_path"), None);
    assert_eq!(api["request_host"], "a.example.com");
    assert_eq!(api["upstream_url"], "http://[::1]/base");
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
    for (subscription, count) in config.subscriptions.iter().zip([1, 2]) {
        let Format::StandardWebhooks { secrets } = &subscription.format else { panic!("standard webhooks") };
        assert_eq!(secrets.len(), count);
        assert!(secrets.iter().all(|one| one.expose() == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        assert!(!subscription.confirm, "Standard Webhooks has no handshake");
    }
    let printed = format!("{config:?}");
    assert!(printed.contains("[secret]") && !printed.contains("whsec_"), "{printed}");
}

#[test]
fn the_store_is_asked_for_all_that_is_configured() {
    let config = accept(&[
        "_format_version: '3.0'\ntopics:\n- name: t\n  subscriptions:\n  - { protocol: http, endpoint: 'http://a' }\n  - { name: b, protocol: http, endpoint: 'http://b', confirm: skip, raw_message_delivery: true }\n  - { protocol: sqs, endpoint: 'arn:aws:sqs:us-east-1:000000000000:q' }\nqueues: [{ name: q }]\n",
    ]);
    let mut drawn = 0;
    let desired = config.desired(&mut || {
        drawn += 1;
        Fresh { token: format!("token {drawn}"), uuid: Uuid::from_u128(drawn) }
    });
    assert_eq!((desired.topics, desired.queues), (vec!["t".to_owned()], vec!["q".to_owned()]));
    let kept: Vec<_> = desired
        .subscriptions
        .iter()
        .map(|one| {
            (one.name.as_deref(), one.endpoint.as_str(), one.confirm_with.as_deref(), one.uuid.as_u128())
        })
        .collect();
    assert_eq!(
        kept,
        [(None, "http://a", Some("token 1"), 1), (Some("b"), "http://b", None, 2), (None, "q", None, 3)]
    );
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
    let seen: Vec<_> = config.services.iter().map(|s| (s.label(), s.port, s.tags.len())).collect();
    assert_eq!(seen, [("a".into(), 81, 1), ("b".into(), 82, 1), ("c".into(), 80, 1)]);
}
