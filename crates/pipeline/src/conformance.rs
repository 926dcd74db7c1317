//! What every kind of plug-in must keep, whatever it does: the suite that each of them passes.
//!
//! A kind says what it is and keeps to it; it refuses what is not its configuration, without a panic; what it builds plays the roles that it
//! named, over any exchange, however odd, and leaves an exchange alone that is none of its business.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Polling, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use event::facts::Latencies;
use event::{EventId, Fate, Timestamp, UnknownReason};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::{Access, Deciding, RequestBody, RequestHead, Verdict};
use crate::context::{Carried, Context, Inbound, PluginData, RouteFacts, RouteRef, Routes, Scheme};
use crate::observe::{End, Observed, Source, Took};
use crate::record::{Answer, EventIds, Forward, Hold, Joint, Reading, Turn, Watch};
use crate::respond::AnswerHead;
use crate::{BuildContext, CheckContext, Plugin, PluginKind, Roles};

/// How often something is asked for, a millisecond apart, before it is taken to hang.
const MOST_POLLS: usize = 20_000;

/// Runs all of it. `example` is a `config` of the kind's own example; `started` is now, the beginning of every exchange of the suite.
///
/// # Panics
/// If the kind breaks a promise: with the promise.
pub fn check(
    kind: &dyn PluginKind,
    example: &Value,
    check: &CheckContext<'_>,
    build: &BuildContext,
    started: Instant,
) {
    let name = kind.name();
    says_what_it_is(kind);
    assert_eq!(kind.check(example, check), [], "{name}: its example passes its check");
    refuses_what_is_not_its_configuration(kind, example, check, build);
    let plugin = kind.build(example, build).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    plays_its_roles(name, kind.roles(), plugin.roles());
    for exchange in exchanges() {
        exchange.passes(name, &plugin, started);
    }
}

fn says_what_it_is(kind: &dyn PluginKind) {
    let name = kind.name();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    assert!(!name.is_empty() && name.bytes().all(fits), "{name}: small letters, digits and hyphens");
    assert_eq!(kind.schema().get("type"), Some(&json!("object")), "{name}: its schema is of an object");
    assert!(kind.example().contains(name), "{name}: its example has one");
    assert_ne!(kind.roles(), Roles::default(), "{name}: it plays a role");
}

/// Whatever is in a file: `check` says what is wrong and `build` refuses it. Neither panics.
fn refuses_what_is_not_its_configuration(
    kind: &dyn PluginKind,
    example: &Value,
    check: &CheckContext<'_>,
    build: &BuildContext,
) {
    let name = kind.name();
    let mut wrong = vec![json!(null), json!([]), json!("text"), json!(7), json!({ "no_such_option": 1 })];
    for (key, _) in example.as_object().into_iter().flatten() {
        for value in [json!(null), json!({ "a": [] }), json!(-1), json!("\u{0}"), json!([[]])] {
            let mut changed = example.clone();
            changed[key] = value;
            wrong.push(changed);
        }
    }
    for config in wrong {
        let found = catch_unwind(AssertUnwindSafe(|| kind.check(&config, check)));
        let found = found.unwrap_or_else(|_| panic!("{name}: its check panics at {config}"));
        let built = catch_unwind(AssertUnwindSafe(|| kind.build(&config, build)));
        let built = built.unwrap_or_else(|_| panic!("{name}: it panics when it is built from {config}"));
        assert!(built.is_err() || found.is_empty(), "{name}: it is built from what it refuses: {config}");
        for problem in found {
            let told = !problem.message.is_empty() && !problem.hint.is_empty();
            assert!(told, "{name}: {problem:?} of {config} says what is wrong and what to do");
            assert!(problem.pointer.is_empty() || problem.pointer.starts_with('/'), "{name}: {problem:?}");
        }
    }
}

fn plays_its_roles(name: &str, may: Roles, plays: Roles) {
    assert_ne!(plays, Roles::default(), "{name}: what it builds does something");
    for (role, may, plays) in [
        ("access", may.access, plays.access),
        ("respond", may.respond, plays.respond),
        ("observe", may.observe, plays.observe),
        ("record", may.record, plays.record),
    ] {
        assert!(may || !plays, "{name}: it plays {role}, which its kind does not name");
    }
}

/// An exchange for the suite.
struct Exchange {
    method: Method,
    uri: Uri,
    path: String,
    headers: HeaderMap,
    status: StatusCode,
}

/// Those that a gateway may have: plain ones, and what only just passes as a request.
fn exchanges() -> Vec<Exchange> {
    let long = format!("/{}", "a".repeat(60_000));
    let paths = ["/", "/profiles/7", "/%00%ff/..;/%2e%2e/", "//\\\\/", "/\u{e9}?%zz=%&&=;a=b?#", &long];
    let headers = [HeaderMap::new(), odd_headers()];
    let mut all = Vec::new();
    for method in ["GET", "PUT", "POST", "HEAD", "OPTIONS", "M-SEARCH", "_"] {
        for path in paths {
            // What cannot be a target never gets here.
            let Ok(uri) = path.parse::<Uri>() else { continue };
            for (headers, status) in headers.iter().zip([200, 599]) {
                all.push(Exchange {
                    method: method.parse().expect("a method"),
                    path: uri.path().to_owned(),
                    uri: uri.clone(),
                    headers: headers.clone(),
                    status: StatusCode::from_u16(status).expect("a status"),
                });
            }
        }
    }
    all
}

/// Values that no text is, repeats, and a lot of both.
fn odd_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let binary = HeaderValue::from_bytes(b"\xff\x80\xfe").expect("a value");
    for name in ["host", "authorization", "cookie", "content-type", "x-http-method-override", "apikey"] {
        headers.append(http::HeaderName::from_static(name), binary.clone());
        headers.append(http::HeaderName::from_static(name), HeaderValue::from_static(""));
    }
    for _ in 0..100 {
        headers.append("x-many", HeaderValue::from_static("1"));
    }
    headers
}

/// The only route that there is.
struct TheRoute(RouteFacts);

impl Routes for TheRoute {
    fn facts(&self, _: usize) -> &RouteFacts {
        &self.0
    }
}

fn context(started: Instant) -> Context {
    let facts =
        RouteFacts { service: "service".into(), route: "route".into(), api: RawValue::NULL.to_owned() };
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Context {
        id: EventId::from_bytes([7; 16]),
        started_at: Timestamp::from_millis(1_700_000_000_000),
        started,
        inbound: Inbound {
            scheme: Scheme::Https,
            version: Version::HTTP_10,
            peer: at(40_000),
            local: at(8443),
        },
        client: at(0).ip(),
        accept: None,
        route: Some(RouteRef::new(Rc::new(TheRoute(facts)), 0)),
        consumer: None,
        credential: None,
        carried: Carried::default(),
        data: PluginData::default(),
    }
}

impl Exchange {
    fn passes(&self, name: &str, plugin: &Plugin, started: Instant) {
        let passed = catch_unwind(AssertUnwindSafe(|| {
            let mut context = context(started);
            self.access(plugin, &mut context);
            self.record(plugin, &context, &[]);
            self.record(plugin, &context, &[Fate::NotSent]);
            self.record(plugin, &context, &[Fate::Answered { status: self.status.as_u16() }; 2]);
            self.record(plugin, &context, &[Fate::Unanswered(UnknownReason::UpstreamTimeout)]);
            self.respond(plugin, &mut context);
            self.observe(plugin, &context);
        }));
        assert!(passed.is_ok(), "{name}: it panics over {} {}", self.method, self.uri);
    }

    fn access(&self, plugin: &Plugin, context: &mut Context) {
        let Some(role) = &plugin.access else { return };
        let (method, uri) = (self.method.clone(), self.uri.clone());
        let bodies = [&b""[..], b"{\"apikey\":[\xff", b"--x\r\n\r\n--x--", b"apikey=%zz&apikey"];
        let bodies = bodies.map(|body| RequestBody::Whole(Bytes::from_static(body)));
        let body = bodies.get(self.path.len() % (bodies.len() + 1)).unwrap_or(&RequestBody::TooLong);
        let headers = self.headers.clone();
        let mut request = RequestHead { method, uri, headers, body: RequestBody::Unread };
        let mut verdict = judge(&**role, &mut request, context);
        if matches!(verdict, Verdict::NeedsBody) {
            let is_as_before = request.headers == self.headers && request.uri == self.uri;
            assert!(is_as_before && context.consumer.is_none(), "it has changed nothing yet");
            request.body = body.clone();
            verdict = judge(&**role, &mut request, context);
        }
        match verdict {
            Verdict::Continue => {}
            Verdict::Respond(answer) => {
                assert!(!answer.status().is_informational(), "an answer ends the exchange");
            }
            Verdict::NeedsBody => panic!("it has the body, and asks for it"),
        }
    }

    /// The protocol from the first to the last word, with these settlements; without one the watch is dropped.
    fn record(&self, plugin: &Plugin, context: &Context, fates: &[Fate]) {
        let Some(role) = &plugin.record else { return };
        let route = context.route.as_ref().expect("there is one").facts();
        let other = Reading { request_path: "/other", service_path: "/other" };
        let forward = |turn| Forward {
            context,
            route,
            ids: EventIds::new(context.id, Uuid::from_u128(1), turn),
            client_ip: "127.0.0.1",
            method: &self.method,
            host: "example.com",
            uri: self.uri.path_and_query().map_or("/", |target| target.as_str()),
            request_path: &self.path,
            service_path: &self.path,
            others: std::slice::from_ref(&other),
            as_spelt: std::slice::from_ref(&other),
            upstream_uri: &self.path,
            upstream_host: "upstream",
            headers: &self.headers,
            head_size: 99,
        };
        let watches = [Turn::First, Turn::Further].map(|turn| role.watch(&forward(turn)));
        let mut watches: Vec<Box<dyn Watch>> = watches.into_iter().flatten().collect();
        let mut joint = if watches.len() > 1 { Joint::of_several() } else { Joint::alone() };
        let holds: Vec<Hold> = watches.iter_mut().filter_map(|watch| watch.intend(&mut joint)).collect();
        drop(joint);
        holds.into_iter().for_each(|hold| wait(hold).expect("the store of the suite keeps intents"));
        let answer = Answer {
            status: Some(self.status.as_u16()),
            headers: &self.headers,
            request_body_size: 2,
            size: 3,
            latencies: Latencies { kong: 0, proxy: -1, request: 1 },
            now: context.started_at,
        };
        for watch in &mut watches {
            watch.request_body(&Bytes::from_static(b"{\xff"));
            watch.response_body(&Bytes::from_static(b"\xff}"));
            for (time, fate) in fates.iter().enumerate() {
                let hold = watch.settle(*fate, &answer);
                assert!(time == 0 || hold.is_none(), "what is settled is settled");
                assert!(hold.is_none() || watch.may_hold(), "it says before that it may hold");
                hold.into_iter().for_each(|hold| wait(hold).expect("the store of the suite keeps outcomes"));
            }
        }
    }

    fn respond(&self, plugin: &Plugin, context: &mut Context) {
        let Some(role) = &plugin.respond else { return };
        for source in [Source::Upstream, Source::Plugin, Source::Gateway] {
            let (mut status, mut headers) = (self.status, self.headers.clone());
            let mut answer = AnswerHead { status: &mut status, headers: &mut headers, source };
            if let Some(mut transform) = role.respond(&mut answer, context) {
                for piece in [&b"\xff"[..], b"", b"{}"] {
                    transform.piece(Bytes::from_static(piece));
                }
                transform.end();
            }
            assert!(!status.is_informational(), "an answer ends the exchange");
        }
    }

    fn observe(&self, plugin: &Plugin, context: &Context) {
        let Some(role) = &plugin.observe else { return };
        let headers = role.wants_headers().then_some(&self.headers);
        let ends = [(End::Whole, Some(self.status)), (End::Cut, Some(self.status)), (End::ClientLeft, None)];
        for (end, status) in ends {
            role.observed(&Observed {
                context,
                method: &self.method,
                uri: &self.uri,
                request_headers: headers,
                response_headers: headers.filter(|_| status.is_some()),
                status,
                upstream_status: status,
                source: status.map(|_| Source::Upstream),
                end,
                request_size: 99,
                response_size: if status.is_some() { 99 } else { 0 },
                took: Took {
                    gateway: Duration::ZERO,
                    upstream: status.map(|_| Duration::ZERO),
                    total: Duration::from_secs(9),
                },
            });
        }
    }
}

fn judge(role: &dyn Access, request: &mut RequestHead, context: &mut Context) -> Verdict {
    match role.access(request, context) {
        Deciding::Now(verdict) => verdict,
        Deciding::Later(verdict) => wait(verdict),
    }
}

/// Waits in this thread; what never comes fails the suite.
fn wait<T>(mut future: Pin<Box<dyn Future<Output = T> + '_>>) -> T {
    for _ in 0..MOST_POLLS {
        let mut polling = Polling::from_waker(Waker::noop());
        if let Poll::Ready(done) = future.as_mut().poll(&mut polling) {
            return done;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    panic!("it does not say what it wants");
}
