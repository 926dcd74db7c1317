//! The rules for topics, subscriptions and queues.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use delivery::Endpoint;
use entities::subscription::{self, CONTENT_TYPE_OF_STANDARD_WEBHOOKS, MAX_IN_FLIGHT, TIMEOUT};
use entities::{
    Flaw, Format, Origin, Protocol, Queue, RedrivePolicy, Secret, SignatureVersion, Subscription, Topic, ids,
    media_type,
};
use event::Arn;
use uuid::Uuid;

use super::Options;
use super::declared::{Declarations, Declared, Nested};
use super::names::Names;
use crate::problem::{Problems, Spot};
use crate::raw::{self, Confirm, SubscriptionProtocol};
use crate::secret;

pub(super) struct Checked {
    pub(super) topics: Vec<Topic>,
    pub(super) queues: Vec<Queue>,
    /// The subscriptions, each with the place of its endpoint, `file:line:column`.
    pub(super) subscriptions: Vec<Option<(Subscription, String)>>,
}

pub(super) fn check_all(
    declared: &Declarations,
    names: &Names,
    options: &Options<'_>,
    problems: &mut Problems<'_>,
) -> Checked {
    let now = options.now;
    let queue = |raw: &raw::Queue| Queue {
        id: ids::of_name("queues", &raw.name),
        origin: Origin::File,
        name: raw.name.clone(),
        visibility_timeout: Duration::from_secs(raw.visibility_timeout.into()),
        receive_wait_time: Duration::from_secs(raw.receive_wait_time.into()),
        message_retention_period: Duration::from_secs(raw.message_retention_period.into()),
        redrive: raw.redrive_policy.as_ref().map(|policy| RedrivePolicy {
            dead_letter_queue: policy.dead_letter_queue.clone(),
            max_receive_count: policy.max_receive_count,
        }),
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
        created_at: now,
        updated_at: now,
    };
    let topic = |name: &String| Topic {
        id: ids::of_name("topics", name),
        origin: Origin::File,
        name: name.clone(),
        attributes: BTreeMap::new(),
        tags: BTreeMap::new(),
        created_at: now,
        updated_at: now,
    };
    for queue in &declared.queues {
        check_redrive(queue, names, problems);
    }
    let mut checker = Checker { names, options, named: HashMap::new(), taken: HashMap::new() };
    let subscriptions = declared.subscriptions.iter();
    Checked {
        topics: declared.topics.iter().filter_map(|topic| topic.name.as_ref()).map(topic).collect(),
        queues: declared.queues.iter().filter_map(|queue| queue.raw.as_ref()).map(queue).collect(),
        subscriptions: subscriptions.map(|one| checker.check_one(one, declared, problems)).collect(),
    }
}

/// A dead-letter queue is another queue of the files.
fn check_redrive(queue: &Declared<raw::Queue>, names: &Names, problems: &mut Problems<'_>) {
    let Some(policy) = queue.raw.as_ref().and_then(|raw| raw.redrive_policy.as_ref()) else { return };
    let (spot, name) = (queue.spot.key("redrive_policy"), &policy.dead_letter_queue);
    if queue.name.as_ref() == Some(name) {
        let hint = "name another queue, one that keeps the messages that no worker deleted";
        problems.add(&spot.key("dead_letter_queue"), "a queue cannot be its own dead-letter queue", hint);
        return;
    }
    names.queues.resolve(&spot, "dead_letter_queue", name, problems);
}

struct Checker<'a> {
    names: &'a Names,
    options: &'a Options<'a>,
    /// The names that are taken, by topic and name, with their places.
    named: HashMap<(String, String), Spot>,
    /// The endpoints that are taken, by topic, protocol and endpoint, with their places.
    taken: HashMap<(String, Protocol, String), Spot>,
}

impl Checker<'_> {
    fn check_one(
        &mut self,
        Nested { entity, parent }: &Nested<raw::Subscription>,
        declared: &Declarations,
        problems: &mut Problems<'_>,
    ) -> Option<(Subscription, String)> {
        let (spot, raw) = (&entity.spot, entity.raw.as_ref()?);
        let topic = match parent {
            Some(topic) => declared.topics[*topic].name.clone(),
            None => None,
        };
        let topic = self.topic(spot, raw, topic, parent.is_some(), problems);
        let name = self.name(spot, raw, topic.as_deref(), problems);
        let endpoint = match raw.protocol {
            SubscriptionProtocol::Sqs => self.queue(spot, raw, problems),
            SubscriptionProtocol::Http => url(spot, raw, Protocol::Http, problems),
            SubscriptionProtocol::Https => url(spot, raw, Protocol::Https, problems),
        };
        let settings = match raw.protocol {
            SubscriptionProtocol::Sqs => refuse_push_settings(spot, raw, problems),
            _ => self.push_settings(spot, raw, problems),
        };
        let (topic, (endpoint, identity), (format, confirm)) = (topic?, endpoint?, settings?);
        let protocol = match raw.protocol {
            SubscriptionProtocol::Http => Protocol::Http,
            SubscriptionProtocol::Https => Protocol::Https,
            SubscriptionProtocol::Sqs => Protocol::Sqs,
        };
        self.claim(spot, (topic.clone(), protocol, identity), problems);
        let subscription = Subscription {
            id: Uuid::nil(),
            origin: Origin::File,
            topic,
            name,
            protocol,
            endpoint,
            raw_message_delivery: raw.raw_message_delivery.unwrap_or(false),
            format,
            content_type: raw.content_type.clone(),
            signature_version: raw.signature_version.and_then(SignatureVersion::of_number),
            confirm,
            fifo: raw.fifo.unwrap_or(false),
            timeout: raw.timeout.map_or(TIMEOUT, |millis| Duration::from_millis(millis.into())),
            max_in_flight: raw.max_in_flight.unwrap_or(MAX_IN_FLIGHT),
            access: None,
            created_at: self.options.now,
            updated_at: self.options.now,
        };
        let id = ids::of_subscription(&subscription.identity());
        let place = problems.whereabouts(&spot.key("endpoint"));
        Some((Subscription { id, ..subscription }, place))
    }

    fn topic(
        &self,
        spot: &Spot,
        raw: &raw::Subscription,
        parent: Option<String>,
        is_nested: bool,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        match (&raw.topic, is_nested) {
            (None, true) => parent,
            (Some(_), true) => {
                problems.add(
                    &spot.key("topic"),
                    "value must be null",
                    "it is under its topic already: remove the key",
                );
                parent
            }
            (Some(topic), false) => {
                self.names.topics.resolve(spot, "topic", topic, problems).map(|_| topic.clone())
            }
            (None, false) => {
                problems.add(
                    spot,
                    "required field missing: `topic`",
                    "name the topic, or put the subscription under one",
                );
                None
            }
        }
    }

    /// The subscription's name, unique in its topic.
    fn name(
        &mut self,
        spot: &Spot,
        raw: &raw::Subscription,
        topic: Option<&str>,
        problems: &mut Problems<'_>,
    ) -> Option<String> {
        let (spot, name) = (spot.key("name"), raw.name.as_ref()?);
        problems.keep(&spot, subscription::name(name))?;
        match self.named.entry((topic?.to_owned(), name.clone())) {
            Entry::Vacant(free) => {
                free.insert(spot);
            }
            Entry::Occupied(taken) => {
                let (topic, name) = taken.key();
                let message = format!(
                    "uniqueness violation: 'subscriptions' entity with topic '{topic}' and name set to '{name}' already declared"
                );
                let first = problems.whereabouts(taken.get());
                problems.add(&spot, message, format!("the first one is at {first}: rename or remove one"));
            }
        }
        Some(name.clone())
    }

    /// The name of the queue that an endpoint names, twice: as the endpoint, and as the part of the subscription's identity.
    fn queue(
        &self,
        spot: &Spot,
        raw: &raw::Subscription,
        problems: &mut Problems<'_>,
    ) -> Option<(String, String)> {
        let Options { region, account, .. } = *self.options;
        let mut name = raw.endpoint.as_str();
        let arn: Arn;
        if name.starts_with("arn:") {
            arn = match name.parse::<Arn>().and_then(|arn| arn.expect_service("sqs").map(|()| arn)) {
                Ok(arn) => arn,
                Err(error) => {
                    let hint = format!("a queue's ARN is {}", Arn::queue(region, account, "NAME"));
                    problems.add(&spot.key("endpoint"), error.to_string(), hint);
                    return None;
                }
            };
            if arn != Arn::queue(region, account, &arn.resource) {
                let hint = format!("queues of this gateway are {}", Arn::queue(region, account, "NAME"));
                problems.add(&spot.key("endpoint"), "queues of AWS are not supported yet", hint);
                return None;
            }
            name = &arn.resource;
        }
        self.names.queues.resolve(spot, "endpoint", name, problems)?;
        Some((name.to_owned(), name.to_owned()))
    }

    fn push_settings(
        &self,
        spot: &Spot,
        raw: &raw::Subscription,
        problems: &mut Problems<'_>,
    ) -> Option<(Format, bool)> {
        if raw.format == Some(raw::Format::StandardWebhooks) {
            return self.standard_webhooks(spot, raw, problems);
        }
        let mut fits = true;
        for (key, is_there) in [("secret", raw.secret.is_some()), ("secrets", raw.secrets.is_some())] {
            if is_there {
                let hint = "add `format: standard-webhooks`, or remove it: SNS's deliveries are signed with the gateway's own key";
                problems.add(&spot.key(key), format!("`{key}` without `format: standard-webhooks`"), hint);
                fits = false;
            }
        }
        if let Some(text) = &raw.content_type {
            fits &= problems.keep(&spot.key("content_type"), media_type::check(text)).is_some();
        }
        fits.then_some((Format::Sns, raw.confirm != Some(Confirm::Skip)))
    }

    fn standard_webhooks(
        &self,
        spot: &Spot,
        raw: &raw::Subscription,
        problems: &mut Problems<'_>,
    ) -> Option<(Format, bool)> {
        let mut fits = true;
        let mut refuse = |key: &str, message: &str, hint: &str| {
            problems.add(&spot.key(key), message, hint);
            fits = false;
        };
        if raw.raw_message_delivery == Some(true) {
            refuse(
                "raw_message_delivery",
                "it belongs to `format: sns`",
                "remove it: with this format, the body is always the message alone",
            );
        }
        if raw.confirm == Some(Confirm::Required) {
            refuse("confirm", "Standard Webhooks has no handshake", "remove it: deliveries begin at once");
        }
        if raw.content_type.is_some() {
            refuse("content_type", "it belongs to `format: sns`", CONTENT_TYPE_OF_STANDARD_WEBHOOKS);
        }
        if raw.signature_version.is_some() {
            let hint = "remove it: this format is signed with the `secret`";
            refuse("signature_version", "it belongs to `format: sns`", hint);
        }
        let secrets = self.secrets(spot, raw, problems);
        if !fits {
            return None;
        }
        Some((Format::StandardWebhooks { secrets: secrets? }, false))
    }

    fn secrets(
        &self,
        spot: &Spot,
        raw: &raw::Subscription,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<Secret>> {
        let texts: Vec<_> = match (&raw.secret, &raw.secrets) {
            (Some(secret), None) => vec![(spot.key("secret"), secret)],
            (None, Some(secrets)) if !secrets.is_empty() => {
                let spot = spot.key("secrets");
                secrets.iter().enumerate().map(|(index, secret)| (spot.index(index), secret)).collect()
            }
            (Some(_), Some(_)) => {
                problems.add(
                    &spot.key("secrets"),
                    "both `secret` and `secrets` are given",
                    "keep one of the two",
                );
                return None;
            }
            (None, _) => {
                let hint = "add `secret: \"{vault://env/NAME}\"`, or `secret: whsec_…`; make one: echo whsec_$(openssl rand -base64 32)";
                problems.add(spot, "required field missing: `secret`, for `format: standard-webhooks`", hint);
                return None;
            }
        };
        let mut read = |(spot, text): &(Spot, &raw::SecretText)| match secret::read(&text.0, self.options.env)
        {
            Ok(secret) => Some(secret),
            Err((message, hint)) => {
                problems.add(spot, message, hint);
                None
            }
        };
        let secrets: Vec<_> = texts.iter().map(&mut read).collect();
        secrets.into_iter().collect()
    }

    fn claim(&mut self, spot: &Spot, identity: (String, Protocol, String), problems: &mut Problems<'_>) {
        if let Some(first) = self.taken.get(&identity) {
            let (topic, protocol, endpoint) = &identity;
            let endpoint = delivery::endpoint::shown(endpoint);
            let message = format!(
                "uniqueness violation: 'subscriptions' entity with topic '{topic}', protocol '{}' and endpoint '{endpoint}' already declared",
                protocol.as_str()
            );
            let hint = format!("the first one is at {}: keep one of the two", problems.whereabouts(first));
            problems.add(spot, message, hint);
        } else {
            self.taken.insert(identity, spot.clone());
        }
    }
}

/// The URL of an endpoint, as it is written and in its canonical spelling.
fn url(
    spot: &Spot,
    raw: &raw::Subscription,
    protocol: Protocol,
    problems: &mut Problems<'_>,
) -> Option<(String, String)> {
    let checked = subscription::url(protocol, &raw.endpoint).and_then(|spelling| {
        let example = format!("write it like {}://example.com/path", protocol.as_str());
        let parsed = raw.endpoint.parse::<Endpoint>();
        parsed.map(|_| spelling).map_err(|error| Flaw::invalid(error.to_string(), example))
    });
    Some((raw.endpoint.clone(), problems.keep(&spot.key("endpoint"), checked)?))
}

/// Refuses settings of webhooks on a subscription of a queue.
fn refuse_push_settings(
    spot: &Spot,
    raw: &raw::Subscription,
    problems: &mut Problems<'_>,
) -> Option<(Format, bool)> {
    let only_push = [
        ("format", raw.format == Some(raw::Format::StandardWebhooks)),
        ("content_type", raw.content_type.is_some()),
        ("signature_version", raw.signature_version.is_some()),
        ("secret", raw.secret.is_some()),
        ("secrets", raw.secrets.is_some()),
        ("confirm", raw.confirm.is_some()),
        ("fifo", raw.fifo == Some(true)),
        ("timeout", raw.timeout.is_some()),
        ("max_in_flight", raw.max_in_flight.is_some()),
    ];
    let mut fits = true;
    for (key, _) in only_push.iter().filter(|(_, is_there)| *is_there) {
        let hint = "remove it: a queue gets its message as part of the publish, and its workers fetch it";
        problems.add(&spot.key(key), format!("`{key}` has no meaning with protocol `sqs`"), hint);
        fits = false;
    }
    fits.then_some((Format::Sns, false))
}
