//! Requests that never stop while something changes under them: each must be answered by what may be served at its time, on a connection that
//! stays, and each that matches a rule must make its event.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::scene::Scene;
use crate::server::{Server, Then, answer};
use crate::wait;

/// Clients, each with a connection of its own.
const CLIENTS: usize = 4;
/// Requests between two changes, of all clients together.
const BETWEEN: u64 = 40;

/// A load on two paths, of which only `PUT`s to the second one match a rule.
pub struct Load {
    /// What is got.
    pub get: &'static str,
    /// What is put, and matches.
    pub put: &'static str,
}

/// Two upstreams that take turns: after change number n the one of n modulo 2 is served.
pub struct Turns([Server; 2]);

/// What their answers are.
const NAMES: [&str; 2] = ["even", "odd"];

impl Turns {
    /// Starts both.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start() -> Self {
        Self(NAMES.map(|name| {
            let any = ([127, 0, 0, 1], 0).into();
            Server::start(any, move |_, stream| {
                answer(stream, 200, &[], name.as_bytes()).map(|()| Then::KeepOpen)
            })
            .expect("a free port")
        }))
    }

    /// The address of the one that is served after this change, `host:port`.
    pub fn address(&self, number: u64) -> String {
        self.0[number as usize % 2].address().to_string()
    }
}

/// What the clients know of the changes, and have done.
#[derive(Default)]
struct Seen {
    /// The last one that is surely served.
    made: AtomicU64,
    /// The last one that may be served.
    asked_for: AtomicU64,
    answered: AtomicU64,
    matched: AtomicU64,
    over: AtomicBool,
}

impl Load {
    /// Makes the changes `1..=changes`, one after the other while requests go on; the change 0 is served before. `change` returns when its
    /// number is surely served.
    ///
    /// # Panics
    /// If a request fails, is answered by what cannot be served, or makes no event, or if a connection is dropped.
    #[track_caller]
    pub fn stays_whole(&self, scene: &Scene, changes: u64, mut change: impl FnMut(u64)) {
        let seen = Seen::default();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| self.run(scene, &seen))).collect();
            for number in 1..=changes {
                let before = seen.answered.load(Ordering::SeqCst);
                wait::until("requests", || {
                    let ended = clients.iter().any(std::thread::ScopedJoinHandle::is_finished);
                    (ended || seen.answered.load(Ordering::SeqCst) >= before + BETWEEN).then_some(())
                });
                seen.asked_for.store(number, Ordering::SeqCst);
                change(number);
                seen.made.store(number, Ordering::SeqCst);
            }
            seen.over.store(true, Ordering::SeqCst);
        });
        let matched = seen.matched.load(Ordering::SeqCst);
        let events = scene.admin().wait_for_events(matched as usize);
        assert_eq!(events.len() as u64, matched, "an event of each matching request");
        assert!(events.iter().all(|event| event["outcome"] == "succeeded"));
        let accepted = scene.admin().metric("retrohook_connections_total");
        assert_eq!(accepted, Some(CLIENTS as f64), "no connection was dropped");
    }

    /// Sends requests on one connection until it is over.
    fn run(&self, scene: &Scene, seen: &Seen) {
        let mut client = scene.client();
        for (method, target) in [("GET", self.get), ("PUT", self.put)].iter().cycle() {
            if seen.over.load(Ordering::SeqCst) {
                return;
            }
            let at_least = seen.made.load(Ordering::SeqCst);
            let answer = client.send(method, target, &[], b"").expect("its connection stays");
            let at_most = seen.asked_for.load(Ordering::SeqCst);
            let allowed: Vec<_> = (at_least..=at_most).map(|number| NAMES[number as usize % 2]).collect();
            assert_eq!(answer.status, 200);
            assert!(allowed.contains(&answer.text().as_str()), "{} and not {allowed:?}", answer.text());
            seen.answered.fetch_add(1, Ordering::SeqCst);
            seen.matched.fetch_add(u64::from(*method == "PUT"), Ordering::SeqCst);
        }
    }
}
