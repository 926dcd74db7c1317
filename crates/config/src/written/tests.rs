//! What is written reads back as what it was, and says no secret.

use std::collections::HashMap;
use std::time::Duration;

use entities::Origin;

use super::*;
use crate::check::{Options, Tolerance, check};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

const ALL: &str = r##"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000/a$$b
  tags: [one, two]
  retries: 3
  routes:
  - name: profiles
    paths: [/profiles, "~/p/[0-9]+$", "/money$$5"]
    hosts: [example.com, "*.example.com"]
    methods: [PUT]
    strip_path: false
    plugins:
    - name: publish-sns
      config:
        topic_arn: profile-changes
        routes:
        - { method: PUT, matcher: "^/profiles/[^/]+$" }
  - { id: 6f1a1c52-8b4e-4c44-9a55-6c1f4ce0a001, paths: [/unnamed], regex_priority: 7, path_handling: v1 }
- { name: off, host: "::1", port: 81, enabled: false }
routes:
- { name: alone, hosts: [alone] }
plugins:
- { name: key-auth, enabled: false, config: { key_names: [apikey], hide_credentials: true } }
- { name: rate-limiting, consumer: ann, config: { minute: 5 } }
- name: publish-sns
  route: alone
  config:
    topic_arn: arn:aws:sns:eu-west-1:123456789012:elsewhere
    aws_key: AKIAIOSFODNN7EXAMPLE
    aws_secret: the-secret-of-aws
    routes: [{ method: PUT, matcher: "^/" }]
consumers:
- username: ann
  custom_id: "7"
  keyauth_credentials: [{ key: the-key-of-ann, ttl: 600, created_at: 1600000000 }, { key: another-key, tags: [x] }]
  acls: [{ group: good }]
upstreams:
- { name: group.internal, algorithm: least-connections, hash_on: header, hash_on_header: x-a, slots: 100, healthchecks: { active: { http_path: /a$$b } },
    targets: [{ target: "10.0.0.1:80", weight: 5 }, { target: "[::1]:81", tags: [t] }] }
consumer_groups: [{ name: gold }]
topics:
- name: profile-changes
  subscriptions:
  - { protocol: http, endpoint: "http://localhost:9100/expire?a=$$1", signature_version: 1 }
  - { name: raw, protocol: http, endpoint: "http://localhost/x?token=pass-word-7", raw_message_delivery: true, content_type: application/json, confirm: skip, fifo: true, timeout: 700, max_in_flight: 3 }
  - protocol: https
    endpoint: https://a.example
    format: standard-webhooks
    secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw, whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
  - { protocol: sqs, endpoint: jobs, raw_message_delivery: true }
- name: "true"
queues:
- { name: jobs, visibility_timeout: 7, receive_wait_time: 3, message_retention_period: 600, redrive_policy: { dead_letter_queue: dead, max_receive_count: 3 } }
- { name: dead }
"##;

/// The secrets of [`ALL`], in the order in which they are written.
const SECRETS: [&str; 6] = [
    "the-key-of-ann",
    "another-key",
    "the-secret-of-aws",
    "http://localhost/x?token=pass-word-7",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_AAAA9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
];

fn read(text: &str, env: &HashMap<String, String>) -> Set {
    let options = Options {
        kinds: &plugins::all(),
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &|name| env.get(name).cloned(),
        now: NOW,
        tolerance: Tolerance::default(),
    };
    check(&[("kong.yml", text)], &options).unwrap_or_else(|report| panic!("{report}\n{text}")).set
}

fn written(set: &Set) -> Written {
    let templates =
        |name: &str| plugins::all().into_iter().find(|kind| kind.name() == name).map(|kind| kind.templates());
    write(set, &templates)
}

#[test]
fn what_is_written_reads_back_as_it_was() {
    let set = read(ALL, &HashMap::new());
    let Written { text, secrets, left_out } = written(&set);
    assert_eq!(left_out, [""; 0]);
    let variables = secrets.iter().map(|one| one.variable.clone());
    let env: HashMap<String, String> = variables.zip(SECRETS.map(str::to_owned)).collect();
    let again = read(&text, &env);
    let keys = |set: &Set| {
        let (mut topics, mut subscriptions) = (set.topics.clone(), set.subscriptions.clone());
        topics.sort_by_key(|one| one.id);
        subscriptions.sort_by_key(|one| one.id);
        Set { topics, subscriptions, ..set.clone() }
    };
    assert_eq!(keys(&again), keys(&set), "{text}");
    assert_eq!(text.matches("elsewhere").count(), 1, "what stands for it is implied: {text}");
    // And once more, which has nothing left to lose.
    assert_eq!(written(&again).text, text);
}

#[test]
fn no_secret_is_written_and_each_has_a_variable_of_its_own() {
    let Written { text, secrets, .. } = written(&read(ALL, &HashMap::new()));
    for secret in SECRETS.iter().chain(&["pass-word-7"]) {
        assert!(!text.contains(secret), "{secret} in\n{text}");
    }
    assert_eq!(secrets.len(), SECRETS.len());
    for Withheld { variable, of } in &secrets {
        let reference = format!("{{vault://env/{variable}}}");
        assert_eq!(text.matches(&reference).count(), 1, "{variable}, {of}, in\n{text}");
    }
    assert!(secrets[5].variable.ends_with("_2") && secrets[5].of.starts_with("a secret of subscription"));
}

#[test]
fn what_has_no_place_in_a_file_is_named() {
    let set = read(ALL, &HashMap::new());
    let topic = Topic {
        attributes: [("DisplayName".to_owned(), "Profiles".to_owned())].into(),
        origin: Origin::Api,
        ..(*set.topics[0]).clone()
    };
    let queue = Queue {
        tags: [("team".to_owned(), "a".to_owned())].into(),
        receive_wait_time: Duration::ZERO,
        ..(*set.queues[0]).clone()
    };
    let route = entities::Route {
        protocols: vec![entities::RouteProtocol::Https],
        heeds_forwarded_proto: false,
        ..(**set.routes.iter().find(|route| route.label() == "alone").unwrap()).clone()
    };
    let set = Set {
        routes: vec![route.into()],
        topics: vec![topic.into()],
        queues: vec![queue.into()],
        ..Set::default()
    };
    assert_eq!(
        written(&set).left_out,
        [
            "route `alone`: that `http_if_terminated` is false, which files cannot say",
            "topic `profile-changes`: `DisplayName` is an attribute or a tag, which files do not have",
            "queue `jobs`: `team` is an attribute or a tag, which files do not have"
        ]
    );
}

#[test]
fn texts_mean_nothing_else() {
    let file = [
        ("_format_version".to_owned(), json!("3.0")),
        ("list".to_owned(), json!([{ "no": "yes: #", "deep": [[1, "a\n\"b\""], [], {}] }, "x"])),
        ("map".to_owned(), json!({ "empty": {}, "flow": ["a", 1, null, true] })),
    ];
    let expected = "_format_version: \"3.0\"\nlist:\n- \"no\": \"yes: #\"\n  deep:\n  - [1,\"a\\n\\\"b\\\"\"]\n  - []\n  - {}\n- \"x\"\nmap:\n  empty: {}\n  flow: [\"a\",1,null,true]\n";
    let text = yaml::text(&file);
    assert_eq!(text, expected, "{text}");
}

#[test]
fn an_empty_set_is_a_configuration() {
    let text = written(&Set::default()).text;
    assert_eq!(text, "_format_version: \"3.0\"\n");
    assert_eq!(read(&text, &HashMap::new()), Set::default());
}
