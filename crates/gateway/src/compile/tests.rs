//! What the configuration's check lets through can be compiled.

use std::convert::Infallible;

use event::Timestamp;

use super::*;

/// The router of a service with these regex paths, each of a route of its own.
fn router(paths: &[&str]) -> Router {
    let routes: Vec<_> =
        paths.iter().map(|path| format!("  - {{ name: r, paths: ['~{path}'] }}\n")).collect();
    let mut text = String::from(
        "_format_version: \"3.0\"\nservices:\n- name: s\n  url: http://localhost:1\n  routes:\n",
    );
    for (index, route) in routes.iter().enumerate() {
        text.push_str(&route.replace("name: r", &format!("name: r{index}")));
    }
    let options = config::Options {
        kinds: &[],
        region: "us-east-1",
        account: "000000000000",
        env: &|_| None,
        now: Timestamp::from_millis(0),
    };
    let config = config::check(&[("f.yaml", &text)], &options).unwrap_or_else(|report| panic!("{report}"));
    let no_plugins = |_: &config::Plugin| -> Result<_, Infallible> { unreachable!("there are none") };
    compile(&config, no_plugins).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn an_extended_regex_may_end_with_a_comment() {
    let router = router(&["/a(?x) # the letter", "/b|/c # no comment"]);
    let found = |path: &str| {
        let found = router.find(&Method::GET, None, 80, path)?;
        Some((found.route.name.as_str(), found.matched))
    };
    assert_eq!(found("/ab"), Some(("r0", 2)));
    assert_eq!(found("/b/"), Some(("r1", 2)));
    assert_eq!(found("/c # no comment"), Some(("r1", 15)));
    assert_eq!(found("/x/a"), None, "anchored at the begin");
    assert_eq!(found("/x/c # no comment"), None, "each of the alternatives");
}
