//! Which changes are taken, and the reasons against the others.

use super::*;
use entities::Upstream;

use crate::Merged;
use crate::testing::config;

const FILE: &str = "_format_version: '3.0'\nservices: [{ name: s, host: x, routes: [{ name: r, paths: [/] }] }]\n\
    topics: [{ name: t, subscriptions: [{ protocol: http, endpoint: 'http://a' }] }]\nqueues: [{ name: q }]\n";

fn whole() -> Whole {
    Whole::merge(config(&[FILE]).set, Set::default()).whole
}

fn put(entities: &[Entity]) -> Edit {
    Edit { put: entities.to_vec(), ..Edit::default() }
}

/// The file's topic, made anew by an API.
fn topic(whole: &Whole, name: &str) -> Entity {
    let topic = (*whole.file().topics[0]).clone().owned(Uuid::from_u128(1), Origin::Api);
    Entity::Topic(entities::Topic { name: name.into(), ..topic }.into())
}

fn subscription(whole: &Whole, topic: &str, id: u128) -> Entity {
    let one = (*whole.file().subscriptions[0]).clone().owned(Uuid::from_u128(id), Origin::Api);
    Entity::Subscription(entities::Subscription { topic: topic.into(), ..one }.into())
}

#[track_caller]
fn refused(edited: Result<Whole, Vec<Refusal>>) -> Vec<String> {
    edited.expect_err("it must be refused").iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_put_and_ended_is_all_that_changes() {
    let before = whole();
    let made = before.edited(&put(&[topic(&before, "u"), subscription(&before, "u", 2)])).unwrap();
    assert_eq!((made.api().topics.len(), made.api().subscriptions.len(), made.file()), (1, 1, before.file()));
    // Once more changes nothing.
    let again = made.edited(&put(&[topic(&before, "u")])).unwrap();
    assert_eq!(again.api(), made.api());
    let end = Edit {
        end: vec![(Kind::Subscription, Uuid::from_u128(2)), (Kind::Topic, Uuid::from_u128(1))],
        ..Edit::default()
    };
    assert_eq!(*made.edited(&end).unwrap().api(), Set::default());
}

#[test]
fn a_file_s_entities_and_what_is_taken_are_refused_with_all_reasons() {
    let whole = whole();
    let of_file = Edit { end: vec![(Kind::Topic, whole.file().topics[0].id)], ..Edit::default() };
    assert_eq!(
        refused(whole.edited(&of_file))[0],
        "topic `t` is declared in a configuration file: change it there"
    );
    let file = Entity::Topic(whole.file().topics[0].clone());
    assert_eq!(
        refused(whole.edited(&put(&[file, topic(&whole, "t"), topic(&whole, "a b")]))),
        [
            "topic `t` is declared in a configuration file: change it there",
            "another topic already has the name of `t`",
            "topic `a b`: name: a name has 1 to 256 letters, digits, hyphens or underscores",
        ]
    );
    let unknown = Edit { end: vec![(Kind::Queue, Uuid::from_u128(9))], ..Edit::default() };
    assert_eq!(refused(whole.edited(&unknown)), ["there is no such queue"]);
}

#[test]
fn nothing_refers_to_what_is_not_there() {
    let before = whole();
    assert_eq!(
        refused(before.edited(&put(&[subscription(&before, "nothing", 2)]))),
        ["subscription `nothing to http http://a` refers to a topic that does not exist"]
    );
    let made = before.edited(&put(&[topic(&before, "u"), subscription(&before, "u", 2)])).unwrap();
    let end = Edit { end: vec![(Kind::Topic, Uuid::from_u128(1))], ..Edit::default() };
    assert_eq!(refused(made.edited(&end)), ["topic `u` is still used by subscription `u to http http://a`"]);
}

const PEOPLE: &str = "_format_version: '3.0'\nservices: [{ name: s, host: x, routes: [{ name: r, paths: [/] }] }]\n\
    consumers: [{ username: ann, custom_id: '1', keyauth_credentials: [{ key: k1 }, { key: k2 }], acls: [{ group: g }] }]\n";

/// What a file says, as an API made it.
fn made(text: &str) -> Whole {
    struct Own(Set);
    impl OnKind for Own {
        type Out = ();

        fn on<T: Item>(&mut self) {
            let own = |one: &Arc<T>| Arc::new((**one).clone().owned(one.id(), Origin::Api));
            *T::list_mut(&mut self.0) = T::list(&self.0).iter().map(own).collect();
        }
    }
    let mut set = Own(config(&[text]).set);
    Kind::ALL.iter().for_each(|kind| kind.with(&mut set));
    Whole::of(Set::default(), set.0)
}

#[test]
fn what_is_unique_of_consumers_is_so_for_files_and_apis_together() {
    let Merged { whole: file, .. } = Whole::merge(config(&[PEOPLE]).set, Set::default());
    let other = made(PEOPLE);
    let ann = (*other.api().consumers[0]).clone();
    let key = (*other.api().keyauth_credentials[0]).clone();
    let acl = (*other.api().acls[0]).clone();
    let id = Uuid::from_u128;
    let edit = put(&[
        Entity::Consumer(entities::Consumer { id: id(1), custom_id: None, ..ann.clone() }.into()),
        Entity::Consumer(entities::Consumer { id: id(2), username: None, ..ann.clone() }.into()),
        Entity::KeyAuthCredential(entities::KeyAuthCredential { id: id(3), ..key.clone() }.into()),
        Entity::Acl(entities::Acl { id: id(4), ..acl }.into()),
        Entity::KeyAuthCredential(
            entities::KeyAuthCredential {
                id: id(5),
                consumer: id(9),
                key: entities::Secret::new("k3".into()),
                ..key
            }
            .into(),
        ),
    ]);
    assert_eq!(
        refused(file.edited(&edit)),
        [
            "another consumer already has the username of `ann`".to_owned(),
            "another consumer already has the custom_id of `1`".to_owned(),
            format!("another key-auth credential already has the key of `{}`", id(3)),
            "another group membership already has the consumer and group of `g`".to_owned(),
            format!("key-auth credential `{}` refers to a consumer that does not exist", id(5)),
        ]
    );
}

#[test]
fn a_consumer_s_end_takes_along_what_belongs_to_it_and_a_service_s_end_its_plugins() {
    let mut before = made(PEOPLE);
    let (ann, service) = (before.api().consumers[0].id, before.api().services[0].id);
    let plugin = |number, service, consumer| entities::Plugin {
        id: Uuid::from_u128(number),
        origin: Origin::Api,
        name: "tap".into(),
        instance_name: None,
        service,
        route: None,
        consumer,
        config: serde_json::Value::Null,
        enabled: true,
        tags: Vec::new(),
        created_at: event::Timestamp::from_millis(1),
        updated_at: event::Timestamp::from_millis(1),
    };
    for plugin in [plugin(1, None, Some(ann)), plugin(2, Some(service), None), plugin(3, None, None)] {
        before = before.edited(&put(&[Entity::Plugin(plugin.into())])).unwrap();
    }
    let end = |kind, id| Edit { end: vec![(kind, id)], ..Edit::default() };
    let bare = refused(before.edited(&end(Kind::Consumer, ann)));
    assert!(bare[0].starts_with("consumer `ann` is still used by key-auth credential"), "{bare:?}");
    let whole = before.with_dependents(end(Kind::Consumer, ann));
    assert_eq!(whole.end.len(), 5, "{whole:?}");
    let left = before.edited(&whole).unwrap();
    let api = left.api();
    assert_eq!((api.consumers.len(), api.keyauth_credentials.len(), api.acls.len()), (0, 0, 0));
    assert_eq!(api.plugins.iter().map(|one| one.id.as_u128()).collect::<Vec<_>>(), [2, 3]);
    // A route keeps its service, as in Kong; a plug-in goes along.
    let whole = left.with_dependents(end(Kind::Service, service));
    assert_eq!(refused(left.edited(&whole)), ["service `s` is still used by route `r`"]);
    let route = (Kind::Route, api.routes[0].id);
    let both = left.with_dependents(Edit { end: vec![(Kind::Service, service), route], ..Edit::default() });
    let left = left.edited(&both).unwrap();
    assert_eq!(left.api().plugins.iter().map(|one| one.id.as_u128()).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_the_hub_has_keeps_its_name_and_its_place() {
    let before = whole();
    let made = before.edited(&put(&[topic(&before, "u"), subscription(&before, "u", 2)])).unwrap();
    let Entity::Subscription(one) = subscription(&before, "u", 2) else { panic!("a subscription") };
    let moved = |one: entities::Subscription| refused(made.edited(&put(&[Entity::Subscription(one.into())])));
    let label = "subscription `u to http http://b`: endpoint: it cannot be changed";
    assert_eq!(moved(entities::Subscription { endpoint: "http://b".into(), ..(*one).clone() }), [label]);
    let label = "subscription `t to http http://a`: topic: it cannot be changed";
    assert_eq!(moved(entities::Subscription { topic: "t".into(), ..(*one).clone() })[0], label);
    assert_eq!(
        refused(made.edited(&put(&[topic(&before, "v")])))[0],
        "topic `v`: name: it cannot be changed"
    );
    // Another form is what can change.
    let raw = entities::Subscription { raw_message_delivery: true, ..(*one).clone() };
    assert!(made.edited(&put(&[Entity::Subscription(raw.into())])).is_ok());
}

#[test]
fn another_spelling_is_taken_and_what_is_ended_leaves_its_place() {
    let before = whole();
    let Entity::Subscription(one) = subscription(&before, "t", 2) else { panic!("a subscription") };
    let spelt = Entity::Subscription(
        entities::Subscription { endpoint: "http://A:80".into(), ..(*one).clone() }.into(),
    );
    assert_eq!(
        refused(before.edited(&put(&[spelt]))),
        ["another subscription already has the topic and protocol and endpoint of `t to http http://A:80`"]
    );
    let made = before.edited(&put(&[topic(&before, "u")])).unwrap();
    let Entity::Topic(one) = topic(&before, "u") else { panic!("a topic") };
    let again = Entity::Topic((*one).clone().owned(Uuid::from_u128(3), Origin::Api).into());
    let edit = Edit { end: vec![(Kind::Topic, Uuid::from_u128(1))], ..put(&[again]) };
    assert_eq!(made.edited(&edit).unwrap().api().topics[0].id, Uuid::from_u128(3));
}

#[test]
fn there_are_only_so_many_of_a_kind() {
    let before = whole();
    let named = |at: usize| {
        let topic = (*before.file().topics[0]).clone().owned(Uuid::from_u128(at as u128), Origin::Api);
        Arc::new(entities::Topic { name: format!("t{at}"), ..topic })
    };
    let full = Set { topics: (2..=MAX_OF_A_KIND).map(named).collect(), ..Set::default() };
    let full = Whole::merge(before.file().clone(), full).whole;
    let words = "there are already 100000 entities of the kind topic, the most allowed: delete some first";
    assert_eq!(refused(full.edited(&put(&[topic(&before, "u")]))), [words]);
    // What is there can change.
    let one =
        entities::Topic { attributes: [("DisplayName".into(), "x".into())].into(), ..(*named(2)).clone() };
    assert!(full.edited(&put(&[Entity::Topic(one.into())])).is_ok());
}

#[test]
fn what_the_store_would_refuse_is_refused_before() {
    let before = whole();
    let service = (*before.file().services[0]).clone().owned(Uuid::from_u128(4), Origin::Api);
    let service = entities::Service { name: Some("x".repeat(1_100_000)), ..service };
    let refusals = refused(before.edited(&put(&[Entity::Service(service.into())])));
    assert!(refusals[0].ends_with("bytes; the limit is 1048576"), "{}", refusals[0].len());
}

const BALANCED: &str =
    "_format_version: '3.0'\nupstreams: [{ name: u, targets: [{ target: 'a:80' }, { target: 'b:80' }] }]\n";

#[test]
fn an_upstream_ends_with_its_targets_and_a_target_needs_one() {
    let of_api = |set: &Set| {
        let upstream = Upstream { origin: Origin::Api, ..(*set.upstreams[0]).clone() };
        let own = |one: &Arc<entities::Target>| entities::Target { origin: Origin::Api, ..(**one).clone() };
        let targets = set.targets.iter().map(|one| Entity::Target(own(one).into()));
        targets.chain([Entity::Upstream(upstream.into())]).collect::<Vec<_>>()
    };
    let set = config(&[BALANCED]).set;
    let put = of_api(&set);
    let lonely = Edit { put: put[..1].to_vec(), ..Edit::default() };
    let refusals = Whole::default().edited(&lonely).expect_err("nothing to belong to");
    assert!(matches!(refusals[..], [Refusal::Missing { kind: Kind::Target, missing: Kind::Upstream, .. }]));
    let whole = Whole::default().edited(&Edit { put, ..Edit::default() }).expect("all of it");
    let end = vec![(Kind::Upstream, set.upstreams[0].id)];
    let edit = whole.with_dependents(Edit { end, ..Edit::default() });
    assert_eq!(edit.end.len(), 3);
    assert_eq!(whole.edited(&edit).expect("it ends").all().targets.len(), 0);
    // The same target twice.
    let twice = entities::Target { id: Uuid::from_u128(9), origin: Origin::Api, ..(*set.targets[0]).clone() };
    let twice = Edit { put: vec![Entity::Target(twice.into())], ..Edit::default() };
    let refusals = whole.edited(&twice).expect_err("it is there");
    assert!(matches!(refusals[..], [Refusal::Taken { fields: ["upstream", "target"], .. }]), "{refusals:?}");
}
