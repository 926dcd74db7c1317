//! What a kind of plug-in says about itself, so that configuration, docs and tests need no list of their own.

use std::collections::HashMap;
use std::sync::Arc;

use event::timestamp::Clock;
use event::{RemoteTopic, TopicId};
use schemars::Schema;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::plugin::{Plugin, Roles};
use crate::services::Services;

/// Kong's PRIORITY: higher runs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(pub i32);

/// A kind of plug-in: one folder of the crate `plugins`.
pub trait PluginKind: Send + Sync + 'static {
    /// Its name in configurations, `publish-sns`.
    fn name(&self) -> &'static str;

    /// Its priority in chains.
    fn priority(&self) -> Priority;

    /// The roles that it can play. An instance plays some of them.
    fn roles(&self) -> Roles;

    /// Whether an instance may be for one consumer. One that finds out who the consumer is cannot.
    fn is_for_consumers(&self) -> bool {
        true
    }

    /// The JSON Schema of its `config`, made from the documented struct.
    fn schema(&self) -> Schema;

    /// Keys of its `config`, at any depth, whose values are templates or regular expressions: no variable of the environment is put into them.
    fn templates(&self) -> &'static [&'static str] {
        &[]
    }

    /// The smallest useful configuration file, YAML.
    fn example(&self) -> &'static str;

    /// What the schema cannot say: regexes that compile, topics that exist. `config` has passed the schema. All problems at once.
    fn check(&self, config: &Value, context: &CheckContext<'_>) -> Vec<ConfigProblem>;

    /// The topic elsewhere that an instance publishes to, and how it gets in there; `None` if it publishes to none. Whoever takes the instance
    /// makes sure that [`RemoteTopic::stand_in`] exists, with a subscription that leads there.
    fn remote(&self, config: &Value, context: &CheckContext<'_>) -> Option<Remote> {
        let _ = (config, context);
        None
    }

    /// What is allowed in `config` and probably not meant, given the routes that the plug-in runs on. `config` has passed `check`.
    ///
    /// A doubt that turns out wrong costs trust in all others: what is said must be true of every request.
    fn doubts(&self, config: &Value, mounts: &[Mount]) -> Vec<ConfigProblem> {
        let _ = (config, mounts);
        Vec::new()
    }

    /// What Kong's 0.x Admin API puts where a new `config` does not say it: what the kind did then, where it does something else now.
    fn defaults_of_0x(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Makes the plug-in. `config` has passed the schema and `check`; a problem found here all the same is an error of ours.
    ///
    /// # Errors
    /// What `check` should have found.
    fn build(&self, config: &Value, context: &BuildContext) -> Result<Plugin, ConfigProblem>;
}

/// What a check may ask.
#[derive(Clone, Copy, Debug)]
pub struct CheckContext<'a> {
    /// The names of all topics in the configuration.
    pub topics: &'a [String],
    /// `--region`.
    pub region: &'a str,
    /// `--account-id`.
    pub account: &'a str,
    /// Where this gateway's own SNS API is reached, `host:port`; a loopback address stands for all of them.
    pub hubs: &'a [String],
}

/// A topic elsewhere, and how whoever publishes there signs. Its `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Remote {
    /// Which topic.
    pub topic: RemoteTopic,
    /// The region of the signature; that of the ARN if not given.
    pub region: Option<String>,
    /// An access key's id and its secret; without them, whatever AWS's SDK finds in its surroundings.
    pub key: Option<(String, String)>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, region, key } = self;
        let id = key.as_ref().map(|(id, _)| id);
        f.debug_struct("Remote").field("topic", topic).field("region", region).field("key", &id).finish()
    }
}

/// A route that a plug-in runs on, as far as its kind may look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// As Kong writes them: normalised prefixes, or `~` and a regular expression. None: every path.
    pub paths: Vec<String>,
    /// Whether the matched part of the path is cut off.
    pub strip_path: bool,
}

/// What a plug-in may be built from.
#[derive(Clone)]
pub struct BuildContext {
    /// The instance's id.
    pub instance: Uuid,
    /// The name of the service or route that it belongs to, for `rule`.
    pub owner: String,
    /// What the node has for its roles.
    pub services: Services,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The topics that exist, by bare name.
    pub topics: Arc<HashMap<String, TopicId>>,
    /// `--region`.
    pub region: String,
    /// `--account-id`.
    pub account: String,
    /// Where this gateway's own SNS API is reached, `host:port`.
    pub hubs: Vec<String>,
}

impl BuildContext {
    /// What a check beside these topics may ask.
    pub fn check<'a>(&'a self, topics: &'a [String]) -> CheckContext<'a> {
        CheckContext { topics, region: &self.region, account: &self.account, hubs: &self.hubs }
    }
}

/// Something wrong, or doubtful, in a plug-in's `config`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigProblem {
    /// Where, as a JSON Pointer into `config` (`/routes/0/matcher`).
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}
