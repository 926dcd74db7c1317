//! `Subscribe`: makes a subscription, or returns the existing one, even a file's. One that its receiver has ended is declared again, with a new
//! ARN and with everything that it is still owed. For a pending one, the endpoint is asked to confirm at once.
//!
//! An endpoint of protocol http or https has to confirm; SNS's message that asks for it goes out at once. Of the attributes
//! `RawMessageDelivery` and a part of [`DeliveryPolicy`](super::delivery_policy) are supported; the others would have an effect, so they are
//! refused by name.

use control::{Control, Edit};
use entities::subscription::{self, MAX_IN_FLIGHT, TIMEOUT};
use entities::{Entity, Format, Origin, Protocol, Subscription, ids};
use event::Arn;
use storage::entities::SubscriptionState;

use super::{Context, Error, arn, delivery_policy};
use crate::xml;

/// SNS's protocols that are not supported yet.
const NOT_YET: [&str; 6] = ["email", "email-json", "sms", "lambda", "application", "firehose"];

pub(super) async fn call(context: &Context<'_>, control: &Control) -> Result<String, Error> {
    let topic = arn::topic(context)?;
    let protocol = protocol(context)?;
    let endpoint = endpoint(context, protocol)?;
    let attributes = attributes(context, protocol)?;
    let wanted = Wanted { topic, protocol, endpoint, attributes };
    let new = wanted.new_subscription(context);
    let there = wanted.clone();
    let made = control.change(move |changes| {
        let all = changes.whole().all();
        if !all.has_topic(&there.topic) {
            return Ok(Err(Error::not_found("Topic")));
        }
        if there.protocol.is_pull() && !all.has_queue(&there.endpoint) {
            let text = "Endpoint Reason: the queue does not exist: create it first";
            return Ok(Err(Error::invalid(text)));
        }
        let edit = match all.subscriptions.iter().find(|one| there.is(one)) {
            Some(one) if !there.attributes.are_those_of(one) => {
                let text = "Attributes Reason: Subscription already exists with different attributes";
                return Ok(Err(Error::invalid(text)));
            }
            Some(one) => Edit { again: vec![one.id], ..Edit::default() },
            None => Edit { put: vec![Entity::Subscription(new.into())], ..Edit::default() },
        };
        Ok(Ok(changes.apply(edit)?))
    });
    let subscribed = made.await??.subscriptions.into_iter().next().ok_or_else(Error::internal)?;
    let arn = context.hub.names().subscription_arn(&wanted.topic, subscribed.uuid);
    let shows = context.get("ReturnSubscriptionArn").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let shown = match subscribed.state {
        SubscriptionState::Pending { .. } if !shows => "pending confirmation".to_owned(),
        _ => arn.to_string(),
    };
    let shown = xml::escape(&shown);
    Ok(format!("<SubscribeResult><SubscriptionArn>{shown}</SubscriptionArn></SubscribeResult>"))
}

#[derive(Clone)]
struct Wanted {
    topic: String,
    protocol: Protocol,
    endpoint: String,
    attributes: Attributes,
}

/// What the request says of the subscription's attributes.
#[derive(Clone, Default)]
struct Attributes {
    raw: Option<bool>,
    /// Of a `DeliveryPolicy`.
    content_type: Option<Option<String>>,
}

impl Attributes {
    /// Whether a subscription has all of them.
    fn are_those_of(&self, one: &Subscription) -> bool {
        self.raw.is_none_or(|raw| raw == one.raw_message_delivery)
            && self.content_type.as_ref().is_none_or(|given| *given == one.content_type)
    }
}

impl Wanted {
    /// Whether it is this subscription, whatever the spelling of its endpoint.
    fn is(&self, one: &Subscription) -> bool {
        let spelling = |endpoint| subscription::spelling(self.protocol, endpoint);
        (&self.topic, self.protocol) == (&one.topic, one.protocol)
            && spelling(&self.endpoint) == spelling(&one.endpoint)
    }

    fn new_subscription(&self, context: &Context<'_>) -> Subscription {
        let now = context.hub.now();
        let new = Subscription {
            id: Default::default(),
            origin: Origin::Api,
            topic: self.topic.clone(),
            name: None,
            protocol: self.protocol,
            endpoint: self.endpoint.clone(),
            raw_message_delivery: self.attributes.raw.unwrap_or(false),
            format: Format::Sns,
            content_type: self.attributes.content_type.clone().flatten(),
            signature_version: None,
            confirm: self.protocol.is_confirmed(),
            fifo: false,
            timeout: TIMEOUT,
            max_in_flight: MAX_IN_FLIGHT,
            access: None,
            created_at: now,
            updated_at: now,
        };
        Subscription { id: ids::of_subscription(&new.identity()), ..new }
    }
}

fn protocol(context: &Context<'_>) -> Result<Protocol, Error> {
    match context.get("Protocol").ok_or_else(|| Error::missing(&["protocol"]))? {
        "http" => Ok(Protocol::Http),
        "https" => Ok(Protocol::Https),
        "sqs" => Ok(Protocol::Sqs),
        other if NOT_YET.contains(&other) => {
            Err(Error::invalid(&format!("Protocol Reason: {other} is not supported here yet")))
        }
        other => Err(Error::invalid(&format!("Amazon SNS does not support this protocol string: {other}"))),
    }
}

/// The URL as given, or the queue's bare name.
fn endpoint(context: &Context<'_>, protocol: Protocol) -> Result<String, Error> {
    let text = context.get("Endpoint").ok_or_else(|| Error::invalid("Endpoint"))?;
    if protocol.is_pull() {
        let names = context.hub.names();
        let arn = text.parse::<Arn>().map_err(|_| Error::invalid("SQS endpoint ARN"))?;
        return match arn == names.queue_arn(&arn.resource) {
            true => Ok(arn.resource),
            false if arn.service != "sqs" => Err(Error::invalid("SQS endpoint ARN")),
            false => Err(Error::invalid("Endpoint Reason: queues of AWS are not supported here yet")),
        };
    }
    if !text.starts_with(&format!("{}://", protocol.as_str())) {
        return Err(Error::invalid("Endpoint must match the specified protocol"));
    }
    let flaw = subscription::url(protocol, text).err().map(|flaw| flaw.message);
    let error = || match text.parse::<delivery::Endpoint>() {
        Ok(endpoint) => delivery::guard::possible(&endpoint.host).err().map(|blocked| blocked.to_string()),
        Err(error) => Some(error.to_string()),
    };
    match flaw.or_else(error) {
        None => Ok(text.to_owned()),
        Some(reason) => Err(Error::invalid(&format!("Endpoint Reason: {reason}"))),
    }
}

fn attributes(context: &Context<'_>, protocol: Protocol) -> Result<Attributes, Error> {
    let mut given = Attributes::default();
    for (name, value) in context.parameters.pairs_of("Attributes.entry", "key", "value") {
        match name {
            "RawMessageDelivery" => {
                let raw = boolean(value);
                given.raw = Some(raw.map_err(|text| {
                    Error::invalid(&format!("Attributes Reason: RawMessageDelivery: {text}"))
                })?);
            }
            "DeliveryPolicy" => {
                let content_type = content_type(value, protocol);
                given.content_type =
                    Some(content_type.map_err(|text| {
                        Error::invalid(&format!("Attributes Reason: DeliveryPolicy: {text}"))
                    })?);
            }
            other if KNOWN.contains(&other) => {
                let text = format!("Attributes Reason: {other} is not supported here yet");
                return Err(Error::invalid(&text));
            }
            _ => return Err(Error::invalid("Attributes Reason: AttributeName")),
        }
    }
    Ok(given)
}

/// The media type in a delivery policy, which only a webhook can have.
pub(super) fn content_type(policy: &str, protocol: Protocol) -> Result<Option<String>, String> {
    let content_type = delivery_policy::read(policy)?;
    match protocol.is_webhook() || content_type.is_none() {
        true => Ok(content_type),
        false => Err(format!("requestPolicy is for http and https, not for {}", protocol.as_str())),
    }
}

/// SNS's attributes that have no effect here yet and are therefore refused.
pub(super) const KNOWN: [&str; 5] =
    ["FilterPolicy", "FilterPolicyScope", "RedrivePolicy", "SubscriptionRoleArn", "ReplayPolicy"];

/// SNS's `true` or `false`, in any case.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("Invalid value [{text}]. Must be true or false.")),
    }
}
