//! Which differences of two files count.

use crate::testing::config;

use super::*;

const FILE: &str = r#"_format_version: "3.0"
services:
- name: s
  url: http://localhost:1
  routes: [{ name: r, paths: [/a] }]
topics:
- name: t
  subscriptions:
  - { protocol: http, endpoint: "http://localhost:9100/x" }
- name: u
queues: [{ name: q }, { name: p }]
"#;

/// What differs when each of these texts of a file is replaced.
#[track_caller]
fn changed(file: &str, replaced: &[(&str, &str)]) -> (bool, Vec<(String, How)>) {
    let mut text = file.to_owned();
    for (from, to) in replaced {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let (older, newer) = (config(&[file]), config(&[&text]));
    let name = |what: HubEntity| match what {
        HubEntity::Topic(name) => format!("topic {name}"),
        HubEntity::Queue(name) => format!("queue {name}"),
        HubEntity::Subscription { topic, name, protocol, endpoint } => {
            let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
            format!("{name}{topic} to {} {endpoint}", protocol.as_str())
        }
    };
    let changes =
        hub_changes(&older.set, &newer.set).into_iter().map(|change| (name(change.what), change.how));
    (older.served == newer.served, changes.collect())
}

#[test]
fn places_comments_and_the_order_of_the_hubs_parts_do_not_count() {
    let swapped =
        [("{ name: q }, { name: p }", "{ name: p }, { name: q }"), ("topics:", "\n# a comment\ntopics:")];
    assert_eq!(changed(FILE, &swapped), (true, vec![]));
}

#[test]
fn services_routes_and_their_order_count() {
    for (from, to) in [
        ("localhost:1", "localhost:2"),
        ("[/a]", "[/b]"),
        ("name: r,", "name: r2,"),
        ("routes: [", "tags: [x]\n  routes: ["),
        ("paths: [/a] }", "paths: [/a] }, { paths: [/b] }"),
    ] {
        assert_eq!(changed(FILE, &[(from, to)]), (false, vec![]), "{to}");
    }
}

/// What a change is called.
type Expected = &'static [(&'static str, How)];

#[test]
fn each_change_of_the_hub_is_named() {
    let named = "  - { name: cache, protocol: http";
    let cases: [(&str, &str, Expected); 7] = [
        ("- name: u", "- name: v", &[("topic v", How::Added), ("topic u", How::Removed)]),
        ("{ name: p }", "{ name: p, visibility_timeout: 7 }", &[("queue p", How::Changed)]),
        (
            "{ name: p }",
            "{ name: p, redrive_policy: { dead_letter_queue: q, max_receive_count: 3 } }",
            &[("queue p", How::Changed)],
        ),
        (", { name: p }", "", &[("queue p", How::Removed)]),
        (
            "9100/x\"",
            "9100/x\", raw_message_delivery: true",
            &[("t to http http://localhost:9100/x", How::Changed)],
        ),
        (
            "9100/x",
            "9100/y",
            &[
                ("t to http http://localhost:9100/y", How::Added),
                ("t to http http://localhost:9100/x", How::Removed),
            ],
        ),
        (
            "  - { protocol: http",
            named,
            &[
                ("cache: t to http http://localhost:9100/x", How::Added),
                ("t to http http://localhost:9100/x", How::Removed),
            ],
        ),
    ];
    for (from, to, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(name, how)| ((*name).to_owned(), *how)).collect();
        assert_eq!(changed(FILE, &[(from, to)]), (true, expected), "{to}");
    }
    let older = FILE.replace("  - { protocol: http", named);
    let moved = changed(&older, &[("9100/x", "9100/y")]);
    let same = ("cache: t to http http://localhost:9100/y".to_owned(), How::Changed);
    assert_eq!(moved, (true, vec![same]), "a name stays the same one at another endpoint");
}
