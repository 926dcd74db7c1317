//! Before the first delivery: waits until the subscription is confirmed and there is a signing key. After the last: sends an endpoint that
//! unsubscribed a message how to undo it.

use std::future::Future;
use std::time::Duration;

use storage::entities::SubscriptionState;
use tokio::time::Instant;

use super::handle::{AskError, Command};
use super::under_way::broken_off;
use super::{Stop, Worker, WorkerState};
use crate::policy::{Failed, Next};
use crate::sink::Verdict;
use crate::wire::WireFormat;
use crate::wire::sns::{Confirmation, ConfirmationKind};

/// The waits between two requests to confirm that the endpoint accepted.
const ASK_AGAIN: [Duration; 5] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(600),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
];
/// The wait after those.
const ASK_AT_LEAST_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// The result of a request to confirm, or of the message that a subscription has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// The endpoint answered with success.
    Taken,
    /// It did not, for as long as a delivery is tried.
    GivenUp,
    /// The subscription's state changed first.
    StateChanged,
}

/// What a worker that delivers nothing does after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AtRest {
    /// It goes on waiting.
    Rests,
    /// It asks the endpoint to confirm, from the beginning.
    AskAgain,
}

/// Ends a task when dropped, so that a worker that ends makes no more calls.
struct CutOff(Option<tokio::task::AbortHandle>);

impl Drop for CutOff {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Worker {
    /// Returns when the subscription is confirmed. Until then its endpoint gets nothing but the request to confirm, and nothing at all
    /// while it is disabled.
    pub(super) async fn become_confirmed(&mut self) -> Result<(), Stop> {
        loop {
            // The channel is more recent than what was read from the store before the channel was made.
            let state = self.state.borrow_and_update().clone();
            match state {
                SubscriptionState::Confirmed => {
                    self.end_is_told = false;
                    return Ok(());
                }
                SubscriptionState::Disabled { token } => {
                    self.shared.set_state(WorkerState::Disabled);
                    self.rest(token).await?;
                }
                SubscriptionState::Pending { token } => {
                    self.end_is_told = false;
                    self.ask_to_confirm(token).await?;
                }
            }
        }
    }

    /// Returns when the state has changed. As long as the subscription is pending, the endpoint is asked again, after waits that grow to a day,
    /// even if it accepted a request and did not visit its link.
    async fn ask_to_confirm(&mut self, token: String) -> Result<(), Stop> {
        if self.settings.confirmation == super::Confirmation::ByHand {
            self.shared.set_state(WorkerState::Pending);
            self.unless_state_changes(std::future::pending::<()>()).await?;
            return Ok(());
        }
        self.await_sns_key().await?;
        // Whoever confirmed it while there was no key has not to be asked, and would not be told of again.
        if *self.state.borrow() != (SubscriptionState::Pending { token: token.clone() }) {
            return Ok(());
        }
        self.shared.set_state(WorkerState::Pending);
        let confirmation = Confirmation {
            kind: ConfirmationKind::Subscription,
            id: self.subscription.uuid,
            token,
            at: self.subscription.created_at,
        };
        let mut waits = ASK_AGAIN.into_iter();
        loop {
            let wait = match self.send_until_taken(&confirmation).await? {
                Sent::StateChanged => return Ok(()),
                Sent::Taken => {
                    tracing::info!(
                        "the endpoint was asked to confirm: deliveries begin when it visits the SubscribeURL"
                    );
                    waits.next().unwrap_or(ASK_AT_LEAST_EVERY)
                }
                Sent::GivenUp => ASK_AT_LEAST_EVERY,
            };
            let Some(()) = self.unless_state_changes(tokio::time::sleep(wait)).await? else { return Ok(()) };
        }
    }

    /// Returns when the state has changed. If an endpoint with SNS's format has just unsubscribed, it gets a message how to undo that, as from
    /// SNS: once in the life of this process, retried like a request to confirm.
    async fn rest(&mut self, token: Option<String>) -> Result<(), Stop> {
        let is_sns = !matches!(self.settings.format, WireFormat::StandardWebhooks(_));
        let is_told = std::mem::replace(&mut self.end_is_told, true);
        if let Some(token) = token.filter(|_| is_sns && !is_told && self.sender.key().is_some()) {
            let confirmation = Confirmation {
                kind: ConfirmationKind::Unsubscription,
                id: uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid(),
                token,
                at: self.wall(),
            };
            if self.send_until_taken(&confirmation).await? == Sent::StateChanged {
                return Ok(());
            }
        }
        self.unless_state_changes(std::future::pending::<()>()).await?;
        Ok(())
    }

    /// Sends until the endpoint accepts it, with the waits and the time limit of a delivery.
    async fn send_until_taken(&mut self, confirmation: &Confirmation) -> Result<Sent, Stop> {
        let began = Instant::now();
        for attempts in 1.. {
            // In a task of its own, so that an endpoint that confirms before it answers can still answer.
            let attempt = tokio::spawn(self.sender.clone().confirm(confirmation.clone()));
            let mut cut_off = CutOff(Some(attempt.abort_handle()));
            let Some(report) = self.unless_state_changes(attempt).await? else {
                cut_off.0 = None;
                return Ok(Sent::StateChanged);
            };
            let report = report.unwrap_or_else(|error| broken_off(&error));
            self.shared.count_attempt(&report);
            self.note_last(None, attempts, &report);
            let (error, asked) = match &report.verdict {
                Verdict::Delivered => return Ok(Sent::Taken),
                Verdict::Failed { reason, wait } => (reason, *wait),
                Verdict::Refused { reason } => {
                    let kind = confirmation.kind.as_str();
                    tracing::warn!(kind, "{reason}: it is not asked again before the next start");
                    self.unless_state_changes(std::future::pending::<()>()).await?;
                    return Ok(Sent::StateChanged);
                }
            };
            let Some(until) = self.next_try(confirmation.kind, attempts, began, (error, asked)) else {
                break;
            };
            let Some(()) = self.unless_state_changes(tokio::time::sleep_until(until)).await? else {
                return Ok(Sent::StateChanged);
            };
        }
        Ok(Sent::GivenUp)
    }

    fn next_try(
        &self,
        kind: ConfirmationKind,
        attempts: u32,
        began: Instant,
        (error, asked): (&str, Option<Duration>),
    ) -> Option<Instant> {
        let now = self.now();
        let since = now.minus(began.elapsed());
        let jitter = fastrand::f64().mul_add(2.0, -1.0);
        let next = self.settings.policy.next(&Failed { attempts, since, now, due: None, asked }, jitter);
        let kind = kind.as_str();
        match next {
            Next::Retry(at) => {
                let wait = at.since(now);
                let seconds = wait.as_secs();
                tracing::warn!(
                    kind,
                    attempts,
                    error,
                    seconds,
                    "the endpoint did not take it: it is asked again"
                );
                Some(Instant::now() + wait)
            }
            Next::Exhausted => {
                tracing::warn!(kind, attempts, error, "the endpoint has not taken it for days");
                None
            }
        }
    }

    /// Returns when there is a key: it is made in the background at the first start.
    pub(super) async fn await_sns_key(&mut self) -> Result<(), Stop> {
        if self.sender.key().is_some() {
            return Ok(());
        }
        self.shared.set_state(WorkerState::WaitingForKey);
        let mut key = self.deps.sns_key.clone();
        let made = async move {
            if key.wait_for(Option::is_some).await.is_err() {
                // No key will be made any more: wait for the drain.
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

    /// Waits for `what`, or for a change of the state (`None`). Somebody who wants the endpoint of a pending subscription to be asked again counts
    /// as one: it is asked from the beginning. Of other commands that come meanwhile only those are obeyed that need no deliveries.
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
                Some(command) = self.commands.recv() => if self.obey_at_rest(command).await? == AtRest::AskAgain {
                    return Ok(None);
                },
            }
        }
    }

    /// Obeys what can be obeyed while nothing is delivered: the store has everything then.
    async fn obey_at_rest(&mut self, command: Command) -> Result<AtRest, Stop> {
        match command {
            Command::GiveUp { .. } => self.obey(command).await?,
            Command::AskToConfirm { reply } => {
                let answer = match *self.state.borrow() {
                    SubscriptionState::Pending { .. } => match self.settings.confirmation {
                        super::Confirmation::Handshake => Ok(()),
                        super::Confirmation::ByHand => Err(AskError::ByHand),
                    },
                    SubscriptionState::Confirmed | SubscriptionState::Disabled { .. } => {
                        Err(AskError::NotPending)
                    }
                };
                // It does not matter if the caller is gone.
                let _ = reply.send(answer);
                return Ok(if answer.is_ok() { AtRest::AskAgain } else { AtRest::Rests });
            }
            other => other.refuse(),
        }
        Ok(AtRest::Rests)
    }
}
