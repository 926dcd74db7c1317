//! Which generation of the configuration is served, and what came of the last reload. Whoever reloads reports here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use event::Timestamp;
use serde_json::{Value, json};

/// The configuration that is served, as far as operators ask about it.
#[derive(Debug)]
pub struct Configuration(Mutex<State>);

#[derive(Debug)]
struct State {
    generation: u64,
    loaded_at: Timestamp,
    last: Option<(Timestamp, Reloaded)>,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// This generation is served from now on.
    Taken {
        /// Its number.
        generation: u64,
    },
    /// The files say what is served.
    Unchanged,
    /// Nothing changed, because the files could not be taken.
    Refused {
        /// Why, in one line.
        cause: String,
    },
}

impl Configuration {
    /// That of a start, generation 1.
    pub fn loaded(at: Timestamp) -> Self {
        Self(Mutex::new(State { generation: 1, loaded_at: at, last: None }))
    }

    /// The generation that is served.
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// A reload has ended.
    pub fn reloaded(&self, at: Timestamp, how: Reloaded) {
        let mut state = self.state();
        if let Reloaded::Taken { generation } = how {
            state.generation = generation;
            state.loaded_at = at;
        }
        state.last = Some((at, how));
    }

    /// Why what is served is not what the files say, as far as the last reload knows.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &self.state().last {
            Some((_, Reloaded::Refused { cause })) => Some(cause.clone()),
            _ => None,
        }
    }

    /// For `/status`.
    pub(crate) fn to_json(&self) -> Value {
        let state = self.state();
        let last = state.last.as_ref().map(|(at, how)| {
            let (result, cause) = match how {
                Reloaded::Taken { .. } => ("taken", None),
                Reloaded::Unchanged => ("unchanged", None),
                Reloaded::Refused { cause } => ("refused", Some(cause)),
            };
            json!({ "at": at.to_string(), "result": result, "cause": cause })
        });
        json!({
            "generation": state.generation,
            "loaded_at": state.loaded_at.to_string(),
            "last_reload": last,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
