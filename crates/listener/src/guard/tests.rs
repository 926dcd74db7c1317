//! The guard as a table: what browsers, SDKs and proxies send, and what becomes of it.

use super::*;

fn guard() -> Guard {
    Guard {
        hosts: Some(
            ["hooks.example.com", ".internal.example.org"].map(|text| text.parse().unwrap()).to_vec(),
        ),
        origins: vec!["https://admin.example.com".parse().unwrap()],
    }
}

/// The status with which a request of these headers (`name: value`) is refused, or 200.
#[track_caller]
fn status(guard: &Guard, request: &str, headers: &[&str], is_link: bool) -> u16 {
    let (method, uri) = request.split_once(' ').unwrap();
    let mut builder = http::Request::builder().method(method).uri(uri);
    for header in headers {
        let (name, value) = header.split_once(": ").unwrap();
        builder = builder.header(name, value);
    }
    let (parts, ()) = builder.body(()).unwrap().into_parts();
    guard.judge(&parts, is_link).map_or_else(|refusal| refusal.status.as_u16(), |()| 200)
}

#[test]
fn hosts_that_no_page_of_another_site_can_have_are_accepted() {
    for host in [
        "127.0.0.1:8001",
        "10.1.2.3",
        "[::1]:8001",
        "[fe80::1]",
        "localhost",
        "LocalHost:8001",
        "localhost.",
        "rh.localhost:1",
        "retrohook:8001",
        "my_gateway-1",
        "hooks.example.com",
        "Hooks.Example.com.:443",
        "internal.example.org",
        "a.b.internal.example.org:8001",
    ] {
        assert_eq!(status(&guard(), "GET /status", &[&format!("host: {host}")], false), 200, "{host}");
    }
    assert_eq!(
        status(&guard(), "GET /status", &[], false),
        200,
        "HTTP/1.0 has no Host; browsers always send one"
    );
}

#[test]
fn other_hosts_are_misdirected() {
    for host in [
        "evil.example.net",
        "evil.example.net:8001",
        "xhooks.example.com",
        "a.hooks.example.com",
        "xinternal.example.org",
        "localhost.evil.net",
        "127.0.0.1.evil.net",
        "localhost@evil.net",
        "ai.",
        "",
        ":8001",
        "[::1",
        "127.0.0.1:port",
        "h\u{e4}",
    ] {
        assert_eq!(status(&guard(), "GET /status", &[&format!("host: {host}")], false), 421, "{host}");
    }
    let both = ["host: localhost", "host: evil.net"];
    assert_eq!(status(&guard(), "GET /status", &both, false), 421);
    assert_eq!(status(&guard(), "GET http://evil.net/status", &["host: localhost"], false), 421);
    let anything = Guard { hosts: None, ..guard() };
    assert_eq!(status(&anything, "GET /", &["host: evil.net"], false), 200);
    // The refusal names the flag with what to give it.
    let (parts, ()) =
        http::Request::get("/").header("host", "gw.example.net:8001").body(()).unwrap().into_parts();
    let refusal = guard().judge(&parts, false).unwrap_err();
    assert!(refusal.hint.contains("--allow-host gw.example.net,"), "{refusal:?}");
}

#[test]
fn an_origin_has_to_be_the_hosts_or_a_named_one() {
    for (host, origin, expected) in [
        ("localhost:8001", "http://localhost:8001", 200),
        ("localhost:8001", "https://localhost:8001", 200),
        ("localhost:8001", "http://LOCALHOST:8001", 200),
        ("[::1]:8001", "http://[::1]:8001", 200),
        ("hooks.example.com", "https://hooks.example.com", 200),
        ("hooks.example.com:443", "https://hooks.example.com", 200),
        ("hooks.example.com", "http://hooks.example.com:80", 200),
        ("localhost:8001", "https://admin.example.com", 200),
        ("localhost:8001", "http://localhost:3000", 403),
        ("localhost:8001", "http://localhost", 403),
        ("localhost:8001", "http://127.0.0.1:8001", 403),
        ("localhost:8001", "https://evil.net", 403),
        ("localhost:8001", "https://admin.example.com.evil.net", 403),
        ("localhost:8001", "null", 403),
        ("localhost:8001", "", 403),
        ("localhost:8001", "file://", 403),
    ] {
        let headers = [format!("host: {host}"), format!("origin: {origin}")];
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        assert_eq!(status(&guard(), "POST /", &headers, false), expected, "{headers:?}");
        assert_eq!(
            status(&guard(), "GET /", &headers, true),
            expected,
            "a link does not excuse an origin: {headers:?}"
        );
    }
    assert_eq!(
        status(&guard(), "POST /", &["origin: http://localhost"], false),
        403,
        "there is no Host to compare"
    );
}

#[test]
fn cross_site_requests_are_refused_but_for_links() {
    let host = "host: localhost:4566";
    for site in ["same-origin", "same-site", "none"] {
        assert_eq!(
            status(&guard(), "GET /", &[host, &format!("sec-fetch-site: {site}")], false),
            200,
            "{site}"
        );
    }
    let cross_site = [host, "sec-fetch-site: cross-site"];
    assert_eq!(status(&guard(), "GET /status", &cross_site, false), 403);
    assert_eq!(status(&guard(), "GET /?Action=Unsubscribe", &cross_site, true), 200);
    assert_eq!(status(&guard(), "POST /?Action=Unsubscribe", &cross_site, true), 403);
    let named = [host, "sec-fetch-site: cross-site", "origin: https://admin.example.com"];
    assert_eq!(status(&guard(), "POST /", &named, false), 200);
    // As undici, the client in Node, sends it.
    assert_eq!(status(&guard(), "POST /", &[host, "sec-fetch-mode: cors"], false), 200);
}

#[test]
fn settings_teach_what_is_wrong() {
    for bad in
        ["", ".", "http://gw.example.com", "gw.example.com:8001", "a..b", "*.example.com", "gw example"]
    {
        assert!(bad.parse::<HostPattern>().unwrap_err().contains(".example.com"), "{bad}");
    }
    for bad in ["", "admin.example.com", "ftp://admin.example.com", "https://", "https://a/b", "null"] {
        assert!(bad.parse::<Origin>().unwrap_err().contains("https://admin.example.com"), "{bad}");
    }
    assert_eq!(host_of("https://Hooks.example.com:8443/x"), Some(HostPattern::exactly("hooks.example.com")));
    assert_eq!(host_of("http://[::1]:8443"), None, "addresses are always accepted");
}
