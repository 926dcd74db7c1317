//! Asks a gateway's admin API.

use std::net::SocketAddr;

use serde_json::Value;

use crate::client::{self, Answer};
use crate::wait;

/// An admin API.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    address: SocketAddr,
}

impl Admin {
    /// The one at an address.
    pub fn at(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Gets a path.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        client::send(self.address, "GET", path, &[("host", &self.address.to_string())], b"")
            .expect("the admin API answers")
    }

    /// Posts to a path.
    ///
    /// # Panics
    /// If there is no answer.
    #[track_caller]
    pub fn post(&self, path: &str) -> Answer {
        client::send(self.address, "POST", path, &[("host", &self.address.to_string())], b"")
            .expect("the admin API answers")
    }

    /// All events in the order of the log.
    ///
    /// # Panics
    /// If the API does not list them.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let mut path = "/retrohook/events?limit=500".to_owned();
        loop {
            let answer = self.get(&path);
            assert_eq!(answer.status, 200, "{}", answer.text());
            let mut page = answer.json();
            events.append(page["events"].as_array_mut().expect("a list"));
            match page["next_before"].as_i64() {
                Some(before) => path = format!("/retrohook/events?limit=500&before={before}"),
                None => break,
            }
        }
        events.reverse();
        events
    }

    /// An event with its deliveries.
    ///
    /// # Panics
    /// If there is none of this id.
    #[track_caller]
    pub fn event(&self, id: &str) -> Value {
        let answer = self.get(&format!("/retrohook/events/{id}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until the log has `count` events.
    ///
    /// # Panics
    /// If it has not soon.
    #[track_caller]
    pub fn wait_for_events(&self, count: usize) -> Vec<Value> {
        wait::until(&format!("{count} events in the log"), || {
            let events = self.events();
            (events.len() >= count).then_some(events)
        })
    }

    /// `/status` with its code.
    #[track_caller]
    pub fn status(&self) -> (u16, Value) {
        let answer = self.get("/status");
        (answer.status, answer.json())
    }

    /// Intents whose outcome is not decided.
    ///
    /// # Panics
    /// If `/status` does not say.
    #[track_caller]
    pub fn open_intents(&self) -> u64 {
        self.status().1["retrohook"]["open_intents"].as_u64().expect("a number")
    }

    /// The value of a series as it stands in `/metrics`, labels included: `retrohook_events_total{outcome="unknown"}`.
    #[track_caller]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        value.trim().parse().ok()
    }
}
