//! Messages into topics and queues: durable when they are acknowledged, and refused as a whole otherwise.

use std::collections::BTreeMap;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;

use event::attributes::AttributeValue;
use storage::StoreError;
use storage::memory::{CommitFault, sample_event};
use storage::retention::Retention;

use super::*;
use crate::queue::Receive;
use crate::testing::{EMPTY_QUEUE, QUEUE, RAW_QUEUE, TOPIC, World};

const NOW: Receive = Receive { max: 10, visibility: None, wait: Some(Duration::ZERO) };

fn draft(text: &str) -> Draft {
    Draft { text: text.into(), details: Details::default() }
}

fn send(text: &str, delay: Duration) -> Outgoing {
    Outgoing { draft: draft(text), delay }
}

async fn bodies(world: &World, queue: &str) -> Vec<String> {
    let queue = world.hub.queue(queue).unwrap();
    world.hub.receive(&queue, NOW).await.unwrap().into_iter().map(|message| message.body).collect()
}

#[tokio::test]
async fn a_published_message_is_in_every_queue_when_it_is_acknowledged() {
    let world = World::new().await;
    let topic = world.hub.topic(TOPIC).unwrap();
    let details = Details {
        subject: Some("s".into()),
        texts: BTreeMap::from([("sqs".into(), "for queues".into())]),
        attributes: BTreeMap::from([("n".into(), AttributeValue::number(7))]),
        group: Some("g".into()),
        ..Details::default()
    };
    let first = Draft { text: "for all".into(), details: details.clone() };
    let published = world.hub.publish(topic, vec![first, draft("two")]).await;
    let ids: Vec<EventId> = published.into_iter().map(|one| one.unwrap().unwrap()).collect();
    assert_ne!(ids[0], ids[1]);

    let queue = world.hub.queue(RAW_QUEUE).unwrap();
    let received = world.hub.receive(&queue, NOW).await.unwrap();
    let texts: Vec<&str> = received.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(texts, ["for queues", "two"], "in their order");
    assert_eq!((&received[0].attributes, &received[0].group), (&details.attributes, &details.group));
    let envelopes = bodies(&world, QUEUE).await;
    assert!(
        envelopes[0].contains(&ids[0].to_string()) && envelopes[0].contains("\"Subject\""),
        "{envelopes:?}"
    );
}

/// The sender is asked in again while the commit before its own fills the store.
#[tokio::test]
async fn a_message_for_which_there_is_no_room_in_its_commit_is_refused() {
    let filler = sample_event(1);
    let retention = Retention { max_bytes: filler.bytes() as u64, ..Retention::default() };
    let world = World::with_retention(retention).await;
    let queue = world.hub.queue(EMPTY_QUEUE).unwrap();
    let blocked = world.memory.block_commits();
    let fills = world.deps.writer.publish(NewEvent { topic: world.entities.topics[0].id, ..filler });
    assert!(blocked.wait_for_commit(Duration::from_secs(20)));
    let mut sent = pin!(world.hub.send(&queue, vec![send("late", Duration::ZERO)]));
    // Once it was polled it is in the writer's queue, which admitted it before the store was full.
    let asked = poll_fn(|cx| Poll::Ready(sent.as_mut().poll(cx).is_pending())).await;
    assert!(asked, "its commit is still to come");
    drop(blocked);
    fills.await.unwrap();
    let refused = sent.await.unwrap_err();
    assert!(matches!(&refused, HubError::Store { source: StoreError::Full(_), .. }), "{refused:?}");
    assert!(refused.is_transient());
}

#[tokio::test]
async fn a_topic_that_is_not_there_takes_nothing() {
    let world = World::new().await;
    assert_eq!(world.hub.topic("other"), None);
    let topic = world.hub.topic(TOPIC).unwrap();
    let id = world.entities.topics[0].id;
    // As if the deletion's commit were under way when the topic was looked up.
    world.hub.edit(move |edit| edit.delete_topic(id)).await.unwrap();
    assert_eq!(world.hub.topic(TOPIC), None);
    assert_eq!(world.hub.publish(topic, vec![draft("late")]).await.pop().unwrap().unwrap(), None);
    // A new one of its name is another one.
    world.hub.edit(|edit| edit.create_topic(TOPIC).map(drop)).await.unwrap();
    assert_ne!(world.hub.topic(TOPIC), Some(topic));
}

#[tokio::test]
async fn a_sent_message_goes_into_its_queue_alone_after_its_delay() {
    let world = World::new().await;
    let queue = world.hub.queue(EMPTY_QUEUE).unwrap();
    let later = Duration::from_secs(5);
    let ids = world.hub.send(&queue, vec![send("now", Duration::ZERO), send("later", later)]).await.unwrap();
    let received = world.hub.receive(&queue, NOW).await.unwrap();
    assert_eq!((received[0].message_id, received[0].body.as_str(), received.len()), (ids[0], "now", 1));
    assert_eq!(world.hub.depth(&queue).await.unwrap().delayed, 1);
    world.clock.advance(later);
    let received = world.hub.receive(&queue, NOW).await.unwrap();
    assert_eq!((received[0].message_id, received[0].body.as_str(), received.len()), (ids[1], "later", 1));
    assert_eq!(bodies(&world, RAW_QUEUE).await, [""; 0]);
}

#[tokio::test]
async fn a_delayed_message_wakes_a_receive_that_waits_for_it() {
    let world = World::new().await;
    let queue = world.hub.queue(EMPTY_QUEUE).unwrap();
    world.hub.send(&queue, vec![send("later", Duration::from_secs(2))]).await.unwrap();
    let waiting = world.hub.receive(&queue, Receive { wait: Some(crate::queue::MAX_WAIT), ..NOW });
    let ((), received) = tokio::join!(async { world.clock.advance(Duration::from_secs(2)) }, waiting);
    assert_eq!(received.unwrap().len(), 1);
}

#[track_caller]
fn is_full<T: std::fmt::Debug>(result: Result<T>) {
    let error = result.expect_err("there is no room");
    assert!(
        error.is_transient() && matches!(error, HubError::Store { source: StoreError::Full(_), .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_publish_that_is_refused_is_not_kept_and_may_come_again() {
    let world = World::new().await;
    let topic = world.hub.topic(TOPIC).unwrap();
    world.memory.fail_next_commit(CommitFault::Full);
    is_full(world.hub.publish(topic, vec![draft("first")]).await.pop().unwrap());
    let again = async || world.hub.publish(topic, vec![draft("again")]).await.pop().unwrap().is_ok();
    until_taken(again).await;
    assert_eq!(bodies(&world, RAW_QUEUE).await, ["again"]);
}

#[tokio::test]
async fn a_send_that_is_refused_is_not_kept_and_may_come_again() {
    let world = World::new().await;
    let queue = world.hub.queue(EMPTY_QUEUE).unwrap();
    world.memory.fail_next_commit(CommitFault::Full);
    is_full(world.hub.send(&queue, vec![send("first", Duration::ZERO)]).await);
    until_taken(async || world.hub.send(&queue, vec![send("again", Duration::ZERO)]).await.is_ok()).await;
    assert_eq!(bodies(&world, EMPTY_QUEUE).await, ["again"]);
}

/// Tries until there is room, as clients do.
async fn until_taken(again: impl AsyncFn() -> bool) {
    let taken = async {
        while !again().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), taken).await.expect("there is room again");
}

#[tokio::test]
async fn a_queue_that_was_deleted_takes_nothing() {
    let world = World::new().await;
    let queue = world.hub.queue(EMPTY_QUEUE).unwrap();
    let id = queue.id();
    world.hub.edit(move |edit| edit.delete_queue(id, &[])).await.unwrap();
    let refused = world.hub.send(&queue, vec![send("late", Duration::ZERO)]).await.unwrap_err();
    assert!(matches!(refused, HubError::NoSuchQueue { .. }), "{refused:?}");
}
