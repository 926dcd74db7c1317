//! When a receive that waits looks again, on a clock that stands still unless all wait for it.

use delivery::drain::drain;
use event::{Event, Position, Stamp};
use storage::entities::SubscriptionId;
use storage::memory::{SAMPLE_TIME, sample_event};
use tokio::time::{advance, sleep};
use uuid::Uuid;

use super::*;

const MOMENT: Duration = Duration::from_millis(1);

fn queue() -> Queue {
    Queue::new(StoredQueue { id: QueueId(7), name: "worker".into() }, QueueSettings::default(), None)
}

fn message() -> Received {
    Received {
        handle: MessageHandle { seq: 1, receive_count: 1 },
        message_id: Uuid::nil(),
        event: Event { position: Position(1), stamp: Stamp::default(), body: sample_event(1) },
        subscription: Some(SubscriptionId(1)),
        sent_at: SAMPLE_TIME,
        first_received_at: SAMPLE_TIME,
        receive_count: 1,
        given_up_by: None,
    }
}

#[tokio::test(start_paused = true)]
async fn one_receive_a_second_looks_for_all_that_wait() {
    let queue = queue();
    assert!(queue.wants_a_look(), "nobody has looked yet");
    queue.note(&[]);
    assert!(!queue.clone().wants_a_look(), "clones are the same queue");
    advance(LOOK_EVERY - MOMENT).await;
    assert!(!queue.wants_a_look());
    advance(MOMENT).await;
    assert!(queue.wants_a_look());
    queue.note(&[]);
    assert!(!queue.wants_a_look());
    queue.note(&[message()]);
    assert!(queue.wants_a_look(), "there may be more");
}

/// How long a receive waits that has `patience`, if nothing happens.
async fn waited(queue: &Queue, patience: Duration) -> Duration {
    let (_feed, mut news) = watch::channel(0);
    let (_signal, mut drain) = drain();
    let began = Instant::now();
    let mut gone = queue.shared.is_gone.subscribe();
    let ended = wait_for_news(queue, &mut news, (&mut drain, &mut gone), began + patience).await;
    assert!(matches!(ended, News::TryAgain));
    began.elapsed()
}

#[track_caller]
fn is_about(waited: Duration, millis: u64) {
    let least = Duration::from_millis(millis);
    // A timer may be a tick late.
    assert!((least..=least + 2 * MOMENT).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_whoever_looked_last() {
    let queue = queue();
    queue.note(&[]);
    is_about(waited(&queue, Duration::from_millis(20)).await, 20);
}

#[tokio::test(start_paused = true)]
async fn a_wait_looks_again_after_a_second_unless_another_has_looked() {
    let queue = queue();
    queue.note(&[]);
    is_about(waited(&queue, Duration::from_secs(10)).await, 1_000);
    let another = async {
        sleep(LOOK_EVERY / 2).await;
        queue.note(&[]);
    };
    let (waited, ()) = tokio::join!(waited(&queue, Duration::from_secs(10)), another);
    is_about(waited, 2_000);
}
