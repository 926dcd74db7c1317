//! Answers in which a service names the address at which the gateway reaches it, while its client asked for another: a client that follows such a
//! reference goes past the gateway, and no event comes of what it does there.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;

use crate::destination::Destination;
use crate::references::{Absolute, Referring};

/// The time between two log lines about one service, in microseconds.
const SAID_EVERY: u64 = 3_600_000_000;

/// What a client asked for, as far as it decides whether a service may name its own address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AskedFor {
    /// The address that the gateway dials: naming it does no harm.
    #[default]
    TheAddress,
    /// Another host, which the service is not told in `Host`.
    Another,
    /// Another host, and the service gets it as `Host`: `preserve_host` is set.
    AnotherKept,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The service gets its own address as its Host.
    PreserveHost,
    /// It gets its client's, and has its own address from somewhere else.
    TheServicesSettings,
}

impl Remedy {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreserveHost => {
                "set `preserve_host: true` on the routes of this service: it then gets the Host that its clients asked for, and names that; \
                 or `rewrite_location: true`"
            }
            Self::TheServicesSettings => {
                "the service gets its clients' Host and names another one: give it the gateway's public address in its own settings, or set \
                 `rewrite_location: true` on its routes"
            }
        }
    }
}

/// The first header in which an answer names this address.
pub(crate) fn named_in(headers: &HeaderMap, address: &Destination) -> Option<Referring> {
    Referring::ALL.into_iter().find(|header| {
        headers.get_all(header.header()).iter().any(|value| {
            let value = value.as_bytes();
            header.references(value).any(|range| {
                Absolute::of(&value[range]).is_some_and(|absolute| address.is_called(absolute.authority))
            })
        })
    })
}

/// How often a service named its own address since the process began, by header. It never falls, whatever is reloaded.
#[derive(Debug, Default)]
pub(crate) struct Namings([AtomicU64; Referring::ALL.len()]);

impl Namings {
    pub fn count(&self, header: Referring) {
        self.0[header as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The headers that had it, each with its count.
    pub fn by_header(&self) -> impl Iterator<Item = (Referring, u64)> + '_ {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        Referring::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }
}

/// When a service last named its own address, and when that was last said. Times are microseconds since any one instant, at least 1.
#[derive(Debug, Default)]
pub(crate) struct Naming {
    /// 0 before the first time.
    named_at: AtomicU64,
    /// In which header, and what to do about it, as [`Naming::how`] reads them.
    how: AtomicU8,
    said_at: AtomicU64,
    unsaid: AtomicU64,
}

impl Naming {
    /// Notes one more answer. If a line is due now, returns how many there were since the last line.
    pub fn happened(&self, header: Referring, remedy: Remedy, now: u64) -> Option<u64> {
        let now = now.max(1);
        self.how.store(header as u8 * 2 + u8::from(remedy == Remedy::PreserveHost), Ordering::Relaxed);
        self.named_at.fetch_max(now, Ordering::Relaxed);
        self.unsaid.fetch_add(1, Ordering::Relaxed);
        let said_at = self.said_at.load(Ordering::Relaxed);
        if said_at != 0 && now < said_at.saturating_add(SAID_EVERY) {
            return None;
        }
        let swapped = self.said_at.compare_exchange(said_at, now, Ordering::Relaxed, Ordering::Relaxed);
        swapped.ok().map(|_| self.unsaid.swap(0, Ordering::Relaxed))
    }

    /// How it was last named, if that is no longer ago than `within`.
    pub fn lately(&self, now: u64, within: Duration) -> Option<(Referring, Remedy)> {
        let named_at = self.named_at.load(Ordering::Relaxed);
        let is_lately = named_at != 0 && now <= named_at.saturating_add(within.as_micros() as u64);
        is_lately.then(|| self.how()).flatten()
    }

    fn how(&self) -> Option<(Referring, Remedy)> {
        let how = self.how.load(Ordering::Relaxed);
        let remedy = if how % 2 == 1 { Remedy::PreserveHost } else { Remedy::TheServicesSettings };
        Some((*Referring::ALL.get(usize::from(how / 2))?, remedy))
    }
}

#[cfg(test)]
mod tests {
    use http::header::{CONTENT_LOCATION, HeaderValue, LINK, LOCATION, REFRESH};

    use super::*;
    use crate::destination::Destinations;

    #[test]
    fn an_address_is_found_in_each_of_the_headers_and_in_no_other_place() {
        let address = Destinations::default().get("a.test", 9000);
        for (header, value, expected) in [
            (LOCATION, "http://a.test:9000/x", Some(Referring::Location)),
            (LOCATION, "//A.TEST:9000", Some(Referring::Location)),
            (LOCATION, "/x?next=http://a.test:9000/x", None),
            (LOCATION, "http://a.test/x", None),
            (LOCATION, "http://b.test:9000/x", None),
            (CONTENT_LOCATION, "http://a.test:9000", Some(Referring::ContentLocation)),
            (LINK, "</x>; rel=a, <http://a.test:9000/?page=2>; rel=next", Some(Referring::Link)),
            (LINK, "</x>; title=\"<http://a.test:9000/>\"", None),
            (REFRESH, "1; url='https://a.test:9000/'", Some(Referring::Refresh)),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(header.clone(), HeaderValue::from_static("/elsewhere"));
            headers.append(header, HeaderValue::from_static(value));
            assert_eq!(named_in(&headers, &address), expected, "{value}");
        }
    }

    #[test]
    fn the_first_is_said_at_once_and_the_rest_once_an_hour_with_their_number() {
        let naming = Naming::default();
        let hour = Duration::from_secs(3_600);
        assert_eq!(naming.lately(0, hour), None, "it never happened");
        let (link, remedy) = (Referring::Link, Remedy::TheServicesSettings);
        assert_eq!(naming.happened(link, remedy, 0), Some(1));
        assert_eq!(naming.happened(link, remedy, SAID_EVERY), None);
        assert_eq!(naming.lately(2 * SAID_EVERY, hour), Some((link, remedy)));
        assert_eq!(naming.lately(2 * SAID_EVERY + 1, hour), None);
        let last = (Referring::Location, Remedy::PreserveHost);
        assert_eq!(naming.happened(last.0, last.1, SAID_EVERY + 1), Some(2));
        assert_eq!(naming.lately(SAID_EVERY + 2, hour), Some(last));
    }
}
