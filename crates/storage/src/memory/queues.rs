//! Messages of queues: receive, delete, hide.

use std::time::Duration;

use event::{Stamp, Timestamp};

use super::state::{Message, State};
use crate::entities::QueueId;
use crate::queue::{
    MAX_DELAY, MAX_RECEIVED_BYTES, MAX_VISIBILITY, MessageHandle, QueueDepth, Received, VisibilityChange,
    message_id,
};
use crate::{Result, StoreError};

impl State {
    /// The messages, and how many were set aside.
    pub(super) fn receive(
        &mut self,
        queue: QueueId,
        max: usize,
        visibility: Duration,
        (wall, now): (Timestamp, Stamp),
    ) -> Result<(Vec<Received>, u64)> {
        let visible = |message: &Message| message.is_in(queue) && message.is_visible(now);
        let (mut received, mut bytes, mut set_aside) = (Vec::new(), 0, 0);
        for (seq, message) in
            self.messages.edit().iter_mut().filter(|(_, message)| visible(message)).take(max)
        {
            let event = self.events.get(&message.position).ok_or_else(|| {
                StoreError::Damaged(format!("message {seq} points at no event ({})", message.position))
            })?;
            if self.damaged.contains_key(&message.position) {
                message.visible_at = hidden_until(MAX_VISIBILITY, now);
                set_aside += 1;
                continue;
            }
            bytes += event.body.bytes();
            if bytes > MAX_RECEIVED_BYTES && !received.is_empty() {
                break;
            }
            message.receive_count += 1;
            message.received_at = Some(now);
            message.visible_at = hidden_until(visibility, now);
            received.push(Received {
                handle: MessageHandle { seq: *seq, receive_count: message.receive_count },
                message_id: message_id(event.body.id, *seq),
                event: (**event).clone(),
                subscription: message.subscription,
                sent_at: message.sent_at,
                first_received_at: *message.first_received_at.get_or_insert(wall),
                receive_count: message.receive_count,
            });
        }
        Ok((received, set_aside))
    }

    pub(super) fn delete_message(&mut self, queue: QueueId, handle: MessageHandle) -> bool {
        let there = self.messages.get(&handle.seq).is_some_and(|message| message.is_in(queue));
        if there {
            self.messages.edit().remove(&handle.seq);
        }
        there
    }

    pub(super) fn change_visibility(
        &mut self,
        queue: QueueId,
        handle: MessageHandle,
        visibility: Duration,
        now: Stamp,
    ) -> VisibilityChange {
        let found = self.messages.edit().get_mut(&handle.seq).filter(|message| message.is_in(queue));
        let Some(message) = found else { return VisibilityChange::Gone };
        let received_at = message.received_at.unwrap_or(now);
        if now.plus(visibility) > received_at.plus(MAX_VISIBILITY) {
            return VisibilityChange::BeyondLimit;
        }
        message.visible_at = hidden_until(visibility, now);
        VisibilityChange::Changed
    }

    pub(super) fn queue_depth(&self, queue: QueueId, now: Stamp) -> QueueDepth {
        let mut depth = QueueDepth::default();
        for message in self.messages.values().filter(|message| message.is_in(queue)) {
            depth.oldest.get_or_insert(message.stamp);
            if message.is_visible(now) {
                depth.visible += 1;
            } else if message.is_delayed() {
                depth.delayed += 1;
            } else {
                depth.in_flight += 1;
            }
        }
        depth
    }
}

impl Message {
    /// Whether a queue has it: it was not dropped.
    pub(super) fn is_in(&self, queue: QueueId) -> bool {
        self.queue == queue && !self.is_dropped
    }

    /// Whether a receive may take it.
    pub(super) fn is_visible(&self, now: Stamp) -> bool {
        self.visible_at <= now || self.visible_at > now.plus(MAX_VISIBILITY)
    }

    /// Whether a message that is hidden is so since it was sent: a receive counts, and one that is set aside is hidden for longer.
    fn is_delayed(&self) -> bool {
        self.receive_count == 0 && self.visible_at <= self.stamp.plus(MAX_DELAY)
    }
}

/// Zero is visible at once.
pub(super) fn hidden_until(visibility: Duration, now: Stamp) -> Stamp {
    if visibility.is_zero() { Stamp::default() } else { now.plus(visibility) }
}
