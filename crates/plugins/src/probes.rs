//! Kinds that only tests need, because a configuration has at most one instance of a kind on a route, and publish-sns is the only recorder so
//! far. They are not in [`all`](crate::all), and not in any released binary.

use std::sync::Arc;

use pipeline::kind::Priority;
use pipeline::{BuildContext, CheckContext, ConfigProblem, Observe, Observed, Plugin, PluginKind, Roles};
use schemars::Schema;
use serde_json::{Value, json};

use crate::publish_sns;

/// Every one of them.
pub fn all() -> Vec<&'static dyn PluginKind> {
    vec![&PublishAgain, &Tell]
}

/// `publish-again`: a second publish-sns, which runs after the first.
struct PublishAgain;

impl PluginKind for PublishAgain {
    fn name(&self) -> &'static str {
        "publish-again"
    }

    fn priority(&self) -> Priority {
        Priority(publish_sns::Kind.priority().0 - 1)
    }

    fn roles(&self) -> Roles {
        publish_sns::Kind.roles()
    }

    fn schema(&self) -> Schema {
        publish_sns::Kind.schema()
    }

    fn example(&self) -> &'static str {
        publish_sns::Kind.example()
    }

    fn check(&self, config: &Value, context: &CheckContext<'_>) -> Vec<ConfigProblem> {
        publish_sns::Kind.check(config, context)
    }

    fn build(&self, config: &Value, context: &BuildContext) -> Result<Plugin, ConfigProblem> {
        publish_sns::Kind.build(config, context)
    }
}

/// `tell`: a log line for each exchange.
struct Tell;

impl PluginKind for Tell {
    fn name(&self) -> &'static str {
        "tell"
    }

    fn priority(&self) -> Priority {
        Priority(8)
    }

    fn roles(&self) -> Roles {
        Roles { observe: true, ..Roles::default() }
    }

    fn schema(&self) -> Schema {
        let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
        schema.try_into().expect("an object is a schema")
    }

    fn example(&self) -> &'static str {
        "plugins: [{ name: tell, config: {} }]"
    }

    fn check(&self, _: &Value, _: &CheckContext<'_>) -> Vec<ConfigProblem> {
        Vec::new()
    }

    fn build(&self, _: &Value, _: &BuildContext) -> Result<Plugin, ConfigProblem> {
        Ok(Plugin { observe: Some(Arc::new(Self)), ..Plugin::default() })
    }
}

impl Observe for Tell {
    fn observed(&self, exchange: &Observed<'_>) {
        let Observed { context, status, end, .. } = exchange;
        let status = status.map_or(0, |status| status.as_u16());
        tracing::warn!(id = %context.id, uri = %exchange.uri, status, ?end, "an exchange is over");
    }
}
