//! What is wrong with a configuration, in full messages.

use pipeline::{CheckContext, PluginKind};
use serde_json::{Value, json};

use crate::publish_sns::Kind;

fn good() -> Value {
    json!({"topic_arn": "changes", "routes": [{"method": "PUT", "matcher": "^/(?<kind>[a-z]+)/([0-9]+)$"}]})
}

/// [`good`] with some options replaced.
fn with(options: Value) -> Value {
    let mut config = good();
    for (name, value) in options.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

const HUBS: [&str; 2] = ["127.0.0.1:4566", "hub.example.com:443"];

fn context<'a>(topics: &'a [String], hubs: &'a [String]) -> CheckContext<'a> {
    CheckContext { topics, region: "eu-west-1", account: "123456789012", hubs }
}

fn hubs() -> Vec<String> {
    HUBS.map(str::to_owned).to_vec()
}

/// All problems, one line each: `<pointer>: <message> (<hint>)`.
fn problems(config: &Value) -> Vec<String> {
    let topics = ["changes".to_owned(), "orders".to_owned()];
    let problems = Kind.check(config, &context(&topics, &hubs()));
    problems.iter().map(|found| format!("{}: {} ({})", found.pointer, found.message, found.hint)).collect()
}

#[test]
fn good_configurations_have_no_problems() {
    let cases = [
        json!({}),
        json!({"topic_arn": "arn:aws:sns:eu-west-1:123456789012:changes"}),
        json!({"region": "eu-west-1", "endpoint": "http://sns", "sns_endpoint": "http://sns"}),
        json!({"sns_endpoint": "https://sns.eu-west-1.amazonaws.com"}),
        json!({"routes": [{"method": "put", "matcher": "/a"}, {"method": "PURGE", "matcher": ""}]}),
        json!({"key": "{service}-{kind}-{2}-{header:x-tenant}-{path}"}),
        json!({"statuses": [200, 303], "durability": "strict", "format": "cloudevents"}),
        json!({"match_on": "request_uri", "event_type": "com.example.changed", "publish_unknown": false}),
        json!({"resolve_after": 0, "exchange_timeout": 600_000}),
        json!({"capture": {"request_body": true, "max_bytes": 1_048_576, "redact_json": ["/a/*/b"]}}),
        json!({"capture": {"redact": "none", "redact_query": ["default", "session"], "redact_headers": []}}),
        json!({"capture": {"redact": "secrets", "redact_query": null, "redact_headers": null}}),
        json!({"key": "{header:Cookie}"}),
        json!({"capture": {"redact_json": vec!["/a"; 100]}}),
        json!({"event_type": "x".repeat(256)}),
        json!({"routes": vec![json!({"method": "PUT", "matcher": "a"}); 10_000]}),
        json!({"routes": [{"method": "PUT", "matcher": "/(?<my_kind>a)"}], "key": "{my_kind}"}),
    ];
    for case in cases {
        assert_eq!(problems(&with(case.clone())), [""; 0], "{case}");
    }
}

/// Where the events go: `None` for a topic of this gateway.
fn elsewhere(options: Value) -> Option<String> {
    let remote = Kind.remote(&with(options), &context(&[], &hubs()))?;
    let key = remote.key.map(|(id, secret)| format!(" {id}:{secret}")).unwrap_or_default();
    let region = remote.region.map(|region| format!(" {region}")).unwrap_or_default();
    Some(format!("{}{region}{key}", remote.topic))
}

#[test]
fn an_arn_or_an_endpoint_of_another_is_real_sns() {
    let ours = "arn:aws:sns:eu-west-1:123456789012:changes";
    for arn in [
        "arn:aws:sns:us-east-1:123456789012:changes",
        "arn:aws:sns:eu-west-1:210987654321:changes.fifo",
        "arn:aws-cn:sns:eu-west-1:123456789012:changes",
    ] {
        assert_eq!(elsewhere(json!({"topic_arn": arn})).as_deref(), Some(arn));
    }
    for here in [
        "http://127.0.0.1:4566",
        "http://localhost:4566/",
        "http://[::1]:4566",
        "https://hub.example.com",
        "https://HUB.example.com:443/",
    ] {
        assert_eq!(elsewhere(json!({"topic_arn": ours, "endpoint": here})), None, "{here}");
    }
    for there in [
        "http://127.0.0.1:4567",
        "https://sns.eu-west-1.amazonaws.com",
        "http://hub.example.com",
        "http://10.0.0.1:4566",
    ] {
        let found = elsewhere(json!({"topic_arn": ours, "sns_endpoint": there}));
        assert_eq!(found, Some(format!("{ours} via {there}")));
    }
    // A bare name is always ours.
    assert_eq!(elsewhere(json!({"sns_endpoint": "https://sns.eu-west-1.amazonaws.com"})), None);
    let signed = json!({"topic_arn": "arn:aws:sns:us-east-1:1:x", "aws_key": "AKIA", "aws_secret": "s"});
    assert_eq!(elsewhere(signed), None, "not the ARN of a topic");
    let signed = json!({"topic_arn": "arn:aws:sns:us-east-1:210987654321:x", "region": "us-east-2", "aws_key": "AKIA", "aws_secret": "s"});
    assert_eq!(elsewhere(signed).as_deref(), Some("arn:aws:sns:us-east-1:210987654321:x us-east-2 AKIA:s"));
}

#[test]
fn a_key_comes_with_its_secret() {
    let hint =
        "give both, or neither: then the credentials are those of the environment, as AWS's SDKs find them";
    for (here, missing) in [("aws_key", "aws_secret"), ("aws_secret", "aws_key")] {
        let expected = format!("/{here}: `{here}` without `{missing}` ({hint})");
        assert_eq!(problems(&with(json!({ here: "x" }))), [expected]);
    }
}

#[test]
fn a_secret_is_not_shown() {
    let config = with(
        json!({"topic_arn": "arn:aws:sns:us-east-1:210987654321:x", "aws_key": "AKIA", "aws_secret": "s3cr3t"}),
    );
    let remote = Kind.remote(&config, &context(&[], &hubs())).expect("real SNS");
    let shown = format!("{remote:?}");
    assert!(shown.contains("AKIA") && !shown.contains("s3cr3t"), "{shown}");
}

#[test]
fn a_problem_of_real_sns_says_where_what_and_what_to_do() {
    each_is([
        (
            json!({"topic_arn": "arn:aws:sns:us-east-1:123456789012:a", "endpoint": "sns.example.com"}),
            "/endpoint: this is not a URL (give the address of SNS's API, `https://sns.eu-west-1.amazonaws.com`)".into(),
        ),
        (
            json!({"topic_arn": "arn:aws:sns:us-east-1:123456789012:a", "sns_endpoint": "https://u:p@sns.example.com"}),
            "/sns_endpoint: a user or password in the URL means nothing to SNS (give the address of SNS's API, `https://sns.eu-west-1.amazonaws.com`)".into(),
        ),
        (
            json!({"aws_key": "AKIA"}),
            "/aws_key: `aws_key` without `aws_secret` (give both, or neither: then the credentials are those of the environment, as AWS's SDKs find them)".into(),
        ),
    ]);
}

#[test]
fn each_problem_says_where_what_and_what_to_do() {
    let name_hint = "give a topic's bare name, `profile-changes`, or an ARN: `arn:aws:sns:eu-west-1:123456789012:profile-changes` is one of this gateway, any other one of real SNS";
    let name = |topic: &str, error: &str| {
        let line = format!("/topic_arn: `{topic}` names no topic: {error} ({name_hint})");
        (json!({"topic_arn": topic}), line)
    };
    let route = |method: &str, matcher: &str, line: &str| {
        (json!({"routes": [{"method": method, "matcher": matcher}]}), line.to_owned())
    };
    let cases = [
        name("a.b", "a name has 1 to 256 letters, digits, hyphens or underscores"),
        name("", "a name has 1 to 256 letters, digits, hyphens or underscores"),
        name("arn:aws:sns:x", "an ARN must have at least 6 elements, not 4"),
        name("http://x/y:1:2:3:4", "an ARN begins with `arn:`"),
        name("arn:aws:sqs:eu-west-1:123456789012:changes", "this ARN belongs to `sqs`, not to `sns`"),
        name("arn:aws:sns::123456789012:changes", "the ARN's region is empty"),
        name("arn:aws:sns:us-east-1:12:changes", "the ARN's account is not twelve digits"),
        name("arn:aws:sns:us-east-1:123456789012:a.b", "a name has 1 to 256 letters, digits, hyphens or underscores"),
        name("arn:aws:sns:eu-west-1:123456789012:a.fifo", "a name has 1 to 256 letters, digits, hyphens or underscores"),
        (
            json!({"topic_arn": "other"}),
            "/topic_arn: there is no topic `other` (add `- name: other` to the `topics` of the configuration; there are: changes, orders)".into(),
        ),
        (
            json!({"topic_arn": "chnages"}),
            "/topic_arn: there is no topic `chnages` (did you mean `changes`? Else add `- name: chnages` to the `topics` of the configuration)".into(),
        ),
        (
            json!({"topic_arn": "arn:aws:sns:eu-west-1:123456789012:order"}),
            "/topic_arn: there is no topic `order` (did you mean `orders`? Else add `- name: order` to the `topics` of the configuration)".into(),
        ),
        (
            json!({"endpoint": "http://a", "sns_endpoint": "http://b"}),
            "/sns_endpoint: `endpoint` and `sns_endpoint` are different (they are two names of one option: keep one of them)".into(),
        ),
        (
            json!({"routes": []}),
            "/routes: `routes` has 0 entries (give 1 to 10000 entries, `{ method: PUT, matcher: \"^/profiles/[^/]+$\" }`)".into(),
        ),
        (
            json!({"routes": vec![json!({"method": "PUT", "matcher": "a"}); 10_001]}),
            "/routes: `routes` has 10001 entries (give 1 to 10000 entries, `{ method: PUT, matcher: \"^/profiles/[^/]+$\" }`)".into(),
        ),
        route("*", "/", "/routes/0/method: this is not an HTTP method (give one method, `PUT`; a request of any of several methods takes an entry for each)"),
        route("", "/", "/routes/0/method: this is not an HTTP method (give one method, `PUT`; a request of any of several methods takes an entry for each)"),
        route("PUT,POST", "/", "/routes/0/method: this is not an HTTP method (give one method, `PUT`; a request of any of several methods takes an entry for each)"),
        route("PUT", "(", "/routes/0/matcher: the matcher does not compile: unclosed group (matchers are regular expressions of the Rust crate `regex`: no look-around, no back-references)"),
        route("PUT", "(?=a)", "/routes/0/matcher: the matcher does not compile: look-around, including look-ahead and look-behind, is not supported (matchers are regular expressions of the Rust crate `regex`: no look-around, no back-references)"),
        route("PUT", "(?:a{1000}){1000}", "/routes/0/matcher: the matcher does not compile: Compiled regex exceeds size limit of 1048576 bytes. (matchers are regular expressions of the Rust crate `regex`: no look-around, no back-references)"),
        (json!({"statuses": [200, 99, 600]}), "/statuses/1: 99 is not a valid HTTP status (a status is between 100 and 599)\n/statuses/2: 600 is not a valid HTTP status (a status is between 100 and 599)".into()),
        (json!({"capture": {"max_bytes": 0}}), "/capture/max_bytes: 0 is out of range (give 1 to 1048576 bytes)".into()),
        (json!({"capture": {"max_bytes": 1_048_577}}), "/capture/max_bytes: 1048577 is out of range (give 1 to 1048576 bytes)".into()),
        (json!({"resolve_after": 600_001}), "/resolve_after: 600001 is out of range (give 0 to 600000 milliseconds)".into()),
        (json!({"exchange_timeout": 0}), "/exchange_timeout: 0 is out of range (give 1 to 600000 milliseconds)".into()),
        (json!({"store_timeout": 0}), "/store_timeout: 0 is out of range (give 1 to 600000 milliseconds)".into()),
        (json!({"event_type": "a b"}), "/event_type: this is not an event type (give 1 to 256 bytes without spaces or control characters, `com.example.profile.updated`)".into()),
        (json!({"event_type": "a\u{1}"}), "/event_type: this is not an event type (give 1 to 256 bytes without spaces or control characters, `com.example.profile.updated`)".into()),
        (json!({"event_type": "x".repeat(257)}), "/event_type: this is not an event type (give 1 to 256 bytes without spaces or control characters, `com.example.profile.updated`)".into()),
        (json!({"event_type": ""}), "/event_type: this is not an event type (give 1 to 256 bytes without spaces or control characters, `com.example.profile.updated`)".into()),
        (json!({"capture": {"redact_headers": ["cookie", "a b"]}}), "/capture/redact_headers/1: this is not the name of a header (a header name has letters, digits and hyphens, and neither a colon nor a value after it)".into()),
        (
            json!({"capture": {"redact_json": vec!["/a"; 101]}}),
            "/capture/redact_json: `redact_json` has 101 entries (give at most 100; `*` matches any member, and a pointer to a member redacts everything in it)".into(),
        ),
        (json!({"capture": {"redact_query": ["token", "", "a=s3cr3t", "default"]}}), "/capture/redact_query/1: this is not the name of a query parameter (give the name alone, `token`, without `?`, `=` and value)\n/capture/redact_query/2: this is not the name of a query parameter (give the name alone, `token`, without `?`, `=` and value)".into()),
        (json!({"capture": {"redact_json": ["/a", "b"]}}), "/capture/redact_json/1: this is not a JSON Pointer: a JSON Pointer begins with `/` (`/user/password` names a member, `/users/*/token` a member of every element)".into()),
    ];
    each_is(cases);
}

#[test]
fn a_method_that_never_comes_is_a_problem() {
    for (method, expected) in [
        (
            "-",
            "/routes/0/method: this is not an HTTP method (give one method, `PUT`; a request of any of several methods takes an entry for each)",
        ),
        (
            "connect",
            "/routes/0/method: this never matches: the gateway answers CONNECT and TRACE with 405 (give a method that is forwarded: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or one of your own)",
        ),
        (
            "GET1",
            "/routes/0/method: this never matches: the gateway answers a method that has anything except A to Z, `-` and `_` with 400 (give a method that is forwarded: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or one of your own)",
        ),
    ] {
        let routes = json!({"routes": [{"method": method, "matcher": "/"}]});
        assert_eq!(problems(&with(routes)), [expected], "{method}");
    }
}

#[test]
fn each_problem_of_a_key_says_what_and_what_to_do() {
    let key_hint =
        "a key may use `{service}`, `{path}`, `{1}` or `{name}` (a group of the matcher) and `{header:name}`";
    let key =
        |template: &str, message: &str| (json!({"key": template}), format!("/key: {message} ({key_hint})"));
    each_is([
        key("", "the key is empty"),
        key("{path", "a brace of `{path` has no partner"),
        key("path}", "a brace of `path}` has no partner"),
        key("{}", "`{}` is not a placeholder"),
        key("{header}x{a b}", "`{a b}` is not a placeholder"),
        key("{99999999999999999999}", "`{99999999999999999999}` is not a placeholder"),
        key("{header:a b}", "`a b` is not the name of a header"),
        (json!({"key": "{3}"}), "/key: `{3}` names no group of the matcher of entry 0 of `routes` (add a group, `(…)`, to the matcher, or leave `{3}` out)".into()),
        (json!({"key": "{id}"}), "/key: `{id}` names no group of the matcher of entry 0 of `routes` (add a group, `(?<id>…)`, to the matcher, or leave `{id}` out)".into()),
        (json!({"key": "{header:Cookie}", "capture": {"redact_headers": ["default", "cookie"]}}), "/key: the key would carry the redacted header `cookie` (keys are stored and sent as they are: take another header)".into()),
    ]);
}

/// Each of the options has exactly these problems, one a line.
fn each_is<const N: usize>(cases: [(Value, String); N]) {
    for (options, expected) in cases {
        assert_eq!(problems(&with(options.clone())).join("\n"), expected, "{options}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let config = with(json!({
        "topic_arn": "a.b",
        "routes": [{"method": "PUT", "matcher": "("}, {"method": " ", "matcher": "["}],
        "key": "{",
        "statuses": [7],
        "capture": {"redact_json": ["x"]},
    }));
    let pointers: Vec<String> =
        problems(&config).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    let expected = [
        "/statuses/0",
        "/topic_arn",
        "/capture/redact_json/0",
        "/routes/0/matcher",
        "/routes/1/method",
        "/routes/1/matcher",
        "/key",
    ];
    assert_eq!(pointers, expected);
}

/// Entries that were read are not counted as the first ones when another was not: nothing is said of the key then.
#[test]
fn a_key_is_not_held_against_entries_some_of_which_are_wrong() {
    let routes = json!([{"method": "PUT", "matcher": "("}, {"method": "PUT", "matcher": "/a"}]);
    let found = problems(&with(json!({"routes": routes, "key": "{1}"})));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("/routes/0/matcher: "), "{found:?}");
}

#[test]
fn an_unknown_option_is_named() {
    let found = problems(&with(json!({"capture": {"nonsense": 1}})));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("unknown field `nonsense`, expected one of `request_body`"), "{found:?}");
}

#[test]
fn what_the_schema_would_refuse_is_a_problem_too() {
    let hint = "(see the schema of `publish-sns`)";
    let cases = [
        (json!({"routes": [{"method": "PUT"}]}), format!("/routes/0: missing field `matcher` {hint}")),
        (
            json!({"capture": {"request_body": "yes"}}),
            format!("/capture/request_body: expected a boolean {hint}"),
        ),
        (
            json!({"durability": "most"}),
            format!("/durability: expected one of `intent`, `strict`, `outcome`, `memory` {hint}"),
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(problems(&with(options)), [expected]);
    }
}
