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
use crate::testing::{EMPTY_QUEUE, HUB_URL, QUEUE, RAW_QUEUE, TOKEN, TOPIC, WEBHOOK, World};
use crate::{Hub, HubError, QueueSettings};

/// Nothing in these tests takes as long.
const PATIENCE: Duration = Duration::from_secs(15);
const NOW: Receive = Receive { max: 10, visibility: None, wait: None };
const LONG: Receive = Receive { max: 10, visibility: None, wait: Some(Duration::from_secs(20)) };

impl World {
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
    let world = World::new().await;
    let id = world.publish(1).await;
    let message = world.receive_one(QUEUE).await;
    let body: Value = serde_json::from_str(&message.body).unwrap();
    let topic = world.hub.names().topic_arn(TOPIC).to_string();
    let key = world.key.borrow().clone().unwrap();
    assert_eq!(body["Type"], "Notification");
    assert_eq!(body["MessageId"], id.to_string());
    assert_eq!(body["TopicArn"], topic);
    assert_eq!(body["Message"], rendered(1).message);
    assert_eq!(body["SignatureVersion"], "2");
    assert_eq!(body["SigningCertURL"], format!("{HUB_URL}/{}", key.file_name()));
    let arn = world.subscription_arn(QUEUE);
    assert_eq!(body["UnsubscribeURL"], format!("{HUB_URL}/?Action=Unsubscribe&SubscriptionArn={arn}"));
    let text = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
        .map(|name| format!("{name}\n{}\n", body[name].as_str().unwrap()))
        .concat();
    assert_eq!(
        body["Signature"],
        key.sign(delivery::signing::SignatureVersion::Two, text.as_bytes()).unwrap()
    );
    assert!(message.attributes.is_empty());
}

#[tokio::test]
async fn queues_are_found_by_their_names() {
    let world = World::new().await;
    let queues = world.hub.queues();
    let names: Vec<_> = queues.iter().map(Queue::name).collect();
    assert_eq!(names, [EMPTY_QUEUE, RAW_QUEUE, QUEUE]);
    assert_eq!(world.queue(QUEUE).name(), QUEUE);
    assert!(world.hub.queue("other").is_none());
}

#[tokio::test]
async fn the_certificate_is_found_by_its_file_name_alone() {
    let world = World::new().await;
    let key = world.key.borrow().clone().unwrap();
    let found = world.hub.certificate(key.file_name());
    assert_eq!(found.as_deref(), Some(key.certificate_pem()));
    assert_eq!(world.hub.certificate("other.pem"), None);
    world.key.send_replace(None);
    assert_eq!(world.hub.certificate(key.file_name()), None, "there is no key yet");
}

#[tokio::test]
async fn a_raw_message_is_the_text_with_its_attributes() {
    let world = World::new().await;
    world.publish(1).await;
    let message = world.receive_one(RAW_QUEUE).await;
    let expected = rendered(1);
    let event =
        event::Event { position: event::Position(1), stamp: event::Stamp::default(), body: sample_event(1) };
    let attributes = envelope::attributes(&event, &expected.source);
    assert_eq!((message.body, message.attributes), (expected.message, attributes));
}

#[tokio::test]
async fn a_received_message_is_hidden_for_the_queues_own_time() {
    let world = World::new().await;
    world.publish(1).await;
    let first = world.receive_one(QUEUE).await;
    let raw = world.receive_one(RAW_QUEUE).await;
    world.clock.advance(Duration::from_secs(29));
    assert_eq!(world.receive(QUEUE).await, []);
    world.clock.advance(Duration::from_secs(1));
    let second = world.receive_one(QUEUE).await;
    assert_eq!((first.receive_count, second.receive_count), (1, 2));
    assert_eq!(first.message_id, second.message_id);
    assert_eq!(first.first_received_at, second.first_received_at);
    assert_ne!(first.handle, second.handle);
    assert_eq!(world.receive(RAW_QUEUE).await, [], "its own time is 60 s");
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(world.receive_one(RAW_QUEUE).await.message_id, raw.message_id);
}

#[tokio::test]
async fn a_wall_clock_that_is_set_hides_no_message_and_shows_none() {
    const DAY: Duration = Duration::from_secs(86_400);
    let world = World::new().await;
    let right = world.clock.now();
    world.publish(1).await;
    world.clock.set_wall(right.plus(30 * DAY));
    let first = world.receive_one(QUEUE).await;
    assert_eq!(first.first_received_at, right.plus(30 * DAY), "a time for people");
    assert_eq!(world.change(QUEUE, &first.handle, 20).await, Ok(()));
    for wall in [right, right.plus(400 * DAY), right.minus(DAY)] {
        world.clock.set_wall(wall);
        assert_eq!(world.receive(QUEUE).await, []);
    }
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(world.receive_one(QUEUE).await.message_id, first.message_id);
}

#[tokio::test]
async fn deleting_takes_old_handles_and_tells_foreign_ones_from_garbage() {
    let world = World::new().await;
    world.publish(1).await;
    let old = world.receive_one(QUEUE).await.handle;
    let foreign = world.receive_one(RAW_QUEUE).await.handle;
    world.clock.advance(Duration::from_secs(30));
    world.receive_one(QUEUE).await;
    let delete = async |handles: &[&str]| world.hub.delete(&world.queue(QUEUE), handles).await.unwrap();
    assert_eq!(
        delete(&["garbage", &foreign, &old]).await,
        [Err(HandleError::Garbage), Err(HandleError::ForeignQueue), Ok(())]
    );
    world.clock.advance(MAX_VISIBILITY);
    assert_eq!(world.receive(QUEUE).await, [], "it is deleted");
    assert_eq!(delete(&[&old]).await, [Ok(())], "once more is fine");
    assert_eq!(world.receive(RAW_QUEUE).await.len(), 1, "the foreign handle deleted nothing");
}

#[tokio::test]
async fn visibility_changes_within_its_limit() {
    let world = World::new().await;
    world.publish(1).await;
    let handle = world.receive_one(QUEUE).await.handle;
    assert_eq!(world.change(QUEUE, "garbage", 1).await, Err(HandleError::Garbage.into()));
    assert_eq!(world.change(RAW_QUEUE, &handle, 1).await, Err(HandleError::ForeignQueue.into()));
    assert_eq!(world.change(QUEUE, &handle, 100).await, Ok(()));
    world.clock.advance(Duration::from_secs(99));
    assert_eq!(world.receive(QUEUE).await, []);
    assert_eq!(
        world.change(QUEUE, &handle, MAX_VISIBILITY.as_secs()).await,
        Err(VisibilityError::BeyondLimit)
    );
    assert_eq!(world.change(QUEUE, &handle, 0).await, Ok(()));
    let handle = world.receive_one(QUEUE).await.handle;
    world.hub.delete(&world.queue(QUEUE), &[&handle]).await.unwrap();
    assert_eq!(world.change(QUEUE, &handle, 1).await, Err(VisibilityError::Gone));
}

#[tokio::test]
async fn each_change_of_a_batch_has_its_own_result() {
    let world = World::new().await;
    world.publish(1).await;
    let handle = world.receive_one(QUEUE).await.handle;
    let change = |handle, visibility| ChangeVisibility { handle, visibility };
    let changes = [
        change("garbage", Duration::ZERO),
        change(&handle, Duration::ZERO),
        change(&handle, MAX_VISIBILITY * 2),
    ];
    let changed = world.hub.change_visibility(&world.queue(QUEUE), &changes).await.unwrap();
    assert_eq!(changed, [Err(HandleError::Garbage.into()), Ok(()), Err(VisibilityError::BeyondLimit)]);
}

#[tokio::test]
async fn a_long_poll_returns_with_the_first_message() {
    let world = World::new().await;
    let poll = world.long_poll(QUEUE).await;
    world.publish(1).await;
    assert_eq!(soon(poll).await.unwrap().unwrap().len(), 1);
}

#[tokio::test]
async fn a_long_poll_sees_a_message_become_visible() {
    let world = World::new().await;
    world.publish(1).await;
    let handle = world.receive_one(QUEUE).await.handle;
    let poll = world.long_poll(QUEUE).await;
    let id = world.entities.queues.iter().find(|queue| queue.name == QUEUE).unwrap().id;
    let news = world.deps.feed.watch_queue(id);
    assert_eq!(world.change(QUEUE, &handle, 0).await, Ok(()));
    assert!(news.has_changed().unwrap(), "whoever waits is woken");
    let message = soon(poll).await.unwrap().unwrap().remove(0);
    assert_eq!(message.receive_count, 2);

    let poll = world.long_poll(QUEUE).await;
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(soon(poll).await.unwrap().unwrap()[0].receive_count, 3, "by the timer alone");
}

#[tokio::test]
async fn a_short_wait_ends_empty() {
    let world = World::new().await;
    let ask = Receive { wait: Some(Duration::from_millis(20)), ..NOW };
    assert_eq!(soon(world.hub.receive(&world.queue(QUEUE), ask)).await.unwrap(), []);
}

#[tokio::test]
async fn who_leaves_while_waiting_consumes_nothing() {
    let world = World::new().await;
    let poll = world.long_poll(QUEUE).await;
    poll.abort();
    assert!(poll.await.unwrap_err().is_cancelled());
    world.publish(1).await;
    assert_eq!(world.receive_one(QUEUE).await.receive_count, 1);
}

#[tokio::test]
async fn who_leaves_before_the_writer_comes_to_it_consumes_nothing() {
    let world = World::new().await;
    world.publish(1).await;
    let blocked = world.memory.block_commits();
    let before = world.deps.writer.transact(|_| Ok(()));
    assert!(blocked.wait_for_commit(PATIENCE));
    // Asked once, so it stands in the writer's queue; then dropped.
    timeout(Duration::ZERO, world.hub.receive(&world.queue(QUEUE), NOW)).await.unwrap_err();
    drop(blocked);
    before.await.unwrap();
    assert_eq!(world.receive_one(QUEUE).await.receive_count, 1);
}

#[tokio::test]
async fn no_more_polls_wait_than_are_allowed() {
    let world = World::with_max_long_polls(1).await;
    let poll = world.long_poll(EMPTY_QUEUE).await;
    let refused = world.hub.receive(&world.queue(QUEUE), LONG).await;
    assert!(matches!(refused, Err(HubError::TooManyPolls { limit: 1 })));
    world.publish(1).await;
    assert_eq!(world.hub.receive(&world.queue(QUEUE), LONG).await.unwrap().len(), 1, "needs not wait");
    world.drain.start(tokio::time::Instant::now());
    assert_eq!(soon(poll).await.unwrap().unwrap(), []);
    assert_eq!(soon(world.hub.receive(&world.queue(QUEUE), LONG)).await.unwrap(), [], "none waits any more");
}

#[tokio::test]
async fn queues_share_the_signature_of_an_event() {
    let world = World::new().await;
    world.publish(1).await;
    let first = world.receive_one(QUEUE).await;
    world.clock.advance(Duration::from_secs(30));
    // Another key would sign otherwise: so the second receive shows the first one's signature.
    world.key.send_replace(Some(std::sync::Arc::new(delivery::signing::SnsKey::generate().unwrap())));
    assert_eq!(world.receive_one(QUEUE).await.body, first.body);
}

#[tokio::test]
async fn a_damaged_event_does_not_keep_the_others() {
    let world = World::new().await;
    let mut damaged = sample_exchange(1, |exchange| exchange.request = "{}".into());
    damaged.topic = world.entities.topics[0].id;
    world.deps.writer.publish(damaged).await.unwrap();
    let id = world.publish(2).await;
    let body: Value = serde_json::from_str(&world.receive_one(QUEUE).await.body).unwrap();
    assert_eq!(body["MessageId"], id.to_string());
}

#[tokio::test]
async fn without_a_key_nothing_is_taken() {
    let world = World::new().await;
    world.publish(1).await;
    let key = world.key.send_replace(None);
    tokio::time::pause();
    let refused = world.hub.receive(&world.queue(QUEUE), NOW).await.unwrap_err();
    tokio::time::resume();
    assert!(matches!(refused, HubError::NoKey) && refused.is_transient());
    tokio::time::pause();
    let refused = world.hub.receive(&world.queue(EMPTY_QUEUE), NOW).await.unwrap_err();
    tokio::time::resume();
    assert!(
        matches!(refused, HubError::NoKey),
        "a queue without a subscription may have messages of an old one"
    );
    assert_eq!(world.receive_one(RAW_QUEUE).await.receive_count, 1, "raw messages need none");
    world.key.send_replace(key);
    assert_eq!(world.receive_one(QUEUE).await.receive_count, 1);
}

#[tokio::test]
async fn a_full_store_is_transient_and_a_latched_one_is_not() {
    let world = World::new().await;
    world.memory.fail_next_commit(CommitFault::Full);
    let full = world.hub.receive(&world.queue(QUEUE), NOW).await.unwrap_err();
    assert!(full.is_transient());
    world.memory.fail_next_commit(CommitFault::Io);
    let latched = world.hub.receive(&world.queue(QUEUE), NOW).await.unwrap_err();
    assert!(!latched.is_transient());
}

#[tokio::test]
async fn handles_outlive_a_restart() {
    let world = World::new().await;
    world.publish(1).await;
    let handle = world.receive_one(QUEUE).await.handle;
    let hub: Hub = world.restarted().await;
    let queue = hub.queue(QUEUE).unwrap();
    assert_eq!(hub.delete(&queue, &[&handle]).await.unwrap(), [Ok(())]);
}

#[tokio::test]
async fn depth_counts_visible_and_hidden() {
    let world = World::new().await;
    world.publish(1).await;
    world.publish(2).await;
    let one = Receive { max: 1, ..NOW };
    assert_eq!(world.hub.receive(&world.queue(QUEUE), one).await.unwrap().len(), 1);
    let depth = world.hub.depth(&world.queue(QUEUE)).await.unwrap();
    assert_eq!((depth.visible, depth.in_flight), (1, 1));
}

#[tokio::test]
async fn a_token_confirms_and_may_be_used_again() {
    let world = World::new().await;
    let mut state = world.hub.watch_subscription(world.subscription(WEBHOOK)).unwrap();
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Pending { token: TOKEN.into() });
    let link = world.hub.subscribe_url(world.subscription(WEBHOOK)).unwrap();
    assert!(link.starts_with(HUB_URL) && link.contains(TOKEN), "{link}");
    assert_eq!(world.hub.subscribe_url(world.subscription(QUEUE)), None, "that one is confirmed");
    let other = TOKEN.replace('0', "1");
    assert_eq!(world.hub.confirm(&other).await.unwrap(), Confirmation::UnknownToken);
    assert_eq!(world.hub.confirm("x").await.unwrap(), Confirmation::MalformedToken);
    assert!(!state.has_changed().unwrap());
    let confirmed = Confirmation::Confirmed(world.subscription_arn(WEBHOOK).parse().unwrap());
    assert_eq!(world.hub.confirm(TOKEN).await.unwrap(), confirmed);
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Confirmed);
    assert_eq!(world.hub.confirm(TOKEN).await.unwrap(), confirmed);
}

#[tokio::test]
async fn unsubscribing_ends_a_subscription_until_its_own_token_comes() {
    let world = World::new().await;
    let state = world.hub.watch_subscription(world.subscription(WEBHOOK)).unwrap();
    let arn = world.subscription_arn(WEBHOOK);
    for unknown in
        [arn.replace("us-east-1", "eu-west-1"), arn.replace(TOPIC, "other"), arn.replace(":0", ":f")]
    {
        world.hub.unsubscribe(&unknown.parse().unwrap()).await.unwrap();
        assert!(!state.borrow().is_disabled(), "{unknown}");
    }
    world.hub.unsubscribe(&arn.parse().unwrap()).await.unwrap();
    let SubscriptionState::Disabled { token: Some(token) } = state.borrow().clone() else {
        panic!("{:?}", state.borrow())
    };
    let stored = world.deps.reader.subscriptions().unwrap();
    let stored = stored.iter().find(|stored| stored.endpoint == WEBHOOK).unwrap();
    assert_eq!(stored.state, SubscriptionState::Disabled { token: Some(token.clone()) });
    assert_eq!(world.hub.confirm(TOKEN).await.unwrap(), Confirmation::UnknownToken);
    world.hub.unsubscribe(&arn.parse().unwrap()).await.unwrap();
    assert!(matches!(world.hub.confirm(&token).await.unwrap(), Confirmation::Confirmed(_)), "its own does");
    assert_eq!(*state.borrow(), SubscriptionState::Confirmed);
}

#[tokio::test]
async fn a_pending_or_disabled_subscription_is_enabled_in_the_store_and_told() {
    let world = World::new().await;
    let (id, arn) = (world.subscription(WEBHOOK), world.subscription_arn(WEBHOOK));
    let mut state = world.hub.watch_subscription(id).unwrap();
    let told = world.hub.enable(id).await.unwrap().unwrap();
    assert_eq!(told.state, SubscriptionState::Confirmed, "whoever asks vouches for a pending one, too");
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Confirmed);
    world.hub.unsubscribe(&arn.parse().unwrap()).await.unwrap();
    let enabled = world.hub.enable(id).await.unwrap().unwrap();
    assert_eq!((enabled.id, enabled.state), (id, SubscriptionState::Confirmed));
    assert_eq!(*state.borrow_and_update(), SubscriptionState::Confirmed);
    world.hub.enable(id).await.unwrap();
    assert!(!state.has_changed().unwrap(), "once more tells nobody anything");
    let stored = world.deps.reader.subscriptions().unwrap();
    assert!(stored.iter().any(|stored| stored.id == id && stored.state == SubscriptionState::Confirmed));
    assert_eq!(world.hub.enable(storage::entities::SubscriptionId(99)).await.unwrap(), None);
}

#[tokio::test]
async fn an_operator_disables_a_subscription_and_is_told_how_it_is_then() {
    let world = World::new().await;
    let id = world.subscription(WEBHOOK);
    let mut state = world.hub.watch_subscription(id).unwrap();
    let told = world.hub.disable(id, "it floods us".into()).await.unwrap().unwrap();
    let disabled = SubscriptionState::Disabled { token: None };
    assert_eq!((told.id, &told.state), (id, &disabled), "without a token: nobody undoes it by a link");
    assert_eq!(*state.borrow_and_update(), disabled);
    let stored = world.deps.reader.subscriptions().unwrap();
    assert_eq!(stored.iter().find(|stored| stored.id == id).unwrap().state, disabled);
    let nobody = storage::entities::SubscriptionId(99);
    assert_eq!(world.hub.disable(nobody, String::new()).await.unwrap(), None);
}

#[test]
fn a_queue_stays_what_it_is_only_with_its_number_and_its_settings() {
    let stored = |id| storage::entities::Queue { id: storage::entities::QueueId(id), name: "q".into() };
    let settings = QueueSettings::default();
    let queue = Queue::new(stored(1), settings, None);
    assert!(queue.is(&stored(1), settings));
    assert!(!queue.is(&stored(2), settings), "another queue has its name now");
    let other = QueueSettings { visibility: Duration::from_secs(5), ..settings };
    assert!(!queue.is(&stored(1), other));
}

/// Who asked goes away in the middle: what is in the store is told to the worker all the same.
#[tokio::test]
async fn a_change_goes_on_without_who_asked_for_it() {
    let world = World::new().await;
    let (id, arn) = (world.subscription(WEBHOOK), world.subscription_arn(WEBHOOK).parse().unwrap());
    let state = world.hub.watch_subscription(id).unwrap();
    let blocked = world.memory.block_commits();
    let asked = timeout(Duration::from_millis(20), world.hub.unsubscribe(&arn)).await;
    assert!(asked.is_err(), "it waits for its commit");
    drop(blocked);
    until(|| state.borrow().is_disabled()).await;
}

#[tokio::test]
async fn a_queue_that_was_unsubscribed_gets_nothing_more() {
    let world = World::new().await;
    world.publish(1).await;
    world.hub.unsubscribe(&world.subscription_arn(QUEUE).parse().unwrap()).await.unwrap();
    world.publish(2).await;
    assert_eq!(world.receive(QUEUE).await.len(), 1, "what it had, it keeps");
    assert_eq!(world.receive(RAW_QUEUE).await.len(), 2);
}
