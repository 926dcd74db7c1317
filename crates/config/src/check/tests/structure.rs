//! Files that are no configuration at all, or only nearly.

use super::check;

#[test]
fn an_empty_file() {
    check(
        &[r#""#],
        r#"
gateway.yaml:1:1: the file is empty
  hint: begin it with `_format_version: "3.0"`
1 problem
"#,
    );
}

#[test]
fn a_syntax_error() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: a
  url: [http://x
"#],
        r#"
gateway.yaml:5:1: not YAML: while parsing a flow sequence, expected ',' or ']'
  hint: check the indentation, quotes and brackets here and in the line above
1 problem
"#,
    );
}

/// The parser says of what is missing at the end that it stands in the next line, which is none where no line feed ends the last one.
#[test]
fn what_is_missing_at_the_end() {
    let hint = "hint: check the indentation, quotes and brackets here and in the line above\n1 problem";
    for (text, place) in [("a: [b", "1:6"), ("a:\r\n  b: {ä", "2:8"), ("a: [b\n", "2:1")] {
        let report = super::run(&[text]).expect_err("the file must be refused").to_string();
        assert!(report.starts_with(&format!("gateway.yaml:{place}: not YAML: ")), "{text:?}: {report}");
        assert!(report.ends_with(hint), "{report}");
    }
}

#[test]
fn a_tab_for_indentation() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: a
	url: http://x
"#],
        r#"
gateway.yaml:3:9: not YAML: while scanning a plain scalar, found a tab
  hint: YAML is indented with spaces: replace the tabs
1 problem
"#,
    );
}

#[test]
fn format_version_that_there_is_not() {
    check(
        &[r#"
_format_version: 3
"#],
        r#"
gateway.yaml:1:18: _format_version: unknown value, found the number 3
  hint: expected one of: 1.1, 2.1, 3.0
1 problem
"#,
    );
    check(
        &[r#"
_format_version: "2.0"
"#],
        r#"
gateway.yaml:1:18: _format_version: unknown value `2.0`
  hint: did you mean `2.1`?
1 problem
"#,
    );
}

#[test]
fn every_format_version_in_quotes_or_not() {
    for version in ["1.1", "2.1", "3.0"] {
        for text in [version.to_owned(), format!("'{version}'"), format!("\"{version}\"")] {
            super::accept(&[&format!("_format_version: {text}\n")]);
        }
    }
}

#[test]
fn a_list_at_the_top() {
    check(
        &[r#"
- name: a
"#],
        r#"
gateway.yaml:1:1: expected a mapping, found a list
  hint: remove the `- ` or the brackets
1 problem
"#,
    );
}

#[test]
fn a_misspelt_key() {
    check(
        &[r#"
_format_version: "3.0"
servics: []
"#],
        r#"
gateway.yaml:2:1: servics: unknown field `servics`
  hint: did you mean `services`?
1 problem
"#,
    );
}

#[test]
fn a_key_like_no_other() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: a
  url: http://x
  colour: red
"#],
        r#"
gateway.yaml:5:3: services[0].colour: unknown field `colour`
  hint: known fields: name, id, url, protocol, host, port, path, retries, connect_timeout, write_timeout, read_timeout, tls_verify, tls_verify_depth, ca_certificates, enabled, routes, plugins, tags, created_at, updated_at, _comment, _ignore
1 problem
"#,
    );
}

#[test]
fn wrong_types() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: 8
  url: http://x
  enabled: yes
  tags: blue
  read_timeout: "5"
  routes:
    name: r
- web
"#],
        r#"
gateway.yaml:3:9: services[0].name: expected a string, found the number 8
  hint: put it in quotes: "8"
gateway.yaml:5:12: services[0].enabled: expected a boolean, found the string "yes"
  hint: YAML 1.2 has `true` and `false` only
gateway.yaml:6:9: services[0].tags: expected a list, found a string
  hint: write a list in brackets, `[a, b]`, or with an element on each line after `- `
gateway.yaml:7:17: services[0].read_timeout: expected an integer, found the string "5"
  hint: remove the quotes
gateway.yaml:8:3: services[0].routes: expected a list, found a mapping
  hint: put `- ` in front of its first key
gateway.yaml:10:3: services[1]: expected a mapping, found a string
  hint: write a mapping
6 problems
"#,
    );
}

#[test]
fn numbers_out_of_range() {
    check(
        &[r#"
_format_version: "3.0"
services:
- host: x
  port: 70000
  retries: -1
  connect_timeout: 0
  write_timeout: 2.5
"#],
        r#"
gateway.yaml:4:9: services[0].port: value should be between 0 and 65535
  hint: 70000 is too large
gateway.yaml:5:12: services[0].retries: value should be between 0 and 32767
  hint: -1 is too small
gateway.yaml:6:20: services[0].connect_timeout: value should be between 1 and 2147483646
  hint: 0 is too small
gateway.yaml:7:18: services[0].write_timeout: expected an integer, found the number 2.5
  hint: write a whole number
4 problems
"#,
    );
}

#[test]
fn duplicate_and_strange_keys() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: a
  name: b
  1: x
  ? [c]
  : d
  name: c
"#],
        r#"
gateway.yaml:4:3: duplicate key `name`
  hint: it is in line 3 already: keep one of the two
gateway.yaml:5:3: a key must be a string
  hint: put a number, `true` or `null` that is meant as a key in quotes
gateway.yaml:6:5: a key must be a string
  hint: put a number, `true` or `null` that is meant as a key in quotes
gateway.yaml:8:3: duplicate key `name`
  hint: it is in line 3 already: keep one of the two
4 problems
"#,
    );
}

#[test]
fn a_tag() {
    check(
        &[r#"
_format_version: "3.0"
services: !include other.yaml
"#],
        r#"
gateway.yaml:2:11: YAML tags are not supported
  hint: remove the `!…` in front of the value
1 problem
"#,
    );
}

#[test]
fn two_documents() {
    check(
        &[r#"
_format_version: "3.0"
---
_format_version: "3.0"
"#],
        r#"
gateway.yaml:2:1: a second document in one file
  hint: put it into a file of its own: `-c` may be given several times
1 problem
"#,
    );
}

#[test]
fn a_key_without_a_value() {
    check(
        &[r#"
_format_version: "3.0"
services:
topics:
- name:
"#],
        r#"
gateway.yaml:2:1: services: expected a list, found nothing
  hint: remove the key, or write `[]` for none
gateway.yaml:4:3: topics[0].name: expected a string, found nothing
  hint: give it a value, or remove the key
2 problems
"#,
    );
}

#[test]
fn keys_of_kong_that_are_not_served_yet() {
    check(
        &[r#"
_format_version: "3.0"
_workspace: team
_info:
  defaults: { service: { retries: 1 } }
jwt_secrets: [{ key: x }]
upstreams: [{ name: u }]
certificates: [{ cert: x }]
vaults: [{ name: env }]
"#],
        r#"
warning: gateway.yaml:2:13: _workspace: `_workspace` has no effect: it tells decK which Kong the file is for
  hint: remove the key if decK does not read this file
gateway.yaml:4:13: _info.defaults: not supported yet
  hint: write the defaults into the entities; `deck file render` does it
gateway.yaml:5:14: jwt_secrets: not supported yet
  hint: consumers are recognised by `keyauth_credentials` only; keep other credentials in a gateway in front of this one, and remove the key
gateway.yaml:7:15: certificates: not supported yet
  hint: terminate TLS in front of this gateway, and remove the key
gateway.yaml:8:9: vaults: not supported yet
  hint: a secret may be read from the environment without one: {vault://env/NAME}
4 problems
"#,
    );
}

#[test]
fn an_alias_within_itself() {
    check(
        &[r#"
_format_version: "3.0"
services: &s
- *s
"#],
        r#"
gateway.yaml:3:3: an alias of the value that contains it
  hint: write the value out
1 problem
"#,
    );
}
