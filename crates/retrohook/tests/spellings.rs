//! Which spelling of a path and of a query reaches the service: a table, against an origin that keeps the raw target.

use testkit::client::{self, Client};
use testkit::process::{Process, Setup};
use testkit::upstream::Upstream;

const RETROHOOK: &str = env!("CARGO_BIN_EXE_retrohook");

struct Scene {
    upstream: Upstream,
    gateway: Process,
    /// Has its data.
    _setup: Setup,
}

impl Scene {
    fn start(flags: &[&str]) -> Self {
        let upstream = Upstream::start();
        let config = format!(
            r#"_format_version: "3.0"
services:
- name: plain
  url: http://{address}
  routes:
  - {{ name: store, hosts: [store.example] }}
  - {{ name: all, paths: [/], strip_path: false }}
  - {{ name: profiles, paths: [/profiles], strip_path: false }}
  - {{ name: api, paths: [/api], strip_path: true }}
  - {{ name: admin, paths: [/api/admin], strip_path: true }}
  - {{ name: slashed, paths: [/slashed/], strip_path: true }}
  - {{ name: texts, paths: [/texts, /texts/slashed/], path_handling: v1 }}
  - {{ name: items, paths: ["~/items/[0-9]+$"], strip_path: false }}
  - {{ name: kong, paths: [/kong], path_forwarding: normalised }}
  plugins:
  - {{ name: publish-sns, config: {{ topic_arn: changes, routes: [{{ method: PUT, matcher: "^/docs/[^/]+$" }}] }} }}
- name: based
  url: http://{address}/base
  routes:
  - {{ name: based, paths: [/based] }}
  - {{ name: mounted, hosts: [mounted.example], strip_path: false }}
topics:
- name: changes
"#,
            address = upstream.address()
        );
        let mut setup = Setup::new(RETROHOOK, config);
        setup.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        Self { upstream, gateway: setup.start(), _setup: setup }
    }

    #[track_caller]
    fn send(&self, method: &str, host: &str, target: &str) -> u16 {
        let answer = client::send(self.gateway.proxy(), method, target, &[("host", host)], b"");
        answer.unwrap_or_else(|error| panic!("{target}: {error}")).status
    }

    /// What the service is asked for when a client asks for this.
    #[track_caller]
    fn forwarded(&self, host: &str, target: &str) -> String {
        let before = self.upstream.executed().len();
        assert_eq!(self.send("GET", host, target), 200, "{host} {target}");
        let mut executed = self.upstream.executed();
        assert_eq!(executed.len(), before + 1, "{host} {target}");
        executed.pop().expect("one").target
    }
}

/// Targets that the service is asked for byte by byte, where one route has all of a host.
const AS_THEY_ARE: &[&str] = &[
    "/",
    "//",
    "///",
    "/./",
    "/.",
    "/..",
    "/../",
    "/a/.",
    "/a/..",
    "/bucket/x//y",
    "/bucket/./dot/../z",
    "/bucket//",
    "//bucket/x",
    "//other.example/x",
    "/anything/https://e.com/x",
    "/@scope%2fname",
    "/@scope%2Fname",
    "/a%5cb",
    "/a%5C..%2fb",
    "/a\\b",
    "/a/..;/b",
    "/a%zz",
    "/100%",
    "/%7euser/%41%2d%5f",
    "/%2e%2e/x",
    "/x/%2E%2e/y/%2e/z",
    "/a%20b/%c3%a9",
    "/caf\u{e9}",
    "/a{b}|c^d\"e",
    "/a;b=c/d",
    "/a?",
    "/a?b=//x/../y&c=%zz&d=%2f%41&e",
    "/a//b?c=a//b",
    "/a?b='[x]|{y}^`\\",
    "/a?b?c",
    "/a/b?x=caf\u{e9}",
];

#[test]
fn the_clients_own_bytes_reach_the_service() {
    let scene = Scene::start(&[]);
    for target in AS_THEY_ARE {
        assert_eq!(scene.forwarded("store.example", target), *target);
        let absolute = format!("http://store.example{target}");
        assert_eq!(scene.forwarded("store.example", &absolute), *target, "{absolute}");
    }
    assert_eq!(scene.forwarded("store.example", "http://store.example"), "/");
    assert_eq!(scene.forwarded("store.example", "http://store.example?a//b"), "/?a//b");
    assert_eq!(scene.forwarded("store.example", "/a//b?c#d"), "/a//b?c", "a fragment is never sent");
}

/// Queries that nginx takes and the `http` crate does not.
const ODD: &[&str] = &[
    "/a?b=\"c\"",
    "/a?<script>alert(\"1\")</script>",
    "/a?b=<&c=%3C&d=!&e=>&f=`'",
    "/x//y?<?\"",
    "/?>",
    "/a?b=<caf\u{e9}>",
];

#[test]
fn odd_characters_of_a_query_reach_the_service_and_are_escaped_in_events() {
    let scene = Scene::start(&[]);
    for target in ODD {
        assert_eq!(scene.forwarded("store.example", target), *target);
        let absolute = format!("http://store.example{target}");
        assert_eq!(scene.forwarded("store.example", &absolute), *target, "{absolute}");
        let prefixed = format!("/api{target}");
        assert_eq!(scene.forwarded("other.example", &prefixed), *target, "{prefixed}");
    }
    assert_eq!(scene.forwarded("store.example", "http://store.example?<"), "/?<");
    assert_eq!(scene.send("GET", "store.example", "/a<?b"), 400, "in a path they are refused");
    assert_eq!(scene.send("PUT", "store.example", "/docs/42?a=\"<b>\"&c=%22"), 200);
    let event = scene.gateway.admin().wait_for_events(1).pop().expect("one");
    assert_eq!(event["request"]["uri"], "/docs/42?a=%22%3Cb%3E%22&c=%22");
}

#[test]
fn odd_characters_are_found_on_a_connection_whatever_came_before() {
    let scene = Scene::start(&[]);
    let mut client = Client::connect(scene.gateway.proxy()).expect("the proxy accepts");
    let body = "GET /?<\" HTTP/1.1\r\nhost: x\r\n\r\n".repeat(4_000);
    let head = |line: &str| format!("{line} HTTP/1.1\r\nhost: store.example\r\n");
    for turn in 0..3 {
        for request in [
            format!("{}\r\n", head("GET /a?b=<")),
            format!("{}content-length: {}\r\n\r\n{body}", head("POST /b?c=\""), body.len()),
            format!("{}content-length: 3\r\n\r\n?<>", head("POST /b?c=>")),
            format!(
                "{}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                head("POST /d?e=<\""),
                body.len()
            ),
            format!("{}\r\n", head("GET /f?g")),
        ] {
            client.write(request.as_bytes()).expect("the proxy reads");
            let answer = client.answer().expect("an answer");
            assert_eq!(answer.status, 200, "{turn}: {}", &request[..40]);
            let executed = scene.upstream.executed().pop().expect("a request");
            let target = request.split(' ').nth(1).expect("a target");
            assert_eq!(executed.target, target);
            let whole = request.contains("GET /?<\"");
            assert_eq!(
                executed.body.len(),
                if whole {
                    body.len()
                } else if target == "/b?c=>" {
                    3
                } else {
                    0
                }
            );
            assert!(!whole || executed.body == body.as_bytes(), "{turn}: a body is never changed");
        }
    }
}

/// Targets, and what the service is asked for, where several routes lead to it.
const AMONG_ROUTES: &[(&str, &str)] = &[
    // Every reading is on the route of the normal form.
    ("/x//y", "/x//y"),
    ("/x/./y/../z", "/x/./y/../z"),
    ("/profiles//42", "/profiles//42"),
    ("/profiles/./42", "/profiles/./42"),
    ("/profiles/x/../42", "/profiles/x/../42"),
    ("/profiles/%34%32", "/profiles/%34%32"),
    ("/profiles/a%2fb", "/profiles/a%2fb"),
    // To one server this is `/42`, to another one `/profiles/42`.
    ("/profiles//../42", "/42"),
    ("/profiles/..//42", "/42"),
    ("/x/../profiles/42", "/profiles/42"),
    ("/x//../../profiles/42", "/profiles/42"),
    ("/./profiles/42", "/profiles/42"),
    ("//profiles/42", "/profiles/42"),
    // To who takes it for a URL, what follows the slashes is a host.
    ("//x/profiles/42", "/x/profiles/42"),
    ("///x/profiles/42", "/x/profiles/42"),
    ("//x/y", "//x/y"),
    // To who decodes nothing, this is on another route.
    ("/%70rofiles/42", "/profiles/42"),
    ("/items/%31", "/items/1"),
    // Some services decode four digits, to a slash, too.
    ("/x/..%u002fprofiles/42", "/x/..%25u002fprofiles/42"),
    ("/x/%u00", "/x/%u00"),
    // A prefix is cut off as it is spelt, and never away from dots.
    ("/api/x//y", "/x//y"),
    ("/api/%41%2f", "/%41%2f"),
    ("/api//x", "//x"),
    ("/api//x/y", "//x/y"),
    ("/api//x/admin/y", "/x/admin/y"),
    ("/%61pi/x//y", "/x/y"),
    ("/api/a/../b//c", "/b/c"),
    ("/api/a/%2e/b//c", "/a/b/c"),
    ("/api/a%2f.%2fb//c", "/a%2F.%2Fb/c"),
    ("/apix//y", "/x/y"),
    ("/slashed/x//y", "/x//y"),
    ("/slashed//x", "//x"),
    ("/texts/x//y", "/x//y"),
    ("/texts/slashed/x//y", "/x/y"),
    // Dots could lead out of the service's own path.
    ("/based/x//y", "/base/x//y"),
    ("/based/x/../y//z", "/base/y/z"),
    // As Kong does it.
    ("/kong/x//%7ey/./z%2f?a=//%7e", "/x/~y/z%2F?a=//%7e"),
];

#[test]
fn the_service_gets_the_normal_form_where_a_spelling_could_mean_another_route() {
    let scene = Scene::start(&[]);
    for (target, expected) in AMONG_ROUTES {
        assert_eq!(scene.forwarded("other.example", target), *expected, "{target}");
    }
    for (target, expected) in
        [("/x//%7ey", "/base/x//%7ey"), ("/x/../y//z", "/base/y/z"), ("/../x", "/base/x"), ("//", "/base//")]
    {
        assert_eq!(scene.forwarded("mounted.example", target), expected, "{target}");
    }
}

#[test]
fn a_long_path_is_forwarded_as_it_is_spelt_up_to_a_limit() {
    let scene = Scene::start(&[]);
    let long = |length: usize| format!("/a//{}", "b".repeat(length - 4));
    assert_eq!(scene.forwarded("store.example", &long(8_192)), long(8_192));
    assert_eq!(scene.forwarded("store.example", &long(8_193)), long(8_193).replace("//", "/"));
}

#[test]
fn a_node_may_refuse_spellings_that_could_mean_another_route() {
    let scene = Scene::start(&["--ambiguous-paths=refuse"]);
    for target in
        ["/profiles//../42", "/x/../profiles/42", "//profiles/42", "//x/profiles/42", "/%70rofiles/42"]
    {
        assert_eq!(scene.send("GET", "other.example", target), 400, "{target}");
    }
    assert_eq!(scene.upstream.executed().len(), 0);
    for target in ["/x//y", "/profiles/./42", "/profiles/%34%32"] {
        assert_eq!(scene.forwarded("other.example", target), target);
    }
    assert_eq!(scene.forwarded("other.example", "/kong/x/../y"), "/y", "its normal form has one reading");
}

#[test]
fn a_rule_that_any_reading_finds_makes_the_event() {
    let scene = Scene::start(&[]);
    let key = "plain/docs/42";
    for (host, target) in [
        ("store.example", "/docs/42"),
        ("store.example", "/docs//42"),
        ("store.example", "/%64ocs/./42"),
        // The normal form is `/42`, and the service is asked for what the client spelt.
        ("store.example", "/docs//../42"),
        ("store.example", "/docs/x%2f..//42"),
        // What follows a host.
        ("store.example", "//x/docs/42"),
        ("other.example", "/api//x/docs/42"),
    ] {
        let before = scene.gateway.admin().events().len();
        assert_eq!(scene.send("PUT", host, target), 200, "{target}");
        let events = scene.gateway.admin().wait_for_events(before + 1);
        let event = events.last().expect("one");
        assert_eq!((&event["key"], &event["request"]["uri"]), (&key.into(), &target.into()), "{target}");
    }
    let last = scene.upstream.executed().pop().expect("a request").target;
    assert_eq!(last, "//x/docs/42", "the service is asked for the client's spelling");
}
