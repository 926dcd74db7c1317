//! Which changes are taken, and the reasons against the others.

use super::*;
use crate::testing::config;

const FILE: &str = "_format_version: '3.0'\nservices: [{ name: s, host: x, routes: [{ name: r, paths: [/] }] }]\n\
    topics: [{ name: t, subscriptions: [{ protocol: http, endpoint: 'http://a' }] }]\nqueues: [{ name: q }]\n";

fn whole() -> Whole {
    Whole::merge(config(&[FILE]).set, Set::default()).0
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
        "topic `t` is declared in a configuration file, and changes there"
    );
    let file = Entity::Topic(whole.file().topics[0].clone());
    assert_eq!(
        refused(whole.edited(&put(&[file, topic(&whole, "t"), topic(&whole, "a b")]))),
        [
            "topic `t` is declared in a configuration file, and changes there",
            "there is a topic `t` already",
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
