//! Which generation of the configuration is served, what it declares, and what came of the last reload. Whoever reloads reports here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{Timestamp, TopicId};
use schemars::JsonSchema;
use serde::Serialize;
use storage::entities::{Entities, Queue, Subscription, SubscriptionId};

use crate::Form;

/// The configuration that is served, as far as operators ask about it.
#[derive(Debug)]
pub struct Configuration(Mutex<State>);

#[derive(Debug)]
struct State {
    generation: u64,
    loaded_at: Timestamp,
    last: Option<(Timestamp, Reloaded)>,
    declared: Arc<Declared>,
    /// Why a change broke off after it had begun to be stored, if one has.
    broke_off: Option<String>,
}

/// The topics, queues and subscriptions of one generation.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    topics: HashMap<TopicId, String>,
    pub(crate) queues: Vec<Queue>,
    /// As they were when it was declared.
    subscriptions: HashMap<SubscriptionId, Subscription>,
    forms: HashMap<SubscriptionId, Form>,
}

impl Declared {
    /// What the store has of a generation, and what else the configuration says of its subscriptions.
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

    /// A subscription of this generation.
    pub(crate) fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(&id)
    }

    /// What else the configuration says of it.
    pub(crate) fn form(&self, id: SubscriptionId) -> Option<&Form> {
        self.forms.get(&id)
    }

    /// A topic's name; its number if the configuration no longer names it.
    pub(crate) fn topic_name(&self, id: TopicId) -> String {
        self.topics.get(&id).cloned().unwrap_or_else(|| format!("#{}", id.0))
    }
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
    pub fn loaded(at: Timestamp, declared: Declared) -> Self {
        let declared = Arc::new(declared);
        Self(Mutex::new(State { generation: 1, loaded_at: at, last: None, declared, broke_off: None }))
    }

    /// What the generation that is served declares.
    pub fn declared(&self) -> Arc<Declared> {
        self.state().declared.clone()
    }

    /// The store has these from now on.
    pub fn declare(&self, declared: Declared) {
        self.state().declared = Arc::new(declared);
    }

    /// The generation that is served.
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// An API has changed it.
    pub fn edited(&self, at: Timestamp, generation: u64) {
        let mut state = self.state();
        (state.generation, state.loaded_at) = (generation, at);
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

    /// Why a change broke off after it had begun to be stored; `None` once what is served is what the store has.
    pub fn broke_off(&self, cause: Option<String>) {
        self.state().broke_off = cause;
    }

    /// Why what is served may not be what the store has.
    pub(crate) fn unsure(&self) -> Option<String> {
        self.state().broke_off.clone()
    }

    /// Why what is served is not what the files say, as far as the last reload knows.
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
