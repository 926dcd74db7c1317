//! Messages of queues: receive, delete, hide.

use std::time::Duration;

use event::{Stamp, Timestamp};

use super::state::{Message, State};
use crate::entities::QueueId;
use crate::queue::{
    Limits, MAX_DELAY, MAX_RECEIVED_BYTES, MAX_VISIBILITY, MessageHandle, QueueDepth, Received,
    VisibilityChange, message_id,
};
use crate::redrive::{GivenUp, MetByReceive, Policy, Redrive, Verdict};
use crate::{Result, StoreError};

impl State {
    pub(super) fn receive(
        &mut self,
        queue: QueueId,
        max: usize,
        visibility: Duration,
        policy: Option<&Policy<QueueId>>,
        (wall, now): (Timestamp, Stamp),
    ) -> Result<(Vec<Received>, MetByReceive)> {
        let visible = |message: &Message| message.is_in(queue) && message.is_visible(now);
        let (mut received, mut met, mut bytes) = (Vec::new(), MetByReceive::default(), 0);
        for (seq, message) in self.messages.edit().iter_mut().filter(|(_, message)| visible(message)) {
            if received.len() as u64 + met.set_aside == max as u64 {
                break;
            }
            let verdict = policy.map_or(Verdict::HandOut, |policy| policy.judge(message.receives()));
            if let Verdict::GiveUp(to) = verdict {
                if !met.may_give_up() {
                    break;
                }
                message.give_up(to);
                met.given_up += 1;
                continue;
            }
            let event = self.events.get(&message.position).ok_or_else(|| {
                StoreError::Damaged(format!("message {seq} points at no event ({})", message.position))
            })?;
            if self.damaged.contains_key(&message.position) {
                message.visible_at = hidden_until(MAX_VISIBILITY, now);
                met.set_aside += 1;
                continue;
            }
            bytes += event.body.bytes();
            if bytes > MAX_RECEIVED_BYTES && !received.is_empty() {
                break;
            }
            met.kept += u64::from(verdict == Verdict::Keep);
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
                given_up_by: message.given_up.map(|given_up| given_up.by),
            });
        }
        Ok((received, met))
    }

    /// The redrive policy of a queue; `None` if it has none.
    pub(super) fn policy(&self, queue: QueueId) -> Option<Policy<QueueId>> {
        let redrive = self.redrive.get(&queue)?.clone();
        let (from, target) = (self.queues.get(&queue)?.clone(), self.queue_named(&redrive.to));
        Some(Policy { from, redrive, target })
    }

    /// How long a queue keeps a message, and when it gives one up.
    pub(super) fn limits(&self, queue: QueueId) -> Limits {
        let retention = self.message_retention.get(&queue).copied();
        Limits { retention, redrive: self.redrive.get(&queue).cloned() }
    }

    pub(super) fn set_limits(&mut self, queue: QueueId, limits: &Limits) {
        self.set_retention(queue, limits.retention);
        self.set_redrive(queue, limits.redrive.as_ref());
    }

    pub(super) fn set_retention(&mut self, queue: QueueId, retention: Option<Duration>) {
        let table = self.message_retention.edit();
        match retention {
            Some(retention) => table.insert(queue, retention),
            None => table.remove(&queue),
        };
    }

    pub(super) fn set_redrive(&mut self, queue: QueueId, redrive: Option<&Redrive>) {
        let table = self.redrive.edit();
        match redrive {
            Some(redrive) => table.insert(queue, redrive.clone()),
            None => table.remove(&queue),
        };
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
    /// Whether it is in this queue and was not dropped.
    pub(super) fn is_in(&self, queue: QueueId) -> bool {
        self.queue == queue && !self.is_dropped
    }

    /// Moves it to a dead-letter queue, where it is visible at once.
    pub(super) fn give_up(&mut self, to: QueueId) {
        let by = std::mem::replace(&mut self.queue, to);
        self.given_up = Some(GivenUp { by, after: self.receive_count });
        self.visible_at = Stamp::default();
    }

    /// How often the queue in which it is now has handed it out.
    fn receives(&self) -> u32 {
        self.receive_count - self.given_up.map_or(0, |given_up| given_up.after)
    }

    /// Whether a receive may take it: it is not hidden, or it is hidden for longer than any receive can hide it.
    pub(super) fn is_visible(&self, now: Stamp) -> bool {
        self.visible_at <= now || self.visible_at > now.plus(MAX_VISIBILITY)
    }

    /// Whether a hidden message has been hidden since it was sent. One that was received has a count, and one that was set aside is hidden for longer
    /// than a delay can be.
    fn is_delayed(&self) -> bool {
        self.receive_count == 0 && self.visible_at <= self.stamp.plus(MAX_DELAY)
    }
}

/// The moment until which a message is hidden; a duration of zero makes it visible at once.
pub(super) fn hidden_until(visibility: Duration, now: Stamp) -> Stamp {
    if visibility.is_zero() { Stamp::default() } else { now.plus(visibility) }
}
