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
    let mut services = String::from("\n- name: s\n  url: http://localhost:1\n  routes:\n");
    routes.iter().for_each(|route| services.push_str(&format!("  - {route}\n")));
    let no_plugins = |_: &Owned| -> Result<_, Infallible> { unreachable!("there are none") };
    let compiled = compile(&served(&services), &Destinations::default(), no_plugins);
    compiled.unwrap_or_else(|error| panic!("{error}: {services}"))
}

/// What requests find of these services, loaded in the year 2001.
fn served(services: &str) -> Served {
    let options = config::Options {
        kinds: &[],
        region: "us-east-1",
        account: "000000000000",
        env: &|_| None,
        now: Timestamp::from_millis(1_000_000_000_000),
        tolerance: config::Tolerance::default(),
    };
    let text = format!("_format_version: \"3.0\"\nservices: {services}\n");
    config::check(&[("f.yaml", &text)], &options).unwrap_or_else(|report| panic!("{report}")).served
}

fn facts_of(service: &str) -> RouteFacts {
    let served = served(&format!("[{service}]"));
    let ServedRoute { service, route, .. } = &served.routes[0];
    facts(route, service.as_deref())
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

#[test]
fn facts_have_the_api_object_of_kong_0_8() {
    let facts = facts_of(
        "{ name: profiles, url: 'http://localhost:9000', routes: [{ name: profiles, paths: [/profiles], strip_path: false }] }",
    );
    assert_eq!((facts.service.as_str(), facts.route.as_str()), ("profiles", "profiles"));
    assert_eq!(
        facts.api.get(),
        r#"{"id":"ac6337b5-a72a-5c03-bcf7-97719f943af8","name":"profiles","upstream_url":"http://localhost:9000","request_path":"/profiles","strip_request_path":false,"preserve_host":false,"created_at":1000000000000}"#
    );
}

#[test]
fn a_service_without_a_name_has_no_name_in_its_facts() {
    let facts = facts_of("{ url: 'http://[::1]:80/base', routes: [{ hosts: [A.example.com] }] }");
    let api: Value = serde_json::from_str(facts.api.get()).unwrap();
    assert_eq!(api.get("name"), None);
    assert_eq!(api.get("request_path"), None);
    assert_eq!(api["request_host"], "a.example.com");
    assert_eq!(api["upstream_url"], "http://[::1]/base");
}
