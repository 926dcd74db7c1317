//! Which requests match, and which key they get.

use std::sync::Arc;

use event::redaction::{CredentialNames, Redaction, Redactor};
use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::publish_sns::key::{KeySource, KeyTemplate};
use crate::publish_sns::matcher::{Groups, Matcher, Pattern, compile};

fn matcher(routes: &[(&str, &str)]) -> Matcher {
    let pattern = |(method, matcher): &(&str, &str)| Pattern::new(method, matcher).ok().unwrap();
    compile(&routes.iter().map(pattern).collect::<Vec<_>>(), Groups::Kept).ok().unwrap()
}

/// The index of the method, if one of its entries matches.
fn find(matcher: &Matcher, method: &Method, text: &str) -> Option<usize> {
    matcher.index_of(method).filter(|index| matcher.is_match(*index, text))
}

#[test]
fn matches_by_method_and_unanchored_regex() {
    let matcher =
        matcher(&[("PUT", "^/profiles/[^/]+$"), ("PUT", "/avatar"), ("delete", "^/profiles/"), ("POST", "")]);
    let cases = [
        ("PUT", "/profiles/7", Some(0)),
        ("PUT", "/profiles/7/avatar", Some(0)),
        ("PUT", "/x/avatar/y", Some(0)),
        ("PUT", "/profiles/7/name", None),
        ("PUT", "/profiles/", None),
        ("put", "/profiles/7", None),
        ("DELETE", "/profiles/7/name", Some(1)),
        ("DELETE", "/x/profiles/7", None),
        ("POST", "/", Some(2)),
        ("GET", "/profiles/7", None),
        ("PATCH", "/profiles/7", None),
    ];
    for (method, text, expected) in cases {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(find(&matcher, &method, text), expected, "{method} {text}");
    }
}

#[test]
fn groups_are_those_of_the_first_entry_that_matches() {
    let matcher = matcher(&[("GET", "x"), ("PUT", "^/b/(.*)"), ("PUT", "/(.)"), ("PUT", "(/a)")]);
    let first = |text| matcher.captures(1, text).map(|groups| groups[1].to_owned());
    assert_eq!(first("/b/7").as_deref(), Some("7"));
    assert_eq!(first("/a").as_deref(), Some("a"));
    assert_eq!(first("none"), None);
}

#[test]
fn ten_thousand_entries_are_one_automaton() {
    let patterns: Vec<Pattern> =
        (0..10_000).map(|n| Pattern::new("PUT", &format!("^/t{n}/[^/]+$")).ok().unwrap()).collect();
    let matcher = compile(&patterns, Groups::NotNeeded).ok().unwrap();
    assert_eq!(find(&matcher, &Method::PUT, "/t9999/7"), Some(0));
    assert_eq!(find(&matcher, &Method::PUT, "/t10000/7"), None);
    assert!(matcher.captures(0, "/t9999/7").is_none(), "the groups were not kept");
    // Microseconds by the automaton; seconds by the engine that it falls back to when its ceiling is too low.
    let texts: Vec<String> = (0..2_000).map(|n| format!("/t{n}/{n}/x")).collect();
    let began = std::time::Instant::now();
    assert!(texts.iter().all(|text| find(&matcher, &Method::PUT, text).is_none()));
    assert!(began.elapsed() < std::time::Duration::from_millis(500), "{:?}", began.elapsed());
}

#[test]
fn too_many_large_matchers_are_refused_with_their_method() {
    let pattern = |n: u32| Pattern::new("PATCH", &format!("^/t{n}/[a-z]{{900}}")).ok().unwrap();
    let patterns: Vec<Pattern> = (0..6_000).map(pattern).collect();
    assert_eq!(compile(&patterns, Groups::NotNeeded).err(), Some(Method::PATCH));
}

/// The key of `PUT /profiles/7` by a template.
fn key(template: &str, path: &str, headers: &[(&'static str, &[u8])]) -> String {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap()))
        .collect();
    let matcher = matcher(&[("PUT", "^/(?<kind>[a-z]+)/([^/]*)(/never)?")]);
    let redaction = Redaction::of_secrets();
    let names = HeaderName::from_static("x-key");
    let credentials = [Arc::new(CredentialNames { headers: vec![names], arguments: Vec::new() })];
    let groups = matcher.captures(0, path);
    let redactor = Redactor::new(&redaction, &credentials);
    let source = KeySource { service: "users", path, headers: &headers, redactor, groups };
    KeyTemplate::parse(template).unwrap().render(&source)
}

#[test]
fn keys_follow_their_template() {
    let tenant: &[(&'static str, &[u8])] =
        &[("x-tenant", b"acme"), ("x-latin", b"caf\xe9"), ("x-key", b"hunter2")];
    let cases = [
        (KeyTemplate::DEFAULT, "users/profiles/7"),
        ("all", "all"),
        ("{service}:{kind}:{2}", "users:profiles:7"),
        ("{header:X-Tenant}/{1}", "acme/profiles"),
        ("{header:x-latin}", "café"),
        ("{header:x-key}", "REDACTED"),
        ("{0}", "/profiles/7"),
        // What is not there is empty; an empty key is the default one.
        ("a{3}{header:x-none}b", "ab"),
        ("{3}{header:x-none}", "users/profiles/7"),
    ];
    for (template, expected) in cases {
        assert_eq!(key(template, "/profiles/7", tenant), expected, "{template}");
    }
}

#[test]
fn keys_have_no_control_characters_and_end_at_a_character() {
    assert_eq!(key("{path}", "/a\u{1}b\u{85}", &[]), "/a%01b%C2%85");
    assert_eq!(key("{header:x-tab}", "/", &[("x-tab", b"a\tb")]), "a%09b");
    let long = format!("/{}€{}", "x".repeat(1_021), "y".repeat(99));
    assert_eq!(key("{path}", &long, &[]), format!("/{}", "x".repeat(1_021)));
    let fits = format!("/{}€{}", "x".repeat(1_020), "y".repeat(99));
    assert_eq!(key("{path}", &fits, &[]), format!("/{}€", "x".repeat(1_020)));
}
