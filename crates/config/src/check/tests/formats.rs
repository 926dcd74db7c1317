//! Files of older formats, and what decK and Kong write into files.

use super::{accept, run};

fn warned(text: &str) -> String {
    let config = accept(&[text.trim_start()]);
    config.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

fn paths(text: &str) -> Vec<String> {
    accept(&[text]).set.routes.iter().flat_map(|route| route.paths.clone()).collect()
}

#[test]
fn in_old_formats_a_path_with_other_characters_is_a_regular_expression() {
    let paths_of = |version: &str, nested: &str, top: &str| {
        paths(&format!(
            "_format_version: {version}\nservices:\n- {{ name: a, url: 'http://x', routes: [{{ name: r, paths: [{nested}] }}] }}\nroutes: [{{ name: s, service: a, paths: [{top}] }}]\n"
        ))
    };
    for version in ["\"1.1\"", "2.1"] {
        let found = paths_of(version, "'/a/(?<id>[0-9]+)$', '/plain/b'", "/%7Ea//b/../c, ~/x$");
        assert_eq!(found, ["~/a/(?<id>[0-9]+)$", "/plain/b", "/~a/c", "~/x$"], "{version}");
    }
    let report = run(&["_format_version: '3.0'\nroutes: [{ paths: ['/a[0-9]'] }]\n"]).expect_err("no ~");
    assert!(report.to_string().contains("put a ~ in front"), "{report}");
}

#[test]
fn a_url_wins_over_what_stands_beside_it() {
    let text = r#"
_format_version: "3.0"
services:
- { name: same, url: "https://x:8443/p", protocol: https, host: X, port: 8443, path: /p }
- { name: other, url: "http://x:81/", protocol: https, host: y, port: 80, path: /p }
- { name: word, url: "http://x", protocol: ws, path: "/" }
"#;
    let hint = "  hint: as in Kong, the `url` wins: keep one of the two\n";
    let expected: String = [
        ("4:49", "services[1].protocol: `protocol`"),
        ("4:62", "services[1].host: `host`"),
        ("4:71", "services[1].port: `port`"),
        ("4:81", "services[1].path: `path`"),
        ("5:44", "services[2].protocol: `protocol`"),
    ]
    .iter()
    .map(|(place, what)| {
        format!("gateway.yaml:{place}: {what} has no effect: `url` says something else\n{hint}")
    })
    .collect();
    assert_eq!(warned(text), expected);
    let urls: Vec<_> = accept(&[text.trim_start()]).set.services.iter().map(|one| one.url()).collect();
    assert_eq!(urls, ["https://x:8443/p", "http://x:81/", "http://x"]);
}

#[test]
fn notes_of_deck_are_no_wish() {
    let text = r#"
_format_version: "3.0"
_konnect: { control_plane_name: blue, version: 1 }
_workspace: team
_info: { select_tags: [a] }
_comment: a file
"#;
    let warning = |place: &str, key: &str| {
        format!(
            "gateway.yaml:{place}: {key}: `{key}` has no effect: it tells decK which Kong the file is for\n  hint: remove the key if decK does not read this file\n"
        )
    };
    assert_eq!(warned(text), warning("2:11", "_konnect") + &warning("3:13", "_workspace"));
    assert_eq!(warned("_format_version: '3.0'\n_workspace: default\n_konnect: null\n"), "");
}

#[test]
fn a_route_may_lead_nowhere_and_join_paths_as_kong_1_did() {
    let config = accept(&[
        "_format_version: '3.0'\nroutes: [{ name: a, paths: [/a], path_handling: v1 }, { paths: [/b] }, { paths: [/c] }]\n",
    ]);
    let mut ids: Vec<_> = config.set.routes.iter().map(|route| route.id).collect();
    ids.dedup();
    assert_eq!((ids.len(), config.served.routes.len()), (3, 3));
    assert!(config.served.routes.iter().all(|served| served.service.is_none()));
    assert_eq!(config.set.routes[0].path_handling, entities::PathHandling::V1);
}
