//! # publish-sns
//!
//! Publishes an event to a topic for every successful request that matches: if the service answers `PUT /profiles/7` with 200, every subscriber
//! of `profile-changes` gets an event. The name and the first options are those of the plug-in `kong-publish-sns` of 2016, and a configuration
//! for that plug-in works unchanged.
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
//! An entry of `routes` matches by method and by a regular expression, unanchored, in the text that `match_on` names. By default that is the
//! *service path*: the normalised path (so `/%70rofile`, `//` and `/./` do not avoid a match), without what `strip_path` removed and without the
//! path of the service's URL. A request makes one event, however many entries match.
//!
//! Services read one path in different ways, so an entry is compared with each of these readings: with `%2F`, `%5C` and `\` as slashes and the
//! dots after them resolved; with every escape decoded; without what many services ignore at the end; without parameters (`;a=b`); decoded
//! twice. A `POST` with `X-HTTP-Method-Override: PUT` is also compared as a `PUT`. A match too many does no harm, because the service's answer
//! decides whether there is an event.
//!
//! ## What becomes of a matching request
//! The status of the upstream's answer decides: a success (2xx, or one of `statuses`) makes an event with outcome `succeeded`, any other status
//! makes none. A request that was sent and never answered makes an event with outcome `unknown` and a reason, unless `publish_unknown` is false.
//! A subscriber that only refreshes a cache can treat both alike. A request that provably never reached the upstream makes no event.
//!
//! ## What is promised
//! | `durability` | before the request is sent | the answer | a crash |
//! |---|---|---|---|
//! | `intent` (default) | the intent is on disk | is not held | no event is lost; open intents become `unknown` |
//! | `strict` | the same | its end is held until the outcome is on disk | the same, and a client that got a complete success knows that the event is `succeeded` |
//! | `outcome` | nothing | its end is held until the outcome is on disk | before that loses the event |
//! | `memory` | nothing | is not held | loses the events that are not on disk yet |
//!
//! With `intent` and `strict` a store that cannot write refuses matching requests with 503 before the upstream sees them.
//!
//! ## The message
//! `format` is `kong-0.8` (what the 2016 plug-in published) or `cloudevents`. Outcome, id, rule, key and sequence are message attributes.
//! `event_type` is the `type` of CloudEvents and of Standard Webhooks, by default `<service or route>.<method>`: `profiles.put`. In the default,
//! `_` replaces every character that Standard Webhooks do not allow in a type: a service `my-profiles` has `my_profiles.put`.
//!
//! `key` is for the order of deliveries: subscriptions that ask for order get the events of one key in the order of their outcomes. The default
//! is the service's name and the service path; a template may use `{service}`, `{path}`, a group of the matcher (`{1}`, `{name}`; of the first
//! entry that matches) and `{header:name}`.
//!
//! ## Bodies and secrets
//! Headers and query parameters that usually carry a secret read `REDACTED` in every event, with or without bodies; otherwise whoever can read
//! an event could send its request again. (The plug-in of 2016 published them. `capture.redact: none` still does.) Headers are recognised by
//! words in their names (`authorization`, `auth`, `token`, `secret`, `password`, `apikey`, `api-key`, `cookie`), parameters by a list of names.
//! `capture.redact_headers` and `capture.redact_query` replace these defaults; an entry `default` keeps them. A `key` that uses a header which
//! only the default redacts makes that header public, and `check` warns about it. Paths are never redacted: keep secrets out of them.
//!
//! Bodies are left out unless `capture.request_body` or `capture.response_body` asks for them, up to `capture.max_bytes` each. The values that
//! `capture.redact_json` names in a captured body read `REDACTED`. A body that is not one complete JSON document is then not kept at all,
//! because nobody can say where its secrets are.
//!
//! An event has at most 16 KiB of headers and another 16 KiB of query. Beyond that, the longest headers and the last arguments are left out, and
//! the event says so.
//!
//! ## From 2016
//! A plug-in that is made through the 0.x Admin API without `match_on` has `match_on: request_uri`, as in 2016.
//!
//! `endpoint` (or `sns_endpoint`) is the address of the SNS API: this gateway's own, another one, or by default AWS's.
//!
//! ## Real SNS
//! An ARN of another partition, region or account than this gateway's (`--region`, `--account-id`), or any ARN with an `endpoint` that is not
//! this gateway's, is a topic of Amazon SNS, or of another service with the same API. Events are published there with the same message and
//! attributes that subscribers of a topic of this gateway get. They wait in the store until SNS has accepted them, for up to three days, through
//! outages, throttling and expired credentials. An event that SNS refuses for good becomes a dead letter with SNS's message. A FIFO topic gets
//! the key as message group and the event's id as deduplication id.
//!
//! ```yaml
//! topic_arn: arn:aws:sns:eu-west-1:123456789012:profile-changes
//! aws_key: AKIAIOSFODNN7EXAMPLE        # or none: environment, profile, web identity, container, instance
//! aws_secret: ${AWS_SECRET}
//! ```
//!
//! Lists, metrics and `/retrohook/subscriptions` show such a topic as a topic of this gateway, named `aws-profile-changes-` and some digits,
//! with one subscription of protocol `sns`. Others may subscribe to it, too.

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

    /// Among Kong's logging plug-ins, so after every plug-in that could still answer the request itself.
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
