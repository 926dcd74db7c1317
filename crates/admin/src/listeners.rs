//! The state of the listeners of admin and hub. The code that serves a listener reports here: it serves it again after a panic, and after a failure
//! to begin.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a panic of a listener is reported. The listener is served again within a second, so otherwise nobody might notice.
const PANIC_IS_NEWS: Duration = Duration::from_secs(3_600);

/// The state of one listener.
#[derive(Debug)]
pub struct ListenerHealth {
    name: &'static str,
    restarts: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Why it is not served now; `None` if it is.
    down: Option<String>,
    last_panic: Option<Instant>,
}

impl ListenerHealth {
    /// For the listener of this name, which is served.
    pub fn new(name: &'static str) -> Self {
        Self { name, restarts: AtomicU64::new(0), state: Mutex::default() }
    }

    /// Its name, as in log lines: `admin`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// It is about to be served, for the first time or again.
    pub fn is_served(&self) {
        self.change(|state| state.down = None);
    }

    /// It cannot be served for the moment.
    pub fn cannot_be_served(&self, why: &dyn std::error::Error) {
        self.change(|state| {
            state.down = Some(format!("it cannot be served, and is tried again every second: {why}"))
        });
    }

    /// It panicked at `now`, and is to be served again.
    pub fn panicked(&self, now: Instant) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.change(|state| {
            state.down = Some("it panicked, and is served again within a second".into());
            state.last_panic = Some(now);
        });
    }

    /// How often it panicked and was served again.
    pub(crate) fn restarts(&self) -> u64 {
        self.restarts.load(Ordering::Relaxed)
    }

    pub(crate) fn is_down(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).down.is_some()
    }

    /// What is wrong with it, or was within the last hour, as a text for people.
    pub(crate) fn trouble(&self, now: Instant) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.down.is_some() {
            return state.down.clone();
        }
        let since = now.saturating_duration_since(state.last_panic?);
        (since <= PANIC_IS_NEWS).then(|| {
            format!(
                "it panicked {} s ago, which cost the connections that it had, and is served again ({} times since the start); this is \
                 a bug in Retrohook: please report it with the log lines",
                since.as_secs(),
                self.restarts()
            )
        })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_in_trouble_while_it_is_down_and_for_an_hour_after_a_panic() {
        let (listener, began) = (ListenerHealth::new("hub"), Instant::now());
        let after = |secs| began + Duration::from_secs(secs);
        let says = |secs| listener.trouble(after(secs)).unwrap_or_default();
        assert_eq!((listener.name(), listener.is_down(), says(0)), ("hub", false, String::new()));

        listener.cannot_be_served(&std::io::Error::other("no descriptor is left"));
        assert!(listener.is_down() && says(1).contains("no descriptor is left"), "{}", says(1));
        listener.is_served();
        assert_eq!((listener.is_down(), says(2), listener.restarts()), (false, String::new(), 0));

        listener.panicked(after(10));
        assert!(listener.is_down() && says(10).contains("within a second"), "{}", says(10));
        listener.is_served();
        assert!(!listener.is_down());
        assert!(says(15).contains("5 s ago") && says(15).contains("1 times"), "{}", says(15));
        assert!(says(3_610).contains("3600 s ago"), "{}", says(3_610));
        assert_eq!((says(3_611), listener.restarts()), (String::new(), 1));
    }
}
