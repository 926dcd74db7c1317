//! Keys of Kong's that are accepted and do nothing.

use super::accept;

#[track_caller]
fn warned(text: &str) -> String {
    let config = accept(&[text.trim_start()]);
    config.warnings.iter().map(|warning| format!("{warning}\n")).collect()
}

#[test]
fn what_has_no_effect_is_told() {
    let text = r#"
_format_version: "3.0"
services:
- name: a
  url: http://x
  retries: 3
  routes:
  - { name: r, paths: [/], request_buffering: false, response_buffering: false }
"#;
    assert_eq!(
        warned(text),
        "gateway.yaml:5:12: services[0].retries: `retries` has no effect
  hint: remove the key: a request that was sent is never sent again, because the service may have executed it
gateway.yaml:7:74: services[0].routes[0].response_buffering: `response_buffering` has no effect
  hint: remove the key: answers are forwarded as they arrive
"
    );
}

#[test]
fn what_an_export_of_kong_writes_everywhere_is_no_wish() {
    let text = r#"
_format_version: "3.0"
services:
- name: a
  url: http://x
  retries: 5
  routes:
  - { name: r, paths: [/], request_buffering: true, response_buffering: true }
- { name: b, url: "http://x", retries: 0, routes: [{ name: s, paths: [/s] }] }
"#;
    assert_eq!(warned(text), "");
}
