//! Which generation of the configuration is served, what it declares, and the result of the last reload. The thread that reloads reports here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{Timestamp, TopicId};
use schemars::JsonSchema;
use serde::Serialize;
use storage::entities::{Entities, Queue, Subscription, SubscriptionId};

use crate::Form;

/// What operators can ask about the configuration that is served.
#[derive(Debug)]
pub struct Configuration(Mutex<State>);

#[derive(Debug)]
struct State {
    generation: u64,
    loaded_at: Timestamp,
    last: Option<(Timestamp, Reloaded)>,
    declared: Arc<Declared>,
    /// Why a change broke off after a part of it was stored, if that has happened.
    broke_off: Option<String>,
}

/// The topics, queues and subscriptions of one generation.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    topics: HashMap<TopicId, String>,
    pub(crate) queues: Vec<Queue>,
    /// As they were when the generation was declared.
    subscriptions: HashMap<SubscriptionId, Subscription>,
    forms: HashMap<SubscriptionId, Form>,
}

impl Declared {
    /// The entities of a generation as the store has them, and the settings of its subscriptions.
    pub fn new(entities: &Entities, forms: HashMap<SubscriptionId, Form>) -> Self {
        let topics = entities.topics.iter().map(|topic| (topic.id, topic.name.clone()));
        let subscriptions = entities.subscriptions.iter().map(|known| (known.id, known.clone()));
        Self {
            topics: topics.collect(),
            queues: entities.queues.clone(),
            subscriptions: subscriptions.collect(),
            forms,
        }
    }

    /// A subscription of this generation, as it was when it was declared.
    pub(crate) fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(&id)
    }

    /// The settings of a subscription that the store does not have.
    pub(crate) fn form(&self, id: SubscriptionId) -> Option<&Form> {
        self.forms.get(&id)
    }

    /// The name of a topic; `#` and its number if the configuration does not name it.
    pub(crate) fn topic_name(&self, id: TopicId) -> String {
        self.topics.get(&id).cloned().unwrap_or_else(|| format!("#{}", id.0))
    }
}

/// The result of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// This generation is served from now on.
    Taken {
        /// Its number.
        generation: u64,
    },
    /// The files say what is served already.
    Unchanged,
    /// Nothing changed, because the configuration could not be used.
    Refused {
        /// Why, in one line.
        cause: String,
    },
}

impl Configuration {
    /// The configuration of a start, generation 1.
    pub fn loaded(at: Timestamp, declared: Declared) -> Self {
        let declared = Arc::new(declared);
        Self(Mutex::new(State { generation: 1, loaded_at: at, last: None, declared, broke_off: None }))
    }

    /// The topics, queues and subscriptions of the generation that is served.
    pub fn declared(&self) -> Arc<Declared> {
        self.state().declared.clone()
    }

    /// Notes that the store has these from now on.
    pub fn declare(&self, declared: Declared) {
        self.state().declared = Arc::new(declared);
    }

    /// The number of the generation that is served.
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Notes that an API's change made a new generation.
    pub fn edited(&self, at: Timestamp, generation: u64) {
        let mut state = self.state();
        (state.generation, state.loaded_at) = (generation, at);
    }

    /// Notes the result of a reload.
    pub fn reloaded(&self, at: Timestamp, how: Reloaded) {
        let mut state = self.state();
        if let Reloaded::Taken { generation } = how {
            state.generation = generation;
            state.loaded_at = at;
        }
        state.last = Some((at, how));
    }

    /// Notes why a change broke off after a part of it was stored; `None` as soon as what is served is what the store has.
    pub fn broke_off(&self, cause: Option<String>) {
        self.state().broke_off = cause;
    }

    /// Why what is served may differ from what the store has, if it may.
    pub(crate) fn unsure(&self) -> Option<String> {
        self.state().broke_off.clone()
    }

    /// Why the last reload was refused, if it was: what is served is not what the files say.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &self.state().last {
            Some((_, Reloaded::Refused { cause })) => Some(cause.clone()),
            _ => None,
        }
    }

    /// For `/status`.
    pub(crate) fn to_json(&self) -> Served {
        let state = self.state();
        let last_reload = state.last.as_ref().map(|(at, how)| {
            let (result, cause) = match how {
                Reloaded::Taken { .. } => ("taken", None),
                Reloaded::Unchanged => ("unchanged", None),
                Reloaded::Refused { cause } => ("refused", Some(cause.clone())),
            };
            LastReload { at: at.to_string(), result, cause }
        });
        Served { generation: state.generation, loaded_at: state.loaded_at.to_string(), last_reload }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The configuration that is served, for `/status`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ServedConfiguration")]
pub(crate) struct Served {
    generation: u64,
    loaded_at: String,
    last_reload: Option<LastReload>,
}

/// What came of the last reload.
#[derive(Serialize, JsonSchema)]
struct LastReload {
    at: String,
    /// `taken`, `unchanged` or `refused`.
    result: &'static str,
    cause: Option<String>,
}
