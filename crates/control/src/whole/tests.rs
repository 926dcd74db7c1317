//! What files and APIs have together.

use super::*;
use crate::testing::{config, trusting};

/// A set as an API would have made it, with ids of its own.
fn made(text: &str) -> Set {
    fn own<T: Item>(list: &[Arc<T>], ids: &mut HashMap<Uuid, Uuid>) -> Vec<Arc<T>> {
        let mut own = |one: &Arc<T>| {
            let id = Uuid::from_u128(one.id().as_u128() ^ 1);
            ids.insert(one.id(), id);
            Arc::new((**one).clone().owned(id, Origin::Api))
        };
        list.iter().map(&mut own).collect()
    }
    let (file, mut ids) = (file(text), HashMap::new());
    let mut set = Set {
        ca_certificates: own(&file.ca_certificates, &mut ids),
        services: own(&file.services, &mut ids),
        routes: own(&file.routes, &mut ids),
        consumers: own(&file.consumers, &mut ids),
        keyauth_credentials: own(&file.keyauth_credentials, &mut ids),
        acls: own(&file.acls, &mut ids),
        consumer_groups: own(&file.consumer_groups, &mut ids),
        upstreams: own(&file.upstreams, &mut ids),
        targets: own(&file.targets, &mut ids),
        plugins: own(&file.plugins, &mut ids),
        topics: own(&file.topics, &mut ids),
        queues: own(&file.queues, &mut ids),
        subscriptions: own(&file.subscriptions, &mut ids),
    };
    refer(&mut set, &ids);
    set
}

fn file(text: &str) -> Set {
    config(&[text]).set
}

const BOTH: &str = "_format_version: '3.0'\nservices: [{ name: s, host: x, routes: [{ name: r, paths: [/] }] }]\n\
    topics: [{ name: t, subscriptions: [{ protocol: http, endpoint: 'http://a' }] }]\nqueues: [{ name: q }]\n";

#[test]
fn a_file_adopts_what_an_api_made_with_its_id_and_what_refers_to_it() {
    let api = made(BOTH);
    let Merged { whole, adopted, .. } = Whole::merge(file(BOTH), api.clone());
    let kinds: Vec<_> = adopted.iter().map(|one| (one.kind, one.label.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (Kind::Service, "s"),
            (Kind::Route, "r"),
            (Kind::Topic, "t"),
            (Kind::Queue, "q"),
            (Kind::Subscription, "t to http http://a"),
        ]
    );
    assert_eq!(*whole.api(), Set::default());
    assert_eq!(whole.file().services[0].id, api.services[0].id);
    assert_eq!(whole.file().routes[0].service, Some(api.services[0].id));
    assert_eq!(whole.file().subscriptions[0].origin, Origin::File);
    assert_eq!(whole.served().routes.len(), 1);
    assert!(Whole::merge(whole.file().clone(), Set::default()).adopted.is_empty(), "once");
}

#[test]
fn a_service_and_the_authority_that_it_trusts_stay_together() {
    let before = file(&trusting());
    let api = made(&trusting());
    let Merged { whole, adopted, .. } = Whole::merge(before.clone(), api.clone());
    assert_eq!(adopted.iter().map(|one| one.kind).collect::<Vec<_>>(), [Kind::CaCertificate, Kind::Service]);
    let id = api.ca_certificates[0].id;
    assert_eq!(whole.file().services[0].ca_certificates, [id], "it was adopted with the id of the API's");
    assert_eq!(whole.users(Kind::CaCertificate, id), [(Kind::Service, "s".to_owned())]);

    let service = (*before.services[0]).clone().owned(Uuid::from_u128(7), Origin::Api);
    let api = Set { services: vec![service.into()], ..Set::default() };
    let Merged { whole, .. } = Whole::merge(Set::default(), api);
    let missed: Vec<_> = whole.dangling().into_iter().map(|one| (one.kind, one.missing)).collect();
    assert_eq!(missed, [(Kind::Service, Kind::CaCertificate)]);
    let (kept, entities) = whole.keep_referred(&before);
    assert_eq!((kept.dangling(), entities.len()), (vec![], 1));
    assert_eq!(kept.api().ca_certificates[0].id, before.ca_certificates[0].id);
}

#[test]
fn neither_touches_what_the_other_owns() {
    let other =
        BOTH.replace("name: s,", "name: o,").replace("name: r,", "name: p,").replace("name: t,", "name: u,");
    let (api, declared) = (made(&other.replace("name: q", "name: w")), file(BOTH));
    let Merged { whole, adopted, .. } = Whole::merge(declared.clone(), api.clone());
    assert_eq!((adopted, whole.dangling()), (vec![], vec![]));
    assert_eq!((whole.file(), whole.api()), (&declared, &api));
    assert_eq!((whole.all().services.len(), whole.all().queues.len()), (2, 2));
    let Merged { whole, .. } = Whole::merge(Set::default(), whole.api().clone());
    assert_eq!((whole.file(), whole.api()), (&Set::default(), &api));
}

#[test]
fn what_an_api_built_on_a_file_is_missed_and_can_be_kept() {
    let before = file(BOTH);
    let mut api = Set::default();
    let route = (*before.routes[0]).clone().owned(Uuid::from_u128(7), Origin::Api);
    api.routes.push(Route { name: Some("mine".into()), ..route }.into());
    let mine = (*before.subscriptions[0]).clone().owned(Uuid::from_u128(8), Origin::Api);
    api.subscriptions.push(entities::Subscription { endpoint: "http://b".into(), ..mine }.into());
    let Merged { whole, .. } = Whole::merge(before.clone(), api.clone());
    assert_eq!(whole.dangling(), []);
    let Merged { whole, .. } = Whole::merge(Set::default(), api.clone());
    let missed: Vec<_> = whole.dangling().into_iter().map(|one| (one.kind, one.label, one.missing)).collect();
    assert_eq!(
        missed,
        [
            (Kind::Route, "mine".to_owned(), Kind::Service),
            (Kind::Subscription, "t to http http://b".to_owned(), Kind::Topic),
        ]
    );
    let (kept, entities) = whole.clone().keep_referred(&before);
    assert_eq!(kept.dangling(), []);
    let labels: Vec<_> = entities.iter().map(|one| (one.kind(), one.label())).collect();
    assert_eq!(labels, [(Kind::Service, "s".to_owned()), (Kind::Topic, "t".to_owned())]);
    assert!(
        kept.api().services.iter().all(|one| one.origin == Origin::Api && one.id == before.services[0].id)
    );
    // What was not even there before stays missing.
    assert_eq!(whole.keep_referred(&Set::default()).0.dangling().len(), 2);
}

const PEOPLE: &str = "_format_version: '3.0'\nconsumers: [{ username: ann, custom_id: '1', keyauth_credentials: [{ key: k1 }], acls: [{ group: g }] }]\n";

#[test]
fn a_file_adopts_consumers_with_what_belongs_to_them() {
    let api = made(PEOPLE);
    let Merged { whole, adopted, .. } = Whole::merge(file(PEOPLE), api.clone());
    let kinds: Vec<_> = adopted.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::Consumer, Kind::KeyAuthCredential, Kind::Acl]);
    assert_eq!((whole.api(), whole.dangling()), (&Set::default(), vec![]));
    let (ann, key) = (&whole.file().consumers[0], &whole.file().keyauth_credentials[0]);
    assert_eq!((ann.id, key.id), (api.consumers[0].id, api.keyauth_credentials[0].id));
    assert_eq!((key.consumer, whole.file().acls[0].consumer), (ann.id, ann.id));
    // A key that a file gives to another consumer is that one's from now on.
    let other = PEOPLE.replace("ann", "bob").replace("'1'", "'2'");
    let Merged { whole, .. } = Whole::merge(file(&other), api.clone());
    let bob = &whole.file().consumers[0];
    assert_eq!(whole.file().keyauth_credentials[0].consumer, bob.id);
    assert_eq!((whole.api().consumers.len(), whole.api().keyauth_credentials.len()), (1, 0));
}

const BALANCED: &str = "_format_version: '3.0'\nupstreams: [{ name: u, targets: [{ target: 'a:80' }, { target: 'b:80', weight: 0 }] }]\nconsumer_groups: [{ name: gold }]\n";

#[test]
fn a_file_adopts_upstreams_with_their_targets_and_groups() {
    let api = made(BALANCED);
    let Merged { whole, adopted, .. } = Whole::merge(file(BALANCED), api.clone());
    let kinds: Vec<_> = adopted.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [Kind::Upstream, Kind::Target, Kind::Target, Kind::ConsumerGroup]);
    assert_eq!((whole.api(), whole.dangling()), (&Set::default(), vec![]));
    let upstream = &whole.file().upstreams[0];
    assert_eq!(upstream.id, api.upstreams[0].id);
    assert!(whole.file().targets.iter().all(|target| target.upstream == upstream.id));
    // A target of an API at an upstream that the file drops: the upstream stays, as if an API had made it.
    let mut left = api;
    let before = file(&BALANCED.replace("name: u,", "name: v,"));
    left.upstreams.clear();
    let target = (*left.targets[0]).clone();
    left.targets = vec![Target { upstream: before.upstreams[0].id, ..target }.into()];
    let Merged { whole, .. } = Whole::merge(Set::default(), left);
    assert_eq!(whole.dangling()[0].missing, Kind::Upstream);
    let (whole, kept) = whole.keep_referred(&before);
    assert_eq!((kept.len(), whole.dangling(), whole.api().upstreams.len()), (1, vec![], 1));
}

#[test]
fn two_consumers_of_an_api_that_a_file_declares_as_one_are_one() {
    let mut api = made(PEOPLE);
    let ann = (*api.consumers[0]).clone();
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    api.consumers = vec![
        entities::Consumer { id: first, custom_id: None, ..ann.clone() }.into(),
        entities::Consumer { id: second, username: None, ..ann }.into(),
    ];
    let key = (*api.keyauth_credentials[0]).clone();
    api.keyauth_credentials = vec![KeyAuthCredential { consumer: second, ..key }.into()];
    api.acls.clear();
    let declared = "_format_version: '3.0'\nconsumers: [{ username: ann, custom_id: '1' }]\n";
    let Merged { whole, adopted, rewritten, .. } = Whole::merge(file(declared), api);
    assert_eq!(adopted.iter().map(|one| one.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(rewritten, [Entity::KeyAuthCredential(whole.api().keyauth_credentials[0].clone())]);
    assert_eq!((whole.api().consumers.len(), whole.dangling()), (0, vec![]));
    assert_eq!(whole.api().keyauth_credentials[0].consumer, first);
}

#[test]
fn two_consumers_in_one_group_that_are_one_are_in_it_once() {
    let mut api = made(PEOPLE);
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let ann = (*api.consumers[0]).clone();
    api.consumers = vec![
        entities::Consumer { id: first, custom_id: None, ..ann.clone() }.into(),
        entities::Consumer { id: second, username: None, ..ann }.into(),
    ];
    let membership = (*api.acls[0]).clone();
    let acl = |id, consumer| Acl { id: Uuid::from_u128(id), consumer, ..membership.clone() }.into();
    api.acls = vec![acl(3, first), acl(4, second)];
    api.keyauth_credentials.clear();
    let declared = "_format_version: '3.0'\nconsumers: [{ username: ann, custom_id: '1' }]\n";
    let merged = Whole::merge(file(declared), api);
    let left: Vec<_> = merged.whole.api().acls.iter().map(|one| (one.id.as_u128(), one.consumer)).collect();
    assert_eq!((left, merged.rewritten.len()), (vec![(3, first)], 0));
    let gone = [(Kind::Consumer, first), (Kind::Consumer, second), (Kind::Acl, Uuid::from_u128(4))];
    assert_eq!(merged.gone(), gone);
}

#[test]
fn a_file_adopts_by_the_place_too_and_nothing_is_double_after_that() {
    let subscribed = |more: &str| {
        file(&format!(
            "_format_version: '3.0'\ntopics: [{{ name: t, subscriptions: [{{ protocol: http, {more} }}] }}]\n"
        ))
    };
    let mut api = made(
        "_format_version: '3.0'\ntopics: [{ name: t, subscriptions: [{ protocol: http, endpoint: 'http://a' }] }]\n",
    );
    api.topics.clear();
    let id = api.subscriptions[0].id;
    for same in ["endpoint: 'http://a'", "name: n, endpoint: 'http://a'", "name: n, endpoint: 'http://A:80/'"]
    {
        let Merged { whole, adopted, .. } = Whole::merge(subscribed(same), api.clone());
        assert_eq!((adopted.len(), whole.api().subscriptions.len()), (1, 0), "{same}");
        assert_eq!(whole.file().subscriptions[0].id, id, "{same}");
    }
    let Merged { whole, adopted, .. } = Whole::merge(subscribed("name: n, endpoint: 'http://b'"), api);
    assert_eq!((adopted.len(), whole.all().subscriptions.len()), (0, 2));

    // One by its id, and another one by its name.
    let api = made("_format_version: '3.0'\nservices: [{ name: a, host: x }, { name: b, host: x }]\n");
    let id = api.services[0].id;
    let declared = file(&format!("_format_version: '3.0'\nservices: [{{ id: {id}, name: b, host: x }}]\n"));
    let Merged { whole, adopted, .. } = Whole::merge(declared, api);
    assert_eq!((adopted.len(), whole.all().services.len(), whole.file().services[0].id), (2, 1, id));
}

#[test]
fn an_adopted_id_stays_for_as_long_as_the_file_declares_it() {
    // A route of the API's, on a service that a file has adopted.
    let mut api = made(BOTH);
    let declared = BOTH.replace(", routes: [{ name: r, paths: [/] }]", "");
    let Merged { whole, other_ids: known, .. } = Whole::merge_knowing(file(&declared), api.clone(), &[]);
    let (id, derived) = (api.services[0].id, file(BOTH).services[0].id);
    assert_eq!((whole.file().services[0].id, whole.dangling()), (id, vec![]));
    assert!(known.contains(&OtherId { kind: Kind::Service, declared: derived, id }), "{known:?}");
    // The next reading of the same: nothing is left to adopt, and the id is the same.
    api = whole.api().clone();
    let Merged { whole: again, adopted, other_ids: still, .. } =
        Whole::merge_knowing(file(&declared), api.clone(), &known);
    assert_eq!((again.all(), again.dangling(), adopted, &still), (whole.all(), vec![], vec![], &known));
    // Its routes and plug-ins refer to it.
    let more = Whole::merge_knowing(file(&BOTH.replace("name: r", "name: other")), api.clone(), &known).whole;
    assert_eq!(more.file().routes[0].service, Some(id));
    // Without it, it is forgotten.
    let left = Whole::merge_knowing(Set::default(), api, &known).other_ids;
    assert_eq!(left, []);
}
