//! Topics, subscriptions and queues that are refused.

use super::check;

#[test]
fn names() {
    check(
        &[r#"
_format_version: "3.0"
topics: [{ name: a.b }, { name: "" }]
queues: [{ name: q.fifo }]
"#],
        r#"
gateway.yaml:2:18: topics[0].name: a name has 1 to 256 letters, digits, hyphens or underscores
  hint: AWS clients refuse other names: rename it
gateway.yaml:2:33: topics[1].name: a name has 1 to 256 letters, digits, hyphens or underscores
  hint: AWS clients refuse other names: rename it
gateway.yaml:3:18: queues[0].name: a name has 1 to 80 letters, digits, hyphens or underscores
  hint: AWS clients refuse other names: rename it
3 problems
"#,
    );
}

#[test]
fn queues_out_of_range() {
    check(
        &[r#"
_format_version: "3.0"
queues: [{ name: q, visibility_timeout: 43201, receive_wait_time: 21 }, { name: r, message_retention_period: 59 }]
"#],
        r#"
gateway.yaml:2:41: queues[0].visibility_timeout: value should be between 0 and 43200
  hint: 43201 is too large
gateway.yaml:2:67: queues[0].receive_wait_time: value should be between 0 and 20
  hint: 21 is too large
gateway.yaml:2:110: queues[1].message_retention_period: value should be between 60 and 1209600
  hint: 59 is too small
3 problems
"#,
    );
}

#[test]
fn endpoints() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: localhost }
  - { protocol: http, endpoint: "https://x/" }
  - { protocol: https, endpoint: "http://x/" }
  - { protocol: http, endpoint: "ftp://x/" }
  - { protocol: https, endpoint: "https://u:p@x/" }
  - { protocol: https, endpoint: "https://x/#a" }
  - { protocol: email, endpoint: a@b }
  - { protocol: htttp, endpoint: a@b }
  - { endpoint: "http://x" }
  - { protocol: http, endpoint: "http://a..b/" }
  - { protocol: https, endpoint: "https://a:0/" }
"#],
        r#"
gateway.yaml:5:33: topics[0].subscriptions[0].endpoint: not a URL: it does not begin with http://
  hint: write it like http://example.com/path
gateway.yaml:6:33: topics[0].subscriptions[1].endpoint: the endpoint of protocol `http` is not http://…
  hint: write `protocol: https`, or http:// in the endpoint
gateway.yaml:7:34: topics[0].subscriptions[2].endpoint: the endpoint of protocol `https` is not https://…
  hint: write `protocol: http`, or https:// in the endpoint
gateway.yaml:8:33: topics[0].subscriptions[3].endpoint: the endpoint of protocol `http` is not http://…
  hint: write it like http://example.com/path
gateway.yaml:9:34: topics[0].subscriptions[4].endpoint: a user or password in the endpoint is not supported yet
  hint: remove it: a secret in the query is shown nowhere, and `format: standard-webhooks` signs each message
gateway.yaml:10:34: topics[0].subscriptions[5].endpoint: a `#` cannot be sent to an endpoint
  hint: remove it and what follows
gateway.yaml:11:17: topics[0].subscriptions[6].protocol: `email` is not supported yet
  hint: expected one of: http, https, sqs
gateway.yaml:12:17: topics[0].subscriptions[7].protocol: unknown value `htttp`
  hint: did you mean `http`?
gateway.yaml:13:5: topics[0].subscriptions[8]: required field missing: `protocol`
  hint: add `protocol`: how the endpoint is reached
gateway.yaml:14:33: topics[0].subscriptions[9].endpoint: the endpoint's host is not a valid name
  hint: write it like http://example.com/path
gateway.yaml:15:34: topics[0].subscriptions[10].endpoint: an endpoint's port is not 0
  hint: write it like https://example.com/path
11 problems
"#,
    );
}

#[test]
fn queues_as_endpoints() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: sqs, endpoint: profile-worke }
  - { protocol: sqs, endpoint: "arn:aws:sqs:us-east-1:000000000000:profile-worker" }
  - { protocol: sqs, endpoint: "arn:aws:sqs:eu-west-1:123456789012:profile-worker" }
  - { protocol: sqs, endpoint: "arn:aws:sns:us-east-1:000000000000:profile-worker" }
queues: [{ name: profile-worker }]
"#],
        r#"
gateway.yaml:5:32: topics[0].subscriptions[0].endpoint: invalid reference 'endpoint: profile-worke' (no such entry in 'queues')
  hint: did you mean `profile-worker`?
gateway.yaml:7:32: topics[0].subscriptions[2].endpoint: queues of AWS are not supported yet
  hint: queues of this gateway are arn:aws:sqs:us-east-1:000000000000:NAME
gateway.yaml:8:32: topics[0].subscriptions[3].endpoint: this ARN belongs to `sns`, not to `sqs`
  hint: a queue's ARN is arn:aws:sqs:us-east-1:000000000000:NAME
3 problems
"#,
    );
}

#[test]
fn settings_that_mean_nothing() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: sqs, endpoint: q, confirm: skip, timeout: 500, max_in_flight: 1, fifo: true, format: standard-webhooks }
  - { protocol: http, endpoint: "http://x", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }
queues: [{ name: q }]
"#],
        r#"
gateway.yaml:5:44: topics[0].subscriptions[0].confirm: `confirm` has no meaning with protocol `sqs`
  hint: remove it: a queue gets its message as part of the publish, and its workers fetch it
gateway.yaml:5:59: topics[0].subscriptions[0].timeout: `timeout` has no meaning with protocol `sqs`
  hint: remove it: a queue gets its message as part of the publish, and its workers fetch it
gateway.yaml:5:79: topics[0].subscriptions[0].max_in_flight: `max_in_flight` has no meaning with protocol `sqs`
  hint: remove it: a queue gets its message as part of the publish, and its workers fetch it
gateway.yaml:5:88: topics[0].subscriptions[0].fifo: `fifo` has no meaning with protocol `sqs`
  hint: remove it: a queue gets its message as part of the publish, and its workers fetch it
gateway.yaml:5:102: topics[0].subscriptions[0].format: `format` has no meaning with protocol `sqs`
  hint: remove it: a queue gets its message as part of the publish, and its workers fetch it
gateway.yaml:6:53: topics[0].subscriptions[1].secret: `secret` without `format: standard-webhooks`
  hint: add `format: standard-webhooks`, or remove it: SNS's deliveries are signed with the gateway's own key
6 problems
"#,
    );
}

#[test]
fn content_types() {
    let long = format!("a/{}", "b".repeat(255));
    check(
        &[&r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: "http://a", content_type: json }
  - { protocol: http, endpoint: "http://b", content_type: "application/json\nx-a: b", raw_message_delivery: true }
  - { protocol: https, endpoint: "https://c", content_type: LONG }
  - { protocol: sqs, endpoint: q, content_type: application/json }
  - { protocol: http, endpoint: "http://d", content_type: application/json, format: standard-webhooks, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }
  - { protocol: http, endpoint: "http://e", content_type: "application/json; charset=utf-8" }
queues: [{ name: q }]
"#
        .replace("LONG", &long)],
        r#"
gateway.yaml:5:59: topics[0].subscriptions[0].content_type: it is not a media type: a type, `/`, a subtype, and parameters
  hint: write it like application/json, or text/plain; charset=utf-8
gateway.yaml:6:59: topics[0].subscriptions[1].content_type: it is not a media type: a type, `/`, a subtype, and parameters
  hint: write it like application/json, or text/plain; charset=utf-8
gateway.yaml:7:61: topics[0].subscriptions[2].content_type: a media type has at most 256 bytes, not 257
  hint: write it like application/json, or text/plain; charset=utf-8
gateway.yaml:8:49: topics[0].subscriptions[3].content_type: `content_type` has no meaning with protocol `sqs`
  hint: remove it: a queue gets its message as part of the publish, and its workers fetch it
gateway.yaml:9:59: topics[0].subscriptions[4].content_type: it belongs to `format: sns`
  hint: remove it: this format is application/json, and application/cloudevents+json for CloudEvents
5 problems
"#,
    );
}

#[test]
fn signature_versions() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: "http://a", signature_version: 3 }
  - { protocol: http, endpoint: "http://b", signature_version: "1" }
  - { protocol: sqs, endpoint: q, signature_version: 1 }
  - { protocol: http, endpoint: "http://c", signature_version: 1, format: standard-webhooks, secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }
  - { protocol: http, endpoint: "http://d", signature_version: 1 }
  - { protocol: http, endpoint: "http://e", signature_version: 2, raw_message_delivery: true }
queues: [{ name: q }]
"#],
        r#"
gateway.yaml:5:64: topics[0].subscriptions[0].signature_version: value should be between 1 and 2
  hint: 3 is too large
gateway.yaml:6:64: topics[0].subscriptions[1].signature_version: expected an integer, found the string "1"
  hint: remove the quotes
gateway.yaml:7:54: topics[0].subscriptions[2].signature_version: `signature_version` has no meaning with protocol `sqs`
  hint: remove it: a queue gets its message as part of the publish, and its workers fetch it
gateway.yaml:8:64: topics[0].subscriptions[3].signature_version: it belongs to `format: sns`
  hint: remove it: this format is signed with the `secret`
4 problems
"#,
    );
}

#[test]
fn secrets() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: "http://a", format: standard-webhooks }
  - { protocol: http, endpoint: "http://b", format: standard-webhooks, secret: hunter2 }
  - { protocol: http, endpoint: "http://c", format: standard-webhooks, secret: whsec_hunter2 }
  - { protocol: http, endpoint: "http://d", format: standard-webhooks, secret: whsec_aGFsbG8= }
  - { protocol: http, endpoint: "http://e", format: standard-webhooks, secret: "{vault://env/NO_SUCH}" }
  - { protocol: http, endpoint: "http://f", format: standard-webhooks, secret: "{vault://env/short-secret}" }
  - { protocol: http, endpoint: "http://g", format: standard-webhooks, secret: "{vault://aws/x}" }
  - { protocol: http, endpoint: "http://h", format: standard-webhooks, secret: 1234567, secrets: [7654321] }
  - { protocol: http, endpoint: "http://i", format: standard-webhooks, confirm: required, raw_message_delivery: true, secrets: [] }
"#],
        r#"
gateway.yaml:5:5: topics[0].subscriptions[0]: required field missing: `secret`, for `format: standard-webhooks`
  hint: add `secret: "{vault://env/NAME}"`, or `secret: whsec_…`; make one: echo whsec_$(openssl rand -base64 32)
gateway.yaml:6:80: topics[0].subscriptions[1].secret: the secret does not begin with whsec_
  hint: make one: echo whsec_$(openssl rand -base64 32)
gateway.yaml:7:80: topics[0].subscriptions[2].secret: the secret is not base64 after whsec_
  hint: make one: echo whsec_$(openssl rand -base64 32)
gateway.yaml:8:80: topics[0].subscriptions[3].secret: the secret has 5 bytes, not 24 to 64
  hint: make one: echo whsec_$(openssl rand -base64 32)
gateway.yaml:9:80: topics[0].subscriptions[4].secret: the environment variable NO_SUCH is not set
  hint: start with NO_SUCH=whsec_… in the environment
gateway.yaml:10:80: topics[0].subscriptions[5].secret: the secret in the environment variable SHORT_SECRET has 5 bytes, not 24 to 64
  hint: make one: echo whsec_$(openssl rand -base64 32)
gateway.yaml:11:80: topics[0].subscriptions[6].secret: this vault is not supported yet
  hint: refer to an environment variable: {vault://env/NAME}
gateway.yaml:12:80: topics[0].subscriptions[7].secret: expected a string, found a number
  hint: put it in quotes
gateway.yaml:12:99: topics[0].subscriptions[7].secrets[0]: expected a string, found a number
  hint: put it in quotes
gateway.yaml:13:5: topics[0].subscriptions[8]: required field missing: `secret`, for `format: standard-webhooks`
  hint: add `secret: "{vault://env/NAME}"`, or `secret: whsec_…`; make one: echo whsec_$(openssl rand -base64 32)
gateway.yaml:13:81: topics[0].subscriptions[8].confirm: Standard Webhooks has no handshake
  hint: remove it: deliveries begin at once
gateway.yaml:13:113: topics[0].subscriptions[8].raw_message_delivery: it belongs to `format: sns`
  hint: remove it: with this format, the body is always the message alone
12 problems
"#,
    );
}

#[test]
fn numbers_out_of_range() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: "http://a", timeout: 99, max_in_flight: 257 }
"#],
        r#"
gateway.yaml:5:54: topics[0].subscriptions[0].timeout: value should be between 100 and 60000
  hint: 99 is too small
gateway.yaml:5:73: topics[0].subscriptions[0].max_in_flight: value should be between 1 and 256
  hint: 257 is too large
2 problems
"#,
    );
}

#[test]
fn subscriptions_that_name_their_topic() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { topic: t, protocol: http, endpoint: "http://x" }
subscriptions:
- { topic: u, protocol: http, endpoint: "http://x" }
- { protocol: http, endpoint: "http://x" }
- { topic: t, protocol: http, endpoint: "HTTP://x:80/" }
"#],
        r#"
gateway.yaml:5:14: topics[0].subscriptions[0].topic: value must be null
  hint: it is under its topic already: remove the key
gateway.yaml:7:12: subscriptions[0].topic: invalid reference 'topic: u' (no such entry in 'topics')
  hint: topics that exist: `t`
gateway.yaml:8:3: subscriptions[1]: required field missing: `topic`
  hint: name the topic, or put the subscription under one
gateway.yaml:9:3: subscriptions[2]: uniqueness violation: 'subscriptions' entity with topic 't', protocol 'http' and endpoint 'http://x/' already declared
  hint: the first one is at gateway.yaml:5:5: keep one of the two
4 problems
"#,
    );
}

#[test]
fn attributes_of_aws_that_are_not_built_yet() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  delivery_policy: { http: {} }
  FifoTopic: true
  subscriptions:
  - { protocol: sqs, endpoint: q, filter_policy: { a: [b] } }
  - { protocol: http, endpoint: "http://x", RedrivePolicy: { deadLetterTargetArn: q }, filter_polcy: {} }
  - { protocol: http, endpoint: "http://y", filter_policy: {} }
queues: [{ name: q, redrive_allow_policy: { maxReceiveCount: 3 }, DelaySeconds: 60 }]
"#],
        r#"
gateway.yaml:4:20: topics[0].delivery_policy: not supported yet
  hint: topics have no attributes yet: remove the key
gateway.yaml:5:3: topics[0].FifoTopic: not supported yet
  hint: remove the key; `fifo: true` on a subscription over http keeps the order within a key of events
gateway.yaml:7:50: topics[0].subscriptions[0].filter_policy: not supported yet
  hint: every subscription gets all events of its topic: remove the key, or publish each kind of event to a topic of its own
gateway.yaml:8:45: topics[0].subscriptions[1].RedrivePolicy: not supported yet
  hint: remove the key: what cannot be delivered is kept as a dead letter and can be sent again, see GET /retrohook/dead-letters on the admin port
gateway.yaml:8:88: topics[0].subscriptions[1].filter_polcy: unknown field `filter_polcy`
  hint: known fields: topic, name, protocol, endpoint, raw_message_delivery, format, content_type, signature_version, secret, secrets, confirm, fifo, timeout, max_in_flight, _comment
gateway.yaml:10:43: queues[0].redrive_allow_policy: not supported yet
  hint: remove the key: any queue may name any other one in its `redrive_policy`
gateway.yaml:10:67: queues[0].DelaySeconds: not supported yet
  hint: queues have `visibility_timeout`, `receive_wait_time`, `message_retention_period` and `redrive_policy` only: remove the key
7 problems
"#,
    );
}

#[test]
fn a_dead_letter_queue_is_another_queue_of_the_files() {
    check(
        &[r#"_format_version: "3.0"
queues:
- { name: a, redrive_policy: { dead_letter_queue: b, max_receive_count: 5 } }
- { name: b, redrive_policy: { dead_letter_queue: b, max_receive_count: 5 } }
- { name: c, redrive_policy: { dead_letter_queue: d, max_receive_count: 0 } }
"#],
        r#"
gateway.yaml:4:51: queues[1].redrive_policy.dead_letter_queue: a queue cannot be its own dead-letter queue
  hint: name another queue, one that keeps the messages that no worker deleted
gateway.yaml:5:73: queues[2].redrive_policy.max_receive_count: value should be between 1 and 1000
  hint: 0 is too small
2 problems
"#,
    );
}

#[test]
fn times_with_a_unit() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: "http://a", timeout: 15s, max_in_flight: "256" }
queues: [{ name: q, visibility_timeout: 5m }]
"#],
        r#"
gateway.yaml:5:54: topics[0].subscriptions[0].timeout: expected an integer, found the string "15s"
  hint: write a whole number without a unit: the longest time for one attempt, in milliseconds; by default 15000
gateway.yaml:5:74: topics[0].subscriptions[0].max_in_flight: expected an integer, found the string "256"
  hint: remove the quotes
gateway.yaml:6:41: queues[0].visibility_timeout: expected an integer, found the string "5m"
  hint: write a whole number without a unit: how long a received message is hidden from other workers, in seconds
3 problems
"#,
    );
}

#[test]
fn names_of_subscriptions() {
    check(
        &[r#"
_format_version: "3.0"
topics:
- name: t
  subscriptions:
  - { name: a, protocol: http, endpoint: "http://x/a" }
  - { name: b, protocol: http, endpoint: "http://x/a" }
  - { name: "a b", protocol: http, endpoint: "http://x/b" }
  - { name: "", protocol: http, endpoint: "http://x/c" }
  - { name: 7, protocol: http, endpoint: "http://x/d" }
- name: u
  subscriptions:
  - { name: a, protocol: http, endpoint: "http://x/a" }
subscriptions:
- { topic: t, name: a, protocol: sqs, endpoint: q }
queues: [{ name: q }]
"#],
        r#"
gateway.yaml:6:5: topics[0].subscriptions[1]: uniqueness violation: 'subscriptions' entity with topic 't', protocol 'http' and endpoint 'http://x/a' already declared
  hint: the first one is at gateway.yaml:5:5: keep one of the two
gateway.yaml:7:13: topics[0].subscriptions[2].name: a name has 1 to 256 letters, digits, hyphens or underscores
  hint: rename it, or remove the key: a name is optional
gateway.yaml:8:13: topics[0].subscriptions[3].name: a name has 1 to 256 letters, digits, hyphens or underscores
  hint: rename it, or remove the key: a name is optional
gateway.yaml:9:13: topics[0].subscriptions[4].name: expected a string, found the number 7
  hint: put it in quotes: "7"
gateway.yaml:14:21: subscriptions[0].name: uniqueness violation: 'subscriptions' entity with topic 't' and name set to 'a' already declared
  hint: the first one is at gateway.yaml:5:13: rename or remove one
5 problems
"#,
    );
}
