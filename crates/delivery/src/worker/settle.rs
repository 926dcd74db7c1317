//! Settling attempts: what their reports mean for the deliveries.

use std::time::Duration;

use event::{Position, Timestamp};
use storage::delivery::{Attempt, DeliveryId, DeliveryState, MAX_ANSWER};
use storage::failpoint;
use tokio::time::Instant;

use super::sender::End;
use super::under_way::{Dispatch, Ended, Row};
use super::{LEASE_MARGIN, LastAttempt, Order, Worker};
use crate::policy::{Failed, Next, in_words};
use crate::sink::{AttemptReport, Verdict};
use crate::window::Release;

impl Worker {
    /// Settles an attempt that has ended.
    pub(super) fn settle(&mut self, ended: Ended) {
        failpoint::hit(failpoint::ATTEMPT_DONE);
        let Ended { dispatch, took, end } = ended;
        let position = dispatch.event.position;
        match end {
            End::Report(report) => self.settle_report(&dispatch, &report),
            End::Unsendable(reason) => {
                if let Some(times) = self.lines.unsendable.happened() {
                    tracing::error!(%position, ?took, reason, times, "an event cannot be sent");
                }
                self.kill(&dispatch, reason);
            }
        }
        self.window.settle(position);
    }

    fn settle_report(&mut self, dispatch: &Dispatch, report: &AttemptReport) {
        self.shared.count_attempt(report);
        tracing::debug!(
            position = %dispatch.event.position, event = %dispatch.event.body.id, number = dispatch.number, status = report.status,
            took = ?report.took, error = report.reason(), "an attempt has ended"
        );
        self.note_last(Some(dispatch.event.position), dispatch.number, report);
        let next_at = match &report.verdict {
            Verdict::Delivered => {
                self.delivered(dispatch);
                None
            }
            Verdict::Refused { reason } => {
                self.kill(dispatch, reason.clone());
                None
            }
            Verdict::Failed { reason, wait } => self.failed(dispatch, reason, *wait),
        };
        self.changes.record(Attempt {
            delivery: DeliveryId { subscription: self.id, position: dispatch.event.position },
            event: dispatch.event.body.id,
            number: dispatch.number,
            at: dispatch.began_at,
            took_micros: u64::try_from(report.took.as_micros()).unwrap_or(u64::MAX),
            status: report.status,
            error: report.reason().map(str::to_owned),
            answer: report.answer[..report.answer.len().min(MAX_ANSWER)].to_vec(),
            next_at,
        });
    }

    /// Notes the last attempt, to be shown.
    pub(super) fn note_last(&self, position: Option<Position>, number: u32, report: &AttemptReport) {
        let error = report.reason().map(str::to_owned);
        self.shared.set_last(LastAttempt { at: self.wall(), position, number, status: report.status, error });
    }

    fn delivered(&mut self, dispatch: &Dispatch) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the endpoint takes deliveries again");
        }
        self.shared.count_delivered();
        if dispatch.row == Row::Stored {
            self.changes.remove(DeliveryId { subscription: self.id, position: dispatch.event.position });
        }
        self.head_done(&dispatch.event.body.key);
    }

    fn failed(&mut self, dispatch: &Dispatch, error: &str, asked: Option<Duration>) -> Option<Timestamp> {
        let (now, wall) = (self.now(), self.wall());
        let jitter = fastrand::f64().mul_add(2.0, -1.0);
        let tried_for = self.age(dispatch.since);
        let failed = Failed {
            attempts: dispatch.counted(),
            since: now.minus(tried_for),
            now,
            due: dispatch.due,
            asked,
        };
        match self.settings.policy.next(&failed, jitter) {
            Next::Retry(at) => {
                let next_at = wall.plus(at.since(now));
                if !std::mem::replace(&mut self.failing, true)
                    && let Some(times) = self.lines.failing.happened()
                {
                    tracing::warn!(
                        error,
                        %next_at,
                        times,
                        "deliveries fail: they are tried again"
                    );
                }
                self.changes.put(dispatch.to_row(self.id, DeliveryState::Retry { at }));
                self.due.look_no_later_than(at);
                Some(next_at)
            }
            Next::Exhausted => {
                let tried_for = in_words(tried_for);
                let attempts = match dispatch.counted() {
                    1 => "1 attempt".to_owned(),
                    more => format!("{more} attempts"),
                };
                let reason = format!("gave up after {attempts} in {tried_for}; the last: {error}");
                self.kill(dispatch, reason);
                None
            }
        }
    }

    fn kill(&mut self, dispatch: &Dispatch, reason: String) {
        let dead = DeliveryState::Dead { reason, at: self.now(), died_at: self.wall() };
        self.bury(dispatch.to_row(self.id, dead));
        self.head_done(&dispatch.event.body.key);
    }

    /// Called when a key's head is done: what waits behind it is next, once the head's result is durable.
    pub(super) fn head_done(&mut self, key: &str) {
        if self.settings.order == Order::Fifo && self.keys.head_done(key) == Release::AskFollowers {
            self.due.release(key.into());
        }
    }

    /// Gives rows to first attempts that take long, so that they do not hold back the cursor.
    pub(super) fn give_rows_to_slow_ones(&mut self) {
        while let Some(dispatch) = self.attempts.next_slow(Instant::now()) {
            let at = dispatch.began.plus(self.settings.timeout + LEASE_MARGIN);
            let position = dispatch.event.position;
            self.changes.put(dispatch.to_row(self.id, DeliveryState::Retry { at }));
            self.window.settle(position);
            self.due.look_no_later_than(at);
        }
    }
}
