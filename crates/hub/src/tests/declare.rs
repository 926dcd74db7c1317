//! Tests of [`Hub::declare`](crate::Hub::declare): what changes, and who feels it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use storage::Tx;
use storage::entities::{Desired, DesiredSubscription, Entities, Protocol, SubscriptionState};
use storage::memory::CommitFault;
use uuid::Uuid;

use crate::queue::Receive;
use crate::subscription::Confirmation;
use crate::testing::{EMPTY_QUEUE, QUEUE, RAW_QUEUE, TOKEN, WEBHOOK, World, desired};
use crate::{HubError, QueueSettings, STEPS_AT_ONCE, Settings};

const NOW: Receive = Receive { max: 10, visibility: None, wait: None };

fn no_settings(_: &Entities) -> Settings {
    Settings::default()
}

fn nothing_else(_: &mut dyn Tx) -> storage::Result<()> {
    Ok(())
}

fn keep(tx: &mut dyn Tx) -> storage::Result<()> {
    tx.put_value("kept", b"beside it")
}

#[tokio::test]
async fn what_is_new_is_served_and_what_is_gone_is_not() {
    let world = World::new().await;
    let mut wanted = desired();
    wanted.queues = vec![QUEUE.into(), "jobs".into()];
    wanted.subscriptions.retain(|one| one.endpoint != RAW_QUEUE);
    let entities = world.hub.declare(wanted, no_settings, nothing_else).await.unwrap();
    let queues = world.hub.queues();
    assert_eq!(queues.iter().map(|queue| queue.name()).collect::<Vec<_>>(), ["jobs", QUEUE]);
    assert!(world.hub.queue(EMPTY_QUEUE).is_none());
    let listed = world.hub.subscriptions();
    assert_eq!(listed.iter().map(|one| one.endpoint.as_str()).collect::<Vec<_>>(), [QUEUE, WEBHOOK]);
    // Its ARN is still in messages.
    let raw = world.entities.subscriptions.iter().find(|one| one.endpoint == RAW_QUEUE).unwrap().id;
    assert_eq!(entities.removed.iter().map(|one| one.id).collect::<Vec<_>>(), [raw]);
    assert!(world.hub.watch_subscription(raw).is_some());
    world.publish(1).await;
    assert_eq!(world.hub.receive(&queues[1], NOW).await.unwrap().len(), 1);
}

#[tokio::test]
async fn settings_are_those_of_the_new_generation_and_who_waits_goes_on_waiting() {
    let world = World::new().await;
    let queue = world.hub.queue(QUEUE).unwrap();
    let waiting = {
        let (hub, queue) = (world.hub.clone(), queue.clone());
        tokio::spawn(async move {
            hub.receive(&queue, Receive { wait: Some(Duration::from_secs(20)), ..NOW }).await
        })
    };
    while world.hub.waiting_polls() == 0 {
        tokio::task::yield_now().await;
    }
    let visibility = QueueSettings { visibility: Duration::from_secs(7), ..QueueSettings::default() };
    let id = world.subscription(QUEUE);
    let settings = move |_: &Entities| Settings {
        queues: HashMap::from([(EMPTY_QUEUE.to_owned(), visibility)]),
        raw: HashSet::from([id]),
        ..Settings::default()
    };
    world.hub.declare(desired(), settings, nothing_else).await.unwrap();
    assert_eq!(world.hub.queue(EMPTY_QUEUE).unwrap().settings(), visibility);
    assert_eq!(world.hub.queue(QUEUE).unwrap().settings(), queue.settings());
    world.publish(1).await;
    let received = waiting.await.unwrap().unwrap();
    assert_eq!(received.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&received[0].body).unwrap();
    assert!(body.get("Type").is_none(), "without the envelope: {body}");
}

#[tokio::test]
async fn who_watches_a_state_hears_of_another_one_and_of_nothing_else() {
    let world = World::new().await;
    let id = world.subscription(WEBHOOK);
    let mut state = world.hub.watch_subscription(id).unwrap();
    world.hub.declare(desired(), no_settings, nothing_else).await.unwrap();
    assert!(!state.has_changed().unwrap(), "nothing is new");
    let mut vouched = desired();
    vouched.subscriptions.iter_mut().for_each(|one| one.confirm_with = None);
    world.hub.declare(vouched, no_settings, nothing_else).await.unwrap();
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Confirmed);
    // What the hub changes itself is heard by who watched before.
    world.hub.unsubscribe(&world.subscription_arn(WEBHOOK).parse().unwrap()).await.unwrap();
    assert!(state.borrow_and_update().is_disabled());
}

#[tokio::test]
async fn who_watched_an_endpoint_hears_nothing_of_the_one_that_takes_its_place() {
    let world = World::new().await;
    let with_name = |endpoint: &str, confirm_with: Option<&str>| {
        let mut wanted = desired();
        let webhook = wanted.subscriptions.iter_mut().find(|one| one.protocol == Protocol::Http).unwrap();
        webhook.name = Some("expire".into());
        webhook.endpoint = endpoint.into();
        webhook.confirm_with = confirm_with.map(Into::into);
        wanted
    };
    let id = world.subscription(WEBHOOK);
    world.hub.declare(with_name(WEBHOOK, Some(TOKEN)), no_settings, nothing_else).await.unwrap();
    let mut old = world.hub.watch_subscription(id).unwrap();
    let pending = old.borrow_and_update().clone();
    for (endpoint, confirm_with) in
        [("http://localhost:9101/new", Some("another")), ("http://localhost:9102", None)]
    {
        world.hub.declare(with_name(endpoint, confirm_with), no_settings, nothing_else).await.unwrap();
        assert!(!old.has_changed().unwrap_or(false), "{endpoint}");
        assert_eq!(*old.borrow(), pending, "{endpoint}");
        assert_ne!(*world.hub.watch_subscription(id).unwrap().borrow(), pending, "{endpoint}");
    }
}

#[tokio::test]
async fn a_store_that_refuses_changes_nothing() {
    let world = World::new().await;
    world.memory.fail_next_commit(CommitFault::Full);
    let failed = world.hub.declare(Desired::default(), no_settings, keep).await;
    assert!(matches!(failed, Err(HubError::Store { .. })), "{failed:?}");
    assert_eq!(world.hub.queues().len(), 3);
    let kept = || world.deps.writer.transact(|tx| tx.get_value("kept"));
    assert_eq!(kept().await.unwrap(), None);
    world.hub.declare(desired(), no_settings, keep).await.unwrap();
    assert_eq!(kept().await.unwrap().as_deref(), Some(&b"beside it"[..]), "in the same commit");
    assert!(matches!(world.hub.confirm(TOKEN).await.unwrap(), Confirmation::Confirmed(_)));
    let kept = world.deps.reader.subscriptions().unwrap();
    assert!(kept.iter().all(|one| one.removed_at.is_none()), "{kept:?}");
    assert_eq!(kept.iter().filter(|one| one.protocol.is_pull()).count(), 2);
}

/// What is wanted with so many webhooks more than one commit makes.
fn with_many(count: usize) -> Desired {
    let mut wanted = desired();
    let like = wanted.subscriptions.iter().find(|one| one.protocol.is_push()).unwrap().clone();
    wanted.subscriptions.extend((0..count).map(|number| DesiredSubscription {
        endpoint: format!("http://localhost:9/{number}"),
        confirm_with: None,
        uuid: Uuid::from_u128(1_000 + number as u128),
        ..like.clone()
    }));
    wanted
}

#[tokio::test]
async fn a_large_declaration_that_breaks_off_behind_its_first_commit_is_finished_by_the_next() {
    let world = World::new().await;
    let before = world.deps.reader.subscriptions().unwrap().len();
    let many = 3 * STEPS_AT_ONCE;
    let wanted = with_many(many);
    let there = || world.deps.reader.subscriptions().unwrap();
    world.memory.spare_next_commit();
    world.memory.fail_next_commit(CommitFault::Full);
    let failed = world.hub.declare(wanted.clone(), no_settings, keep).await;
    assert!(matches!(failed, Err(HubError::Unfinished { .. })), "{failed:?}");
    assert_eq!(there().len(), before + STEPS_AT_ONCE, "the first commit, and no other");
    let kept = world.deps.writer.transact(|tx| tx.get_value("kept")).await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"beside it"[..]), "it decides");
    let newest = there().iter().map(|one| one.id).max().unwrap();
    assert!(world.hub.watch_subscription(newest).is_none(), "nothing of it is served");

    let entities = world.hub.declare(wanted, no_settings, nothing_else).await.unwrap();
    assert_eq!((entities.subscriptions.len(), there().len()), (before + many, before + many));
    assert!(world.hub.watch_subscription(newest).is_some());
}
