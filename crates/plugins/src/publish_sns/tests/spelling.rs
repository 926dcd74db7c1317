//! In which of its spellings a request matches, and what its event is then called.

use http::header::{HeaderMap, HeaderValue};
use http::{HeaderName, Method};
use pipeline::{Forward, Reading};
use serde_json::{Value, json};

use super::bench::{Bench, block_on};

/// The type and the key of the event that comes of a request; `None` if nothing matches.
fn event(
    bench: &Bench,
    headers: &HeaderMap,
    change: impl FnOnce(&mut Forward<'_>),
) -> Option<(String, String)> {
    let mut watch = bench.watch_of(headers, |forward| change(forward))?;
    block_on(watch.intend(&mut pipeline::Joint::alone()).unwrap()).unwrap();
    drop(watch);
    let event = bench.events().pop().unwrap();
    let event_type = event.body.exchange().unwrap().request().unwrap().rule.event_type;
    Some((event_type, event.body.key.to_string()))
}

fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

#[test]
fn a_post_is_tried_as_whatever_it_may_stand_for() {
    let put = Some("users.put");
    let delete = Some("users.delete");
    let plain = "/v1/profiles/7";
    for (method, lines, uri, expected) in [
        (&Method::POST, &[("x-http-method-override", "PUT")][..], plain, put),
        (&Method::POST, &[], plain, None),
        (&Method::POST, &[("x-http-method", "put")], plain, put),
        (&Method::POST, &[("x-method-override", " DELETE ")], plain, delete),
        (
            &Method::POST,
            &[("x-http-method-override", "GET"), ("x-http-method-override", "DELETE")],
            plain,
            delete,
        ),
        (&Method::POST, &[("x-http-method-override", "GET")], plain, None),
        (&Method::POST, &[("x-other", "PUT")], plain, None),
        (&Method::POST, &[], "/v1/profiles/7?a=b&_method=put", put),
        (&Method::POST, &[], "/v1/profiles/7?%5Fmethod=%44ELETE", delete),
        (&Method::POST, &[("x-http-method-override", "GET")], "/v1/profiles/7?_method=PUT", put),
        (&Method::POST, &[], "/v1/profiles/7?method=PUT&a=_method", None),
        (&Method::POST, &[], "/_method=PUT", None),
        (&Method::GET, &[("x-http-method-override", "PUT")], "/v1/profiles/7?_method=PUT", None),
        (&Method::PUT, &[("x-http-method-override", "DELETE")], plain, put),
    ] {
        let found = event(&Bench::new(json!({})), &headers(lines), |forward| {
            (forward.method, forward.uri) = (method, uri);
        });
        assert_eq!(found.map(|found| found.0).as_deref(), expected, "{method} {lines:?} {uri}");
    }
    let routes =
        json!([{"method": "PUT", "matcher": "/profiles/"}, {"method": "POST", "matcher": "/profiles/"}]);
    let both = Bench::new(json!({"routes": routes}));
    let found = event(&both, &headers(&[("x-http-method-override", "PUT")]), |forward| {
        forward.method = &Method::POST
    });
    assert_eq!(found.unwrap().0, "users.post", "what it is comes first");
}

fn anchored(match_on: &str, matcher: &str) -> Bench {
    let routes = json!([{"method": "PUT", "matcher": matcher}]);
    Bench::new(json!({"match_on": match_on, "routes": routes, "key": "{1}"}))
}

fn key(bench: &Bench, change: impl FnOnce(&mut Forward<'_>)) -> Option<String> {
    event(bench, &HeaderMap::new(), change).map(|found| found.1)
}

#[test]
fn the_decoded_reading_is_tried_before_the_one_as_it_stands() {
    const OTHER: &[Reading<'_>] = &[Reading { request_path: "/v1/profiles/9", service_path: "/profiles/9" }];
    const NOTHING: &[Reading<'_>] = &[Reading { request_path: "/v1/nothing", service_path: "/nothing" }];
    for (match_on, matcher) in [
        ("service_path", "^/profiles/([0-9])$"),
        ("request_path", "^/v1/profiles/([0-9])$"),
        ("request_uri", r"^/v1/profiles/([0-9])\?x=1$"),
    ] {
        let key = |change: &dyn Fn(&mut Forward<'_>)| key(&anchored(match_on, matcher), change);
        let other = |forward: &mut Forward<'_>| forward.others = OTHER;
        let nothing = |forward: &mut Forward<'_>| forward.others = NOTHING;
        assert_eq!(key(&other).as_deref(), Some("9"), "{match_on}");
        assert_eq!(key(&nothing).as_deref(), Some("7"), "{match_on}");
        let neither = |forward: &mut Forward<'_>| {
            nothing(forward);
            (forward.request_path, forward.service_path, forward.uri) = ("/v1/x", "/x", "/v1/x?x=1");
        };
        assert_eq!(key(&neither), None, "{match_on}");
    }
}

#[test]
fn what_services_fold_is_folded_last() {
    let folded = |forward: &mut Forward<'_>| {
        (forward.request_path, forward.service_path) = ("/v1/profiles/7/", "/profiles/7/");
        forward.uri = "/v1/profiles/7/?x=1";
    };
    for (match_on, matcher) in [
        ("service_path", "^/profiles/([^/]+)$"),
        ("request_path", "^/v1/profiles/([^/]+)$"),
        ("request_uri", r"^/v1/profiles/([^/]+)\?x=1$"),
    ] {
        assert_eq!(key(&anchored(match_on, matcher), folded).as_deref(), Some("7"), "{match_on}");
    }
    let by_path = Bench::new(json!({"routes": [{"method": "PUT", "matcher": "^/profiles/[^/]+$"}]}));
    assert_eq!(
        key(&by_path, folded).as_deref(),
        Some("users/profiles/7"),
        "the path in the spelling that matched"
    );
    let as_it_stands = Bench::new(json!({"routes": [{"method": "PUT", "matcher": "^/profiles/"}]}));
    assert_eq!(
        key(&as_it_stands, folded).as_deref(),
        Some("users/profiles/7/"),
        "folded only where it must be"
    );
}

#[test]
fn the_raw_target_is_asked_by_request_uri_alone() {
    let escaped = |forward: &mut Forward<'_>| forward.uri = "/v1/%70rofiles/7";
    let found = |match_on: &str| key(&anchored(match_on, "^/v1/(%70)"), escaped);
    assert_eq!(found("request_uri").as_deref(), Some("%70"));
    assert_eq!((found("service_path"), found("request_path")), (None, None));
}

#[test]
fn a_matcher_may_ignore_case() {
    let upper = |forward: &mut Forward<'_>| {
        (forward.request_path, forward.service_path) = ("/v1/PROFILES/A7", "/PROFILES/A7");
    };
    assert_eq!(key(&anchored("service_path", "^/profiles/([^/]+)$"), upper), None);
    assert_eq!(key(&anchored("service_path", "(?i)^/profiles/([^/]+)$"), upper).as_deref(), Some("A7"));
    // One entry alone, beside others that mind it.
    let routes = json!([{"method": "PUT", "matcher": "(?i)^/profiles/a7$"}, {"method": "PUT", "matcher": "^/orders/"}]);
    let both = Bench::new(json!({"routes": routes}));
    assert!(key(&both, upper).is_some());
    assert_eq!(key(&both, |forward| forward.service_path = "/ORDERS/1"), None);
}

#[test]
fn a_query_that_is_cut_is_said_to_be_wherever_it_was() {
    let long = &*format!("/v1/profiles/7?x=1&y={}", "v".repeat(event::facts::MAX_QUERY)).leak();
    let said = |change: fn(&mut Forward<'_>, &'static str), uri: &'static str| -> Value {
        let bench = Bench::new(json!({}));
        let mut watch = bench.watch_of(&HeaderMap::new(), |forward| change(forward, uri)).unwrap();
        block_on(watch.intend(&mut pipeline::Joint::alone()).unwrap()).unwrap();
        drop(watch);
        let event = bench.events().pop().unwrap();
        let exchange = event.body.exchange().unwrap();
        serde_json::to_value(exchange.request().unwrap()).unwrap()["query_truncated"].clone()
    };
    let of_client = |forward: &mut Forward<'_>, uri: &'static str| forward.uri = uri;
    let of_upstream = |forward: &mut Forward<'_>, uri: &'static str| forward.upstream_uri = uri;
    assert_eq!((said(of_client, long), said(of_upstream, long)), (json!(true), json!(true)));
    assert_eq!(said(of_client, "/v1/profiles/7?x=1"), json!(null), "what is whole does not say so");
}
