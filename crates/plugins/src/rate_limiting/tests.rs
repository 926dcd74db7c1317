//! Who is let through, and what clients are told.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::Timestamp;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use pipeline::context::{Consumer, Credential};
use pipeline::observe::Source;
use pipeline::{AnswerHead, Context, Deciding, Plugin, PluginKind, RequestBody, RequestHead, Verdict};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Kind, config};
use crate::tests::{context, stopped};

/// The first second of a minute, an hour and a day.
const MIDNIGHT: u64 = 1_700_006_400;

fn plugin(config: &Value) -> Plugin {
    Kind.build(config, &stopped()).unwrap_or_else(|problem| panic!("{problem}"))
}

fn at(second: u64) -> Context {
    Context { started_at: Timestamp::from_millis(second * 1_000 + 400), ..context() }
}

fn request(target: &str, headers: &[(&'static str, &'static str)]) -> RequestHead {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_static(value));
    }
    RequestHead { method: Method::GET, uri: target.parse().unwrap(), headers: map, body: RequestBody::Unread }
}

/// The refusal, or 200 for a request that is let through, with what the client is told in the end.
fn ask(plugin: &Plugin, mut request: RequestHead, context: &mut Context) -> Response<bytes::Bytes> {
    let access = plugin.access.as_ref().expect("it looks at requests");
    let Deciding::Now(verdict) = access.access(&mut request, context) else { panic!("it decides at once") };
    let mut answer = match verdict {
        Verdict::Continue => Response::default(),
        Verdict::Respond(answer) => answer,
        Verdict::NeedsBody => panic!("it looks at no body"),
    };
    if let Some(respond) = &plugin.respond {
        let mut status = answer.status();
        let mut head =
            AnswerHead { status: &mut status, headers: answer.headers_mut(), source: Source::Plugin };
        assert!(respond.respond(&mut head, context).is_none());
    }
    answer
}

fn told(answer: &Response<bytes::Bytes>) -> Vec<String> {
    let ours = answer
        .headers()
        .iter()
        .filter(|(name, _)| name.as_str().contains("ratelimit") || *name == "retry-after");
    let mut lines: Vec<_> =
        ours.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    lines.sort();
    lines
}

#[test]
fn clients_are_told_what_is_left_and_when_there_is_more() {
    let plugin = plugin(&json!({ "second": 1, "minute": 3, "policy": "local" }));
    let answer = ask(&plugin, request("/", &[]), &mut at(MIDNIGHT + 10));
    assert_eq!(
        told(&answer),
        [
            "ratelimit-limit: 1",
            "ratelimit-remaining: 0",
            "ratelimit-reset: 1",
            "x-ratelimit-limit-minute: 3",
            "x-ratelimit-limit-second: 1",
            "x-ratelimit-remaining-minute: 2",
            "x-ratelimit-remaining-second: 0",
        ]
    );
    let answer = ask(&plugin, request("/", &[]), &mut at(MIDNIGHT + 10));
    assert_eq!(answer.status(), 429);
    assert_eq!(
        told(&answer),
        [
            "ratelimit-limit: 1",
            "ratelimit-remaining: 0",
            "ratelimit-reset: 1",
            "retry-after: 1",
            "x-ratelimit-limit-minute: 3",
            "x-ratelimit-limit-second: 1",
            "x-ratelimit-remaining-minute: 2",
            "x-ratelimit-remaining-second: 0",
        ]
    );
    for second in [11, 12] {
        assert_eq!(ask(&plugin, request("/", &[]), &mut at(MIDNIGHT + second)).status(), 200);
    }
    let answer = ask(&plugin, request("/", &[]), &mut at(MIDNIGHT + 15));
    // Nothing is left of the minute; it has 45 s more.
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::TOO_MANY_REQUESTS, &"45".parse().unwrap())
    );
    assert_eq!(answer.headers()["ratelimit-limit"], "3");
    assert_eq!(ask(&plugin, request("/", &[]), &mut at(MIDNIGHT + 60)).status(), 200);
}

#[test]
fn of_periods_that_are_used_up_alike_the_longer_one_is_told() {
    let plugin = plugin(&json!({ "minute": 2, "hour": 2 }));
    let answer = ask(&plugin, request("/", &[]), &mut at(MIDNIGHT + 60));
    assert_eq!(
        (&answer.headers()["ratelimit-limit"], &answer.headers()["ratelimit-reset"]),
        (&HeaderValue::from(2), &HeaderValue::from(3_540))
    );
}

#[test]
fn a_refusal_says_what_the_settings_say() {
    let plugin = plugin(
        &json!({ "minute": 1, "hide_client_headers": true, "error_code": 503, "error_message": "slow \"down\"" }),
    );
    assert!(told(&ask(&plugin, request("/", &[]), &mut at(MIDNIGHT))).is_empty());
    let answer = ask(&plugin, request("/", &[]), &mut at(MIDNIGHT));
    assert_eq!((answer.status().as_u16(), told(&answer)), (503, vec![]));
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["message"], "slow \"down\"");
    let usual = plugin_of(json!({ "minute": 1 }));
    ask(&usual, request("/", &[]), &mut at(MIDNIGHT));
    let answer = ask(&usual, request("/", &[]), &mut at(MIDNIGHT));
    let id = at(MIDNIGHT).id;
    let mut digits = [0; 32];
    assert_eq!(
        answer.body(),
        &format!(
            "{{\n  \"message\":\"API rate limit exceeded\",\n  \"request_id\":\"{}\"\n}}",
            id.write_simple(&mut digits)
        )
    );
}

fn plugin_of(config: Value) -> Plugin {
    plugin(&config)
}

/// How many of these requests are let through, one after the other, when one of a kind is.
fn let_through(config: Value, asked: &[(RequestHead, Context)]) -> Vec<bool> {
    let plugin = plugin(&config);
    let one = |(request, context): &(RequestHead, Context)| {
        let request = RequestHead {
            method: Method::GET,
            uri: request.uri.clone(),
            headers: request.headers.clone(),
            body: RequestBody::Unread,
        };
        let mut copy = at(MIDNIGHT);
        (copy.client, copy.consumer, copy.credential) =
            (context.client, context.consumer.clone(), context.credential.clone());
        ask(&plugin, request, &mut copy).status() == 200
    };
    asked.iter().map(one).collect()
}

#[test]
fn requests_count_together_by_what_the_settings_say() {
    let from =
        |address: &str, consumer: u128, credential: u128, target: &str, tenant: Option<&'static str>| {
            let mut context = at(MIDNIGHT);
            context.client = address.parse::<IpAddr>().unwrap();
            let id = Uuid::from_u128;
            context.consumer = (consumer > 0)
                .then(|| Arc::new(Consumer { id: id(consumer), username: None, custom_id: None }));
            context.credential =
                (credential > 0).then(|| Arc::new(Credential { id: id(credential), identifier: None }));
            let headers: Vec<_> = tenant.map(|tenant| ("x-tenant", tenant)).into_iter().collect();
            (request(target, &headers), context)
        };
    let asked = [
        from("10.0.0.1", 1, 11, "/a", Some("x")),
        from("10.0.0.2", 1, 12, "/%61", Some("x")),
        from("10.0.0.2", 0, 12, "/b", Some("y")),
        from("10.0.0.1", 0, 0, "/b", None),
        from("10.0.0.1", 0, 0, "/a//", None),
    ];
    let (yes, no) = (true, false);
    for (options, expected) in [
        (json!({ "limit_by": "consumer" }), [yes, no, yes, yes, no]),
        (json!({ "limit_by": "credential" }), [yes, yes, no, yes, no]),
        (json!({ "limit_by": "ip" }), [yes, yes, no, no, no]),
        (json!({ "limit_by": "service" }), [yes, no, no, no, no]),
        (json!({ "limit_by": "header", "header_name": "X-Tenant" }), [yes, no, yes, yes, no]),
        (json!({ "limit_by": "path", "path": "/a" }), [yes, no, yes, yes, no]),
    ] {
        let mut config = options.clone();
        config["minute"] = json!(1);
        assert_eq!(let_through(config, &asked), expected, "{options}");
    }
}

#[test]
fn no_spelling_of_a_path_begins_a_new_count() {
    let plugin = plugin_of(json!({ "minute": 2, "limit_by": "path", "path": "/a/bc/" }));
    // Each from an address of its own: what is not taken for the path is counted by that.
    let mut address = 0;
    let mut status = |target: &str| {
        address += 1;
        let mut context = Context { client: IpAddr::from([10, 0, 0, address]), ..at(MIDNIGHT) };
        ask(&plugin, request(target, &[]), &mut context).status().as_u16()
    };
    assert_eq!([status("/a/bc"), status("/a/%62c")], [200; 2]);
    for target in ["/a/bc", "/a%2Fbc", "/a/bc;v=1?x", "/x/..%2fa/bc", "//a/./bc/", "/a/%2562c", "/a%5Cbc"] {
        assert_eq!(status(target), 429, "{target}");
    }
    assert_eq!([status("/a/bcd"), status("/a/b/c"), status("/a/BC")], [200; 3]);
}

/// A client has as many addresses of a /64 as it likes.
#[test]
fn of_ipv6_the_network_is_counted() {
    let plugin = plugin_of(json!({ "minute": 1, "limit_by": "ip" }));
    let status = |address: &str| {
        let mut context = Context { client: address.parse().unwrap(), ..at(MIDNIGHT) };
        ask(&plugin, request("/", &[]), &mut context).status().as_u16()
    };
    assert_eq!([status("2001:db8:1:2::1"), status("2001:db8:1:2:ffff::9")], [200, 429]);
    assert_eq!([status("2001:db8:1:3::1"), status("10.0.0.1"), status("10.0.0.2")], [200; 3]);
}

/// A body may have been waited for since the request began.
#[test]
fn a_request_counts_in_the_window_of_the_moment_of_judging() {
    let plugin = plugin_of(json!({ "minute": 1 }));
    let status = |context: &mut Context| ask(&plugin, request("/", &[]), context).status().as_u16();
    let started = Instant::now().checked_sub(Duration::from_secs(61)).expect("the machine runs for longer");
    let mut waited = Context { started, ..at(MIDNIGHT + 59) };
    assert_eq!(status(&mut waited), 200);
    assert_eq!(status(&mut at(MIDNIGHT + 121)), 429, "it is of this minute");
    assert_eq!(status(&mut Context { started, ..at(MIDNIGHT + 59) }), 429, "and begins none anew");
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let said = |config: Value| -> Vec<String> {
        let problems = config::read(&config).err().unwrap_or_default();
        problems.into_iter().map(|problem| format!("{}: {}", problem.pointer, problem.message)).collect()
    };
    assert_eq!(
        said(json!({ "minute": 2, "hour": 1 })),
        ["/hour: The limit for hour(1.0) cannot be lower than the limit for minute(2.0)"]
    );
    assert_eq!(
        said(json!({})),
        [
            ": at least one of these fields must be non-empty: 'second', 'minute', 'hour', 'day', 'month', 'year'"
        ]
    );
    assert_eq!(
        said(json!({ "second": 0, "limit_by": "header", "path": "a", "error_code": 99 })),
        [
            "/second: value must be greater than 0",
            ": required field missing: `header_name`",
            "/path: should start with: /",
            "/error_code: not a status that a refusal can have",
        ]
    );
    assert_eq!(said(json!({ "second": 1, "limit_by": "path" })), [": required field missing: `path`"]);
    assert!(said(json!({ "second": 1, "policy": "redis" }))[0].starts_with("/policy: unknown variant"));
    let by_header = |name: &str| json!({ "second": 1, "limit_by": "header", "header_name": name });
    for name in ["X-Forwarded-For", "via", "Host", "content-length", "Connection", "x-consumer-username"] {
        let said = said(by_header(name));
        let name = name.to_ascii_lowercase();
        let message = "the gateway removes or writes this header itself";
        assert_eq!(said, [format!("/header_name: cannot count by `{name}`: {message}")]);
    }
    assert_eq!(said(by_header("X-Tenant")), Vec::<String>::new());
    // As decK writes it out.
    let exported = json!({ "day": null, "error_code": 429, "error_message": "API rate limit exceeded", "fault_tolerant": true,
        "header_name": null, "hide_client_headers": false, "hour": null, "limit_by": "consumer", "minute": 5, "month": null,
        "path": null, "policy": "local", "redis": { "database": 0, "host": null, "password": null, "port": 6379, "server_name": null,
        "ssl": false, "ssl_verify": false, "timeout": 2000, "username": null }, "redis_database": 0, "redis_host": null,
        "redis_password": null, "redis_port": 6379, "redis_server_name": null, "redis_ssl": false, "redis_ssl_verify": false,
        "redis_timeout": 2000, "redis_username": null, "second": null, "sync_rate": -1, "year": null });
    assert_eq!(said(exported), Vec::<String>::new());
}
