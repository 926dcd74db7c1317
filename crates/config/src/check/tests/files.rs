//! Several files at once, and what one mistake hides.

use super::check;

#[test]
fn problems_stand_in_the_order_of_the_files() {
    check(
        &[
            r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  routes: [{ name: r }]
"#,
            r#"
_format_version: "3.0"
topics: [{ name: a.b }]
services: [{ name: profiles, host: x }]
"#,
        ],
        r#"
gateway.yaml:5:12: services[0].routes[0]: must set one of 'methods', 'hosts', 'paths'
  hint: `paths: [/]` matches every request
topics.yaml:2:18: topics[0].name: a name has 1 to 256 letters, digits, hyphens or underscores
  hint: AWS clients refuse other names: rename it
topics.yaml:3:20: services[0].name: uniqueness violation: 'services' entity with name set to 'profiles' already declared
  hint: the first one is at gateway.yaml:3:9: rename or remove one
3 problems
"#,
    );
}

#[test]
fn a_reference_into_a_file_that_is_no_yaml_is_not_judged() {
    check(
        &[
            r#"
_format_version: "3.0"
services: [
"#,
            r#"
_format_version: "3.0"
routes: [{ name: r, paths: [/], service: profiles }, { name: s }]
"#,
        ],
        r#"
gateway.yaml:3:1: not YAML: while parsing a node, did not find expected node content
  hint: check the indentation, quotes and brackets here and in the line above
topics.yaml:2:54: routes[1]: must set one of 'methods', 'hosts', 'paths'
  hint: `paths: [/]` matches every request
2 problems
"#,
    );
}

#[test]
fn an_entity_with_a_problem_of_structure_still_counts_by_its_name() {
    check(
        &[r#"
_format_version: "3.0"
services: [{ name: profiles, hots: x }]
routes: [{ name: r, paths: [/], service: profiles }]
"#],
        r#"
gateway.yaml:2:30: services[0].hots: unknown field `hots`
  hint: did you mean `host`?
1 problem
"#,
    );
}

#[test]
fn what_does_not_fit_does_not_hide_the_rest() {
    check(
        &[r#"
_format_version: "3.0"
services: [{ name: "a b", host: x, colour: red, tags: ["a,b"], routes: [{ name: r, paths: 7, methods: [get] }] }]
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: x, format: standard, secret: a, timout: 5 }
  - { protocol: http, endpoint: x, timeout: 5 }
"#],
        r#"
gateway.yaml:2:20: services[0].name: invalid value
  hint: the only accepted characters are letters, digits and . - _ ~
gateway.yaml:2:36: services[0].colour: unknown field `colour`
  hint: known fields: name, id, url, protocol, host, port, path, retries, connect_timeout, write_timeout, read_timeout, tls_verify, tls_verify_depth, ca_certificates, enabled, routes, plugins, tags, created_at, updated_at, _comment, _ignore
gateway.yaml:2:56: services[0].tags[0]: invalid tag
  hint: a tag is a printable text without `,` and `/`
gateway.yaml:2:91: services[0].routes[0].paths: expected a list, found the number 7
  hint: write a list in brackets, `[a, b]`, or with an element on each line after `- `
gateway.yaml:2:104: services[0].routes[0].methods[0]: invalid method
  hint: methods are upper case
gateway.yaml:6:44: topics[0].subscriptions[0].format: unknown value
  hint: expected one of: sns, standard-webhooks
gateway.yaml:6:65: topics[0].subscriptions[0].timout: unknown field `timout`
  hint: did you mean `timeout`?
gateway.yaml:7:33: topics[0].subscriptions[1].endpoint: not a URL: it does not begin with http://
  hint: write it like http://example.com/path
gateway.yaml:7:45: topics[0].subscriptions[1].timeout: value should be between 100 and 60000
  hint: 5 is too small
9 problems
"#,
    );
}

#[test]
fn the_format_version_stands_in_each() {
    check(
        &[
            r#"
_format_version: "3.0"
"#,
            r#"
topics: [{ name: t }]
"#,
        ],
        r#"
topics.yaml:1:1: required field missing: `_format_version`
  hint: add `_format_version`: the version of Kong's format, `"3.0"` in quotes
1 problem
"#,
    );
}

#[test]
fn files_of_other_tools_are_recognised() {
    let hint_of = |text: &str| super::run(&[text]).expect_err("no configuration").to_string();
    for (text, place, what, way) in [
        (
            "host: x\napis:\n- name: a\nplugins: [{ name: key-auth }]\n",
            "2:1",
            "kongfig",
            "`services` with `url` and `routes`",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\ndata: { kong.yml: x }\n",
            "2:1",
            "Kubernetes",
            "kubectl get configmap NAME -o jsonpath='{.data.kong\\.yml}' | retrohook check -",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: { name: gateway }\ndata: { kong: x }\n",
            "2:1",
            "Kubernetes",
            "kubectl get secret gateway -o jsonpath='{.data.kong}' | base64 -d | retrohook check -",
        ),
        (
            "version: '3'\nservices:\n  kong: { image: kong }\n",
            "2:1",
            "Docker Compose",
            "KONG_DECLARATIVE_CONFIG",
        ),
    ] {
        let report = hint_of(text);
        assert!(report.starts_with(&format!("gateway.yaml:{place}: this is a ")), "{report}");
        assert!(report.contains(what) && report.contains(way) && report.ends_with("1 problem"), "{report}");
    }
    let report = hint_of("_format_version: '3.0'\napis: []\n");
    assert!(report.contains("unknown field `apis`"), "{report}");
}

#[test]
fn a_long_report_ends_with_a_summary() {
    let services: String = (0..20).map(|at| format!("- {{ name: s{at}, url: localhost }}\n")).collect();
    let text = |more: &str| format!("_format_version: '3.0'\nservices:\n{services}{more}");
    let short = super::run(&[&text("")]).expect_err("no URLs").to_string();
    assert!(short.ends_with("20 problems"), "{short}");
    let more: String = (0..4).map(|at| format!("- {{ name: t{at} }}\n")).collect();
    let long = super::run(&[&text(&more)]).expect_err("no URLs").to_string();
    let summary = "24 problems\n   20 × not a URL: it does not begin with http://\n    4 × required field missing: `host`";
    assert!(long.ends_with(summary), "{long}");
}
