//! Compiles a checked configuration into a generation that the data path serves, in the same way at a start and at each reload.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use control::Whole;
use dialing::tls::SystemRoots;
use entities::{Known, Origin, Owned, Plugin, Served, Set};
use event::TopicId;
use event::timestamp::Clock;
use gateway::Snapshot;
use gateway::compile::{CompileError, Compiled};
use gateway::conditions::Conditions;
use gateway::destination::Destinations;
use gateway::stats::Numbering;
use hub::Names;
use pipeline::{BuildContext, ConfigProblem, Instance, PluginKind, Remote, Scope, Services};
use storage::entities::Entities;
use uuid::Uuid;

use super::closed;
use super::ledger::Ledger;

/// Numbers of topics, by their bare names.
pub type Topics = Arc<HashMap<String, TopicId>>;

/// The topics that the store has.
pub fn topics(entities: &Entities) -> Topics {
    Arc::new(entities.topics.iter().map(|topic| (topic.name.clone(), topic.id)).collect())
}

/// Placeholder numbers for the topics of a configuration, which the store may not have yet. Only for a snapshot that is never served.
pub fn placeholders(set: &Set) -> Topics {
    Arc::new(set.topics.iter().map(|topic| (topic.name.clone(), TopicId(0))).collect())
}

/// Every kind of plug-in that a node serves.
pub fn kinds() -> Vec<&'static dyn PluginKind> {
    #[cfg(not(feature = "failpoints"))]
    return plugins::all();
    #[cfg(feature = "failpoints")]
    return [plugins::all(), plugins::probes::all()].concat();
}

/// Compiles the configurations of one node, and makes their plug-ins.
pub struct Compiler {
    kinds: Vec<&'static dyn PluginKind>,
    /// The context for building plug-ins. Instance and owner differ for each one, the consumers for each generation.
    context: BuildContext,
    destinations: Destinations,
    /// The last generation and its parts.
    last: RefCell<Last>,
}

/// A compiled generation, and what its plug-ins were built with.
#[derive(Default)]
struct Last {
    compiled: Compiled,
    known: Arc<Known>,
    topics: Topics,
}

impl Compiler {
    /// For a node with this store. These authorities verify services over https unless a service says otherwise.
    pub fn new(
        names: &Names,
        hubs: Vec<String>,
        ledger: &Ledger,
        clock: Arc<dyn Clock>,
        roots: SystemRoots,
    ) -> Self {
        let context = BuildContext {
            instance: Uuid::nil(),
            owner: String::new(),
            services: Services::default().with(ledger.writer.clone()).with(plugins::Counters::default()),
            clock,
            topics: Arc::default(),
            region: names.region.clone(),
            account: names.account.clone(),
            hubs,
        };
        Self { kinds: kinds(), context, destinations: Destinations::new(roots), last: RefCell::default() }
    }

    /// The numbers by which routes are counted.
    pub fn numbering(&self) -> Numbering {
        self.last.borrow().compiled.numbering().clone()
    }

    /// How all services do that have been served.
    pub fn conditions(&self) -> Conditions {
        self.last.borrow().compiled.conditions().clone()
    }

    /// Compiles the routes and makes their plug-ins, with the topics that they may name. Parts that have not changed are shared with the
    /// generation that was compiled before.
    ///
    /// # Errors
    /// Problems that the configuration's checks should have found.
    pub fn compile(
        &self,
        generation: u64,
        served: &Served,
        topics: &Topics,
    ) -> Result<Snapshot, CompileError<ConfigProblem>> {
        let consumers = plugins::Consumers::of(&served.known);
        let context = BuildContext {
            services: self.context.services.clone().with(consumers),
            topics: topics.clone(),
            ..self.context.clone()
        };
        let build = |plugin: &Owned| self.build(plugin, &context);
        let mut last = self.last.borrow_mut();
        if last.known != served.known || last.topics != *topics {
            last.compiled.forget_plugins();
            (last.known, last.topics) = (served.known.clone(), topics.clone());
        }
        let router = last.compiled.next(served, &self.destinations, build)?;
        Ok(Snapshot::new(generation, router))
    }

    /// Whether it can be compiled, before the store has its topics.
    ///
    /// # Errors
    /// As [`Compiler::compile`].
    pub fn can_compile(&self, whole: &Whole) -> Result<(), CompileError<ConfigProblem>> {
        self.compile(1, whole.served(), &placeholders(whole.all())).map(drop)
    }

    /// The problems that a plug-in's kind finds in its settings, given these topics; empty if there are none.
    pub fn problems_of(&self, plugin: &Plugin, set: &Set) -> Vec<ConfigProblem> {
        let topics: Vec<String> = set.topics.iter().map(|topic| topic.name.clone()).collect();
        let context = self.context.check(&topics);
        let kind = self.kinds.iter().find(|kind| kind.name() == plugin.name);
        kind.map(|kind| kind.check(&plugin.config, &context)).unwrap_or_default()
    }

    /// The topic elsewhere that a plug-in publishes to.
    pub fn remote(&self, plugin: &Plugin) -> Option<Remote> {
        let kind = self.kinds.iter().find(|kind| kind.name() == plugin.name)?;
        kind.remote(&plugin.config, &self.context.check(&[]))
    }

    fn build(
        &self,
        Owned { plugin, owner }: &Owned,
        context: &BuildContext,
    ) -> Result<(Scope, Instance), ConfigProblem> {
        let kind = self.kinds.iter().find(|kind| kind.name() == plugin.name);
        let scope = Scope { route: plugin.route, service: plugin.service, consumer: plugin.consumer };
        // The check accepts one that is not served only if a flag of the start allows it.
        let Some(kind) = kind else { return Ok((scope, closed::instance(plugin))) };
        if plugin.consumer.is_some() && !kind.is_for_consumers() {
            return Err(ConfigProblem {
                pointer: String::new(),
                message: format!("`{}` cannot be for a consumer", plugin.name),
                hint: "it finds out who the consumer is: leave `consumer` out".into(),
            });
        }
        let context = BuildContext { instance: plugin.id, owner: owner.clone(), ..context.clone() };
        let roles = match kind.build(&plugin.config, &context) {
            Ok(roles) => roles,
            // It was valid when an API made it, under other flags or in an older version. The node must start nevertheless, so that it can be
            // mended through the API.
            Err(_) if plugin.origin == Origin::Api => return Ok((scope, closed::instance(plugin))),
            Err(problem) => return Err(problem),
        };
        let (kind, priority) = (kind.name(), kind.priority());
        Ok((scope, Instance { id: plugin.id, kind, priority, plugin: roles }))
    }
}
