//! The rules of [`retention`](crate::retention), each as a plain loop over the tables.

use event::{Event, Position, Stamp, Timestamp};

use super::state::State;
use super::transaction::waits;
use crate::backend::Committed;
use crate::delivery::{DeliveryId, DeliveryState};
use crate::dropped::Ended;
use crate::entities::{QueueId, SubscriptionId};
use crate::redrive::Why;
use crate::retention::{Housekept, Retention, TOO_OLD};

/// One call of housekeeping: how many rows it may still delete or change, and what its commit reports.
struct Sweep<'c> {
    wall: Timestamp,
    now: Stamp,
    left: usize,
    done: Housekept,
    committed: &'c mut Committed,
}

/// The budget is used up.
struct Spent;

impl Sweep<'_> {
    /// Takes one row from the budget.
    fn spend(&mut self) -> Result<(), Spent> {
        if self.left == 0 {
            return Err(Spent);
        }
        self.left -= 1;
        self.done.rows += 1;
        Ok(())
    }
}

impl State {
    pub(super) fn housekeep(
        &mut self,
        retention: &Retention,
        (wall, now): (Timestamp, Stamp),
        budget: usize,
        committed: &mut Committed,
    ) -> Housekept {
        let mut sweep = Sweep { wall, now, left: budget, done: Housekept::default(), committed };
        sweep.done.more = self.sweep(retention, &mut sweep).is_err();
        sweep.done
    }

    pub(super) fn make_room(
        &mut self,
        retention: &Retention,
        (wall, now): (Timestamp, Stamp),
        budget: usize,
        committed: &mut Committed,
    ) -> Housekept {
        let mut sweep = Sweep { wall, now, left: budget, done: Housekept::default(), committed };
        let pinned = retention.past(retention.pending_pin, now);
        let any_age = Stamp::from_micros(u64::MAX);
        let dropped = self.drop_dropped(&mut sweep);
        let cleared = dropped.and_then(|()| self.drop_events(any_age, pinned, &mut sweep));
        sweep.done.more = cleared.and_then(|()| self.drop_done_attempts(&mut sweep)).is_err();
        sweep.done
    }

    /// Attempts at deliveries of which no more is to come.
    fn drop_done_attempts(&mut self, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let is_read = |subscription, position| {
            let reader = self.subscriptions.get(&subscription);
            reader.is_none_or(|reader| reader.subscription.cursor.done_to >= position)
        };
        let done: Vec<_> = self
            .attempts
            .keys()
            .filter(|(position, subscription, _)| {
                let row = DeliveryId { subscription: *subscription, position: *position };
                !self.deliveries.contains_key(&row) && is_read(*subscription, *position)
            })
            .copied()
            .collect();
        for attempt in done {
            sweep.spend()?;
            self.attempts.edit().remove(&attempt);
        }
        Ok(())
    }

    fn sweep(&mut self, retention: &Retention, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let before = |limit| retention.past(limit, sweep.now);
        let grace = before(retention.removed_grace);
        let (dead, pinned) = (before(retention.dead_letter), before(retention.pending_pin));
        let (age, history) = (before(retention.max_age), before(retention.history));
        self.drop_dropped(sweep)?;
        self.drop_removed(grace, sweep)?;
        self.drop_messages(retention, sweep)?;
        self.drop_dead(dead, sweep)?;
        self.drop_unreachable(pinned, sweep)?;
        self.give_up(age, sweep)?;
        self.drop_events(history, pinned, sweep)?;
        self.drop_attempts(retention.max_attempts, sweep)?;
        self.forget_topics(sweep)
    }

    /// Rule 0: what an owner's command dropped.
    fn drop_dropped(&mut self, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let rows = self.deliveries.values().filter(|row| !self.is_kept(row)).map(|row| row.id);
        self.drop_rows(rows.collect(), sweep)?;
        let dropped = self.messages.iter().filter(|(_, message)| message.is_dropped);
        for seq in dropped.map(|(seq, _)| *seq).collect::<Vec<_>>() {
            sweep.spend()?;
            self.messages.edit().remove(&seq);
        }
        Ok(())
    }

    /// Rule 8: deleted topics that no open intent and no event has any more.
    fn forget_topics(&mut self, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        for topic in self.deleted_topics.keys().copied().collect::<Vec<_>>() {
            let intends = self.intents.values().any(|open| open.intent.topic == topic);
            if !intends && !self.events.values().any(|event| event.body.topic == topic) {
                sweep.spend()?;
                self.deleted_topics.edit().remove(&topic);
            }
        }
        Ok(())
    }

    fn drop_removed(&mut self, until: Stamp, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let removed =
            self.subscriptions.values().filter_map(|known| Some((known.removed?, known.subscription.id)));
        let mut gone: Vec<(Stamp, SubscriptionId)> = removed.filter(|(at, _)| *at <= until).collect();
        gone.sort_unstable();
        for (_, id) in gone {
            sweep.spend()?;
            let known = &self.subscriptions[&id].subscription;
            let whose = known.whose(self.topics.get(&known.topic).map(String::as_str));
            let owed = self.unsubscribe(id);
            sweep.committed.ended.push(Ended { id, whose, owed });
            self.drop_dropped(sweep)?;
        }
        Ok(())
    }

    fn drop_rows(&mut self, rows: Vec<DeliveryId>, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        for row in rows {
            sweep.spend()?;
            self.deliveries.edit().remove(&row);
        }
        Ok(())
    }

    fn drop_messages(&mut self, retention: &Retention, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let queues: Vec<(QueueId, String)> =
            self.queues.iter().map(|(id, name)| (*id, name.clone())).collect();
        for (id, name) in queues {
            let past = |queue: QueueId| {
                let own = self.message_retention.get(&queue).copied();
                retention.past(own.unwrap_or(retention.queue_message), sweep.now)
            };
            let until = past(id);
            let policy = self.policy(id);
            let keeper = policy.as_ref().and_then(|policy| Some((policy.target?, policy)));
            // A message that is too old for the dead-letter queue as well is deleted at once.
            let keeper = keeper.map(|(to, policy)| (to, past(to), policy));
            let expired = |message: &super::state::Message| {
                message.is_in(id) && message.is_visible(sweep.now) && message.stamp <= until
            };
            let seqs: Vec<i64> =
                self.messages.iter().filter(|(_, message)| expired(message)).map(|(seq, _)| *seq).collect();
            for seq in seqs {
                sweep.spend()?;
                let messages = self.messages.edit();
                match (messages.get_mut(&seq), &keeper) {
                    (Some(message), Some((to, until, policy))) if message.stamp > *until => {
                        message.give_up(*to);
                        sweep.committed.dead_lettered(policy.way(Why::Age), *to, 1);
                    }
                    _ => {
                        messages.remove(&seq);
                        *sweep.committed.expired.entry(name.clone()).or_default() += 1;
                    }
                }
            }
        }
        Ok(())
    }

    fn drop_dead(&mut self, until: Stamp, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let rows = self.deliveries.values().filter_map(|row| match &row.state {
            DeliveryState::Dead { at, .. } if *at <= until => Some(row.id),
            _ => None,
        });
        self.drop_rows(rows.collect(), sweep)
    }

    fn drop_unreachable(&mut self, until: Stamp, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let unreachable = |id| self.subscriptions.get(&id).is_some_and(|known| !known.subscription.pins());
        let old = |position| self.events.get(&position).is_none_or(|event| event.stamp <= until);
        let rows = self
            .deliveries
            .values()
            .filter(|row| waits(row) && unreachable(row.id.subscription) && old(row.id.position))
            .map(|row| row.id);
        for row in rows.collect::<Vec<_>>() {
            sweep.spend()?;
            self.deliveries.edit().remove(&row);
            // A delivery that the cursor has not passed counts as unread: it lapses when its event is deleted.
            if self.subscriptions[&row.subscription].subscription.cursor.done_to >= row.position {
                sweep.committed.lapsed(row.subscription);
            }
        }
        Ok(())
    }

    fn give_up(&mut self, until: Stamp, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let rows: Vec<DeliveryId> = self
            .deliveries
            .values()
            .filter(|row| waits(row) && row.since <= until)
            .map(|row| row.id)
            .collect();
        for id in rows {
            sweep.spend()?;
            sweep.committed.given_up += 1;
            if let Some(row) = self.deliveries.edit().get_mut(&id) {
                row.state =
                    DeliveryState::Dead { reason: TOO_OLD.into(), at: sweep.now, died_at: sweep.wall };
            }
        }
        Ok(())
    }

    fn drop_events(&mut self, until: Stamp, pinned_since: Stamp, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let old = self.events.values().filter(|event| event.stamp <= until);
        let free: Vec<_> = old
            .filter(|event| !self.is_owed(event, pinned_since))
            .map(|event| (event.position, event.body.id, event.body.topic))
            .collect();
        for (position, id, topic) in free {
            let attempts: Vec<_> =
                self.attempts.keys().filter(|attempt| attempt.0 == position).copied().collect();
            for attempt in attempts {
                sweep.spend()?;
                self.attempts.edit().remove(&attempt);
            }
            sweep.spend()?;
            self.events.edit().remove(&position);
            self.positions.edit().remove(&id);
            self.noted.edit().remove(&position);
            for subscription in self.unread_by(topic, position) {
                sweep.committed.lapsed(subscription);
            }
        }
        Ok(())
    }

    fn is_owed(&self, event: &Event, pinned_since: Stamp) -> bool {
        let position: Position = event.position;
        self.is_unread(event.body.topic, position, event.stamp, pinned_since)
            || self.deliveries.keys().any(|row| row.position == position)
            || self.messages.values().any(|message| message.position == position)
    }

    fn drop_attempts(&mut self, keep: u64, sweep: &mut Sweep<'_>) -> Result<(), Spent> {
        let last = self.attempts.values().map(|recorded| recorded.seq).max().unwrap_or(0);
        let until = last.saturating_sub_unsigned(keep);
        let old: Vec<_> =
            self.attempts.iter().filter(|(_, recorded)| recorded.seq <= until).map(|(id, _)| *id).collect();
        for attempt in old {
            sweep.spend()?;
            self.attempts.edit().remove(&attempt);
        }
        Ok(())
    }
}
