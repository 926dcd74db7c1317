//! How a service does, as far as requests see it: a log line when it begins to fail and at most once a second while it does, and one when it
//! answers again.
//!
//! All cores share a service's condition. A request to a service that is well reads one flag, which nobody writes as long as nothing fails. There is
//! no lock: everything else is counted by failures alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use storage::throttle::Throttle;

use crate::own_address::{Naming, Namings, Remedy};
use crate::references::Referring;

/// A service that fails now and then answers again once it has not failed for so long.
const WELL_AFTER: Duration = Duration::from_secs(1);

/// What went wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its name has no addresses, or the name servers do not answer.
    NameResolution,
    /// No address takes connections.
    Connect,
    /// No address took a connection in time.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// It closed a new connection before anything of the request was written.
    Closed,
    /// It ended the connection in the place of an answer.
    Reset,
    /// Its answer is not HTTP/1.1, or its head is too large.
    Invalid,
    /// It did not take the request, or sent no head, in time.
    Timeout,
    /// It ended the connection in the middle of an answer.
    AnswerReset,
    /// It sent nothing more in the middle of an answer.
    AnswerTimeout,
}

impl Reason {
    /// All of them, in the order of their counts.
    const ALL: [Self; 10] = [
        Self::NameResolution,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Closed,
        Self::Reset,
        Self::Invalid,
        Self::Timeout,
        Self::AnswerReset,
        Self::AnswerTimeout,
    ];

    /// The word in log lines and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameResolution => "name_resolution",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::Invalid => "invalid_answer",
            Self::Timeout => "timeout",
            Self::AnswerReset => "answer_reset",
            Self::AnswerTimeout => "answer_timeout",
        }
    }

    /// What a log line says.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NameResolution => "the name of a service has no addresses",
            Self::Connect | Self::ConnectTimeout => "a service accepts no connection",
            Self::Tls => {
                "a service is reached over https, and its TLS handshake failed: nothing was sent to it"
            }
            Self::Closed | Self::Reset | Self::Invalid => "a service gave no valid answer",
            Self::Timeout => "a service did not answer in time",
            Self::AnswerReset | Self::AnswerTimeout => "an answer of a service broke off",
        }
    }
}

/// How often a service has failed since the process began, by reason. It never falls, whatever is reloaded.
#[derive(Debug, Default)]
pub struct Failures([AtomicU64; Reason::ALL.len()]);

impl Failures {
    fn count(&self, reason: Reason) {
        self.0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The reasons that happened, each with its word and its count.
    pub fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Reason::ALL.iter().map(|reason| reason.as_str()).zip(counts).filter(|(_, count)| *count > 0)
    }
}

/// What is counted of a service, at all its addresses.
#[derive(Debug, Default)]
pub struct Counts {
    /// How often it failed.
    pub failures: Failures,
    /// How often it named its own address.
    pub(crate) namings: Namings,
}

/// How a service does at one address.
#[derive(Debug)]
pub struct Condition {
    /// Read by every request, and written when a failure begins or ends.
    is_failing: AtomicBool,
    lines: Throttle,
    began: Instant,
    /// When it began to fail, in microseconds since `began`.
    failing_since: AtomicU64,
    /// When it failed last, in microseconds since `began`.
    failed_at: AtomicU64,
    /// Requests that failed since it began to fail.
    failures: AtomicU64,
    /// Whether its answers name this address.
    naming: Naming,
    /// All that is counted of the service, at every address.
    counts: Arc<Counts>,
}

impl Default for Condition {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Condition {
    /// Of a service that is well, with the place where its failures are counted.
    pub(crate) fn new(counts: Arc<Counts>) -> Self {
        Self {
            is_failing: AtomicBool::new(false),
            lines: Throttle::new(),
            began: Instant::now(),
            failing_since: AtomicU64::new(0),
            failed_at: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            naming: Naming::default(),
            counts,
        }
    }
}

/// A time in which a service failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spell {
    /// How long it lasted.
    pub lasted: Duration,
    /// How many requests failed.
    pub failures: u64,
}

impl Condition {
    /// Whether it has failed and not been well since.
    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Counts a failure. If a line is due now, returns how often it has failed since the last line.
    pub(crate) fn failed(&self, reason: Reason, now: Instant) -> Option<u64> {
        self.counts.failures.count(reason);
        let now = self.micros(now);
        self.failed_at.fetch_max(now, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            self.failing_since.store(now, Ordering::Relaxed);
        }
        self.lines.happened()
    }

    /// The spell that ends with an answer, if one does.
    pub(crate) fn recovered(&self, now: Instant) -> Option<Spell> {
        let (now, failed_at) = (self.micros(now), self.failed_at.load(Ordering::Relaxed));
        if now < failed_at + WELL_AFTER.as_micros() as u64 || !self.is_failing.swap(false, Ordering::Relaxed)
        {
            return None;
        }
        let since = self.failing_since.load(Ordering::Relaxed);
        let lasted = Duration::from_micros(failed_at.saturating_sub(since));
        Some(Spell { lasted, failures: self.failures.swap(0, Ordering::Relaxed) })
    }

    /// Counts an answer that names this address. If a line is due now, returns how many there were since the last line.
    pub(crate) fn named_itself(&self, header: Referring, remedy: Remedy, now: Instant) -> Option<u64> {
        self.counts.namings.count(header);
        self.naming.happened(header, remedy, self.micros(now))
    }

    /// In which header an answer last named this address, and what to do about it, if that is no longer ago than `within`.
    pub(crate) fn names_itself(&self, now: Instant, within: Duration) -> Option<(Referring, Remedy)> {
        self.naming.lately(self.micros(now), within)
    }

    fn micros(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_ends_with_the_first_answer_after_a_second_without_a_failure() {
        let condition = Condition::default();
        let at = |millis| condition.began + Duration::from_millis(millis);
        assert_eq!(condition.recovered(at(5_000)), None, "it never failed");
        assert_eq!(condition.failed(Reason::Connect, at(5_000)), Some(1), "the first is said at once");
        assert_eq!(condition.failed(Reason::Connect, at(7_500)), None, "the rest is counted");
        assert_eq!(condition.recovered(at(8_400)), None, "it failed a moment ago");
        let spell = Spell { lasted: Duration::from_millis(2_500), failures: 2 };
        assert_eq!(condition.recovered(at(8_500)), Some(spell));
        assert_eq!(condition.recovered(at(9_000)), None, "that is said once");
        condition.failed(Reason::Connect, at(9_000));
        let spell = Spell { lasted: Duration::ZERO, failures: 1 };
        assert_eq!(condition.recovered(at(10_000)), Some(spell));
    }

    #[test]
    fn each_reason_has_a_word_and_a_count_of_its_own() {
        let condition = Condition::default();
        let now = Instant::now();
        assert_eq!(condition.counts.failures.by_reason().count(), 0, "what never happened is not there");
        for (times, reason) in Reason::ALL.into_iter().enumerate() {
            for _ in 0..=times {
                condition.failed(reason, now);
            }
        }
        let counted: Vec<_> = condition.counts.failures.by_reason().collect();
        assert_eq!(counted.iter().map(|(_, count)| *count).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
        assert_eq!(counted[1], ("connect", 2));
        let words: std::collections::BTreeSet<_> = counted.iter().map(|(word, _)| word).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
