//! Tests of what an answer's headers refer to: which authorities count as the service's own.

use super::*;

fn texts(header: Referring, value: &str) -> Vec<&str> {
    header.references(value.as_bytes()).map(|range| &value[range]).collect()
}

#[test]
fn references_are_found_where_each_header_has_them() {
    use Referring::{ContentLocation, Link, Location, Refresh};
    for (header, value, expected) in [
        (Location, "http://a/b;c,d", &["http://a/b;c,d"][..]),
        (ContentLocation, " /b ", &["/b"]),
        (
            Link,
            "<http://a/?x=1,2>; rel=next, < //b > ;rel=\"pre<x>v\", <c>",
            &["http://a/?x=1,2", "//b", "c"],
        ),
        (Link, r#"<a>; title="\"<b>", <c>"#, &["a", "c"]),
        (Link, "<a>; rel=next, <b", &["a"]),
        (Link, "", &[]),
        (Refresh, "5", &[]),
        (Refresh, "5;", &[]),
        (Refresh, "5; url=http://a/;b", &["http://a/;b"]),
        (Refresh, "0.5 , URL = 'http://a/' rest", &["http://a/"]),
        (Refresh, "5;http://a/", &["http://a/"]),
        (Refresh, "5;url=\"http://a/", &["http://a/"]),
        (Refresh, "5; urls/1", &["urls/1"]),
    ] {
        assert_eq!(texts(header, value), expected, "{header:?}: {value}");
    }
    let many = "<a>,".repeat(MAX_REFERENCES + 1);
    assert_eq!(texts(Link, &many).len(), MAX_REFERENCES, "the rest is not looked at");
}

#[test]
fn an_authority_is_found_where_a_reference_names_one() {
    for (reference, expected) in [
        ("http://a:1/b?c", Some((Some("http"), "a:1", "/b?c"))),
        ("HTTPS://A?b", Some((Some("HTTPS"), "A", "?b"))),
        ("//[::1]:80", Some((None, "[::1]:80", ""))),
        ("http://user:word@a#b", Some((Some("http"), "a", "#b"))),
        ("http://a\\b", Some((Some("http"), "a", "\\b"))),
        ("/login?next=http://a/", None),
        ("login?next=http://a/", None),
        ("mailto:a@b", None),
        ("http:///a", None),
        ("", None),
    ] {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        let found = Absolute::of(reference.as_bytes());
        let found = found.map(|found| (found.scheme.map(text), text(found.authority), text(found.rest)));
        assert_eq!(found, expected, "{reference}");
    }
}
