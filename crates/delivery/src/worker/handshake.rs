//! Before the first delivery: the subscription is confirmed, and the key is there that signs.

use std::future::Future;

use storage::entities::SubscriptionState;
use tokio::time::Instant;

use super::{Confirmation, Stop, Worker, WorkerState};
use crate::policy::{Next, Verdict, asked_wait, classify, describe};
use crate::sink::AttemptReport;

impl Worker {
    /// Returns when the subscription is confirmed. Until then its endpoint gets nothing but the request to confirm, and nothing at all
    /// while it is disabled.
    pub(super) async fn become_confirmed(&mut self) -> Result<(), Stop> {
        loop {
            // The channel knows better than what was read from the store before it was made.
            let state = self.state.borrow_and_update().clone();
            match state {
                SubscriptionState::Confirmed => return Ok(()),
                SubscriptionState::Disabled { .. } => {
                    self.shared.set_state(WorkerState::Disabled);
                    self.unless_state_changes(std::future::pending::<()>()).await?;
                }
                SubscriptionState::Pending { token } => self.ask_to_confirm(token).await?,
            }
        }
    }

    /// Returns when the state has changed.
    async fn ask_to_confirm(&mut self, token: String) -> Result<(), Stop> {
        if self.settings.confirmation == Confirmation::Handshake {
            self.await_sns_key().await?;
            self.shared.set_state(WorkerState::Pending);
            if self.send_confirmations(&token).await?.is_none() {
                return Ok(());
            }
            tracing::info!(
                "the endpoint was asked to confirm: deliveries begin when it visits the SubscribeURL"
            );
        }
        self.shared.set_state(WorkerState::Pending);
        self.unless_state_changes(std::future::pending::<()>()).await?;
        Ok(())
    }

    /// Sends until the endpoint has taken the request. `None` when the state changed before.
    async fn send_confirmations(&mut self, token: &str) -> Result<Option<()>, Stop> {
        let since = self.now();
        for attempts in 1.. {
            let (id, at) = (self.subscription.uuid, self.subscription.created_at);
            // A task of its own: an endpoint that confirms before it answers still gets to answer.
            let attempt = tokio::spawn(self.courier.clone().confirm(id, token.to_owned(), at));
            let Some(report) = self.unless_state_changes(attempt).await? else { return Ok(None) };
            let Ok(report) = report else { continue };
            self.shared.count_attempt(&report);
            self.note_last(None, attempts, &report);
            match classify(&report) {
                Verdict::Delivered => break,
                Verdict::Gone => {
                    tracing::warn!(
                        "the endpoint answered 410 to the request to confirm: it is not asked again before the next start"
                    );
                    return self.unless_state_changes(std::future::pending()).await;
                }
                Verdict::Failed => {}
            }
            let Some(until) = self.next_confirmation(attempts, since, &report) else { break };
            let Some(()) = self.unless_state_changes(tokio::time::sleep_until(until)).await? else {
                return Ok(None);
            };
        }
        Ok(Some(()))
    }

    fn next_confirmation(
        &self,
        attempts: u32,
        since: event::Timestamp,
        report: &AttemptReport,
    ) -> Option<Instant> {
        let now = self.now();
        let jitter = fastrand::f64().mul_add(2.0, -1.0);
        let next = self.settings.policy.next(attempts, since, now, asked_wait(report, now), jitter);
        let error = describe(report);
        match next {
            Next::Retry(at) => {
                tracing::warn!(
                    attempts,
                    error,
                    next_at = %at,
                    "the endpoint was asked to confirm in vain"
                );
                Some(Instant::now() + at.since(now))
            }
            Next::Exhausted => {
                tracing::warn!(attempts, error, "the endpoint is no longer asked to confirm");
                None
            }
        }
    }

    /// Returns when there is a key: it is made in the background at the first start.
    pub(super) async fn await_sns_key(&mut self) -> Result<(), Stop> {
        if self.courier.key().is_some() {
            return Ok(());
        }
        self.shared.set_state(WorkerState::WaitingForKey);
        let mut key = self.deps.sns_key.clone();
        let made = async move {
            if key.wait_for(Option::is_some).await.is_err() {
                // Nobody makes one any more: wait for the drain.
                std::future::pending::<()>().await;
            }
        };
        tokio::pin!(made);
        while self.unless_state_changes(&mut made).await?.is_none() {
            if self.state.borrow().is_disabled() {
                return Err(Stop::Disabled);
            }
        }
        Ok(())
    }

    /// Waits for `what`, or for a change of the state (`None`), and refuses commands meanwhile.
    async fn unless_state_changes<T>(&mut self, what: impl Future<Output = T>) -> Result<Option<T>, Stop> {
        tokio::pin!(what);
        loop {
            tokio::select! {
                biased;
                deadline = self.drain.started() => return Err(Stop::Drain(deadline)),
                changed = self.state.changed(), if self.state_lives => match changed {
                    Ok(()) => return Ok(None),
                    Err(_) => self.state_lives = false,
                },
                value = &mut what => return Ok(Some(value)),
                Some(command) = self.commands.recv() => command.refuse(),
            }
        }
    }
}
