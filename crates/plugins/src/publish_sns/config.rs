//! The options of publish-sns, and the check of them.

use entities::misspelt::did_you_mean;
use event::capture::JsonRedaction;
use event::envelope::Format;
use event::redaction::{HeaderRedaction, Redaction, shown};
use event::{Arn, TopicName};
use pipeline::{CheckContext, ConfigProblem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_path_to_error::Segment;

use super::capture::{Capture, MAX_CAPTURE};
use super::key::KeyTemplate;
use super::matcher::{self, Groups, MAX_ROUTES, Pattern};
use super::remote::{Destination, Wrong};

/// The longest `resolve_after`, `exchange_timeout` and `store_timeout`, in milliseconds.
const MAX_WAIT: u32 = 600_000;

/// The `config` of `publish-sns`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// The topic that the events go to: the bare name of a topic of this gateway, or an ARN. An ARN with another partition, region or account
    /// than this gateway's is a topic of real SNS.
    pub topic_arn: String,
    /// The AWS region in which real SNS is asked. By default, the region of the ARN. It has no effect on a topic of this gateway.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub region: Option<String>,
    /// The URL of the SNS API. By default, AWS's own URL of the region. With an ARN of this gateway's region and account, a URL that does not
    /// lead to this gateway makes the topic one of real SNS.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Another name for `endpoint`, as the plug-in of 2016 had it.
    #[serde(default)]
    pub sns_endpoint: Option<String>,
    /// The id of an access key for real SNS; it needs `aws_secret`. Without both, the credentials are those that AWS's SDKs find: in the
    /// environment, a profile, by web identity, or from the container or instance. All plug-ins that publish to one topic must have the same
    /// key.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    pub aws_key: Option<String>,
    /// The secret of `aws_key`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 256))]
    pub aws_secret: Option<String>,
    /// Which requests matter. A request that several entries match makes one event.
    #[schemars(length(min = 1, max = MAX_ROUTES))]
    pub routes: Vec<RouteEntry>,
    /// What is promised for a matching request.
    #[serde(default)]
    pub durability: Durability,
    /// The text that the matchers are compared with.
    #[serde(default)]
    pub match_on: MatchOn,
    /// The statuses of the upstream that count as success. If the list is empty, any 2xx does.
    #[serde(default)]
    #[schemars(inner(range(min = 100, max = 599)))]
    pub statuses: Vec<u16>,
    /// Which bodies become part of the event, and what is kept out of it.
    #[serde(default)]
    pub capture: Capture,
    /// The format of the messages.
    #[serde(default)]
    pub format: FormatName,
    /// The `type` of CloudEvents and of Standard Webhooks. By default `<service or route>.<method>`, the method in lower case and `_` for every
    /// character of the name that is not an ASCII letter, digit, underscore or dot: `profiles.put`. Standard Webhooks allow no other characters
    /// in a type.
    #[serde(default)]
    #[schemars(length(min = 1, max = 256))]
    pub event_type: Option<String>,
    /// A template of what an event is about. Subscribers that ask for order get the events of one key in their order. It may use `{service}`,
    /// `{path}` (the service path), `{1}` or `{name}` (a group of the matcher) and `{header:name}`. A key is cut after 1024 bytes; an empty one
    /// is replaced by the default.
    #[serde(default = "default_key")]
    #[schemars(length(min = 1, max = 1024))]
    pub key: String,
    /// Whether a request makes an event, with outcome `unknown`, if it was sent and nobody knows whether it succeeded.
    #[serde(default = "yes")]
    pub publish_unknown: bool,
    /// The longest time between the head of the upstream's answer and the event, in milliseconds. An answer that takes longer goes on without
    /// delay, but the event does not wait for its end.
    #[serde(default = "default_resolve_after")]
    #[schemars(range(min = 0, max = MAX_WAIT))]
    pub resolve_after: u32,
    /// How long a matching exchange goes on after its client has left or got 504, in milliseconds since its start. After that its outcome is
    /// unknown.
    #[serde(default = "default_exchange_timeout")]
    #[schemars(range(min = 1, max = MAX_WAIT))]
    pub exchange_timeout: u32,
    /// How long a matching request waits until its intent is on disk, in milliseconds. After that it is refused with 503, and nothing is sent to
    /// the upstream. An answer that is held until its outcome is on disk is held for the same time, and then cut.
    #[serde(default = "default_store_timeout")]
    #[schemars(range(min = 1, max = MAX_WAIT))]
    pub store_timeout: u32,
}

/// One rule: which requests matter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteEntry {
    /// One HTTP method. Not `CONNECT` or `TRACE`, which the gateway does not forward. `put` is read as `PUT`.
    #[schemars(length(min = 1))]
    pub method: String,
    /// A regular expression of the Rust crate `regex`; it may match anywhere in the text, so anchor it with `^` and `$`. Begin it with `(?i)` to
    /// ignore case, if the service does.
    pub matcher: String,
}

/// What is promised for a matching request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Durability {
    /// The intent is on disk before the request is sent to the upstream. No event is lost. The answer is never held.
    #[default]
    Intent,
    /// As `intent`, and the end of the answer is held until the outcome is on disk.
    Strict,
    /// No intent. The end of the answer is held until the outcome is on disk. A crash before that loses the event.
    Outcome,
    /// No intent, and nothing is held. Requests pass even if the store cannot write; a crash loses the events that are not on disk yet. This is
    /// what Kong does.
    Memory,
}

/// The text that the matchers are compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum MatchOn {
    /// The normalised path after `strip_path`, without the path of the service's URL. It stays the same if the service moves to another route
    /// path.
    #[default]
    ServicePath,
    /// The normalised path of the client's request.
    RequestPath,
    /// The request target with its query, as in 2016. It is compared both as the client sent it and with its path normalised.
    RequestUri,
}

/// The format of the messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(super) enum FormatName {
    /// The JSON of Kong 0.8's logs, which consumers of the plug-in of 2016 parse.
    #[default]
    #[serde(rename = "kong-0.8")]
    Kong08,
    /// A CloudEvents 1.0 JSON object.
    #[serde(rename = "cloudevents")]
    CloudEvents,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Kong08 => Self::Kong08,
            FormatName::CloudEvents => Self::CloudEvents,
        }
    }
}

fn default_key() -> String {
    KeyTemplate::DEFAULT.to_owned()
}

fn yes() -> bool {
    true
}

fn default_resolve_after() -> u32 {
    1_000
}

fn default_exchange_timeout() -> u32 {
    60_000
}

fn default_store_timeout() -> u32 {
    10_000
}

/// The checked configuration. It is made only if there are no problems.
pub(super) struct Valid {
    pub config: Config,
    /// The topic in the log that the events belong to.
    pub topic: TopicName,
    pub patterns: Vec<Pattern>,
    pub key: KeyTemplate,
    pub redaction: Redaction,
    pub redact_json: JsonRedaction,
}

/// Reads a `config`. The error has everything that is wrong with it.
pub(super) fn read(
    value: &Value,
    context: &CheckContext<'_>,
) -> Result<(Valid, Destination), Vec<ConfigProblem>> {
    let config: Config = serde_path_to_error::deserialize(value).map_err(|error| vec![shape(error)])?;
    let mut problems = Problems::default();
    problems.ranges(&config);
    problems.endpoints(&config);
    problems.access(&config);
    let destination = problems.destination(&config, context);
    let mut redaction = problems.redaction(&config.capture);
    let redact_json = problems.pointers(&config.capture.redact_json);
    let patterns = problems.patterns(&config.routes);
    let key = problems.key(&config.key, patterns.as_deref(), &redaction.headers);
    for header in key.iter().flat_map(KeyTemplate::headers) {
        redaction.headers.open(header.clone());
    }
    match (destination, patterns, key, problems.0.is_empty()) {
        (Some(destination), Some(patterns), Some(key), true) => {
            let topic = destination.topic();
            Ok((Valid { config, topic, patterns, key, redaction, redact_json }, destination))
        }
        _ => Err(problems.0),
    }
}

/// All problems of a `config`, also those with what it refers to.
pub(super) fn check(value: &Value, context: &CheckContext<'_>) -> Vec<ConfigProblem> {
    match read(value, context) {
        Ok((_, Destination::Here(topic))) => unknown_topic(&topic, context.topics).into_iter().collect(),
        // The local topic for it is made together with the plug-in.
        Ok((_, Destination::There(_))) => Vec::new(),
        Err(problems) => problems,
    }
}

fn unknown_topic(topic: &TopicName, topics: &[String]) -> Option<ConfigProblem> {
    if topics.iter().any(|name| name == topic.as_str()) {
        return None;
    }
    let known =
        if topics.is_empty() { "there are none".into() } else { format!("there are: {}", topics.join(", ")) };
    let close = did_you_mean(topic.as_str(), topics.iter().map(String::as_str));
    let hint = match close {
        Some(close) => {
            format!("did you mean `{close}`? Else add `- name: {topic}` to the `topics` of the configuration")
        }
        None => format!("add `- name: {topic}` to the `topics` of the configuration; {known}"),
    };
    Some(problem("/topic_arn", format!("there is no topic `{topic}`"), hint))
}

fn problem(pointer: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> ConfigProblem {
    ConfigProblem { pointer: pointer.into(), message: message.into(), hint: hint.into() }
}

/// A problem that the schema would also have reported.
fn shape(error: serde_path_to_error::Error<serde_json::Error>) -> ConfigProblem {
    let mut pointer = String::new();
    for segment in error.path() {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    problem(pointer, without_values(&error.inner().to_string()), "see the schema of `publish-sns`")
}

/// serde's message without the value that it quotes: it may be a secret in the wrong place.
fn without_values(words: &str) -> String {
    match words.split_once(", expected ") {
        Some((quoted, expected)) if !quoted.contains("field `") => format!("expected {expected}"),
        _ => words.to_owned(),
    }
}

/// The problems of a `config` that were found so far.
#[derive(Default)]
pub(super) struct Problems(Vec<ConfigProblem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        pointer: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(problem(pointer, message, hint));
    }

    /// The bounds of the schema again: `check` must not rely on a caller that checked the schema.
    fn ranges(&mut self, config: &Config) {
        for (index, status) in config.statuses.iter().enumerate() {
            if !(100..=599).contains(status) {
                let pointer = format!("/statuses/{index}");
                self.add(
                    pointer,
                    format!("{status} is not a valid HTTP status"),
                    "a status is between 100 and 599",
                );
            }
        }
        let bounds = [
            ("/capture/max_bytes", config.capture.max_bytes, 1, MAX_CAPTURE, "bytes"),
            ("/resolve_after", config.resolve_after, 0, MAX_WAIT, "milliseconds"),
            ("/exchange_timeout", config.exchange_timeout, 1, MAX_WAIT, "milliseconds"),
            ("/store_timeout", config.store_timeout, 1, MAX_WAIT, "milliseconds"),
        ];
        for (pointer, value, least, most, unit) in bounds {
            if !(least..=most).contains(&value) {
                self.add(
                    pointer,
                    format!("{value} is out of range"),
                    format!("give {least} to {most} {unit}"),
                );
            }
        }
        if let Some(text) = &config.event_type
            && (text.is_empty()
                || text.len() > 256
                || text.chars().any(|c| c.is_control() || c.is_whitespace()))
        {
            let hint =
                "give 1 to 256 bytes without spaces or control characters, `com.example.profile.updated`";
            self.add("/event_type", "this is not an event type", hint);
        }
    }

    fn endpoints(&mut self, config: &Config) {
        if let (Some(endpoint), Some(other)) = (&config.endpoint, &config.sns_endpoint)
            && endpoint != other
        {
            let message = "`endpoint` and `sns_endpoint` are different";
            let hint = "they are two names of one option: keep one of them";
            self.add("/sns_endpoint", message, hint);
        }
    }

    fn access(&mut self, config: &Config) {
        let (here, missing) = match (&config.aws_key, &config.aws_secret) {
            (Some(_), None) => ("aws_key", "aws_secret"),
            (None, Some(_)) => ("aws_secret", "aws_key"),
            _ => return,
        };
        let hint = "give both, or neither: then the credentials are those of the environment, as AWS's SDKs find them";
        self.add(format!("/{here}"), format!("`{here}` without `{missing}`"), hint);
    }

    fn destination(&mut self, config: &Config, context: &CheckContext<'_>) -> Option<Destination> {
        let (error, text) = match Destination::of(config, context) {
            Ok(destination) => return Some(destination),
            Err(Wrong::Endpoint(message)) => {
                let name = if config.endpoint.is_some() { "/endpoint" } else { "/sns_endpoint" };
                self.add(
                    name,
                    message,
                    "give the address of SNS's API, `https://sns.eu-west-1.amazonaws.com`",
                );
                return None;
            }
            Err(Wrong::Name(error)) => (error.to_string(), shown(&config.topic_arn)),
            Err(Wrong::Remote(error)) => (error.to_string(), shown(&config.topic_arn)),
        };
        let local = Arn::topic(context.region, context.account, "profile-changes");
        let hint = format!(
            "give a topic's bare name, `profile-changes`, or an ARN: `{local}` is one of this gateway, any other one of real SNS"
        );
        self.add("/topic_arn", format!("`{text}` names no topic: {error}"), hint);
        None
    }

    fn patterns(&mut self, routes: &[RouteEntry]) -> Option<Vec<Pattern>> {
        if routes.is_empty() || routes.len() > MAX_ROUTES as usize {
            let message = format!("`routes` has {} entries", routes.len());
            let hint = format!(
                "give 1 to {MAX_ROUTES} entries, `{{ method: PUT, matcher: \"^/profiles/[^/]+$\" }}`"
            );
            self.add("/routes", message, hint);
            return None;
        }
        let mut patterns = Vec::with_capacity(routes.len());
        for (index, route) in routes.iter().enumerate() {
            match Pattern::new(&route.method, &route.matcher) {
                Ok(pattern) => patterns.push(pattern),
                Err(found) => found.into_iter().for_each(|found| {
                    self.add(format!("/routes/{index}/{}", found.field), found.message, found.hint);
                }),
            }
        }
        if patterns.len() < routes.len() {
            return None;
        }
        if let Err(method) = matcher::compile(&patterns, Groups::NotNeeded) {
            let message = format!("the matchers of {method} are too large together");
            self.add(
                "/routes",
                message,
                "shorten or merge matchers; a repetition like `{1000}` is what makes one large",
            );
            return None;
        }
        Some(patterns)
    }

    fn key(
        &mut self,
        template: &str,
        patterns: Option<&[Pattern]>,
        redacted: &HeaderRedaction,
    ) -> Option<KeyTemplate> {
        let key = match KeyTemplate::parse(template) {
            Ok(key) => key,
            Err(error) => {
                let hint = "a key may use `{service}`, `{path}`, `{1}` or `{name}` (a group of the matcher) and `{header:name}`";
                self.add("/key", error.to_string(), hint);
                return None;
            }
        };
        for header in key.headers().filter(|header| redacted.names(header)) {
            let message = format!("the key would carry the redacted header `{header}`");
            self.add("/key", message, "keys are stored and sent as they are: take another header");
        }
        for (index, pattern) in patterns.unwrap_or_default().iter().enumerate() {
            if let Some(group) = key.missing_group(pattern.regex()) {
                let message =
                    format!("`{{{group}}}` names no group of the matcher of entry {index} of `routes`");
                let numbered = group.bytes().all(|byte| byte.is_ascii_digit());
                let syntax = if numbered { "(…)".to_owned() } else { format!("(?<{group}>…)") };
                let hint = format!("add a group, `{syntax}`, to the matcher, or leave `{{{group}}}` out");
                self.add("/key", message, hint);
            }
        }
        Some(key)
    }
}
