//! # publish-sns
//!
//! Publishes an event to a topic for every successful request that matches: `PUT /profiles/7` was answered with 200, so everybody who
//! subscribed to `profile-changes` hears of it. The name and its first options are those of the plug-in `kong-publish-sns` of 2016;
//! a configuration of then works unchanged.
//!
//! ```yaml
//! plugins:
//! - name: publish-sns
//!   config:
//!     topic_arn: profile-changes
//!     routes:
//!     - { method: PUT, matcher: "^/profiles/[^/]+$" }
//! ```
//!
//! ## Which requests match
//! An entry of `routes` matches by method and by a regular expression, unanchored, on the text that `match_on` names. By default that
//! is the *service path*: normalised (`/%70rofile`, `//` and `/./` do not dodge a rule), without what `strip_path` took away and
//! without the path of the service's URL. One rule makes one event, however many of its entries match.
//!
//! Services read one path in many ways, so an entry is asked of all of them: with `%2F`, `%5C` and `\` as slashes and the dots after them
//! resolved; then with every escape decoded, without what is often ignored at the end, without parameters (`;a=b`) and decoded twice. `POST` with `X-HTTP-Method-Override: PUT` is asked as `PUT`, too. What the service answers decides whether there is an event.
//!
//! ## What becomes of a matching request
//! The upstream's own status decides: a success (2xx, or one of `statuses`) makes an event `succeeded`, any other answer none. A
//! request that was sent and never answered makes an event `unknown` with a reason, unless `publish_unknown` is false; consumers that
//! only refresh caches can treat both alike. A request that provably never reached the upstream makes none.
//!
//! ## What is promised
//! | `durability` | before the upstream is asked | the answer | a crash |
//! |---|---|---|---|
//! | `intent` (default) | the intent is made durable | is not held | no event is lost; open intents become `unknown` |
//! | `strict` | the same | its end is held until the outcome is durable | the same, and a whole success means `succeeded` |
//! | `outcome` | nothing | its end is held until the outcome is durable | in between loses the event |
//! | `memory` | nothing | is not held | loses what was not yet written |
//!
//! With `intent` and `strict` a store that cannot write refuses matching requests with 503 before the upstream sees them.
//!
//! ## The message
//! `format` is `kong-0.8` (what the 2016 plug-in published) or `cloudevents`. Outcome, id, rule, key and sequence travel as message
//! attributes beside it. `event_type` is the `type` of CloudEvents and of Standard Webhooks,
//! by default `<service or route>.<method>`: `profiles.put`. In the default, what Standard Webhooks do not allow in a type is a `_`: a service
//! `my-profiles` has `my_profiles.put`.
//!
//! `key` orders deliveries: events of one key keep the order of their outcomes. The default is the service's name and the service
//! path; a template may use `{service}`, `{path}`, a group of the matcher (`{1}`, `{name}`; of the first entry that matches) and
//! `{header:name}`.
//!
//! ## Bodies and secrets
//! Headers and query parameters that usually carry a secret read `REDACTED` in every event, with bodies or without: whoever can read an
//! event could send its request again (the 2016 plug-in published them; `capture.redact: none` does so still). Headers go by the words of
//! their names (`authorization`, `auth`, `token`, `secret`, `password`, `apikey`, `api-key`, `cookie`), parameters by a list of names;
//! `capture.redact_headers` and `capture.redact_query` replace what goes by default, and an entry `default` in them keeps it. A `key` that uses a
//! header which is redacted by default alone makes it public, with a warning. Paths are never redacted: keep secrets out of them.
//!
//! Bodies are left out unless `capture.request_body` or `capture.response_body` asks for them, up to `capture.max_bytes` each. What
//! `capture.redact_json` names in a captured body reads `REDACTED`; a body that is not one whole JSON document is then not kept at
//! all, because no one can say where in it the secrets are.
//!
//! Of headers an event has 16 KiB, of its query another 16 KiB: the longest headers and the last arguments are left out, and the event says so.
//!
//! ## From 2016
//! A rule that comes through the 0.x Admin API and does not say `match_on` sees `request_uri`, as in 2016.
//!
//! `endpoint` (or `sns_endpoint`) is where the SNS API is: this gateway's own address, another one, or AWS's own if not given.
//!
//! ## Real SNS
//! An ARN of another partition, region or account than this gateway's (`--region`, `--account-id`), or any ARN with an `endpoint` that is not
//! this gateway's, is a topic of Amazon SNS, or of whatever else speaks its API. Events are published there with the message and the attributes
//! that subscribers of a topic of this gateway get. They wait in the store until SNS has taken them: through outages, throttling and expired
//! credentials, for up to three days; what SNS refuses for good becomes a dead letter with SNS's own words. A FIFO topic gets the key as message
//! group and the event's id to deduplicate by.
//!
//! ```yaml
//! topic_arn: arn:aws:sns:eu-west-1:123456789012:profile-changes
//! aws_key: AKIAIOSFODNN7EXAMPLE        # or none: environment, profile, web identity, container, instance
//! aws_secret: ${AWS_SECRET}
//! ```
//!
//! In lists, metrics and `/retrohook/subscriptions` such a topic is one of this gateway's, `aws-profile-changes-` with some digits, with one
//! subscription of protocol `sns`. Others may subscribe to it, too.

use std::sync::Arc;

use pipeline::kind::Priority;
use pipeline::{BuildContext, CheckContext, ConfigProblem, Mount, Plugin, PluginKind, Remote, Roles};
use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

mod capture;
mod config;
mod doubts;
mod key;
mod matcher;
mod remote;
mod rule;
mod spelling;
mod watch;

const NAME: &str = "publish-sns";

/// This kind of plug-in.
pub(crate) struct Kind;

impl PluginKind for Kind {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Among Kong's logging plug-ins: after everything that could still answer the request.
    fn priority(&self) -> Priority {
        Priority(10)
    }

    fn roles(&self) -> Roles {
        Roles { record: true, ..Roles::default() }
    }

    fn schema(&self) -> Schema {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<config::Config>()
    }

    fn templates(&self) -> &'static [&'static str] {
        &["matcher", "key"]
    }

    fn example(&self) -> &'static str {
        include_str!("example.yaml")
    }

    fn check(&self, config: &Value, context: &CheckContext<'_>) -> Vec<ConfigProblem> {
        config::check(config, context)
    }

    fn remote(&self, config: &Value, context: &CheckContext<'_>) -> Option<Remote> {
        remote::find(serde_json::from_value(config.clone()).ok()?, context)
    }

    fn doubts(&self, config: &Value, mounts: &[Mount]) -> Vec<ConfigProblem> {
        doubts::find(config, mounts)
    }

    fn defaults_of_0x(&self) -> Map<String, Value> {
        [("match_on".to_owned(), "request_uri".into())].into_iter().collect()
    }

    fn build(&self, config: &Value, context: &BuildContext) -> Result<Plugin, ConfigProblem> {
        let (valid, _) =
            config::read(config, &context.check(&[])).map_err(|mut problems| problems.swap_remove(0))?;
        let recorder = rule::PublishSns(Arc::new(rule::Rule::new(valid, context)?));
        Ok(Plugin { record: Some(Arc::new(recorder)), ..Plugin::default() })
    }
}

#[cfg(test)]
mod tests;
