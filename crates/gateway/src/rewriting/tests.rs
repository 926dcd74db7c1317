//! What becomes of references and cookies, in tables.

use super::*;

fn rewriting(prefix: &str) -> Rewriting {
    Rewriting {
        rewrites: Rewrites { location: true, cookies: true },
        scheme: "https",
        authority: "api.test:8443".into(),
        prefix: prefix.into(),
        kept_host: None,
    }
}

fn own(path: &str) -> Own<'_> {
    Own { scheme: "http", address: "backend:80", host: "backend", path }
}

#[test]
fn references_become_those_that_clients_ask_for() {
    for (prefix, base, reference, expected) in [
        // As nginx's proxy_redirect.
        ("/billing", "/", "http://backend/x?y#z", Some("https://api.test:8443/billing/x?y#z")),
        ("/billing", "/v1", "http://backend:80/v1/x", Some("https://api.test:8443/billing/x")),
        ("/billing", "/v1/", "http://BACKEND/v1", Some("https://api.test:8443/billing")),
        ("/billing/", "/", "//backend", Some("//api.test:8443/billing")),
        ("", "/", "http://backend?y", Some("https://api.test:8443/?y")),
        ("", "/", "https://user@backend/x", Some("https://api.test:8443/x")),
        // Below a prefix.
        ("/billing", "/", "/x", Some("/billing/x")),
        ("/billing", "/v1", "/v1?x=1", Some("/billing?x=1")),
        ("", "/v1", "/v1/x", Some("/x")),
        ("", "/v1", "/v1", Some("/")),
        ("", "/v1", "/v1?x", Some("/?x")),
        // In the client's terms already.
        ("/billing", "/", "/billing/x", None),
        ("/billing", "/", "http://backend/billing/x", Some("https://api.test:8443/billing/x")),
        ("", "/", "/x", None),
        // Not the service's own, or not under this route.
        ("/billing", "/v1", "/v2/x", None),
        ("/billing", "/v1", "http://backend/v1x", None),
        ("/billing", "/", "http://backend:81/x", None),
        ("/billing", "/", "http://elsewhere/x", None),
        ("/billing", "/", "ftp://backend/x", None),
        ("/billing", "/", "x", None),
        ("/billing", "/", "../x", None),
        ("/billing", "/", "", None),
        // What could lead elsewhere.
        ("", "/v1", "/v1//evil.test/x", None),
        ("", "/v1", "/v1/\\evil.test/x", None),
        ("", "/v1", "/v1/\t/evil.test/x", None),
        ("/billing", "/", "//evil.test/x", None),
        ("/billing", "/", "/x/..%2f../y", None),
        ("/billing", "/", "http://backend\\@evil.test/x", None),
    ] {
        let found = rewriting(prefix).references(Referring::Location, reference.as_bytes(), own(base));
        let found = found.map(|found| String::from_utf8(found).unwrap());
        assert_eq!(found.as_deref(), expected, "{prefix} {base}: {reference}");
    }
}

#[test]
fn each_reference_of_a_value_is_rewritten_and_the_rest_of_it_stays() {
    let value = b"</x>; rel=a, <http://e.test/>; title=\"</x>\",<http://backend/y>";
    let found = rewriting("/b").references(Referring::Link, value, own("/")).unwrap();
    let expected = "</b/x>; rel=a, <http://e.test/>; title=\"</x>\",<https://api.test:8443/b/y>";
    assert_eq!(String::from_utf8(found).unwrap(), expected);
    let found = rewriting("/b").references(Referring::Refresh, b"5; url='/x'", own("/")).unwrap();
    assert_eq!(String::from_utf8(found).unwrap(), "5; url='/b/x'");
}

#[test]
fn cookies_are_for_the_clients_path_and_host() {
    for (prefix, base, cookie, expected) in [
        ("/b", "/", "a=1; Path=/; HttpOnly", Some("a=1; Path=/b; HttpOnly")),
        ("/b", "/", "a=1;path=/x;Secure", Some("a=1; Path=/b/x;Secure")),
        ("/b", "/v1", "a=1; Path=/v1/", Some("a=1; Path=/b")),
        ("", "/v1", "a=1; Path=/v1", Some("a=1; Path=/")),
        ("/b", "/", "a=1; Domain=.Backend; Path=/b", Some("a=1; Path=/b")),
        ("/b", "/v1", "a=1; Path=/", None),
        ("/b", "/", "a=\"Path=/\"; Max-Age=1", None),
        ("/b", "/", "a=1; Domain=test", None),
        ("/b", "/", "__Host-a=1; Path=/; Secure", None),
        ("/b", "/", "a=1; Path=x; Path", None),
        ("/b;c", "/", "a=1; Path=/", None),
    ] {
        let found = rewriting(prefix).cookie(cookie.as_bytes(), own(base));
        let found = found.map(|found| String::from_utf8(found).unwrap());
        assert_eq!(found.as_deref(), expected, "{prefix} {base}: {cookie}");
    }
}

#[test]
fn only_what_a_route_asks_for_is_rewritten() {
    for (location, cookies) in [(true, false), (false, true), (true, true)] {
        let rewriting = Rewriting { rewrites: Rewrites { location, cookies }, ..rewriting("/b") };
        let mut headers = HeaderMap::new();
        headers.append(http::header::LOCATION, HeaderValue::from_static("/x"));
        for cookie in ["a=1; Path=/", "b=1; Path=/"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        rewriting.answer(&mut headers, own("/"));
        assert_eq!(headers["location"], if location { "/b/x" } else { "/x" });
        let cookies_now: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        let expected =
            if cookies { ["a=1; Path=/b", "b=1; Path=/b"] } else { ["a=1; Path=/", "b=1; Path=/"] };
        assert_eq!(cookies_now, expected);
    }
}
