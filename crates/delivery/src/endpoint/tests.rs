//! Tests of endpoints: what is taken apart, what is refused, what confuses other parsers.

use super::*;

fn parse(text: &str) -> Result<Endpoint, EndpointError> {
    text.parse()
}

#[test]
fn takes_a_url_apart_once() {
    let endpoint = parse("HTTPS://user:p%40ss@Hooks.Example.com:8443/a/b?c=d%20e#f").unwrap();
    assert_eq!(endpoint.scheme, Scheme::Https);
    assert_eq!(endpoint.host, EndpointHost::Name("hooks.example.com".into()));
    assert_eq!(endpoint.port, 8443);
    assert_eq!(endpoint.path, "/a/b?c=d%20e");
    assert_eq!(endpoint.authority, "hooks.example.com:8443");
    let authorization = endpoint.authorization.unwrap();
    assert_eq!(authorization, format!("Basic {}", STANDARD.encode("user:p@ss")));
    assert!(authorization.is_sensitive());
}

#[test]
fn leaves_the_schemes_own_port_out_of_the_host_header() {
    for (text, port, authority) in [
        ("http://example.com", 80, "example.com"),
        ("https://example.com:443/", 443, "example.com"),
        ("http://example.com:443/", 443, "example.com:443"),
        ("http://[2001:4860:4860::8888]:81/", 81, "[2001:4860:4860::8888]:81"),
        ("http://example.com./", 80, "example.com"),
    ] {
        let endpoint = parse(text).unwrap();
        assert_eq!((endpoint.port, endpoint.authority.to_str().unwrap()), (port, authority), "{text}");
        assert_eq!(endpoint.authorization, None);
    }
}

#[test]
fn refuses_what_is_no_endpoint() {
    for scheme in ["file", "gopher", "ftp", "dict", "ldap", "unix", "data", "jar"] {
        let text = format!("{scheme}://example.com/");
        assert_eq!(parse(&text), Err(EndpointError::Scheme(scheme.into())));
    }
    assert_eq!(parse("http://example.com:0/"), Err(EndpointError::Port));
    assert!(matches!(parse("http://example.com:65536/"), Err(EndpointError::Url(_))));
    assert!(matches!(parse("http://"), Err(EndpointError::Url(_))));
    assert!(matches!(parse("http://[::1]%00.good.com/"), Err(EndpointError::Url(_))));
    assert!(matches!(parse("http://[fe80::1%25eth0]/"), Err(EndpointError::Url(_))));
    assert_eq!(parse("http://a..b/"), Err(EndpointError::Host));
    assert_eq!(parse("http://example.com../"), Err(EndpointError::Host));
    assert_eq!(parse("http://0xa9fea9fe../"), Err(EndpointError::Host), "an address to a resolver");
    assert_eq!(parse(&format!("http://{}.com/", "a".repeat(64))), Err(EndpointError::Host));
    assert_eq!(parse(&format!("http://{}/", "a".repeat(3_000))), Err(EndpointError::TooLong));
}

#[test]
fn the_longest_that_is_taken() {
    let url = |length: usize| format!("http://a.com/{}", "x".repeat(length - "http://a.com/".len()));
    assert!(parse(&url(MAX_URL)).is_ok());
    assert_eq!(parse(&url(MAX_URL + 1)), Err(EndpointError::TooLong));
    let label = |length: usize| "a".repeat(length);
    assert!(parse(&format!("http://{}.com/", label(63))).is_ok());
    // Three labels of 63 with their dots are 192; the fourth makes it 253 or 254.
    let name = |last: usize| format!("http://{0}.{0}.{0}.{1}/", label(63), label(last));
    assert!(parse(&name(61)).is_ok());
    assert_eq!(parse(&name(62)), Err(EndpointError::Host));
    assert!(parse("http://a_b-c1.com/").is_ok());
}

#[test]
fn an_escape_is_decoded_where_it_is_one() {
    for (text, expected) in [
        ("plain", "plain"),
        ("%41", "A"),
        ("a%41b", "aAb"),
        ("%4", "%4"),
        ("%", "%"),
        ("%zz%41", "%zzA"),
        ("%2541", "%41"),
    ] {
        let user = parse(&format!("http://{text}@a.com/")).unwrap().authorization.unwrap();
        assert_eq!(user, format!("Basic {}", STANDARD.encode(format!("{expected}:"))), "{text}");
    }
    let user_alone = parse("http://user@a.com/").unwrap().authorization.unwrap();
    assert_eq!(user_alone, format!("Basic {}", STANDARD.encode("user:")));
    let password_alone = parse("http://:secret@a.com/").unwrap().authorization.unwrap();
    assert_eq!(password_alone, format!("Basic {}", STANDARD.encode(":secret")));
}

/// Whatever the spelling, the host that is vetted is the one that is dialled.
#[test]
fn is_not_confused_about_the_host() {
    let loopback = EndpointHost::Address("127.0.0.1".parse().unwrap());
    for text in [
        "http://good.com@127.0.0.1/",
        "http://127.0.0.1#@good.com/",
        "http:127.0.0.1",
        "http:///127.0.0.1",
        "http://127.0.0.1:80\\@good.com",
        "http://127.0.\t0.\n1/",
    ] {
        assert_eq!(parse(text).unwrap().host, loopback, "{text}");
    }
    let good = parse("http://good.com\\@127.0.0.1/").unwrap();
    assert_eq!(good.host, EndpointHost::Name("good.com".into()));
}

#[test]
fn secrets_are_not_shown() {
    for (endpoint, seen) in [
        ("https://me:secret@a.com/x", "https://a.com/x"),
        ("https://a.com/x@y", "https://a.com/x@y"),
        ("http://a.com:8080/x?key=secret#part", "http://a.com:8080/x?..."),
        ("http://secret@[::1]:9/", "http://[::1]:9/"),
        ("profile-worker", "profile-worker"),
        ("http://me:secret@a.com:x/", "a.com:x/"),
        ("http://a.com:x/?key=secret", "http://a.com:x/?..."),
        ("http://me:secret@a.com:x/y?key=b@c", "a.com:x/y?..."),
    ] {
        assert_eq!(shown(endpoint), seen);
    }
}

#[test]
fn an_answer_that_repeats_the_query_is_kept_without_it() {
    let endpoint = parse("http://a.com/hook?key=s3cr3t&short=12345&other=v4luev4lue&plain").unwrap();
    let kept = |answer: &'static str| endpoint.without_query(Bytes::from_static(answer.as_bytes()));
    assert_eq!(
        kept("Cannot POST /hook?key=s3cr3t&amp;other=v4luev4lue"),
        "Cannot POST /hook?key=...&amp;other=..."
    );
    assert_eq!(kept("s3cr3ts3cr3t v4luev4lue s3cr3t"), "...... ... ...");
    assert_eq!(kept("12345, plain, s3cr3"), "12345, plain, s3cr3");
    assert_eq!(kept(""), "");
    let without = parse("http://a.com/hook").unwrap();
    assert_eq!(without.without_query(Bytes::from_static(b"/hook")), "/hook");
}
