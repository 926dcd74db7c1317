//! When a delivery is tried again, and when it is given up.
//!
//! Pure: from the number of attempts, the time and a random number follows what to do. The default policy is patient: after every failure it
//! tries again, for three days, because an endpoint that answers 404 during a bad deployment is still owed its events. The sink decides whether
//! a failure is final ([`Verdict`](crate::sink::Verdict)), and that holds only for this one delivery.

use std::time::Duration;

use event::Stamp;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The longest wait that an endpoint may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How far jitter moves a wait, as a fraction of the wait.
pub const JITTER: f64 = 0.1;

/// The waits of the patient policy after the first failed attempt; the last one repeats.
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
    /// The delivery is given up this long after the first attempt.
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

/// What the policy needs to know about a failed attempt.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// How many attempts were made so far, with this one.
    pub attempts: u32,
    /// When the first was made.
    pub since: Stamp,
    /// When this one ended.
    pub now: Stamp,
    /// When it was due, if it was made earlier: after a start or a change of the subscription, waiting deliveries are tried at once.
    pub due: Option<Stamp>,
    /// The wait that the endpoint asked for.
    pub asked: Option<Duration>,
}

impl Policy {
    /// When to try again after an attempt that failed. `jitter` is from -1 to 1.
    ///
    /// An attempt before its time does not change the plan: the next one is at the time at which that one was due. Even with many of them, the
    /// waits grow no faster than the delivery's age allows, so restarts never make an endpoint wait longer.
    ///
    /// If the endpoint asked for a longer wait than the policy's, it gets it, unless the delivery would be given up before: then the last
    /// attempt is at the end of its time.
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

    /// The largest number of waits, each as short as jitter can make it, that fit into this age of a delivery.
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
