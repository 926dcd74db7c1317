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
        hubs: &[],
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
    let api: serde_json::Value = serde_json::from_str(facts.api.get()).unwrap();
    assert_eq!(api.get("name"), None);
    assert_eq!(api.get("request_path"), None);
    assert_eq!(api["request_host"], "a.example.com");
    assert_eq!(api["upstream_url"], "http://[::1]/base");
}

/// The routes of a generation by name, as addresses: equal ones are the same one.
fn addresses(router: &Router, count: usize) -> HashMap<String, *const Route> {
    let address = |index| {
        let route: &Route = router.route(index);
        (route.name.clone(), std::ptr::from_ref(route))
    };
    (0..count).map(address).collect()
}

/// Which of these routes two generations share.
fn shared(before: &Router, after: &Router, count: usize) -> Vec<String> {
    let (before, after) = (addresses(before, count), addresses(after, count));
    let mut shared: Vec<_> = after
        .iter()
        .filter(|(name, address)| before.get(*name) == Some(address))
        .map(|(name, _)| name.clone())
        .collect();
    shared.sort();
    shared
}

const TWO_SERVICES: &str = "[\
    { name: s, url: 'http://a:1', routes: [{ name: a, paths: [/a] }, { name: b, paths: [/b] }] },\
    { name: t, url: 'http://b:1', routes: [{ name: c, paths: [/c] }] }]";

#[test]
fn what_is_the_same_is_shared_with_the_generation_before() {
    let none = |_: &Owned| -> Result<_, Infallible> { unreachable!("there are none") };
    let destinations = Destinations::default();
    let mut compiled = Compiled::default();
    let mut next = |services: &str| compiled.next(&served(services), &destinations, none).unwrap();
    let first = next(TWO_SERVICES);
    let same = next(TWO_SERVICES);
    assert_eq!(shared(&first, &same, 3), ["a", "b", "c"]);
    let one = next(&TWO_SERVICES.replace("paths: [/b]", "paths: [/bb]"));
    assert_eq!(shared(&same, &one, 3), ["a", "c"]);
    let path = |router: &Router, path| {
        router.find(&Method::GET, None, 80, path).map(|found| found.route.name.clone())
    };
    assert_eq!((path(&one, "/b"), path(&one, "/bb").as_deref()), (None, Some("b")));
    // What stands on a service goes with it.
    let service = next(&TWO_SERVICES.replace("/b]", "/bb]").replace("http://a:1", "http://a:2"));
    assert_eq!(shared(&one, &service, 3), ["c"]);
    let moved = service.find(&Method::GET, None, 80, "/a").and_then(|found| found.route.service.clone());
    let Some(Backend::One(moved)) = moved else { panic!("a service at one address") };
    assert_eq!(moved.host_header, "a:2");
}

#[test]
fn services_are_made_again_where_an_upstream_or_its_targets_changed() {
    let none = |_: &Owned| -> Result<_, Infallible> { unreachable!("there are none") };
    let destinations = Destinations::default();
    let mut compiled = Compiled::default();
    let mut next = |target: &str| {
        let upstreams = format!("upstreams: [{{ name: a, targets: [{{ target: '{target}' }}] }}]");
        compiled.next(&served(&format!("{TWO_SERVICES}\n{upstreams}")), &destinations, none).unwrap()
    };
    let (first, same, moved) = (next("x:1"), next("x:1"), next("x:2"));
    assert_eq!(shared(&first, &same, 3), ["a", "b", "c"]);
    assert_eq!(shared(&same, &moved, 3), Vec::<String>::new());
}

#[test]
fn a_plug_in_is_made_again_if_it_is_another_one_or_what_it_was_made_with_is() {
    let plugin = |id: u128, limit: u64| {
        let at = Timestamp::from_millis(0);
        let plugin = entities::Plugin {
            id: Uuid::from_u128(id),
            origin: entities::Origin::File,
            name: "tap".into(),
            instance_name: None,
            service: None,
            route: None,
            consumer: None,
            config: serde_json::json!({ "limit": limit }),
            enabled: true,
            tags: Vec::new(),
            created_at: at,
            updated_at: at,
        };
        Arc::new(Owned { plugin: Arc::new(plugin), owner: "s".into() })
    };
    let destinations = Destinations::default();
    let (mut compiled, mut made) = (Compiled::default(), Vec::new());
    let with = |on_a: Arc<Owned>, on_others: Arc<Owned>| {
        let mut served = served(TWO_SERVICES);
        for one in &mut served.routes {
            one.plugins =
                vec![if one.route.name.as_deref() == Some("a") { on_a.clone() } else { on_others.clone() }];
        }
        served
    };
    let mut next = |compiled: &mut Compiled, served: &Served| {
        made.clear();
        let build = |owned: &Owned| {
            made.push(owned.plugin.id.as_u128());
            let scope = Scope { route: None, service: None, consumer: None };
            let (id, plugin) = (owned.plugin.id, pipeline::Plugin::default());
            Ok::<_, Infallible>((
                scope,
                Instance { id, kind: "tap", priority: pipeline::kind::Priority(1), plugin },
            ))
        };
        (compiled.next(served, &destinations, build).unwrap(), made.clone())
    };
    let (first, built) = next(&mut compiled, &with(plugin(1, 1), plugin(2, 1)));
    assert_eq!(built, [1, 2], "one that several routes share is made once");
    let (second, built) = next(&mut compiled, &with(plugin(1, 5), plugin(2, 1)));
    assert_eq!((built, shared(&first, &second, 3)), (vec![1], vec!["b".to_owned(), "c".to_owned()]));
    compiled.forget_plugins();
    let (third, built) = next(&mut compiled, &with(plugin(1, 5), plugin(2, 1)));
    assert_eq!((built, shared(&second, &third, 3)), (vec![1, 2], Vec::<String>::new()));
}
