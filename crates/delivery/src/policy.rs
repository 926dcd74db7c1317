//! When a delivery is tried again, and when it is given up.
//!
//! Pure: how often was tried goes in with the time and a random number, what to do comes out. The default policy is patient: every
//! failure is tried again for three days, because an endpoint that answers 404 during a bad deployment is still owed its events. What is
//! final is for the sink to say ([`Verdict`](crate::sink::Verdict)), and it is so only for the delivery that was tried.

use std::time::Duration;

use event::Stamp;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The longest wait that an endpoint may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How far jitter moves a wait, as a part of it.
pub const JITTER: f64 = 0.1;

/// The waits of the patient policy behind the first failed attempt; the last one repeats.
const PATIENT: [Duration; 7] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1_800),
    HOUR,
    Duration::from_secs(7_200),
];

/// How long and how often to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Waits between attempts; the last one repeats.
    pub waits: Vec<Duration>,
    /// Given up this long after the first attempt.
    pub give_up_after: Duration,
}

impl Default for Policy {
    /// The patient one: at once, 5 s, 30 s, 2 min, 10 min, 30 min, 1 h, then every 2 h, for 3 days.
    fn default() -> Self {
        Self { waits: PATIENT.to_vec(), give_up_after: 72 * HOUR }
    }
}

/// What follows a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again, not before.
    Retry(Stamp),
    /// Give it up.
    Exhausted,
}

impl Policy {
    /// When to try again after `attempts` attempts, the last of which failed at `now`. `since` is the time of the first, `jitter` is
    /// from -1 to 1.
    ///
    /// An endpoint that asked for a longer wait than the policy's gets it, but for what would make the delivery run out of time: then
    /// its last attempt is at the end of that time.
    pub fn next(
        &self,
        attempts: u32,
        since: Stamp,
        now: Stamp,
        asked: Option<Duration>,
        jitter: f64,
    ) -> Next {
        let end = since.plus(self.give_up_after);
        let planned = now.plus(self.wait(attempts, jitter));
        if planned > end {
            return Next::Exhausted;
        }
        let asked = now.plus(asked.unwrap_or_default().min(MAX_RETRY_AFTER));
        Next::Retry(planned.max(asked).min(end))
    }

    fn wait(&self, attempts: u32, jitter: f64) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        let index = (attempts.max(1) as usize - 1).min(last);
        let wait = self.waits.get(index).copied().unwrap_or(SECOND);
        wait.mul_f64(1.0 + JITTER * jitter.clamp(-1.0, 1.0))
    }
}

/// `3 days`, `90 seconds`: for the reason of a dead letter.
pub fn in_words(duration: Duration) -> String {
    let (unit, count) = if duration >= 24 * HOUR {
        ("day", duration.as_secs() / 86_400)
    } else if duration >= HOUR {
        ("hour", duration.as_secs() / 3_600)
    } else if duration >= MINUTE {
        ("minute", duration.as_secs() / 60)
    } else {
        ("second", duration.as_secs())
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
