//! Paths in all spellings, and the one that they come to.

use proptest::prelude::*;

use super::*;

#[test]
fn paths_have_one_spelling() {
    let cases = [
        ("/profiles/1", "/profiles/1"),
        ("/%70rofiles", "/profiles"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2F%c3%a4", "/a%2F%C3%A4"),
        ("//a///b//", "/a/b/"),
        ("/a/./b", "/a/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a//../b", "/b"),
        ("/..", "/"),
        ("/../../etc", "/etc"),
        ("/%2e%2E/x", "/x"),
        ("/a/.", "/a/"),
        ("/.hidden", "/.hidden"),
        ("/a/...", "/a/..."),
        ("/%2570", "/%2570"),
        ("/%%370", "/%2570"),
        ("/100%", "/100%25"),
        ("/%zz", "/%25zz"),
        ("/", "/"),
        ("", ""),
        ("*", "*"),
        ("/ä/%7E", "/ä/~"),
    ];
    for (path, expected) in cases {
        assert_eq!(normalise(path), expected, "{path}");
    }
}

#[test]
fn borrows_what_is_normal() {
    for path in ["/", "/profiles/42", "/a.b/c-d_e~f", "/a/", ""] {
        assert!(matches!(normalise(path), Cow::Borrowed(_)), "{path}");
    }
}

proptest! {
    #[test]
    fn is_idempotent(path in "/?([a-c./%~ä]|%[0-9a-fA-F]{2}|//|\\.\\./){0,24}") {
        let once = normalise(&path).into_owned();
        prop_assert_eq!(normalise(&once), once.as_str());
    }

    #[test]
    fn leaves_no_dot_segment_and_no_double_slash(path in "/([a-c./%]|%2[eEfF]|//|\\.\\./){0,24}") {
        let normal = normalise(&path).into_owned();
        prop_assert!(normal.starts_with('/'), "{}", normal);
        prop_assert!(!normal.contains("//"), "{}", normal);
        prop_assert!(normal.split('/').all(|segment| segment != "." && segment != ".."), "{}", normal);
    }

    #[test]
    fn an_escape_more_changes_nothing(path in "/[a-z0-9/]{0,16}") {
        let escaped: String = path.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }).collect();
        prop_assert_eq!(normalise(&escaped), normalise(&path));
    }
}
