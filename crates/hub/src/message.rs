//! What a worker gets for an event in a queue: the message in the SNS envelope, or the bare message if the subscription is raw or the message
//! was sent straight to the queue.
//!
//! The envelope is signed at its first receive, so that publishing costs no signature. Rendered messages and their signatures are shared with
//! the deliveries ([`delivery::wire::cache`]): an event is rendered and signed once for all its subscribers, queues and webhooks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use delivery::signing::{SignatureVersion, SnsKey, SnsKeyError};
use delivery::wire::sns;
use event::attributes::MessageAttributes;
use event::envelope::RenderError;
use event::message::Details;
use event::{Event, Timestamp, TopicId};
use futures_util::future::join_all;
use storage::entities::{Protocol, QueueId, Subscription, SubscriptionId};
use storage::queue::Received;
use storage::throttle::Throttle;
use tokio::sync::watch;
use uuid::Uuid;

use crate::queue::Queue;
use crate::{Hub, HubError, Names, Result};

/// The signing key, once there is one: making the first key takes a while, and a start does not wait for it.
pub type SnsKeyReceiver = watch::Receiver<Option<Arc<SnsKey>>>;

/// How many deleted topics are still known by name: the most recent ones.
const MAX_DELETED: usize = 10_000;
/// How long a receive waits for the first signing key.
const KEY_PATIENCE: Duration = Duration::from_secs(10);

/// A message as a worker gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The SQS message id.
    pub message_id: Uuid,
    /// The receipt handle of this receive.
    pub handle: String,
    /// The SNS notification, or the bare message.
    pub body: String,
    /// Its attributes, if it is bare; an envelope has them inside.
    pub attributes: MessageAttributes,
    /// Its message group.
    pub group: Option<String>,
    /// `AWSTraceHeader`.
    pub trace: Option<String>,
    /// The bare name of the queue that gave it up, if this one is its dead-letter queue and that one still exists.
    pub given_up_by: Option<String>,
    /// When it entered the queue.
    pub sent_at: Timestamp,
    /// When it was first received.
    pub first_received_at: Timestamp,
    /// How often it has been received, this time included.
    pub receive_count: u32,
}

/// Why an event did not become a message.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error("the event cannot be rendered")]
    Render(#[source] RenderError),
    #[error("there is no key to sign with")]
    NoKey,
    #[error("the notification cannot be signed")]
    Sign(#[source] SnsKeyError),
}

/// The form of each subscription's messages. Clones share the names in messages.
#[derive(Clone)]
pub(crate) struct Writing {
    names: Names,
    hub_url: Arc<str>,
    /// The names of topics, including the last [`MAX_DELETED`] deleted ones, because queues may have messages of them.
    topics: HashMap<TopicId, Arc<str>>,
    /// In the order in which they were deleted.
    deleted: VecDeque<TopicId>,
    /// How the envelopes of a topic's messages are signed, where that is not the default.
    signed: HashMap<TopicId, SignatureVersion>,
    /// The forms of subscriptions of queues.
    forms: HashMap<SubscriptionId, Form>,
    /// For each queue, how many of its subscriptions have which form.
    queues: HashMap<Arc<str>, Forms>,
}

#[derive(Clone)]
struct Form {
    queue: Arc<str>,
    topic: TopicId,
    /// The names in its envelopes; `None` without an envelope.
    names: Option<Arc<sns::Names>>,
}

#[derive(Clone, Copy, Default)]
struct Forms {
    raw: usize,
    in_envelopes: usize,
}

impl Forms {
    fn of(&mut self, form: &Form) -> &mut usize {
        if form.names.is_some() { &mut self.in_envelopes } else { &mut self.raw }
    }
}

impl Writing {
    pub(crate) fn new(names: Names, hub_url: &str) -> Self {
        Self {
            names,
            hub_url: hub_url.into(),
            topics: HashMap::new(),
            deleted: VecDeque::new(),
            signed: HashMap::new(),
            forms: HashMap::new(),
            queues: HashMap::new(),
        }
    }

    pub(crate) fn put_topic(&mut self, id: TopicId, name: &str) {
        self.topics.insert(id, name.into());
    }

    /// Notes that a topic was deleted. Its name stays known for messages that queues have of it, until too many other topics have been deleted.
    pub(crate) fn topic_was_deleted(&mut self, id: TopicId) {
        self.deleted.push_back(id);
        if self.deleted.len() > MAX_DELETED
            && let Some(oldest) = self.deleted.pop_front()
        {
            self.topics.remove(&oldest);
            self.signed.remove(&oldest);
        }
    }

    /// Sets how the envelopes of a topic's messages are signed, of those too that queues have already.
    pub(crate) fn sign_as(&mut self, topic: TopicId, version: SignatureVersion) {
        let before = match version == SignatureVersion::default() {
            true => self.signed.remove(&topic),
            false => self.signed.insert(topic, version),
        };
        if before.unwrap_or_default() == version {
            return;
        }
        for form in self.forms.values_mut().filter(|form| form.topic == topic) {
            if let Some(names) = &mut form.names {
                Arc::make_mut(names).signature_version = version;
            }
        }
    }

    /// Sets the form of a subscription's messages, if it is one of a queue.
    pub(crate) fn put(&mut self, known: &Subscription, is_raw: bool) {
        if known.protocol.is_pull() {
            let names = (!is_raw).then(|| Arc::new(self.names_of(known.topic, known.uuid)));
            let queue = known.endpoint.as_str().into();
            self.put_form(known.id, Form { queue, topic: known.topic, names });
        }
    }

    fn put_form(&mut self, id: SubscriptionId, form: Form) {
        self.forget(id);
        *self.queues.entry(form.queue.clone()).or_default().of(&form) += 1;
        self.forms.insert(id, form);
    }

    /// Takes over the form of a subscription from an earlier generation, if this one does not have it.
    pub(crate) fn put_as_in(&mut self, before: &Self, topic: TopicId, id: SubscriptionId) {
        if let Some(name) = before.topics.get(&topic) {
            self.topics.entry(topic).or_insert_with(|| name.clone());
        }
        if let Some(form) = before.forms.get(&id) {
            self.put_form(id, form.clone());
        }
    }

    pub(crate) fn forget(&mut self, id: SubscriptionId) {
        if let Some(form) = self.forms.remove(&id)
            && let Some(forms) = self.queues.get_mut(&form.queue)
        {
            *forms.of(&form) -= 1;
        }
    }

    /// Whether a queue has subscriptions, all of them without an envelope. Any other queue may have messages that need a signature, even if no
    /// subscription names it any more: messages that it has stay there.
    fn is_unsigned(&self, queue: &str) -> bool {
        self.queues.get(queue).is_some_and(|forms| forms.raw > 0 && forms.in_envelopes == 0)
    }

    /// A topic's name. A topic that the configuration no longer names has no name, but its events may still be owed.
    pub(crate) fn topic_name(&self, id: TopicId) -> String {
        self.topics.get(&id).map_or_else(|| format!("removed-topic-{}", id.0), |name| name.to_string())
    }

    fn names_of(&self, id: TopicId, uuid: Uuid) -> sns::Names {
        let topic = self.topic_name(id);
        sns::Names {
            topic_arn: self.names.topic_arn(&topic).to_string(),
            subscription_arn: self.names.subscription_arn(&topic, uuid).to_string(),
            hub_url: self.hub_url.to_string(),
            signature_version: self.signed.get(&id).copied().unwrap_or_default(),
        }
    }

    /// The names in the envelopes of a subscription; `None` without an envelope.
    fn names_in(&self, subscription: SubscriptionId, topic: TopicId) -> Option<Arc<sns::Names>> {
        match self.forms.get(&subscription) {
            Some(form) => form.names.clone(),
            // The subscription's grace is over, but the message is still in the queue.
            None => Some(Arc::new(self.names_of(topic, Uuid::nil()))),
        }
    }
}

impl Hub {
    /// The certificate of this file name, as PEM. `None` if there is none, or none yet.
    pub fn certificate(&self, file_name: &str) -> Option<String> {
        let key = self.shared.deps.sns_key.borrow().clone()?;
        (key.file_name() == file_name).then(|| key.certificate_pem().to_owned())
    }

    /// Waits until there is a key, if messages of the queue need one. Called before messages are taken, so that none is taken and then cannot be
    /// signed.
    pub(crate) async fn await_key(&self, queue: &Queue) -> Result<()> {
        if self.known().writing.is_unsigned(queue.name()) {
            return Ok(());
        }
        let mut key = self.shared.deps.sns_key.clone();
        match tokio::time::timeout(KEY_PATIENCE, key.wait_for(Option::is_some)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(HubError::NoKey),
        }
    }

    /// The received messages as the worker gets them. An event that cannot be rendered stays hidden in the queue, and a log line reports it: it
    /// must not block the others.
    pub(crate) async fn render(&self, queue: QueueId, received: Vec<Received>) -> Vec<Message> {
        let rendered = join_all(received.into_iter().map(|received| self.message(queue, received))).await;
        rendered.into_iter().flatten().collect()
    }

    async fn message(&self, queue: QueueId, received: Received) -> Option<Message> {
        let event = Arc::new(received.event);
        let Written { body, attributes, group, trace } = match self.write(&event, received.subscription).await
        {
            Ok(written) => written,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                static FAILED: Throttle = Throttle::new();
                if let Some(times) = FAILED.happened() {
                    let queue = self.known().queue_named(queue);
                    let queue = queue.as_ref().map(Queue::name);
                    tracing::error!(queue, event = %event.body.id, error, times, "a message could not be handed out");
                }
                return None;
            }
        };
        Some(Message {
            message_id: received.message_id,
            handle: self.shared.receipts.write(queue, received.handle),
            body,
            attributes,
            group,
            trace,
            given_up_by: received.given_up_by.and_then(|queue| self.queue_name(queue)),
            sent_at: received.sent_at,
            first_received_at: received.first_received_at,
            receive_count: received.receive_count,
        })
    }

    fn queue_name(&self, id: QueueId) -> Option<String> {
        self.known().queues.values().find(|queue| queue.id() == id).map(|queue| queue.name().to_owned())
    }

    /// Writes one message; `subscription` is the one by which it came.
    async fn write(
        &self,
        event: &Arc<Event>,
        subscription: Option<SubscriptionId>,
    ) -> Result<Written, MessageError> {
        let message = self.shared.deps.messages.get(event).map_err(MessageError::Render)?;
        let (group, trace) = match message.details() {
            Some(Details { group, trace, .. }) => (group.clone(), trace.clone()),
            None => (None, None),
        };
        let form = message.form(Protocol::Sqs);
        let topic = event.body.topic;
        let names = subscription.and_then(|brought_by| self.known().writing.names_in(brought_by, topic));
        let Some(names) = names else {
            let attributes = message.attributes().clone();
            return Ok(Written { body: text(form.text()), attributes, group, trace });
        };
        let key = self.shared.deps.sns_key.borrow().clone().ok_or(MessageError::NoKey)?;
        let signed = message.signed(Protocol::Sqs, &names, &key).await.map_err(MessageError::Sign)?;
        let body = text(&sns::notification(&names, &message, form.text(), Some(signed)));
        Ok(Written { body, attributes: MessageAttributes::new(), group, trace })
    }
}

/// The parts of a message that come from its event.
struct Written {
    body: String,
    attributes: MessageAttributes,
    group: Option<String>,
    trace: Option<String>,
}

/// Both forms are UTF-8, so nothing is lost.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_deleted_topics_are_known_up_to_a_limit() {
        let names = Names { region: "us-east-1".into(), account: "000000000000".into() };
        let mut writing = Writing::new(names, "http://hub");
        writing.put_topic(TopicId(-1), "stays");
        let deleted = i64::try_from(MAX_DELETED).expect("a number") + 1;
        for number in 0..deleted {
            writing.put_topic(TopicId(number), "t");
            writing.topic_was_deleted(TopicId(number));
        }
        assert_eq!(writing.topics.len(), MAX_DELETED + 1);
        assert_eq!(writing.topic_name(TopicId(0)), "removed-topic-0");
        assert_eq!(
            (writing.topic_name(TopicId(1)), writing.topic_name(TopicId(-1))),
            ("t".into(), "stays".into())
        );
    }

    #[test]
    fn a_queue_needs_no_key_only_while_all_of_its_subscriptions_are_raw() {
        let names = Names { region: "us-east-1".into(), account: "000000000000".into() };
        let mut writing = Writing::new(names, "http://hub");
        let form = |names| Form { queue: "q".into(), topic: TopicId(1), names };
        let (raw, other) = (SubscriptionId(1), SubscriptionId(2));
        assert!(!writing.is_unsigned("q"), "nothing is known of it");
        writing.put_form(raw, form(None));
        assert!(writing.is_unsigned("q"));
        let in_envelopes = Arc::new(writing.names_of(TopicId(1), Uuid::nil()));
        writing.put_form(other, form(Some(in_envelopes)));
        assert!(!writing.is_unsigned("q"));
        writing.forget(other);
        assert!(writing.is_unsigned("q"));
        writing.forget(raw);
        assert!(!writing.is_unsigned("q"), "it may have messages of subscriptions that are forgotten");
    }
}
