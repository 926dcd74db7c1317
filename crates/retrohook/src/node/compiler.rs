//! From a checked configuration to a generation that the data path serves: the same way at a start and at each reload.

use std::collections::HashMap;
use std::sync::Arc;

use event::timestamp::Clock;
use gateway::Snapshot;
use gateway::compile::CompileError;
use gateway::destination::Destinations;
use pipeline::kind::Priority;
use pipeline::{BuildContext, ConfigProblem, Plugin, PluginKind};

use super::ledger::Ledger;
use crate::cli::NodeArgs;

/// Compiles the configurations of one node, and makes their plug-ins.
pub struct Compiler {
    kinds: Vec<&'static dyn PluginKind>,
    /// For every plug-in; the owner is each one's own.
    context: BuildContext,
    destinations: Destinations,
}

impl Compiler {
    /// For a node whose store holds the topics.
    pub fn new(node: &NodeArgs, ledger: &Ledger, clock: Arc<dyn Clock>) -> Self {
        let topics: HashMap<_, _> =
            ledger.entities.topics.iter().map(|topic| (topic.name.clone(), topic.id)).collect();
        let context = BuildContext {
            owner: String::new(),
            writer: ledger.writer.clone(),
            clock,
            topics: Arc::new(topics),
            region: node.region.clone(),
            account: node.account_id.clone(),
        };
        Self { kinds: plugins::all(), context, destinations: Destinations::default() }
    }

    /// Compiles the routes and makes their plug-ins.
    ///
    /// # Errors
    /// What the configuration's checks should have found.
    pub fn compile(
        &self,
        generation: u64,
        config: &config::Config,
    ) -> Result<Snapshot, CompileError<ConfigProblem>> {
        let router = gateway::compile::compile(config, &self.destinations, |plugin| self.build(plugin))?;
        Ok(Snapshot::new(generation, router))
    }

    fn build(&self, plugin: &config::Plugin) -> Result<(Priority, Arc<dyn Plugin>), ConfigProblem> {
        let kind = self.kinds.iter().find(|kind| kind.name() == plugin.name);
        let kind = kind.ok_or_else(|| ConfigProblem {
            pointer: String::new(),
            message: format!("there is no plug-in `{}`", plugin.name),
            hint: "this is a bug in Retrohook: the check lets only known ones through".into(),
        })?;
        let context = BuildContext { owner: plugin.owner.clone(), ..self.context.clone() };
        Ok((kind.priority(), kind.build(&plugin.config, &context)?))
    }
}
