//! Plug-ins that are refused.

use super::check;

#[test]
fn a_kind_that_there_is_not() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  plugins:
  - { name: key-auth }
  - { name: publish_sns, config: {} }
  - { name: rate-limitting }
  - { name: enrichment }
"#],
        r#"
gateway.yaml:6:13: services[0].plugins[0].name: `key-auth` is a plug-in of Kong's that Retrohook does not have yet
  hint: remove it here and keep it in a Kong in front; available plug-ins: `publish-sns`, `tap`
gateway.yaml:7:13: services[0].plugins[1].name: no plug-in `publish_sns`
  hint: did you mean `publish-sns`?
gateway.yaml:8:13: services[0].plugins[2].name: no plug-in `rate-limitting`
  hint: did you mean `rate-limiting`? Retrohook does not have that plug-in of Kong's yet; available plug-ins: `publish-sns`, `tap`
gateway.yaml:9:13: services[0].plugins[3].name: no plug-in `enrichment`
  hint: available plug-ins: `publish-sns`, `tap`
4 problems
"#,
    );
}

#[test]
fn settings_that_do_not_fit() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  plugins:
  - name: publish-sns
    config:
      topic: profile-changes
      durability: strickt
      routes:
      - { method: PUT }
      - PUT
"#],
        r#"
gateway.yaml:7:5: services[0].plugins[0].config: required field missing: `topic_arn`
  hint: add `topic_arn`: the topic's name
gateway.yaml:8:7: services[0].plugins[0].config.topic: unknown field `topic`
  hint: known fields: topic_arn, routes, durability
gateway.yaml:9:19: services[0].plugins[0].config.durability: unknown value `strickt`
  hint: did you mean `strict`?
gateway.yaml:11:9: services[0].plugins[0].config.routes[0]: required field missing: `matcher`
  hint: add `matcher`: a regular expression
gateway.yaml:12:9: services[0].plugins[0].config.routes[1]: expected a mapping, found a string
  hint: write a mapping, which needs `method`, `matcher`
5 problems
"#,
    );
}

#[test]
fn what_the_kind_itself_finds() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  plugins:
  - name: publish-sns
    config:
      topic_arn: profile-change
      routes:
      - { method: PUT, matcher: "^/profiles" }
      - { method: PUT, matcher: "(" }
topics:
- name: profile-changes
"#],
        r#"
gateway.yaml:8:18: services[0].plugins[0].config.topic_arn: no topic `profile-change`
  hint: add it under `topics`
gateway.yaml:11:33: services[0].plugins[0].config.routes[1].matcher: not a regex
  hint: close the group
2 problems
"#,
    );
}

#[test]
fn a_misspelt_key_hides_nothing() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  plugins:
  - name: publish-sns
    config:
      topic_arn: profile-change
      durabilty: strict
      routes:
      - { method: PUT, matcher: "(" }
topics:
- name: profile-changes
"#],
        r#"
gateway.yaml:8:18: services[0].plugins[0].config.topic_arn: no topic `profile-change`
  hint: add it under `topics`
gateway.yaml:9:7: services[0].plugins[0].config.durabilty: unknown field `durabilty`
  hint: did you mean `durability`?
gateway.yaml:11:33: services[0].plugins[0].config.routes[0].matcher: not a regex
  hint: close the group
3 problems
"#,
    );
}

#[test]
fn no_settings_at_all() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  plugins:
  - name: publish-sns
"#],
        r#"
gateway.yaml:6:5: services[0].plugins[0].config: required field missing: `topic_arn`
  hint: add `topic_arn`: the topic's name
gateway.yaml:6:5: services[0].plugins[0].config: required field missing: `routes`
  hint: add `routes`: which requests matter
2 problems
"#,
    );
}

#[test]
fn one_of_a_kind_for_each_target() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: profiles
  url: http://localhost:9000
  plugins:
  - { name: tap, config: &c { topic_arn: t, routes: [{ method: GET, matcher: . }] } }
plugins:
- { name: tap, service: profiles, config: *c }
- { name: tap, config: *c }
- { name: tap, config: *c, enabled: false }
topics: [{ name: t }]
"#],
        r#"
gateway.yaml:8:3: plugins[0]: uniqueness violation: 'plugins' entity with name set to 'tap' already declared on this service
  hint: the first one is at gateway.yaml:6:5, and there may be one of a kind for each service, route, consumer, or all: join the two into one `config`
gateway.yaml:10:3: plugins[2]: uniqueness violation: 'plugins' entity with name set to 'tap' already declared for all routes
  hint: the first one is at gateway.yaml:9:3, and there may be one of a kind for each service, route, consumer, or all: join the two into one `config`
2 problems
"#,
    );
}

#[test]
fn what_it_stands_on() {
    check(
        &[r#"
_format_version: "3.0"
services:
- name: a
  host: x
  routes: [{ name: ra, paths: [/] }]
  plugins:
  - { name: tap, service: a, config: &c { topic_arn: t, routes: [{ method: GET, matcher: . }] } }
- { name: b, host: x }
plugins:
- { name: tap, route: rb, config: *c }
- { name: tap, route: ra, service: b, config: *c }
- { name: tap, consumer: ann, config: *c }
- { name: tap, protocols: [tcp], config: *c }
topics: [{ name: t }]
"#],
        r#"
gateway.yaml:7:27: services[0].plugins[0].service: value must be null
  hint: it is under its service already: remove the key
gateway.yaml:10:23: plugins[0].route: invalid reference 'route: rb' (no such entry in 'routes')
  hint: did you mean `ra`?
gateway.yaml:11:3: plugins[1]: the route does not lead to the service: the plug-in would never run
  hint: remove `service`: the route alone is enough
gateway.yaml:12:26: plugins[2].consumer: invalid reference 'consumer: ann' (no such entry in 'consumers')
  hint: there are no consumers: add it under `consumers`
gateway.yaml:13:27: plugins[3].protocols: a plug-in without `http` is not supported yet
  hint: add `http`, or remove the key
5 problems
"#,
    );
}
