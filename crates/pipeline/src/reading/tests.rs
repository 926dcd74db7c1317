//! Paths with several readings, and what they are.

use super::*;

#[test]
fn a_path_without_separators_in_disguise_has_one_reading() {
    for path in ["/", "/profiles/42", "/a%20b", "/caf%C3%A9", "/a;b=c", "/%2525", "/@scope/name", "/a..;b"] {
        assert_eq!(others(path), [""; 0], "{path}");
        assert_eq!(others(path).capacity(), 0, "{path}");
    }
}

#[test]
fn separators_in_disguise_give_the_readings_of_services() {
    let cases: &[(&str, &[&str])] = &[
        ("/profile%2F2", &["/profile/2"]),
        ("/@scope%2Fname", &["/@scope/name"]),
        ("/public/..%2Fprofiles/42", &["/profiles/42", "/public/../profiles/42"]),
        ("/a%5Cb", &["/a/b"]),
        ("/a\\b", &["/a/b"]),
        ("/a/..;/b", &["/b", "/a/../b"]),
        ("/a/.;x=y/b", &["/a/b", "/a/./b"]),
        ("/a%2F", &["/a/", "/a"]),
        ("/profiles%2F.", &["/profiles/", "/profiles", "/profiles/."]),
        ("/profiles%5C...%2F", &["/profiles/.../", "/profiles/...", "/profiles%5C.../", "/profiles%5C..."]),
        // A backslash is a slash to some services and a letter to others: each takes the way up from another place.
        ("/x%5Cy%2F..%2Fa", &["/x/a", "/a", "/x%5Cy/../a"]),
        // So with an empty segment,
        ("/x%2F%2F..%2Fa", &["/a", "/x/a", "/x//../a"]),
        // with dots that have parameters,
        ("/a/b/..;/c%2F..%2Fd", &["/a/b/..;/d", "/a/d", "/a/b/..;/c/../d", "/a/b/../c/../d"]),
        // and with what is escaped in a parameter.
        ("/a/b;c%2Fd/..;e/f", &["/a/b;c/d/..;e/f", "/a/b;c/f", "/a/f", "/a/b/../f"]),
        // A letter that should have been escaped, and was not.
        ("/caf\u{e9}", &["/caf%C3%A9"]),
        ("/\u{e9}%2Fa", &["/%C3%A9/a", "/\u{e9}/a"]),
    ];
    for (path, expected) in cases {
        assert_eq!(others(path), *expected, "{path}");
    }
}

/// All that a path is loosened to, each but once.
fn all(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    for how in loosenings(path) {
        let text = loosened(path, how);
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.remove(0);
    all
}

#[test]
fn a_path_is_loosened_in_every_combination() {
    let cases: &[(&str, &[&str])] = &[
        ("/a%20b", &["/a b"]),
        ("/caf%C3%A9", &["/caf\u{e9}"]),
        ("/%FF%40", &["/%FF@"]),
        ("/Profile/", &["/Profile"]),
        ("/profile.%20.", &["/profile. .", "/profile.%20", "/profile"]),
        ("/a.%20/b%0A", &["/a. /b\n", "/a/b"]),
        ("/p;v=1/q;x", &["/p/q"]),
        ("/a%252Fb", &["/a%2Fb", "/a/b"]),
        ("/a/%252e%252e%252fb", &["/a/%2e%2e%2fb", "/b"]),
        ("/p;a/%3Bx", &["/p;a/;x", "/p/%3Bx", "/p/;x"]),
    ];
    for (path, expected) in cases {
        assert_eq!(all(path), *expected, "{path}");
    }
}

#[test]
fn what_cannot_be_loosened_is_not() {
    for path in ["/", "/profiles/42", "/a.b/c-d_e~f@g", "/@scope/Name"] {
        assert_eq!(loosenings(path).count(), 0, "{path}");
        assert_eq!(loosened(path, Loosening::FULL), path);
    }
}

#[test]
fn all_spellings_of_a_path_have_one_canonical_one() {
    for path in [
        "/a/b",
        "/a/b/",
        "/a%2Fb",
        "/a%5Cb",
        "/a\\b",
        "/a;x=1/b",
        "/a/b;y",
        "/x%2F..%2Fa/b",
        "/x/..;/a/b",
        "/a/b.",
        "/a/b%20",
        "/a/%2562",
        "/a/b\u{a0}",
    ] {
        assert_eq!(canonical(path), "/a/b", "{path}");
    }
    for path in ["/", "/a/B", "/ab", "/a/b/c"] {
        assert_eq!(canonical(path), path);
    }
}
