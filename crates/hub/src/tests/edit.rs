//! Tests of [`Hub::edit`](crate::Hub::edit): what changes, who feels it, and what is dropped.

use std::time::Duration;

use entities::{Origin, SignatureVersion};
use storage::dropped::Dropped;
use storage::entities::{DesiredSubscription, Entities, Protocol, Queue, Subscription, SubscriptionState};
use storage::memory::{CommitFault, sample_event};
use storage::redrive::Redrive;
use storage::registry::Row;
use uuid::Uuid;

use crate::queue::{ChangeVisibility, Receive};
use crate::subscription::Subscribed;
use crate::testing::{EMPTY_QUEUE, QUEUE, RAW_QUEUE, TOPIC, WEBHOOK, World, desired};
use crate::{Hub, HubError, QueueSettings, Settings};

const NOW: Receive = Receive { max: 10, visibility: None, wait: None };

fn wanted(topic: &str, protocol: Protocol, endpoint: &str) -> DesiredSubscription {
    DesiredSubscription {
        topic: topic.into(),
        name: None,
        protocol,
        endpoint: endpoint.into(),
        confirm_with: None,
        uuid: Uuid::from_u128(77),
    }
}

async fn subscribe(hub: &Hub, one: DesiredSubscription, is_raw: bool) -> Subscription {
    hub.edit(move |edit| edit.subscribe(&one, is_raw)).await.unwrap().0
}

/// A receive that waits, once it does.
async fn waiting(world: &World, queue: &str) -> tokio::task::JoinHandle<crate::Result<usize>> {
    let before = world.hub.waiting_polls();
    let (hub, queue) = (world.hub.clone(), world.hub.queue(queue).unwrap());
    let waiting = tokio::spawn(async move {
        let receive = Receive { wait: Some(Duration::from_secs(20)), ..NOW };
        hub.receive(&queue, receive).await.map(|messages| messages.len())
    });
    while world.hub.waiting_polls() == before {
        tokio::task::yield_now().await;
    }
    waiting
}

/// What a receive gets, as JSON.
async fn received(hub: &Hub, queue: &str) -> Vec<serde_json::Value> {
    let messages = hub.receive(&hub.queue(queue).unwrap(), NOW).await.unwrap();
    messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
}

fn stored(world: &World, queue: &str) -> Queue {
    world.entities.queues.iter().find(|known| known.name == queue).unwrap().clone()
}

fn is_gone<T: std::fmt::Debug>(answer: &crate::Result<T>) -> bool {
    matches!(answer, Err(HubError::NoSuchQueue { .. }))
}

#[tokio::test]
async fn what_is_made_is_served_and_kept_with_what_belongs_to_it() {
    let world = World::new().await;
    let row = Row { kind: "queue".into(), id: Uuid::nil(), origin: Origin::Api, body: "{}".into() };
    let settings = QueueSettings { visibility: Duration::from_secs(7), ..QueueSettings::default() };
    let kept = row.clone();
    let made = world.hub.edit(move |edit| {
        edit.tx().put_row(&kept)?;
        let first = edit.create_queue("jobs", settings)?;
        assert_eq!(edit.create_queue("jobs", QueueSettings::default())?, (first.0.clone(), false));
        edit.subscribe(&wanted("orders", Protocol::Sqs, "jobs"), false)
    });
    let (subscription, is_new) = made.await.unwrap();
    assert!(is_new);
    assert_eq!(world.deps.reader.rows().unwrap(), [row]);
    assert_eq!(world.hub.queue("jobs").unwrap().settings(), settings);
    let event = event::NewEvent { topic: subscription.topic, ..sample_event(1) };
    world.deps.writer.publish(event).await.unwrap();
    let got = received(&world.hub, "jobs").await;
    assert_eq!(got[0]["TopicArn"], "arn:aws:sns:us-east-1:000000000000:orders");
    let arn = world.hub.names().subscription_arn("orders", Uuid::from_u128(77)).to_string();
    assert!(got[0]["UnsubscribeURL"].as_str().unwrap().contains(&arn), "{got:?}");
    let webhook = subscribe(&world.hub, wanted("orders", Protocol::Http, "http://a"), false).await;
    let state = world.hub.watch_subscription(webhook.id).unwrap();
    assert_eq!(*state.borrow(), SubscriptionState::Confirmed);
}

#[tokio::test]
async fn a_change_that_fails_changes_nothing() {
    let world = World::new().await;
    world.memory.fail_next_commit(CommitFault::Full);
    let failed = world.hub.edit(|edit| edit.create_queue("jobs", QueueSettings::default())).await;
    assert!(matches!(failed, Err(HubError::Store { .. })), "{failed:?}");
    let queue = stored(&world, QUEUE).id;
    let failed = world.hub.edit(move |edit| {
        edit.create_queue("jobs", QueueSettings::default())?;
        edit.delete_queue(queue, &[])?;
        Err::<(), _>(storage::StoreError::Damaged("by a test".into()))
    });
    assert!(failed.await.is_err());
    assert!(world.hub.queue("jobs").is_none() && world.hub.queue(QUEUE).is_some());
    world.publish(1).await;
    assert_eq!(received(&world.hub, QUEUE).await.len(), 1);
}

#[tokio::test]
async fn who_waits_on_what_stays_the_same_feels_nothing() {
    let world = World::new().await;
    let waiting = waiting(&world, QUEUE).await;
    let mut state = world.hub.watch_subscription(world.subscription(WEBHOOK)).unwrap();
    state.borrow_and_update();
    let (raw, empty) = (world.subscription(RAW_QUEUE), stored(&world, EMPTY_QUEUE).id);
    let edited = world.hub.edit(move |edit| {
        edit.subscribe(&wanted("another", Protocol::Sqs, "another"), true)?;
        edit.subscribe(&wanted(TOPIC, Protocol::Http, "http://another"), false)?;
        edit.unsubscribe(raw)?;
        edit.purge_queue(empty)?;
        edit.delete_queue(empty, &[])
    });
    edited.await.unwrap();
    assert!(!state.has_changed().unwrap());
    assert_eq!(world.hub.waiting_polls(), 1);
    world.publish(1).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_receive_that_waits_for_a_queue_that_is_deleted_ends() {
    let world = World::new().await;
    let old = world.hub.queue(EMPTY_QUEUE).unwrap();
    let first = waiting(&world, EMPTY_QUEUE).await;
    // Whatever its settings were when the receive began.
    let (queue, settings) = (
        stored(&world, EMPTY_QUEUE),
        QueueSettings { visibility: Duration::from_secs(5), ..QueueSettings::default() },
    );
    let id = queue.id;
    assert!(world.hub.edit(move |edit| edit.set_queue(&queue, settings)).await.unwrap());
    assert_eq!(world.hub.queue(EMPTY_QUEUE).unwrap().settings(), settings);
    let second = waiting(&world, EMPTY_QUEUE).await;
    let other = waiting(&world, QUEUE).await;
    world.hub.edit(move |edit| edit.delete_queue(id, &[])).await.unwrap();
    assert!(is_gone(&first.await.unwrap()) && is_gone(&second.await.unwrap()));
    assert_eq!(world.hub.waiting_polls(), 1, "that of another queue");
    assert!(world.hub.queue(EMPTY_QUEUE).is_none());
    let hide = ChangeVisibility { handle: "x", visibility: Duration::ZERO };
    assert!(is_gone(&world.hub.receive(&old, NOW).await));
    assert!(is_gone(&world.hub.delete(&old, &["x"]).await));
    assert!(is_gone(&world.hub.change_visibility(&old, &[hide]).await));
    assert!(is_gone(&world.hub.depth(&old).await));
    world.hub.edit(|edit| edit.create_queue(EMPTY_QUEUE, QueueSettings::default())).await.unwrap();
    let new = world.hub.queue(EMPTY_QUEUE).unwrap();
    assert_eq!(world.hub.receive(&new, NOW).await.unwrap(), []);
    assert!(is_gone(&world.hub.receive(&old, NOW).await), "it is another one");
    world.publish(1).await;
    assert_eq!(other.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_receive_that_waits_for_a_queue_that_the_configuration_drops_ends() {
    let world = World::new().await;
    let waiting = waiting(&world, EMPTY_QUEUE).await;
    let mut wanted = desired();
    wanted.queues.retain(|name| name != EMPTY_QUEUE);
    world.hub.declare(wanted, |_: &Entities| Settings::default(), |_| Ok(())).await.unwrap();
    assert!(is_gone(&waiting.await.unwrap()));
}

#[tokio::test]
async fn an_ended_subscription_is_delivered_no_more_and_its_messages_name_it() {
    let world = World::new().await;
    let (webhook, to_queue) = (world.subscription(WEBHOOK), world.subscription(QUEUE));
    let arn = world.subscription_arn(QUEUE);
    let mut state = world.hub.watch_subscription(webhook).unwrap();
    for n in 1..=3 {
        world.publish(n).await;
    }
    let ended = world.hub.edit(move |edit| Ok((edit.unsubscribe(webhook)?, edit.unsubscribe(to_queue)?)));
    let owed = |unread| Dropped { subscriptions: 1, unread, ..Dropped::default() };
    assert_eq!(ended.await.unwrap(), (owed(3), owed(0)));
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Disabled { token: None });
    let names_it = |got: &serde_json::Value| got["UnsubscribeURL"].as_str().unwrap().contains(&arn);
    let one = Receive { max: 1, ..NOW };
    let queue = world.hub.queue(QUEUE).unwrap();
    let body = |messages: &[crate::message::Message]| serde_json::from_str(&messages[0].body).unwrap();
    assert!(names_it(&body(&world.hub.receive(&queue, one).await.unwrap())));
    // A configuration that is declared afterwards has nothing of it.
    let mut wanted = desired();
    wanted.subscriptions.retain(|known| known.endpoint == RAW_QUEUE);
    world.hub.declare(wanted, |_: &Entities| Settings::default(), |_| Ok(())).await.unwrap();
    assert!(names_it(&body(&world.hub.receive(&queue, one).await.unwrap())));
    assert!(!state.has_changed().unwrap(), "it hears of nothing else");
    world.publish(4).await;
    assert_eq!(received(&world.hub, QUEUE).await.len(), 1, "the third, and not the fourth");
}

#[tokio::test]
async fn a_deleted_topic_ends_all_its_subscriptions_and_its_name_begins_anew() {
    let world = World::new().await;
    let topic = world.entities.topics[0].id;
    let other = subscribe(&world.hub, wanted("other", Protocol::Http, "http://other"), false).await;
    let states: Vec<_> = world
        .entities
        .subscriptions
        .iter()
        .map(|one| world.hub.watch_subscription(one.id).unwrap())
        .collect();
    world.publish(1).await;
    let dropped = world.hub.edit(move |edit| edit.delete_topic(topic)).await.unwrap();
    assert_eq!(dropped, Dropped { subscriptions: 3, unread: 1, ..Dropped::default() });
    assert!(states.iter().all(|state| state.borrow().is_disabled()));
    assert_eq!(*world.hub.watch_subscription(other.id).unwrap().borrow(), SubscriptionState::Confirmed);
    let (new, is_new) = world.hub.edit(|edit| edit.create_topic(TOPIC)).await.unwrap();
    assert!(is_new && new.id > topic);
    subscribe(&world.hub, wanted(TOPIC, Protocol::Sqs, EMPTY_QUEUE), true).await;
    world.publish(2).await;
    assert_eq!(received(&world.hub, EMPTY_QUEUE).await.len(), 0, "the old one's are nobody's");
    let got = received(&world.hub, QUEUE).await;
    assert_eq!(got.len(), 1, "a queue keeps what it has");
    assert_eq!(got[0]["TopicArn"], "arn:aws:sns:us-east-1:000000000000:profile-changes");
}

#[tokio::test]
async fn a_purged_queue_is_empty_and_goes_on() {
    let world = World::new().await;
    world.publish(1).await;
    world.publish(2).await;
    let queue = stored(&world, QUEUE).id;
    let dropped = world.hub.edit(move |edit| edit.purge_queue(queue)).await.unwrap();
    assert_eq!(dropped, Dropped { messages: 2, ..Dropped::default() });
    let waiting = waiting(&world, QUEUE).await;
    world.publish(3).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
    assert_eq!(received(&world.hub, RAW_QUEUE).await.len(), 3);
}

#[tokio::test]
async fn the_form_of_a_subscription_is_what_was_said_last() {
    let mut world = World::new().await;
    let known = subscribe(&world.hub, wanted(TOPIC, Protocol::Sqs, EMPTY_QUEUE), true).await;
    for (n, is_raw) in [(1, true), (2, false), (3, true)] {
        let one = known.clone();
        let said = world.hub.edit(move |edit| {
            edit.set_raw(&one, is_raw);
            Ok(())
        });
        said.await.unwrap();
        world.publish(n).await;
        let got = received(&world.hub, EMPTY_QUEUE).await;
        assert_eq!((got.len(), got[0].get("Type").is_none()), (1, is_raw), "{got:?}");
    }
    // Messages without an envelope need no key, and nobody makes one any more; one in an envelope does.
    world.key.send_replace(None);
    drop(std::mem::replace(&mut world.key, tokio::sync::watch::channel(None).0));
    assert_eq!(received(&world.hub, EMPTY_QUEUE).await.len(), 0);
    subscribe(&world.hub, wanted(TOPIC, Protocol::Sqs, EMPTY_QUEUE), false).await;
    let refused = world.hub.receive(&world.hub.queue(EMPTY_QUEUE).unwrap(), NOW).await;
    assert!(matches!(refused, Err(HubError::NoKey)), "{refused:?}");
}

#[tokio::test]
async fn a_deleted_queue_ends_its_subscriptions_and_counts_them_with_its_messages() {
    let world = World::new().await;
    world.publish(1).await;
    let (queue, with) = (stored(&world, QUEUE).id, [world.subscription(QUEUE)]);
    let dropped = world.hub.edit(move |edit| edit.delete_queue(queue, &with)).await.unwrap();
    assert_eq!(dropped, Dropped { subscriptions: 1, messages: 1, ..Dropped::default() });
}

#[tokio::test]
async fn lines_name_a_subscription_or_say_its_endpoint_without_secrets() {
    let world = World::new().await;
    let of = |name: Option<&str>, endpoint: &str| DesiredSubscription {
        name: name.map(str::to_owned),
        ..wanted(TOPIC, Protocol::Http, endpoint)
    };
    for (one, label) in [
        (of(Some("cache"), "http://a/1"), "cache"),
        (of(None, "http://user:secret@a/2?token=secret"), "http://a/2?..."),
    ] {
        let stored = subscribe(&world.hub, one, false).await;
        assert_eq!(Subscribed::new(&stored, None).label(), label);
    }
}

#[tokio::test]
async fn a_version_of_the_signature_is_for_messages_of_its_topic_alone() {
    let world = World::new().await;
    let topic = world.entities.topics[0].id;
    let other = subscribe(&world.hub, wanted("other", Protocol::Sqs, EMPTY_QUEUE), false).await.topic;
    world.publish(1).await;
    let event = event::NewEvent { topic: other, ..sample_event(2) };
    world.deps.writer.publish(event).await.unwrap();
    let signed = world.hub.edit(move |edit| {
        edit.sign_as(topic, SignatureVersion::One);
        Ok(())
    });
    signed.await.unwrap();
    let version = async |queue| received(&world.hub, queue).await[0]["SignatureVersion"].clone();
    assert_eq!((version(QUEUE).await, version(EMPTY_QUEUE).await), ("1".into(), "2".into()));
    let late = world.hub.edit(|edit| {
        edit.create_queue("late", QueueSettings::default())?;
        edit.subscribe(&wanted(TOPIC, Protocol::Sqs, "late"), false)
    });
    late.await.unwrap();
    world.publish(3).await;
    assert_eq!(version("late").await, "1", "whoever subscribes later gets it, too");
}

#[tokio::test]
async fn a_message_that_was_given_up_names_the_queue_that_did() {
    let world = World::new().await;
    let queue = stored(&world, QUEUE).id;
    let policy = world.hub.edit(move |edit| {
        let to = Redrive { to: EMPTY_QUEUE.into(), max_receives: 1 };
        edit.tx().set_queue_redrive(queue, Some(&to))
    });
    assert!(policy.await.unwrap());
    world.publish(1).await;
    let shown = Receive { visibility: Some(Duration::ZERO), ..NOW };
    let receive = async |name: &str| world.hub.receive(&world.hub.queue(name).unwrap(), shown).await.unwrap();
    assert_eq!(receive(QUEUE).await[0].given_up_by, None);
    assert_eq!(receive(QUEUE).await, []);
    assert_eq!(receive(EMPTY_QUEUE).await[0].given_up_by.as_deref(), Some(QUEUE));
}
