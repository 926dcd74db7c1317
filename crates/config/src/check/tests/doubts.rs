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

#[test]
fn a_method_of_a_route_that_nobody_has_is_doubted_as_one_of_a_rule_is() {
    assert_eq!(
        warned(
            r#"
_format_version: "3.0"
routes:
- { name: r, paths: [/a], methods: [GET, PUTT, PURGE] }
"#
        ),
        "gateway.yaml:3:42: routes[0].methods[1]: `PUTT` is not a method that HTTP's registry has\n  hint: did you mean `PUT`? correct it, unless \
         the service really has a method of this name: requests with another method do not match this route\n"
    );
}

#[test]
fn a_dead_letter_queue_that_keeps_messages_for_less_time_is_doubted() {
    let text = |there: &str| {
        warned(&format!(
            r#"
_format_version: "3.0"
queues:
- {{ name: jobs, message_retention_period: 600, redrive_policy: {{ dead_letter_queue: dead, max_receive_count: 5 }} }}
- {{ name: dead{there} }}
"#
        ))
    };
    assert_eq!((text(""), text(", message_retention_period: 600")), (String::new(), String::new()));
    assert_eq!(
        text(", message_retention_period: 599"),
        "gateway.yaml:3:85: queues[0].redrive_policy.dead_letter_queue: the dead-letter queue `dead` keeps messages for 599 seconds, less than this \
         queue's 600; a message that moves keeps its age, and may be deleted at once\n  hint: give `dead` a longer `message_retention_period` (14 days if \
         the key is absent)\n"
    );
}

#[test]
fn warnings_are_said_beside_problems_and_before_them() {
    let text = "_format_version: \"3.0\"\nservices:\n- name: a\n  url: http://x\n  retries: 3\n  routes: [{ paths: [/a], strip_path: perhaps }]\n";
    let report = super::run(&[text]).expect_err("a problem").to_string();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(
        lines[0], "warning: gateway.yaml:5:12: services[0].retries: `retries` has no effect",
        "{report}"
    );
    assert!(lines[2].starts_with("gateway.yaml:6:39: services[0].routes[0].strip_path: "), "{report}");
    assert_eq!(lines.last(), Some(&"1 problem"), "{report}");
    // And beside those that only show when all are put together.
    let twice = "- { id: 6a7c4d38-7d0e-4f4f-9b58-0f0f2a7a0001, name: NAME, url: http://x, retries: 3 }\n";
    let text = format!(
        "_format_version: \"3.0\"\nservices:\n{}{}",
        twice.replace("NAME", "a"),
        twice.replace("NAME", "b")
    );
    let report = super::run(&[&text]).expect_err("a problem").to_string();
    assert_eq!(
        (report.matches("warning: ").count(), report.matches("already declared").count()),
        (2, 1),
        "{report}"
    );
}
