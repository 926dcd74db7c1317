//! An event rendered once for all its subscribers, whatever their format, with the one RSA signature of each version that they share.
//!
//! A structured message has texts of its own for some protocols: each of these is a [`Form`] of its own, with its own signature.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use event::Event;
use event::attributes::MessageAttributes;
use event::envelope::{self, Format, RenderError, Source, render};
use event::message;
use storage::entities::Protocol;
use tokio::sync::OnceCell;

use super::{sns, standard_webhooks};
use crate::signing::{SignatureVersion, SnsKey, SnsKeyError};

/// The rendered message of an event.
#[derive(Debug)]
pub struct Message {
    event: Arc<Event>,
    source: Source,
    attributes: OnceLock<MessageAttributes>,
    /// For every protocol without a text of its own.
    form: Form,
    /// For protocols with a text of their own.
    own: Vec<(String, Form)>,
}

/// One text of a message, with what is derived from it.
#[derive(Debug)]
pub struct Form {
    text: Bytes,
    wrapped: OnceLock<Bytes>,
    /// By version.
    signed: [OnceCell<sns::Signed>; 2],
}

impl Form {
    fn new(text: String) -> Self {
        Self { text: text.into(), wrapped: OnceLock::new(), signed: Default::default() }
    }

    /// The SNS `Message`: UTF-8; of an exchange one JSON object, else any text.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    fn signed_as(&self, version: SignatureVersion) -> &OnceCell<sns::Signed> {
        let [one, two] = &self.signed;
        match version {
            SignatureVersion::One => one,
            SignatureVersion::Two => two,
        }
    }

    /// About how much memory it takes.
    fn size(&self) -> usize {
        2 * self.text.len() + 2_048
    }
}

impl Message {
    /// Renders an event.
    ///
    /// # Errors
    /// If its record is damaged or unknown; a retry would not help.
    pub fn render(event: Arc<Event>) -> Result<Self, RenderError> {
        let mut rendered = render(&event)?;
        let own = match &mut rendered.source {
            Source::Rule(_) => Vec::new(),
            Source::Message(details) => std::mem::take(&mut details.texts)
                .into_iter()
                .map(|(protocol, text)| (protocol, Form::new(text)))
                .collect(),
        };
        let form = Form::new(rendered.message);
        Ok(Self { event, source: rendered.source, attributes: OnceLock::new(), form, own })
    }

    /// The event.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// What the subscribers of a protocol get.
    pub fn form(&self, protocol: Protocol) -> &Form {
        let own = self.own.iter().find(|(name, _)| name == protocol.as_str());
        own.map_or(&self.form, |(_, form)| form)
    }

    /// The message attributes, made at the first call: a raw delivery has none.
    pub fn attributes(&self) -> &MessageAttributes {
        self.attributes.get_or_init(|| envelope::attributes(&self.event, &self.source))
    }

    /// The subject, if it was published with one.
    pub fn subject(&self) -> Option<&str> {
        self.details()?.subject.as_deref()
    }

    /// What a message has besides its text; `None` for an exchange.
    pub fn details(&self) -> Option<&message::Details> {
        match &self.source {
            Source::Rule(_) => None,
            Source::Message(details) => Some(details),
        }
    }

    /// The rule's envelope; `None` for a message, which has none.
    pub fn format(&self) -> Option<Format> {
        match &self.source {
            Source::Rule(rule) => Some(rule.format),
            Source::Message(_) => None,
        }
    }

    /// The rule's event type, or the one that a message names.
    pub fn event_type(&self) -> &str {
        match &self.source {
            Source::Rule(rule) => &rule.event_type,
            Source::Message(details) => message::event_type(&details.attributes),
        }
    }

    /// A text of it as an object of Standard Webhooks, made at the first call.
    pub(super) fn wrapped<'m>(&self, form: &'m Form) -> &'m Bytes {
        form.wrapped.get_or_init(|| standard_webhooks::wrap(self, form.text()).into())
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        self.form.size() + self.own.iter().map(|(_, form)| form.size()).sum::<usize>()
    }

    /// The signature of the SNS form, made at the first call: one for all subscribers of the topic that get the same text and want the same version, on a blocking
    /// thread.
    ///
    /// # Errors
    /// If the key refuses to sign.
    pub async fn signed(
        &self,
        protocol: Protocol,
        names: &sns::Names,
        key: &Arc<SnsKey>,
    ) -> Result<&sns::Signed, SnsKeyError> {
        let form = self.form(protocol);
        form.signed_as(names.signature_version)
            .get_or_try_init(|| {
                let text = sns::string_to_sign(names, self, form.text());
                sns::sign(names, text, key.clone())
            })
            .await
    }
}
