//! Consumers, their keys and groups, and plug-ins that are for one of them.

use entities::ids;

use super::{accept, check, run};

#[test]
fn consumers_have_keys_and_groups_nested_or_at_the_top() {
    let config = accept(&[r#"
_format_version: "3.0"
consumers:
- username: ann
  custom_id: "42"
  tags: [staff]
  keyauth_credentials:
  - { key: first-key, tags: [old] }
  - { key: "{vault://env/webhook-secret}" }
  acls: [{ group: readers }]
- { custom_id: nameless, id: 8B8B17D2-4D6E-5F0D-9C7A-000000000001 }
keyauth_credentials:
- { consumer: ann, key: third-key, created_at: 1600000000, ttl: 60 }
- { consumer: { username: ann }, key: fourth-key, id: 6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11 }
acls: [{ consumer: { id: 8b8b17d2-4d6e-5f0d-9c7a-000000000001 }, group: writers }]
"#]);
    let [ann, nameless] = &config.set.consumers[..] else { panic!("two consumers") };
    assert_eq!(ann.id, ids::of_name("consumers", "ann"));
    assert_eq!((ann.custom_id.as_deref(), ann.tags.len()), (Some("42"), 1));
    assert_eq!((nameless.username.as_deref(), nameless.label()), (None, "nameless".to_owned()));
    let keys = &config.set.keyauth_credentials;
    let texts: Vec<_> = keys.iter().map(|one| one.key.expose()).collect();
    assert_eq!(texts, ["first-key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "third-key", "fourth-key"]);
    assert!(keys.iter().all(|one| one.consumer == ann.id));
    let ends: Vec<_> = keys.iter().map(|one| one.expires_at.map(|end| end.as_secs())).collect();
    assert_eq!(ends, [None, None, Some(1_600_000_060), None]);
    assert_eq!(keys[2].id, ids::of_short_key(ann.id, 1), "by its place: it could be guessed from its id");
    assert_eq!(keys[3].id.to_string(), "6d2a1f0e-1a5b-4f0a-9f6e-0d2f2b1a7c11");
    let groups: Vec<_> = config.set.acls.iter().map(|one| (one.consumer, one.group.as_str())).collect();
    assert_eq!(groups, [(ann.id, "readers"), (nameless.id, "writers")]);
    assert_eq!(config.served.known.keyauth_credentials.len(), 4);
}

#[test]
fn a_key_that_nobody_can_guess_has_the_same_id_wherever_it_stands() {
    let ids = |keys: &[&str]| -> Vec<uuid::Uuid> {
        let keys: Vec<_> = keys.iter().map(|key| format!("{{ key: {key} }}")).collect();
        let keys = keys.join(", ");
        let text = format!(
            "_format_version: \"3.0\"\nconsumers: [{{ username: ann, keyauth_credentials: [{keys}] }}]\n"
        );
        accept(&[&text]).set.keyauth_credentials.iter().map(|one| one.id).collect()
    };
    let [one, two, three] = ["a", "b", "c"].map(|key| key.repeat(32));
    let before = ids(&[&one, &two]);
    let after = ids(&[&three, &one, "short", &two]);
    assert_eq!(before, [after[1], after[3]], "an insert in front changes no other id");
    assert_eq!(after.iter().collect::<std::collections::HashSet<_>>().len(), 4);
}

#[test]
fn two_entities_never_have_one_id() {
    check(
        &[r#"
_format_version: "3.0"
consumers:
- username: "custom_id:42"
- custom_id: "42"
services:
- { name: profiles, host: x }
- { name: other, host: x, id: ac6337b5-a72a-5c03-bcf7-97719f943af8 }
"#],
        r#"
gateway.yaml:4:3: consumers[1]: uniqueness violation: 'consumers' entity with primary key set to '0b9d0376-30fc-5e5e-ac60-601aec208108' already declared
  hint: the first one is at gateway.yaml:3:3: one of the two ids is derived from a name; give that one an `id`
gateway.yaml:7:3: services[1]: uniqueness violation: 'services' entity with primary key set to 'ac6337b5-a72a-5c03-bcf7-97719f943af8' already declared
  hint: the first one is at gateway.yaml:6:3: one of the two ids is derived from a name; give that one an `id`
2 problems
"#,
    );
}

#[test]
fn a_plugin_may_be_for_a_consumer() {
    let settings = "config: { topic_arn: t, routes: [{ method: GET, matcher: . }] }";
    let config = accept(&[&format!(
        "_format_version: \"3.0\"\ntopics: [{{ name: t }}]\n\
         services: [{{ name: s, host: x, plugins: [{{ name: tap, consumer: bob, {settings} }}], routes: [{{ name: r, paths: [/] }}] }}]\n\
         consumers:\n- username: ann\n  plugins:\n  - {{ name: tap, {settings} }}\n  - {{ name: tap, route: r, {settings} }}\n- username: bob\n\
         plugins: [{{ name: tap, {settings} }}]\n"
    )]);
    let id = |name| Some(ids::of_name("consumers", name));
    let seen: Vec<_> = config
        .set
        .plugins
        .iter()
        .map(|one| (one.consumer, one.service.is_some(), one.route.is_some()))
        .collect();
    assert_eq!(
        seen,
        [(id("bob"), true, false), (id("ann"), false, false), (id("ann"), false, true), (None, false, false)]
    );
    let distinct: std::collections::HashSet<_> = config.set.plugins.iter().map(|one| one.id).collect();
    assert_eq!(distinct.len(), 4);
    // One for anybody, and the most specific one for each consumer.
    let served = &config.served.routes[0].plugins;
    let mut runs: Vec<_> =
        served.iter().map(|one| (one.plugin.consumer, one.plugin.route.is_some())).collect();
    runs.sort();
    let mut expected = vec![(None, false), (id("ann"), true), (id("bob"), false)];
    expected.sort();
    assert_eq!(runs, expected);
    assert_eq!(config.served.global.len(), 1, "without a route nobody is known");
}

#[test]
fn what_is_wrong_with_consumers_is_said_without_their_keys() {
    check(
        &[r#"
_format_version: "3.0"
consumers:
- tags: [a]
- username: ann
  custom_id: "1"
  keyauth_credentials:
  - { key: hunter2hunter2, consumer: ann }
  - { key: hunter2hunter2 }
  - { key: other-key, ttl: 5 }
  - { key: "{vault://env/NOTHING}" }
  - { ttl: 1 }
  acls: [{ group: "a,b" }, { group: c }, { group: c }]
- { username: ann, custom_id: "1", basicauth_credentials: [{ username: x }] }
keyauth_credentials: [{ key: third-key, consumer: bob }, { key: fourth-key }]
plugins: [{ name: tap, consumer: eve, config: { topic_arn: t, routes: [{ method: GET, matcher: . }] } }]
topics: [{ name: t }]
"#],
        r#"
gateway.yaml:3:3: consumers[0]: at least one of these fields must be non-empty: 'custom_id', 'username'
  hint: give it a `username`, by which plug-ins and credentials refer to it
gateway.yaml:7:38: consumers[1].keyauth_credentials[0].consumer: value must be null
  hint: it is under its consumer already: remove the key
gateway.yaml:8:12: consumers[1].keyauth_credentials[1].key: uniqueness violation: 'keyauth_credentials' entity with this key already declared
  hint: the first one is at gateway.yaml:7:12: change or remove one
gateway.yaml:9:28: consumers[1].keyauth_credentials[2].ttl: `ttl` needs `created_at` beside it
  hint: add `created_at`, in seconds since 1970, because otherwise each start would prolong the key; or remove `ttl`
gateway.yaml:10:12: consumers[1].keyauth_credentials[3].key: the environment variable NOTHING is not set
  hint: start with NOTHING=… in the environment
gateway.yaml:11:5: consumers[1].keyauth_credentials[4]: required field missing: `key`
  hint: add `key`: the key, or `{vault://env/NAME}`; unique
gateway.yaml:12:19: consumers[1].acls[0].group: a group has no `,` and no control characters
  hint: services see all groups of a consumer in one header, separated by commas
gateway.yaml:12:51: consumers[1].acls[2].group: uniqueness violation: 'acls' entity with this consumer and group set to 'c' already declared
  hint: the first one is at gateway.yaml:12:37: change or remove one
gateway.yaml:13:15: consumers[2].username: uniqueness violation: 'consumers' entity with username set to 'ann' already declared
  hint: the first one is at gateway.yaml:4:13: rename or remove one
gateway.yaml:13:31: consumers[2].custom_id: uniqueness violation: 'consumers' entity with custom_id set to '1' already declared
  hint: the first one is at gateway.yaml:5:14: change or remove one
gateway.yaml:13:59: consumers[2].basicauth_credentials: not supported yet
  hint: consumers are recognised by `keyauth_credentials` only; keep other credentials in a gateway in front of this one, and remove the key
gateway.yaml:14:51: keyauth_credentials[0].consumer: invalid reference 'consumer: bob' (no such entry in 'consumers')
  hint: consumers that exist: `ann`, `ann`
gateway.yaml:14:58: keyauth_credentials[1]: required field missing: `consumer`
  hint: name the consumer, or put this under one
gateway.yaml:15:34: plugins[0].consumer: invalid reference 'consumer: eve' (no such entry in 'consumers')
  hint: consumers that exist: `ann`, `ann`
14 problems
"#,
    );
}

#[test]
fn a_key_in_a_wrong_place_is_not_shown() {
    let report = run(&[
        "_format_version: \"3.0\"\nconsumers:\n- username: correct-horse\n  keyauth_credentials: [{ key: correct-horse }]\n- username: correct-horse\n",
    ]);
    let report = report.expect_err("the files must be refused").to_string();
    assert!(report.contains("uniqueness violation") && !report.contains("horse"), "{report}");
}
