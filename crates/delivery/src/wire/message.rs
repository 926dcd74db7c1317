//! An event rendered once for all its subscribers, whatever their format, with the one RSA signature that they share.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use event::Event;
use event::attributes::MessageAttributes;
use event::envelope::{self, Format, RenderError, render};
use event::facts::RuleFacts;
use tokio::sync::OnceCell;

use super::{sns, standard_webhooks};
use crate::signing::{SnsKey, SnsKeyError};

/// An event's message.
#[derive(Debug)]
pub struct Message {
    event: Arc<Event>,
    text: Bytes,
    rule: RuleFacts,
    attributes: OnceLock<MessageAttributes>,
    wrapped: OnceLock<Bytes>,
    signed: OnceCell<sns::Signed>,
}

impl Message {
    /// Renders an event.
    ///
    /// # Errors
    /// If its record is damaged or foreign: no retry mends that.
    pub fn render(event: Arc<Event>) -> Result<Self, RenderError> {
        let rendered = render(&event)?;
        Ok(Self {
            event,
            text: rendered.message.into(),
            rule: rendered.rule,
            attributes: OnceLock::new(),
            wrapped: OnceLock::new(),
            signed: OnceCell::new(),
        })
    }

    /// The event.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// The SNS `Message`: UTF-8, one JSON object.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The message attributes, made at the first call: a raw delivery has none.
    pub fn attributes(&self) -> &MessageAttributes {
        self.attributes.get_or_init(|| envelope::attributes(&self.event, &self.rule))
    }

    /// The rule's envelope.
    pub fn format(&self) -> Format {
        self.rule.format
    }

    /// The rule's event type.
    pub fn event_type(&self) -> &str {
        &self.rule.event_type
    }

    /// The message in Standard Webhooks' object; made at the first call.
    pub(super) fn wrapped(&self) -> &Bytes {
        self.wrapped.get_or_init(|| standard_webhooks::wrap(self).into())
    }

    /// About how much memory it takes.
    pub(super) fn size(&self) -> usize {
        2 * self.text.len() + 1_024
    }

    /// The signature of the SNS form, made at the first call: one for all subscribers of the topic, on a blocking thread.
    ///
    /// # Errors
    /// If the key refuses to sign.
    pub async fn signed(
        self: &Arc<Self>,
        names: &sns::Names,
        key: &Arc<SnsKey>,
    ) -> Result<&sns::Signed, SnsKeyError> {
        self.signed
            .get_or_try_init(|| {
                let text = sns::string_to_sign(names, self);
                sns::sign(names, text, key.clone())
            })
            .await
    }
}
