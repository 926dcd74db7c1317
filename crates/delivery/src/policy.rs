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

/// An attempt that failed, as far as the policy must know of it.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// How many attempts were made so far, with this one.
    pub attempts: u32,
    /// When the first was made.
    pub since: Stamp,
    /// When this one ended.
    pub now: Stamp,
    /// When it was due, if it was made before that: a start or a change of the subscription tries what waits at once.
    pub due: Option<Stamp>,
    /// How long the endpoint asks to be left alone.
    pub asked: Option<Duration>,
}

impl Policy {
    /// When to try again after an attempt that failed. `jitter` is from -1 to 1.
    ///
    /// An attempt that was made before its time changes nothing of the plan: the next one is when that one was due. However many of them
    /// there were, the waits grow no faster than the delivery's age allows, so that no restart makes an endpoint wait longer.
    ///
    /// An endpoint that asked for a longer wait than the policy's gets it, except where the delivery would run out of time: then its last
    /// attempt is at the end of that time.
    pub fn next(&self, failed: &Failed, jitter: f64) -> Next {
        let Failed { attempts, since, now, due, asked } = *failed;
        let end = since.plus(self.give_up_after);
        let step = self.step(attempts).min(self.step_of_age(now.since(since)));
        let planned = now.plus(self.wait(step, jitter));
        let planned = due.filter(|due| *due >= now).map_or(planned, |due| due.min(planned));
        if planned > end {
            return Next::Exhausted;
        }
        let asked = now.plus(asked.unwrap_or_default().min(MAX_RETRY_AFTER));
        Next::Retry(planned.max(asked).min(end))
    }

    fn step(&self, attempts: u32) -> usize {
        (attempts.max(1) as usize - 1).min(self.waits.len().saturating_sub(1))
    }

    /// How many waits, each as short as jitter makes it, a delivery of this age can have behind it.
    fn step_of_age(&self, age: Duration) -> usize {
        let mut left = age;
        let past = |wait: &&Duration| match left.checked_sub(wait.mul_f64(1.0 - JITTER)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        self.waits.iter().take_while(past).count()
    }

    fn wait(&self, step: usize, jitter: f64) -> Duration {
        let wait = self.waits.get(step).copied().unwrap_or(SECOND);
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
