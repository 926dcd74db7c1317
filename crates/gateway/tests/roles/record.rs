//! Several recorders on one route: each follows the request, and together they keep the promises of one.

use std::time::Duration;

use event::outcome::{SuccessStatuses, decide};
use event::{Decision, EventId, Fate};
use pipeline::{Answer, Forward, Hold, Joint, NotKept, Observe, Observed, Plugin, Record, Watch};
use tokio::sync::watch;

use super::*;

/// Watches every PUT. A header that has its name makes it do something else: `x-ignore`, `x-refuse`, `x-hold` and `x-fail`.
struct Recorder {
    name: &'static str,
    notes: Notes,
    /// Lets go of what is held.
    released: watch::Receiver<bool>,
}

struct Following {
    name: &'static str,
    notes: Notes,
    released: watch::Receiver<bool>,
    id: EventId,
    refuses: bool,
    holds: bool,
    fails: bool,
}

impl Record for Recorder {
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        let says = |header| {
            forward
                .headers
                .get(header)
                .is_some_and(|names| names.to_str().unwrap().split(' ').any(|name| name == self.name))
        };
        if forward.method != "PUT" || says("x-ignore") {
            return None;
        }
        Some(Box::new(Following {
            name: self.name,
            notes: self.notes.clone(),
            released: self.released.clone(),
            id: forward.ids.first(0, 0),
            refuses: says("x-refuse"),
            holds: says("x-hold"),
            fails: says("x-fail"),
        }))
    }
}

/// How many watches have asked for their intents together.
#[derive(Default)]
struct Together(u32);

impl Watch for Following {
    fn intend(&mut self, joint: &mut Joint) -> Option<Hold> {
        let together = joint.batch(Together::default).map_or(0, |together| {
            together.0 += 1;
            together.0
        });
        self.notes.push(format!("{} intends {} {together}", self.name, self.id));
        let refuses = self.refuses;
        Some(Box::pin(async move {
            // Not at once, as with a store.
            tokio::task::yield_now().await;
            if refuses { Err(NotKept::new(io::Error::other("refused"))) } else { Ok(()) }
        }))
    }

    fn may_hold(&self) -> bool {
        self.holds || self.fails
    }

    fn decision(&self, fate: Fate) -> Decision {
        decide(fate, &SuccessStatuses::Any2xx, true)
    }

    fn resolve_after(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn bound(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn store_timeout(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn settle(&mut self, fate: Fate, answer: &Answer<'_>) -> Option<Hold> {
        self.notes.push(format!("{} settles {fate:?} {:?}", self.name, answer.status));
        let (holds, fails, mut released) = (self.holds, self.fails, self.released.clone());
        (holds || fails).then(|| -> Hold {
            Box::pin(async move {
                if holds {
                    released.wait_for(|released| *released).await.unwrap();
                }
                if fails { Err(NotKept::new(io::Error::other("the commit failed"))) } else { Ok(()) }
            })
        })
    }
}

fn world() -> (World, Notes, watch::Sender<bool>) {
    world_with(Vec::new())
}

fn world_with(mut more: Vec<Instance>) -> (World, Notes, watch::Sender<bool>) {
    let notes = Notes::default();
    let (release, released) = watch::channel(false);
    let recorder = |name: &'static str, priority| {
        let recorder = Recorder { name, notes: notes.clone(), released: released.clone() };
        instance(name, priority, Plugin { record: Some(Arc::new(recorder)), ..Plugin::default() })
    };
    more.extend([recorder("b", 5), recorder("a", 9)]);
    (World::start(more), notes, release)
}

fn request_id(answer: &client::Answer) -> EventId {
    answer.header("x-kong-request-id").unwrap().parse().unwrap()
}

const OK: &str = "settles Answered { status: 200 } Some(200)";

#[test]
fn each_recorder_follows_the_request_and_their_events_have_ids_of_their_own() {
    let (world, notes, _release) = world();
    let answer = world.send("PUT", "/mockbin/x", &[]).unwrap();
    let first = request_id(&answer);
    let further = EventId::further(first, id_of(5), 0, 0);
    let seen = notes.take();
    let expected = [
        format!("a intends {first} 1"),
        format!("b intends {further} 2"),
        format!("a {OK}"),
        format!("b {OK}"),
    ];
    assert_eq!(seen, expected, "both are settled when the answer is whole");
    assert_eq!(world.upstream.executed().len(), 1);
}

#[test]
fn the_first_that_watches_has_the_requests_id_and_shares_nothing_when_it_is_alone() {
    let (world, notes, _release) = world();
    let answer = world.send("PUT", "/mockbin/x", &[("x-ignore", "a")]).unwrap();
    assert_eq!(notes.take(), [format!("b intends {} 0", request_id(&answer)), format!("b {OK}")]);
}

#[test]
fn if_one_intent_is_refused_nothing_is_sent_and_the_others_are_settled_as_not_sent() {
    let (world, notes, _release) = world();
    for (refusing, other) in [("a", "b"), ("b", "a")] {
        let answer = world.send("PUT", "/mockbin/x", &[("x-refuse", refusing)]).unwrap();
        assert_eq!(answer.status, 503, "{refusing}");
        let seen = notes.take();
        assert_eq!(seen[2..], [format!("{other} settles NotSent None")], "{refusing}");
    }
    let answer = world.send("PUT", "/mockbin/x", &[("x-refuse", "a b")]).unwrap();
    assert_eq!(answer.status, 503);
    assert_eq!(notes.take().len(), 2, "both refused: there is nothing to settle");
    assert!(world.upstream.executed().is_empty());
}

#[test]
fn a_hold_of_any_holds_the_answer() {
    for holding in ["a", "b", "a b"] {
        let (world, notes, release) = world();
        let mut client = world.connect();
        client
            .write(&client::request("PUT", "/mockbin/x?status=204", &[("x-hold", holding)], b"{}"))
            .unwrap();
        let seen = notes.wait_for(4);
        assert_eq!(
            seen[2..],
            ["a", "b"].map(|name| format!("{name} settles Answered {{ status: 204 }} Some(204)")),
            "{holding}"
        );
        // Its head is its last byte. The core serves others meanwhile: had it released the answer, it had done so before this one.
        assert_eq!(world.send("GET", "/mockbin/x", &[]).unwrap().status, 200);
        assert!(!client.has_more(), "{holding}: it was not held");
        release.send(true).unwrap();
        assert_eq!(client.answer().unwrap().status, 204, "{holding}");
    }
}

#[test]
fn an_answer_is_cut_if_any_hold_fails_and_observers_are_told_so() {
    struct Ends(Notes);
    impl Observe for Ends {
        fn observed(&self, seen: &Observed<'_>) {
            self.0.push(format!("{:?}", seen.end));
        }
    }
    let ends = Notes::default();
    let plugin = Plugin { observe: Some(Arc::new(Ends(ends.clone()))), ..Plugin::default() };
    let (world, notes, _release) = world_with(vec![instance("ends", 1, plugin)]);
    for (failing, query) in [("a", ""), ("b", "?status=204"), ("b", "?script=chunked")] {
        let cut = world.send("PUT", &format!("/mockbin/x{query}"), &[("x-fail", failing)]);
        assert!(cut.is_err(), "{failing}: {cut:?}");
        assert_eq!(ends.wait_for(1), ["Cut"], "{failing} {query}");
        if query == "?status=204" {
            notes.take();
            continue;
        }
        assert_eq!(notes.take()[2..], [format!("a {OK}"), format!("b {OK}")], "{failing}");
    }
}

#[test]
fn what_the_drain_cuts_off_is_settled_for_each() {
    let (mut world, notes, _release) = world();
    let mut client = world.connect();
    client.write(&client::request("PUT", "/mockbin/x?script=wait", &[], b"{}")).unwrap();
    wait::until("the upstream to be asked", || (!world.upstream.executed().is_empty()).then_some(()));
    world.running.take().unwrap().join(Duration::from_millis(100)).unwrap();
    let seen = notes.take();
    let cut = |name| format!("{name} settles Unanswered(DrainDeadline) None");
    assert_eq!(seen[2..], [cut("a"), cut("b")]);
    world.upstream.release();
}
