//! What is doubted, in full messages; and that nothing is doubted that a request can show to be right.

use pipeline::{Mount, PluginKind};
use proptest::prelude::*;
use regex::Regex;
use serde_json::{Value, json};

use crate::publish_sns::Kind;

fn mount(paths: &[&str], strip_path: bool) -> Mount {
    Mount { paths: paths.iter().map(|path| (*path).to_owned()).collect(), strip_path }
}

fn config(matcher: &str, match_on: &str) -> Value {
    json!({"topic_arn": "changes", "match_on": match_on, "routes": [{"method": "PUT", "matcher": matcher}]})
}

fn doubts(matcher: &str, match_on: &str, mounts: &[Mount]) -> Vec<String> {
    let found = Kind.doubts(&config(matcher, match_on), mounts);
    found.into_iter().map(|doubt| format!("{}: {}", doubt.pointer, doubt.message)).collect()
}

#[test]
fn options_without_effect() {
    let config = json!({
        "topic_arn": "changes", "routes": [{"method": "PUT", "matcher": "/a"}],
        "region": "eu-west-1", "sns_endpoint": "http://sns",
    });
    let found = Kind.doubts(&config, &[]);
    let found: Vec<_> = found.iter().map(|doubt| (doubt.pointer.as_str(), doubt.message.as_str())).collect();
    assert_eq!(
        found,
        [
            ("/region", "`region` has no effect: the topic is in this process"),
            ("/sns_endpoint", "`sns_endpoint` has no effect: the topic is in this process"),
        ]
    );
}

#[test]
fn a_method_that_nobody_has() {
    let said = |method: &str| {
        let routes = json!([{"method": "GET", "matcher": "/a"}, {"method": method, "matcher": "/b"}]);
        let found = Kind.doubts(&json!({"topic_arn": "changes", "routes": routes}), &[]);
        found.into_iter().map(|doubt| format!("{}: {}", doubt.pointer, doubt.message)).collect::<Vec<_>>()
    };
    assert_eq!(said("PUTT"), ["/routes/1/method: `PUTT` is not a method that HTTP's registry has"]);
    for method in ["PUT", "patch", "PURGE", "M-SEARCH"] {
        assert_eq!(said(method), [""; 0], "{method}");
    }
}

#[test]
fn a_key_that_makes_a_secret_public() {
    let said = |key: &str, capture: Value| {
        let mut config = config("/a", "service_path");
        config["key"] = key.into();
        config["capture"] = capture;
        let found = Kind.doubts(&config, &[]);
        found.into_iter().map(|doubt| format!("{}: {}", doubt.pointer, doubt.message)).collect::<Vec<_>>()
    };
    let public =
        |header: &str| format!("/key: the key has the header `{header}`, which usually carries a secret");
    assert_eq!(
        said("{header:X-Auth-User}-{header:cookie}", json!({})),
        [public("x-auth-user"), public("cookie")]
    );
    assert_eq!(
        said("{header:x-token}", json!({"redact_headers": ["default", "x-other"]})),
        [public("x-token")]
    );
    for (key, capture) in [
        ("{header:x-tenant}", json!({})),
        ("{header:x-consumer-token}", json!({})),
        ("{header:x-token}", json!({"redact": "none"})),
        ("{header:x-token}", json!({"redact_headers": ["x-other"]})),
        ("token", json!({})),
    ] {
        assert_eq!(said(key, capture), [""; 0], "{key}");
    }
}

#[test]
fn a_matcher_that_asks_for_what_was_stripped() {
    let stripped = [
        "/routes/0/matcher: matches only paths that repeat `/profiles`: `strip_path` removes `/profiles` before the matcher is compared",
    ];
    let route = [mount(&["/profiles"], true)];
    for matcher in
        ["^/profiles/", "^/profiles/[^/]+$", "^/profiles$", "^(/profiles/a|/profiles/b)", "(^/profiles)"]
    {
        assert_eq!(doubts(matcher, "service_path", &route), stripped, "{matcher}");
    }
    for matcher in
        ["/profiles/", "^/", "^/[^/]+$", "^/profiles-old", "^/(profiles/)?[0-9]+", "", "(?m)^/profiles/"]
    {
        assert_eq!(doubts(matcher, "service_path", &route), [""; 0], "{matcher}");
    }
    assert_eq!(doubts("^/profiles/", "request_path", &route), [""; 0]);
    assert_eq!(doubts("^/profiles/", "request_uri", &route), [""; 0]);
    let harmless = [
        mount(&["/profiles"], false),
        mount(&["/"], true),
        mount(&["/profiles", "/other"], true),
        mount(&["~/profiles"], true),
        mount(&[], true),
    ];
    for other in harmless {
        let both = [route[0].clone(), other.clone()];
        assert_eq!(doubts("^/profiles/", "service_path", &both), [""; 0], "{other:?}");
    }
    assert_eq!(doubts("^/profiles/", "service_path", &[]), [""; 0], "no route, no doubt");
    assert_eq!(
        doubts("^/profiles/7", "service_path", &[mount(&["/profiles/"], true)]),
        [
            "/routes/0/matcher: matches only paths that repeat `/profiles/`: `strip_path` removes `/profiles/` before the matcher is compared"
        ]
    );
}

#[test]
fn a_matcher_that_asks_for_another_path() {
    let orders = [mount(&["/orders"], false)];
    let other = [
        "/routes/0/matcher: matches nothing: paths on this route begin with `/orders`, and it asks for `/profiles/`",
    ];
    assert_eq!(doubts("^/profiles/", "service_path", &orders), other);
    assert_eq!(doubts("^/profiles/", "request_path", &[mount(&["/orders"], true)]), other);
    let slash = [
        "/routes/0/matcher: matches nothing: paths begin with `/`, and it asks for `profiles/` at the beginning",
    ];
    assert_eq!(doubts("^profiles/", "service_path", &[mount(&["/profiles"], true)]), slash);
    assert_eq!(doubts("^profiles/", "service_path", &[mount(&[], false)]), slash);
    // The path as services decode it is one that a matcher may ask for.
    let escaped = [mount(&["/a%2Fb"], false)];
    for matcher in ["^/a/b", "^/a%2Fb"] {
        assert_eq!(doubts(matcher, "request_path", &escaped), [""; 0], "{matcher}");
    }
    assert_eq!(doubts("^/a/c", "request_path", &escaped).len(), 1);
    for matcher in ["^/o", "^/orders", "^/orders/[0-9]+", "^/orders-old", r"^\*"] {
        assert_eq!(doubts(matcher, "service_path", &orders), [""; 0], "{matcher}");
    }
}

/// What a matcher sees, as the gateway cuts it.
fn seen(request: &str, matched: usize, strips: bool) -> String {
    let rest = &request[if strips { matched } else { 0 }..];
    if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }
}

proptest! {
    /// Whatever is doubted: no request of the route is matched, but for one that repeats what was stripped.
    #[test]
    fn a_doubt_is_always_right(
        path in "/([ab]{1,2}(/[ab]{1,2})?)?",
        strip_path in any::<bool>(),
        on_request in any::<bool>(),
        matcher in "\\^?(/[ab]{0,2}|\\(/a\\|/b\\)|\\[ab\\]|/\\.\\*|[ab]\\?){1,4}\\$?",
        tails in prop::collection::vec("[ab]{0,2}(/[ab]{1,2}){0,3}/?", 16),
    ) {
        let match_on = if on_request { "request_path" } else { "service_path" };
        if doubts(&matcher, match_on, &[mount(&[&path], strip_path)]).is_empty() {
            return Ok(());
        }
        let regex = Regex::new(&matcher).unwrap();
        for tail in tails {
            let strips = strip_path && !on_request;
            let seen = seen(&format!("{path}{tail}"), path.len(), strips);
            let repeats = strips && path.len() > 1 && seen.starts_with(&path);
            prop_assert!(repeats || !regex.is_match(&seen), "{matcher} on {path} matches {seen}");
        }
    }
}
