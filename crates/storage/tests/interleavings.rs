//! Every order in which threads can run the code that hands changes to the writer and wakes whoever waits for them.
//!
//! The files are those of the writer; only their locks and wake-ups are loom's. A model has no time: a wait with a limit lasts for ever, so
//! a wake-up that is lost is a deadlock, and loom reports it with the order of steps that led to it. Run with `LOOM_LOG=trace` to see them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use loom::future::block_on;
use loom::model::Builder;
use loom::thread;
use storage::{Result, StoreError, failpoint};

#[path = "../src/writer/bell.rs"]
mod bell;
#[expect(dead_code, reason = "the writer uses all of it, the models do not")]
#[path = "../src/writer/inbox.rs"]
mod inbox;
#[expect(dead_code, reason = "the writer uses all of it, the models do not")]
#[path = "../src/writer/receipt.rs"]
mod receipt;

/// What the writer has from the standard library.
mod sync {
    use std::cell::RefCell;
    use std::sync::{LockResult, PoisonError};
    use std::time::Duration;

    use super::bell::Bell;

    pub(super) use loom::sync::{Arc, Mutex, MutexGuard};
    pub(super) use loom::thread::{Thread, current, park};

    loom::thread_local!(static BELL: RefCell<Option<Bell>> = RefCell::new(None));

    pub(super) fn bell_of_this_thread() -> Option<Bell> {
        BELL.with(|bell| bell.borrow().clone())
    }

    pub(super) fn hang_up(bell: Option<Bell>) {
        BELL.with(|hung_up| *hung_up.borrow_mut() = bell);
    }

    /// Loom's, with the one way to wait that it has not.
    pub(super) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(super) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(super) fn notify_one(&self) {
            self.0.notify_one();
        }

        /// Time never runs out here.
        pub(super) fn wait_timeout_while<'m, T>(
            &self,
            mut guard: MutexGuard<'m, T>,
            patience: Duration,
            mut waits: impl FnMut(&mut T) -> bool,
        ) -> LockResult<(MutexGuard<'m, T>, ())> {
            while !patience.is_zero() && waits(&mut guard) {
                guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            Ok((guard, ()))
        }
    }
}

use bell::{Bell, Rings};
use inbox::{Found, Inbox, Refused, Urgency, inbox};
use receipt::receipt;

const LONG: Duration = Duration::from_secs(60);
const AWAITED: Urgency = Urgency { awaited: true, owed: false };
const UNAWAITED: Urgency = Urgency { awaited: false, owed: false };

/// Runs a model in every order, and asserts that there was more than one.
fn every_order(model: impl Fn() + Sync + Send + 'static) {
    let orders = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = orders.clone();
    let mut builder = Builder::new();
    // More switches than that by force show nothing new, and take hours.
    builder.preemption_bound = Some(3);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    assert!(orders.load(Ordering::Relaxed) > 1, "a model with one order shows nothing");
}

/// Takes until there are no senders.
fn all_of(inbox: &Inbox<u32>, most: usize, linger: Duration) -> Vec<u32> {
    let mut all = Vec::new();
    loop {
        match inbox.take(most, LONG, linger) {
            Found::Some(things) => all.extend(things),
            Found::Ended => return all,
        }
    }
}

#[test]
fn every_thing_that_was_sent_is_taken_however_senders_and_reader_meet() {
    every_order(|| {
        let (outbox, inbox) = inbox(4);
        let other = outbox.clone();
        let senders = [
            thread::spawn(move || outbox.send(1, UNAWAITED).unwrap()),
            thread::spawn(move || other.send(2, AWAITED).unwrap()),
        ];
        let mut all = all_of(&inbox, 4, LONG);
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn a_reader_that_gathers_is_woken_by_what_is_awaited_and_by_enough() {
    for (urgency, most) in [(AWAITED, 9), (UNAWAITED, 2)] {
        every_order(move || {
            let (outbox, inbox) = inbox(4);
            outbox.send(1, UNAWAITED).unwrap();
            // The outbox lives on: its end would wake the reader, too.
            let sender = thread::spawn(move || {
                outbox.send(2, urgency).unwrap();
                outbox
            });
            let mut all = Vec::new();
            while all.len() < 2 {
                match inbox.take(most, LONG, LONG) {
                    Found::Some(things) => all.extend(things),
                    Found::Ended => panic!("there is a sender"),
                }
            }
            assert_eq!(all, [1, 2]);
            drop(sender.join().unwrap());
        });
    }
}

#[test]
fn what_is_sent_to_a_reader_that_leaves_is_refused_or_dropped_with_it() {
    every_order(|| {
        let (outbox, inbox) = inbox(4);
        let thing = std::sync::Arc::new(());
        let sent = thing.clone();
        let sender = thread::spawn(move || outbox.send(sent, AWAITED));
        drop(inbox);
        let answer = sender.join().unwrap();
        assert!(matches!(answer, Ok(()) | Err(Refused::Closed)), "{answer:?}");
        assert_eq!(std::sync::Arc::strong_count(&thing), 1);
    });
}

#[test]
fn a_thread_that_waits_for_a_receipt_hears_the_answer_or_that_the_writer_is_gone() {
    for answers in [true, false] {
        every_order(move || {
            let (reply, receipt) = receipt::<u32>();
            let writer = thread::spawn(move || {
                if answers {
                    reply.send(Ok(7), &mut Rings::default());
                }
            });
            match receipt.wait() {
                Ok(answer) => assert!(answers && answer == 7),
                Err(error) => assert!(!answers && matches!(error, StoreError::Closed)),
            }
            writer.join().unwrap();
        });
    }
}

#[test]
fn a_task_that_waits_without_a_bell_is_woken_by_itself() {
    every_order(|| {
        let (reply, receipt) = receipt::<u32>();
        let writer = thread::spawn(move || reply.send(Ok(7), &mut Rings::default()));
        assert_eq!(block_on(receipt).unwrap(), 7);
        writer.join().unwrap();
    });
}

#[test]
fn a_bell_wakes_every_task_of_its_thread_whose_receipt_is_resolved() {
    every_order(|| {
        let (one, first) = receipt::<u32>();
        let (two, second) = receipt::<u32>();
        let writer = thread::spawn(move || {
            let mut rings = Rings::default();
            one.send(Ok(1), &mut rings);
            two.send(Ok(2), &mut rings);
        });
        let mut answers = block_on(answers_beside([first, second].into(), Bell::serve()));
        answers.sort_unstable();
        assert_eq!(answers, [1, 2]);
        writer.join().unwrap();
    });
}

#[test]
fn a_bell_that_is_taken_down_keeps_nobody_asleep() {
    every_order(|| {
        let (reply, receipt) = receipt::<u32>();
        let writer = thread::spawn(move || reply.send(Ok(1), &mut Rings::default()));
        let answers = block_on(answers_beside([receipt].into(), async {
            let mut bell = Box::pin(Bell::serve());
            let mut polls = 0;
            // Polled once, before the receipt is, and taken down the next time.
            poll_fn(|cx| {
                polls += 1;
                cx.waker().wake_by_ref();
                if polls == 1 { bell.as_mut().poll(cx) } else { Poll::Ready(()) }
            })
            .await;
        }));
        assert_eq!(answers, [1]);
        writer.join().unwrap();
    });
}

/// Each future is a task with a waker of its own: what wakes the bell alone wakes no receipt.
async fn answers_beside(
    receipts: VecDeque<receipt::Receipt<u32>>,
    bell: impl Future<Output = ()> + 'static,
) -> Vec<u32> {
    enum Task {
        Bell,
        Answer(Result<u32>),
    }
    let mut tasks = FuturesUnordered::new();
    let boxed = |task| -> Pin<Box<dyn Future<Output = Task>>> { task };
    let count = receipts.len();
    tasks.push(boxed(Box::pin(bell.map(|()| Task::Bell))));
    for receipt in receipts {
        tasks.push(boxed(Box::pin(receipt.map(Task::Answer))));
    }
    let mut answers = Vec::new();
    while answers.len() < count {
        match tasks.next().await {
            Some(Task::Answer(answer)) => answers.push(answer.unwrap()),
            Some(Task::Bell) => {}
            None => panic!("a receipt gave no answer"),
        }
    }
    answers
}
