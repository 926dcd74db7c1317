//! A kind of plug-in for these tests, shaped like publish-sns.

use pipeline::kind::Priority;
use pipeline::{BuildContext, CheckContext, ConfigProblem, Plugin, PluginKind, Roles};
use regex::Regex;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::Value;

/// The settings of the stub.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The topic's name.
    topic_arn: String,
    /// Which requests matter.
    #[schemars(length(min = 1))]
    routes: Vec<Rule>,
    /// What is promised.
    #[serde(default)]
    #[expect(dead_code, reason = "for the schema")]
    durability: Option<Durability>,
}

/// One kind of request.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// The method.
    #[expect(dead_code, reason = "for the schema")]
    method: String,
    /// A regular expression.
    matcher: String,
}

/// What is promised.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Durability {
    /// The default.
    Intent,
    /// Held.
    Strict,
}

pub(super) struct Stub(pub(super) &'static str);

impl PluginKind for Stub {
    fn name(&self) -> &'static str {
        self.0
    }

    fn priority(&self) -> Priority {
        Priority(10)
    }

    fn roles(&self) -> Roles {
        Roles::default()
    }

    fn schema(&self) -> Schema {
        schema_for!(Config)
    }

    fn example(&self) -> &'static str {
        ""
    }

    fn check(&self, config: &Value, context: &CheckContext<'_>) -> Vec<ConfigProblem> {
        let config: Config = serde_json::from_value(config.clone()).unwrap();
        let mut problems = Vec::new();
        if !context.topics.contains(&config.topic_arn) {
            problems.push(ConfigProblem {
                pointer: "/topic_arn".into(),
                message: format!("no topic `{}`", config.topic_arn),
                hint: "add it under `topics`".into(),
            });
        }
        for (index, rule) in config.routes.iter().enumerate() {
            if Regex::new(&rule.matcher).is_err() {
                problems.push(ConfigProblem {
                    pointer: format!("/routes/{index}/matcher"),
                    message: "not a regex".into(),
                    hint: "close the group".into(),
                });
            }
        }
        problems
    }

    fn build(&self, _: &Value, _: &BuildContext) -> Result<Plugin, ConfigProblem> {
        unreachable!("configurations are checked here, not built")
    }
}
