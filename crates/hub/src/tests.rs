//! The hub over the in-memory store.

mod declare;
mod edit;

use std::time::Duration;

use event::envelope;
use event::timestamp::Clock;
use serde_json::Value;
use storage::entities::SubscriptionState;
use storage::memory::{CommitFault, sample_event, sample_exchange};
use storage::queue::MAX_VISIBILITY;
use tokio::time::timeout;

use crate::message::Message;
use crate::queue::{ChangeVisibility, Queue, Receive, VisibilityError};
use crate::receipt::HandleError;
use crate::subscription::Confirmation;
use crate::testing::{EMPTY_QUEUE, HUB_URL, QUEUE, RAW_QUEUE, Stage, TOKEN, TOPIC, WEBHOOK};
use crate::{Hub, HubError};

/// Nothing in these tests takes as long.
const PATIENCE: Duration = Duration::from_secs(15);
const NOW: Receive = Receive { max: 10, visibility: None, wait: None };
const LONG: Receive = Receive { max: 10, visibility: None, wait: Some(Duration::from_secs(20)) };

impl Stage {
    fn queue(&self, name: &str) -> Queue {
        self.hub.queue(name).unwrap()
    }

    async fn receive(&self, name: &str) -> Vec<Message> {
        self.hub.receive(&self.queue(name), NOW).await.unwrap()
    }

    async fn receive_one(&self, name: &str) -> Message {
        let mut messages = self.receive(name).await;
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    /// A long poll that certainly waits.
    async fn long_poll(&self, name: &str) -> tokio::task::JoinHandle<crate::Result<Vec<Message>>> {
        let (hub, queue) = (self.hub.clone(), self.queue(name));
        let waiting = self.hub.waiting_polls();
        let poll = tokio::spawn(async move { hub.receive(&queue, LONG).await });
        until(|| self.hub.waiting_polls() > waiting).await;
        poll
    }

    async fn change(&self, name: &str, handle: &str, seconds: u64) -> Result<(), VisibilityError> {
        let change = ChangeVisibility { handle, visibility: Duration::from_secs(seconds) };
        let changed = self.hub.change_visibility(&self.queue(name), &[change]).await.unwrap();
        assert_eq!(changed.len(), 1);
        changed[0]
    }
}

async fn until(condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, met).await.expect("the condition is met in time");
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it ends in time")
}

fn rendered(n: u8) -> envelope::Rendered {
    let position = event::Position(1);
    envelope::render(&event::Event { position, stamp: event::Stamp::default(), body: sample_event(n) })
        .unwrap()
}

#[tokio::test]
async fn a_message_is_the_signed_notification() {
    let stage = Stage::new().await;
    let id = stage.publish(1).await;
    let message = stage.receive_one(QUEUE).await;
    let body: Value = serde_json::from_str(&message.body).unwrap();
    let topic = stage.hub.names().topic_arn(TOPIC).to_string();
    let key = stage.key.borrow().clone().unwrap();
    assert_eq!(body["Type"], "Notification");
    assert_eq!(body["MessageId"], id.to_string());
    assert_eq!(body["TopicArn"], topic);
    assert_eq!(body["Message"], rendered(1).message);
    assert_eq!(body["SignatureVersion"], "2");
    assert_eq!(body["SigningCertURL"], format!("{HUB_URL}/{}", key.file_name()));
    let arn = stage.subscription_arn(QUEUE);
    assert_eq!(body["UnsubscribeURL"], format!("{HUB_URL}/?Action=Unsubscribe&SubscriptionArn={arn}"));
    let text = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        .map(|name| format!("{name}\n{}\n", body[name].as_str().unwrap()))
        .concat();
    assert_eq!(body["Signature"], key.sign(text.as_bytes()).unwrap());
    assert!(message.attributes.is_empty());
}

#[tokio::test]
async fn queues_are_found_by_their_names() {
    let stage = Stage::new().await;
    let queues = stage.hub.queues();
    let names: Vec<_> = queues.iter().map(Queue::name).collect();
    assert_eq!(names, [EMPTY_QUEUE, RAW_QUEUE, QUEUE]);
    assert_eq!(stage.queue(QUEUE).name(), QUEUE);
    assert!(stage.hub.queue("other").is_none());
}

#[tokio::test]
async fn the_certificate_is_found_by_its_file_name_alone() {
    let stage = Stage::new().await;
    let key = stage.key.borrow().clone().unwrap();
    let found = stage.hub.certificate(key.file_name());
    assert_eq!(found.as_deref(), Some(key.certificate_pem()));
    assert_eq!(stage.hub.certificate("other.pem"), None);
    stage.key.send_replace(None);
    assert_eq!(stage.hub.certificate(key.file_name()), None, "there is no key yet");
}

#[tokio::test]
async fn a_raw_message_is_the_text_with_its_attributes() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let message = stage.receive_one(RAW_QUEUE).await;
    let expected = rendered(1);
    let event =
        event::Event { position: event::Position(1), stamp: event::Stamp::default(), body: sample_event(1) };
    let attributes = envelope::attributes(&event, &expected.source);
    assert_eq!((message.body, message.attributes), (expected.message, attributes));
}

#[tokio::test]
async fn a_received_message_is_hidden_for_the_queues_own_time() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let first = stage.receive_one(QUEUE).await;
    let raw = stage.receive_one(RAW_QUEUE).await;
    stage.clock.advance(Duration::from_secs(29));
    assert_eq!(stage.receive(QUEUE).await, []);
    stage.clock.advance(Duration::from_secs(1));
    let second = stage.receive_one(QUEUE).await;
    assert_eq!((first.receive_count, second.receive_count), (1, 2));
    assert_eq!(first.message_id, second.message_id);
    assert_eq!(first.first_received_at, second.first_received_at);
    assert_ne!(first.handle, second.handle);
    assert_eq!(stage.receive(RAW_QUEUE).await, [], "its own time is 60 s");
    stage.clock.advance(Duration::from_secs(30));
    assert_eq!(stage.receive_one(RAW_QUEUE).await.message_id, raw.message_id);
}

#[tokio::test]
async fn a_wall_clock_that_is_set_hides_no_message_and_shows_none() {
    const DAY: Duration = Duration::from_secs(86_400);
    let stage = Stage::new().await;
    let right = stage.clock.now();
    stage.publish(1).await;
    stage.clock.set_wall(right.plus(30 * DAY));
    let first = stage.receive_one(QUEUE).await;
    assert_eq!(first.first_received_at, right.plus(30 * DAY), "a time for people");
    assert_eq!(stage.change(QUEUE, &first.handle, 20).await, Ok(()));
    for wall in [right, right.plus(400 * DAY), right.minus(DAY)] {
        stage.clock.set_wall(wall);
        assert_eq!(stage.receive(QUEUE).await, []);
    }
    stage.clock.advance(Duration::from_secs(20));
    assert_eq!(stage.receive_one(QUEUE).await.message_id, first.message_id);
}

#[tokio::test]
async fn deleting_takes_old_handles_and_tells_foreign_ones_from_garbage() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let old = stage.receive_one(QUEUE).await.handle;
    let foreign = stage.receive_one(RAW_QUEUE).await.handle;
    stage.clock.advance(Duration::from_secs(30));
    stage.receive_one(QUEUE).await;
    let delete = async |handles: &[&str]| stage.hub.delete(&stage.queue(QUEUE), handles).await.unwrap();
    assert_eq!(
        delete(&["garbage", &foreign, &old]).await,
        [Err(HandleError::Garbage), Err(HandleError::ForeignQueue), Ok(())]
    );
    stage.clock.advance(MAX_VISIBILITY);
    assert_eq!(stage.receive(QUEUE).await, [], "it is deleted");
    assert_eq!(delete(&[&old]).await, [Ok(())], "once more is fine");
    assert_eq!(stage.receive(RAW_QUEUE).await.len(), 1, "the foreign handle deleted nothing");
}

#[tokio::test]
async fn visibility_changes_within_its_limit() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let handle = stage.receive_one(QUEUE).await.handle;
    assert_eq!(stage.change(QUEUE, "garbage", 1).await, Err(HandleError::Garbage.into()));
    assert_eq!(stage.change(RAW_QUEUE, &handle, 1).await, Err(HandleError::ForeignQueue.into()));
    assert_eq!(stage.change(QUEUE, &handle, 100).await, Ok(()));
    stage.clock.advance(Duration::from_secs(99));
    assert_eq!(stage.receive(QUEUE).await, []);
    assert_eq!(
        stage.change(QUEUE, &handle, MAX_VISIBILITY.as_secs()).await,
        Err(VisibilityError::BeyondLimit)
    );
    assert_eq!(stage.change(QUEUE, &handle, 0).await, Ok(()));
    let handle = stage.receive_one(QUEUE).await.handle;
    stage.hub.delete(&stage.queue(QUEUE), &[&handle]).await.unwrap();
    assert_eq!(stage.change(QUEUE, &handle, 1).await, Err(VisibilityError::Gone));
}

#[tokio::test]
async fn each_change_of_a_batch_has_its_own_result() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let handle = stage.receive_one(QUEUE).await.handle;
    let change = |handle, visibility| ChangeVisibility { handle, visibility };
    let changes = [
        change("garbage", Duration::ZERO),
        change(&handle, Duration::ZERO),
        change(&handle, MAX_VISIBILITY * 2),
    ];
    let changed = stage.hub.change_visibility(&stage.queue(QUEUE), &changes).await.unwrap();
    assert_eq!(changed, [Err(HandleError::Garbage.into()), Ok(()), Err(VisibilityError::BeyondLimit)]);
}

#[tokio::test]
async fn a_long_poll_returns_with_the_first_message() {
    let stage = Stage::new().await;
    let poll = stage.long_poll(QUEUE).await;
    stage.publish(1).await;
    assert_eq!(soon(poll).await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_poll_sees_a_message_become_visible() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let handle = stage.receive_one(QUEUE).await.handle;
    let poll = stage.long_poll(QUEUE).await;
    let id = stage.entities.queues.iter().find(|queue| queue.name == QUEUE).unwrap().id;
    let news = stage.deps.feed.watch_queue(id);
    assert_eq!(stage.change(QUEUE, &handle, 0).await, Ok(()));
    assert!(news.has_changed().unwrap(), "whoever waits is woken");
    let message = soon(poll).await.unwrap().unwrap().remove(0);
    assert_eq!(message.receive_count, 2);

    let poll = stage.long_poll(QUEUE).await;
    stage.clock.advance(Duration::from_secs(30));
    assert_eq!(soon(poll).await.unwrap().unwrap()[0].receive_count, 3, "by the timer alone");
}

#[tokio::test]
async fn a_short_wait_ends_empty() {
    let stage = Stage::new().await;
    let ask = Receive { wait: Some(Duration::from_millis(20)), ..NOW };
    assert_eq!(soon(stage.hub.receive(&stage.queue(QUEUE), ask)).await.unwrap(), []);
}

#[tokio::test]
async fn who_leaves_while_waiting_consumes_nothing() {
    let stage = Stage::new().await;
    let poll = stage.long_poll(QUEUE).await;
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled());
    stage.publish(1).await;
    assert_eq!(stage.receive_one(QUEUE).await.receive_count, 1);
}

#[tokio::test]
async fn who_leaves_before_the_writer_comes_to_it_consumes_nothing() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let blocked = stage.memory.block_commits();
    let before = stage.deps.writer.transact(|_| Ok(()));
    assert!(blocked.wait_for_commit(PATIENCE));
    // Asked once, so it stands in the writer's queue; then dropped.
    timeout(Duration::ZERO, stage.hub.receive(&stage.queue(QUEUE), NOW)).await.unwrap_err();
    drop(blocked);
    before.await.unwrap();
    assert_eq!(stage.receive_one(QUEUE).await.receive_count, 1);
}

#[tokio::test]
async fn no_more_polls_wait_than_are_allowed() {
    let stage = Stage::with_max_long_polls(1).await;
    let poll = stage.long_poll(EMPTY_QUEUE).await;
    let refused = stage.hub.receive(&stage.queue(QUEUE), LONG).await;
    assert!(matches!(refused, Err(HubError::TooManyPolls { limit: 1 })));
    stage.publish(1).await;
    assert_eq!(stage.hub.receive(&stage.queue(QUEUE), LONG).await.unwrap().len(), 1, "needs not wait");
    stage.drain.start(tokio::time::Instant::now());
    assert_eq!(soon(poll).await.unwrap().unwrap(), []);
    assert_eq!(soon(stage.hub.receive(&stage.queue(QUEUE), LONG)).await.unwrap(), [], "none waits any more");
}

#[tokio::test]
async fn queues_share_the_signature_of_an_event() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let first = stage.receive_one(QUEUE).await;
    stage.clock.advance(Duration::from_secs(30));
    // Another key would sign otherwise: so the second receive shows the first one's signature.
    stage.key.send_replace(Some(std::sync::Arc::new(delivery::signing::SnsKey::generate().unwrap())));
    assert_eq!(stage.receive_one(QUEUE).await.body, first.body);
}

#[tokio::test]
async fn a_damaged_event_does_not_keep_the_others() {
    let stage = Stage::new().await;
    let mut damaged = sample_exchange(1, |exchange| exchange.request = "{}".into());
    damaged.topic = stage.entities.topics[0].id;
    stage.deps.writer.publish(damaged).await.unwrap();
    let id = stage.publish(2).await;
    let body: Value = serde_json::from_str(&stage.receive_one(QUEUE).await.body).unwrap();
    assert_eq!(body["MessageId"], id.to_string());
}

#[tokio::test]
async fn without_a_key_nothing_is_taken() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let key = stage.key.send_replace(None);
    tokio::time::pause();
    let refused = stage.hub.receive(&stage.queue(QUEUE), NOW).await.unwrap_err();
    tokio::time::resume();
    assert!(matches!(refused, HubError::NoKey) && refused.is_transient());
    tokio::time::pause();
    let refused = stage.hub.receive(&stage.queue(EMPTY_QUEUE), NOW).await.unwrap_err();
    tokio::time::resume();
    assert!(
        matches!(refused, HubError::NoKey),
        "a queue without a subscription may have messages of an old one"
    );
    assert_eq!(stage.receive_one(RAW_QUEUE).await.receive_count, 1, "raw messages need none");
    stage.key.send_replace(key);
    assert_eq!(stage.receive_one(QUEUE).await.receive_count, 1);
}

#[tokio::test]
async fn a_full_store_is_transient_and_a_latched_one_is_not() {
    let stage = Stage::new().await;
    stage.memory.fail_next_commit(CommitFault::Full);
    let full = stage.hub.receive(&stage.queue(QUEUE), NOW).await.unwrap_err();
    assert!(full.is_transient());
    stage.memory.fail_next_commit(CommitFault::Io);
    let latched = stage.hub.receive(&stage.queue(QUEUE), NOW).await.unwrap_err();
    assert!(!latched.is_transient());
}

#[tokio::test]
async fn handles_outlive_a_restart() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    let handle = stage.receive_one(QUEUE).await.handle;
    let hub: Hub = stage.restarted().await;
    let queue = hub.queue(QUEUE).unwrap();
    assert_eq!(hub.delete(&queue, &[&handle]).await.unwrap(), [Ok(())]);
}

#[tokio::test]
async fn depth_counts_visible_and_hidden() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    stage.publish(2).await;
    let one = Receive { max: 1, ..NOW };
    assert_eq!(stage.hub.receive(&stage.queue(QUEUE), one).await.unwrap().len(), 1);
    let depth = stage.hub.depth(&stage.queue(QUEUE)).await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (1, 1));
}

#[tokio::test]
async fn a_token_confirms_and_may_be_used_again() {
    let stage = Stage::new().await;
    let mut state = stage.hub.watch_subscription(stage.subscription(WEBHOOK)).unwrap();
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Pending { token: TOKEN.into() });
    let other = TOKEN.replace('0', "1");
    assert_eq!(stage.hub.confirm(&other).await.unwrap(), Confirmation::UnknownToken);
    assert_eq!(stage.hub.confirm("x").await.unwrap(), Confirmation::MalformedToken);
    assert!(!state.has_changed().unwrap());
    let confirmed = Confirmation::Confirmed(stage.subscription_arn(WEBHOOK).parse().unwrap());
    assert_eq!(stage.hub.confirm(TOKEN).await.unwrap(), confirmed);
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Confirmed);
    assert_eq!(stage.hub.confirm(TOKEN).await.unwrap(), confirmed);
}

#[tokio::test]
async fn unsubscribing_ends_a_subscription_until_its_own_token_comes() {
    let stage = Stage::new().await;
    let state = stage.hub.watch_subscription(stage.subscription(WEBHOOK)).unwrap();
    let arn = stage.subscription_arn(WEBHOOK);
    for unknown in
        [arn.replace("us-east-1", "eu-west-1"), arn.replace(TOPIC, "other"), arn.replace(":0", ":f")]
    {
        stage.hub.unsubscribe(&unknown.parse().unwrap()).await.unwrap();
        assert!(!state.borrow().is_disabled(), "{unknown}");
    }
    stage.hub.unsubscribe(&arn.parse().unwrap()).await.unwrap();
    let SubscriptionState::Disabled { token: Some(token) } = state.borrow().clone() else {
        panic!("{:?}", state.borrow())
    };
    let stored = stage.deps.reader.subscriptions().unwrap();
    let stored = stored.iter().find(|stored| stored.endpoint == WEBHOOK).unwrap();
    assert_eq!(stored.state, SubscriptionState::Disabled { token: Some(token.clone()) });
    assert_eq!(stage.hub.confirm(TOKEN).await.unwrap(), Confirmation::UnknownToken);
    stage.hub.unsubscribe(&arn.parse().unwrap()).await.unwrap();
    assert!(matches!(stage.hub.confirm(&token).await.unwrap(), Confirmation::Confirmed(_)), "its own does");
    assert_eq!(*state.borrow(), SubscriptionState::Confirmed);
}

#[tokio::test]
async fn a_pending_or_disabled_subscription_is_enabled_in_the_store_and_told() {
    let stage = Stage::new().await;
    let (id, arn) = (stage.subscription(WEBHOOK), stage.subscription_arn(WEBHOOK));
    let mut state = stage.hub.watch_subscription(id).unwrap();
    let told = stage.hub.enable(id).await.unwrap().unwrap();
    assert_eq!(told.state, SubscriptionState::Confirmed, "whoever asks vouches for a pending one, too");
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Confirmed);
    stage.hub.unsubscribe(&arn.parse().unwrap()).await.unwrap();
    let enabled = stage.hub.enable(id).await.unwrap().unwrap();
    assert_eq!((enabled.id, enabled.state), (id, SubscriptionState::Confirmed));
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Confirmed);
    stage.hub.enable(id).await.unwrap();
    assert!(!state.has_changed().unwrap(), "once more tells nobody anything");
    let stored = stage.deps.reader.subscriptions().unwrap();
    assert!(stored.iter().any(|stored| stored.id == id && stored.state == SubscriptionState::Confirmed));
    assert_eq!(stage.hub.enable(storage::entities::SubscriptionId(99)).await.unwrap(), None);
}

/// Who asked goes away in the middle: what is in the store is told to the worker all the same.
#[tokio::test]
async fn a_change_goes_on_without_who_asked_for_it() {
    let stage = Stage::new().await;
    let (id, arn) = (stage.subscription(WEBHOOK), stage.subscription_arn(WEBHOOK).parse().unwrap());
    let state = stage.hub.watch_subscription(id).unwrap();
    let blocked = stage.memory.block_commits();
    let asked = timeout(Duration::from_millis(20), stage.hub.unsubscribe(&arn)).await;
    assert!(asked.is_err(), "it waits for its commit");
    drop(blocked);
    until(|| state.borrow().is_disabled()).await;
}

#[tokio::test]
async fn a_queue_that_was_unsubscribed_gets_nothing_more() {
    let stage = Stage::new().await;
    stage.publish(1).await;
    stage.hub.unsubscribe(&stage.subscription_arn(QUEUE).parse().unwrap()).await.unwrap();
    stage.publish(2).await;
    assert_eq!(stage.receive(QUEUE).await.len(), 1, "what it had, it keeps");
    assert_eq!(stage.receive(RAW_QUEUE).await.len(), 2);
}
