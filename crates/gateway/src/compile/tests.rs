//! What the configuration's check lets through can be compiled.

use std::convert::Infallible;

use event::Timestamp;

use super::*;

/// The router of a service with these regex paths, each of a route of its own.
fn router(paths: &[&str]) -> Router {
    let routes =
        paths.iter().enumerate().map(|(index, path)| format!("{{ name: r{index}, paths: ['~{path}'] }}"));
    router_of(&routes.collect::<Vec<_>>())
}

/// The router of a service with these routes, loaded in the year 2001.
fn router_of(routes: &[String]) -> Router {
    let mut text = String::from(
        "_format_version: \"3.0\"\nservices:\n- name: s\n  url: http://localhost:1\n  routes:\n",
    );
    routes.iter().for_each(|route| text.push_str(&format!("  - {route}\n")));
    let options = config::Options {
        kinds: &[],
        region: "us-east-1",
        account: "000000000000",
        env: &|_| None,
        now: Timestamp::from_millis(1_000_000_000_000),
    };
    let config = config::check(&[("f.yaml", &text)], &options).unwrap_or_else(|report| panic!("{report}"));
    let no_plugins = |_: &config::Plugin| -> Result<_, Infallible> { unreachable!("there are none") };
    compile(&config, &Destinations::default(), no_plugins).unwrap_or_else(|error| panic!("{error}: {text}"))
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

#[test]
fn a_tie_goes_to_the_older_route_then_to_the_first_of_the_file() {
    let winner = |routes: &[&str]| {
        let routes: Vec<_> = routes.iter().map(|route| format!("{{ paths: [/p], {route} }}")).collect();
        let router = router_of(&routes);
        router.find(&Method::GET, None, 80, "/p").map(|found| found.route.name.clone())
    };
    let old = "name: old, created_at: 900000000";
    assert_eq!(winner(&["name: a, created_at: 950000000", old]).as_deref(), Some("old"));
    assert_eq!(winner(&["name: of_the_load", old]).as_deref(), Some("old"));
    assert_eq!(winner(&["name: first, created_at: 900000000", old]).as_deref(), Some("first"));
    assert_eq!(winner(&["name: first", "name: second"]).as_deref(), Some("first"));
    assert_eq!(
        winner(&["name: longer, created_at: 950000000, methods: [GET]", old]).as_deref(),
        Some("longer")
    );
}
