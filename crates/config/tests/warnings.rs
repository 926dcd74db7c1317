//! What a configuration may say and probably does not mean: told with its place, with the plug-ins that there are.

use event::Timestamp;

fn warnings(text: &str) -> Vec<String> {
    let kinds = plugins::all();
    let options = config::Options {
        kinds: &kinds,
        region: "us-east-1",
        account: "000000000000",
        hubs: &[],
        env: &|_| None,
        now: Timestamp::from_millis(0),
        tolerance: config::Tolerance::default(),
    };
    let config = config::check(&[("gateway.yaml", text)], &options);
    let config = config.unwrap_or_else(|report| panic!("a warning refuses nothing: {report}"));
    config.warnings.iter().map(ToString::to_string).collect()
}

/// A service with two routes, each of which strips what it matched unless told otherwise.
fn gateway(first: &str, second: &str, plugin: &str) -> String {
    format!(
        r#"_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  routes:
  - {{ name: first, paths: [/profiles], {first} }}
  - {{ name: second, paths: [/profiles/v2], {second} }}
  plugins:
  - name: publish-sns
    config:
      topic_arn: changes
      routes:
      - {{ method: PUT, matcher: "^/[0-9]+$" }}
      - {{ method: PUT, matcher: "^/profiles/v2/" }}
{plugin}
topics: [{{ name: changes }}]
"#
    )
}

#[test]
fn a_matcher_that_asks_for_what_was_stripped_is_told_with_its_place() {
    let found = warnings(&gateway("", "", "      region: us-east-1"));
    let expected = [
        "gateway.yaml:14:33: services[0].plugins[0].config.routes[1].matcher: matches only paths that repeat `/profiles`: \
         `strip_path` removes `/profiles` before the matcher is compared\n  hint: begin the matcher with what comes \
         after it, or set `strip_path: false` on the route or `match_on: request_path` here",
        "gateway.yaml:15:15: services[0].plugins[0].config.region: `region` has no effect: the topic is in this \
         process\n  hint: remove it, or give the ARN of a topic of real SNS",
    ];
    assert_eq!(found, expected);
}

#[test]
fn only_what_no_route_of_the_plug_in_sees_is_doubted() {
    assert_eq!(warnings(&gateway("strip_path: false", "", "")), [""; 0], "the first sees whole paths");
    assert_eq!(warnings(&gateway("", "strip_path: false", "")), [""; 0], "the second does");
    // A plug-in of its own takes the second route away from the service's.
    let own = "plugins: [{ name: publish-sns, config: { topic_arn: changes, routes: [{ method: PUT, matcher: x }] } }]";
    let found = warnings(&gateway("", &format!("strip_path: false, {own}"), ""));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("gateway.yaml:14:"), "{found:?}");
    // One that is off is not judged, and none is without routes.
    let text = gateway("", "", "");
    assert_eq!(warnings(&text.replace("    config:\n", "    enabled: false\n    config:\n")), [""; 0]);
}
