//! A service behind the gateway, ready for the hot path.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dialing::tls::Trouble;
use http::{HeaderMap, HeaderValue};

use crate::condition::{Condition, Reason, Spell};
use crate::destination::Destination;
use crate::own_address::{self, AskedFor, Remedy};
use crate::rewriting::{Own, Rewriting};

/// A service behind the gateway.
#[derive(Debug)]
pub struct Service {
    /// Its name, or its id if it has none.
    pub name: String,
    /// Where connections to it lead.
    pub destination: Arc<Destination>,
    /// Its host, with `:port` if that is not the scheme's usual one: the Host header that the upstream sees.
    pub host_header: HeaderValue,
    /// The path of its URL, which comes before the service path; `/` if it has none.
    pub path: String,
    /// The longest time to establish a connection.
    pub connect_timeout: Duration,
    /// The longest pause between two pieces of the request.
    pub write_timeout: Duration,
    /// The longest time between the request's last byte and the answer's head, and between two pieces of the answer.
    pub read_timeout: Duration,
    /// How it does at this address, over all generations. Apart from the rest, which requests only read.
    pub condition: Arc<Condition>,
}

impl Service {
    /// Notes that a request got the head of an answer.
    #[inline]
    pub(crate) fn answered(&self) {
        if self.condition.is_failing() {
            self.answers_again();
        }
    }

    #[cold]
    #[inline(never)]
    fn answers_again(&self) {
        if let Some(Spell { lasted, failures }) = self.condition.recovered(Instant::now()) {
            let seconds = lasted.as_secs();
            tracing::info!(service = %self.name, address = %self.destination, failures, seconds, "a service answers again");
        }
    }

    /// Notes that a request failed, with the whole chain of causes, and writes a log line unless there was one a moment ago.
    #[cold]
    #[inline(never)]
    pub(crate) fn failed(&self, reason: Reason, cause: &dyn Display) {
        if let Some(times) = self.condition.failed(reason, Instant::now()) {
            let (sentence, reason) = (reason.sentence(), reason.as_str());
            tracing::warn!(service = %self.name, address = %self.destination, reason, %cause, times, "{sentence}");
        }
    }

    /// Notes it if an answer with these headers, which has one of those with references, names the service's own address, and writes a log line
    /// unless there was one within the last hour.
    #[cold]
    #[inline(never)]
    pub(crate) fn referred(&self, headers: &HeaderMap, asked_for: AskedFor) {
        let remedy = match asked_for {
            AskedFor::TheAddress => return,
            AskedFor::Another => Remedy::PreserveHost,
            AskedFor::AnotherKept => Remedy::TheServicesSettings,
        };
        let Some(header) = own_address::named_in(headers, &self.destination) else { return };
        if let Some(times) = self.condition.named_itself(header, remedy, Instant::now()) {
            tracing::warn!(
                service = %self.name, address = %self.destination, header = header.as_str(), hint = remedy.as_str(), times,
                "a service names its own address in its answers: clients that follow it go past the gateway, and no events come of that"
            );
        }
    }

    /// How it knows itself, for an answer to such a request.
    pub(crate) fn own<'s>(&'s self, rewriting: &'s Rewriting) -> Own<'s> {
        Own {
            scheme: if self.destination.tls.is_some() { "https" } else { "http" },
            address: self.destination.authority(),
            host: match &rewriting.kept_host {
                Some(host) => host,
                None => self.host_header.to_str().unwrap_or_default(),
            },
            path: &self.path,
        }
    }

    /// What a client asked for with this Host; `keeps_it` if the service gets it.
    pub(crate) fn asked_for(&self, host: &str, keeps_it: bool) -> AskedFor {
        match (self.destination.is_called(host.as_bytes()), keeps_it) {
            (true, _) => AskedFor::TheAddress,
            (false, false) => AskedFor::Another,
            (false, true) => AskedFor::AnotherKept,
        }
    }

    /// Notes that one of its timeouts ended a request, which waited for this.
    #[cold]
    #[inline(never)]
    pub(crate) fn timed_out(&self, waited_for: &str) {
        self.failed(Reason::Timeout, &format_args!("waited too long for {waited_for}"));
    }

    /// As [`Service::failed`], with what to do about it.
    #[cold]
    #[inline(never)]
    pub(crate) fn is_not_trusted(&self, trouble: &Trouble) {
        if let Some(times) = self.condition.failed(Reason::Tls, Instant::now()) {
            let Trouble { cause, remedy } = trouble;
            let (sentence, reason) = (Reason::Tls.sentence(), Reason::Tls.as_str());
            tracing::warn!(
                service = %self.name, address = %self.destination, reason, %cause, hint = remedy, times, "{sentence}"
            );
        }
    }
}
