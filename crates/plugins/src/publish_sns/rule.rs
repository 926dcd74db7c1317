//! A configured publish-sns: everything about it that is made once and used for every request.

use std::sync::Arc;
use std::time::Duration;

use event::TopicId;
use event::capture::{BodyCapture, JsonRedaction};
use event::facts::{AuthenticatedEntity, HeadersView, RequestView, RuleFacts, bounded};
use event::outcome::SuccessStatuses;
use event::redaction::{Redaction, Redactor};
use event::timestamp::Clock;
use pipeline::{BuildContext, ConfigProblem, Context, Forward, Record, Watch};
use serde::Serialize;
use storage::Writer;

use super::NAME;
use super::config::{Durability, MatchOn, Valid};
use super::key::{KeySource, KeyTemplate};
use super::matcher::{self, Groups, Matcher};
use super::spelling::{self, Spelling};
use super::watch::{PublishWatch, Stage};

pub(super) struct Rule {
    pub writer: Writer,
    pub clock: Arc<dyn Clock>,
    pub topic: TopicId,
    pub durability: Durability,
    pub success: SuccessStatuses,
    pub publish_unknown: bool,
    pub resolve_after: Duration,
    pub exchange_timeout: Duration,
    pub store_timeout: Duration,
    pub redaction: Redaction,
    redact_json: Arc<JsonRedaction>,
    match_on: MatchOn,
    matcher: Matcher,
    /// One for each of the matcher's methods.
    facts: Vec<RuleFacts>,
    key: KeyTemplate,
    capture_request: Option<usize>,
    capture_response: Option<usize>,
}

impl Rule {
    pub fn new(valid: Valid, context: &BuildContext) -> Result<Self, ConfigProblem> {
        let Valid { config, topic, patterns, key, redaction, redact_json } = valid;
        let topic = context.topics.get(topic.as_str()).copied().ok_or_else(|| ConfigProblem {
            pointer: "/topic_arn".into(),
            message: format!("there is no topic `{topic}`"),
            hint: "this is a bug in Retrohook: `check` should have found it".into(),
        })?;
        let groups = if key.needs_groups() { Groups::Kept } else { Groups::NotNeeded };
        let matcher = matcher::compile(&patterns, groups).map_err(|method| ConfigProblem {
            pointer: "/routes".into(),
            message: format!("the matchers of {method} are too large together"),
            hint: "this is a bug in Retrohook: `check` should have found it".into(),
        })?;
        let owner = &context.owner;
        let facts = matcher.methods().map(|method| RuleFacts {
            name: format!("{owner}/{NAME}"),
            format: config.format.into(),
            event_type: config.event_type.clone().unwrap_or_else(|| default_type(owner, method.as_str())),
        });
        let cap = config.capture.max_bytes as usize;
        Ok(Self {
            writer: context.services.get::<Writer>()?.clone(),
            clock: context.clock.clone(),
            topic,
            durability: config.durability,
            success: match config.statuses {
                statuses if statuses.is_empty() => SuccessStatuses::Any2xx,
                statuses => SuccessStatuses::Only(statuses),
            },
            publish_unknown: config.publish_unknown,
            resolve_after: Duration::from_millis(config.resolve_after.into()),
            exchange_timeout: Duration::from_millis(config.exchange_timeout.into()),
            store_timeout: Duration::from_millis(config.store_timeout.into()),
            redaction,
            redact_json: Arc::new(redact_json),
            match_on: config.match_on,
            facts: facts.collect(),
            matcher,
            key,
            capture_request: config.capture.request_body.then_some(cap),
            capture_response: config.capture.response_body.then_some(cap),
        })
    }

    fn key(&self, forward: &Forward<'_>, spelling: &Spelling<'_>, redactor: Redactor<'_>) -> Arc<str> {
        // What a group captures goes into the key, which is public, so secrets of the query are redacted first.
        let text = if self.key.needs_groups() { Some(redactor.uri(&spelling.text)) } else { None };
        let groups = text.as_ref().and_then(|text| self.matcher.captures(spelling.method, text));
        let source = KeySource {
            service: &forward.route.service,
            path: &spelling.service_path,
            headers: forward.headers,
            redactor,
            groups,
        };
        self.key.render(&source).into()
    }

    fn request_facts(
        &self,
        forward: &Forward<'_>,
        spelling: &Spelling<'_>,
        redactor: Redactor<'_>,
    ) -> Arc<str> {
        let headers = HeadersView::new(forward.headers, redactor);
        let authenticated_entity = authenticated_entity(forward.context);
        let (uri, uri_cut) = bounded(redactor.uri(forward.uri));
        let (upstream_uri, upstream_cut) = bounded(redactor.uri(forward.upstream_uri));
        json(&RequestView {
            rule: &self.facts[spelling.method],
            method: forward.method.as_str(),
            scheme: forward.context.inbound.scheme.as_str(),
            host: forward.host,
            port: forward.context.inbound.local.port(),
            uri: &uri,
            service_path: &spelling.service_path,
            upstream_uri: &upstream_uri,
            upstream_host: forward.upstream_host,
            query_truncated: uri_cut || upstream_cut,
            headers: &headers,
            headers_truncated: headers.is_truncated(),
            head_size: forward.head_size,
            client_ip: forward.client_ip,
            started_at: forward.context.started_at,
            authenticated_entity: authenticated_entity.as_ref(),
            api: &forward.route.api,
        })
    }
}

/// The consumer that the gateway has recognised.
fn authenticated_entity(context: &Context) -> Option<AuthenticatedEntity> {
    let (consumer, credential) = (context.consumer.as_ref()?, context.credential.as_ref()?);
    Some(AuthenticatedEntity {
        id: credential.id,
        consumer_id: consumer.id,
        username: consumer.username.clone(),
        custom_id: consumer.custom_id.clone(),
    })
}

/// `profiles.put`: parts of letters, digits and underscores, with dots between them, because Standard Webhooks allow no other type.
pub(super) fn default_type(owner: &str, method: &str) -> String {
    let parts =
        owner.split('.').chain([&method.to_ascii_lowercase()[..]]).map(conforming).collect::<Vec<_>>();
    parts.join(".")
}

fn conforming(part: &str) -> String {
    if part.is_empty() {
        return "_".into();
    }
    part.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Facts as the log keeps them.
pub(super) fn json(facts: &impl Serialize) -> Arc<str> {
    // They are structs of texts and numbers with fixed names, which JSON can always express.
    serde_json::to_string(facts).expect("facts are always JSON").into()
}

/// The recorder of one configured publish-sns.
pub(super) struct PublishSns(pub Arc<Rule>);

impl Record for PublishSns {
    fn watch(&self, forward: &Forward<'_>) -> Option<Box<dyn Watch>> {
        let Self(rule) = self;
        let spelling = spelling::find(&rule.matcher, rule.match_on, forward)?;
        let carried = &forward.context.carried;
        let redactor = Redactor::new(&rule.redaction, &carried.names);
        // Only the plug-in that looked for a credential knows where in the body it is, so such a body is not captured.
        let capture_request = rule.capture_request.filter(|_| !carried.in_body);
        Some(Box::new(PublishWatch {
            // One event, however many entries match.
            id: forward.ids.first(0, 0),
            key: rule.key(forward, &spelling, redactor),
            request: rule.request_facts(forward, &spelling, redactor),
            request_body: capture_request.map(|cap| BodyCapture::new(cap, &rule.redact_json)),
            response_body: rule.capture_response.map(|cap| BodyCapture::new(cap, &rule.redact_json)),
            credentials: carried.names.clone(),
            stage: Stage::fresh(),
            rule: rule.clone(),
        }))
    }
}
