//! Judging a request by how many came before it, and the headers that say so to the client.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use entities::normalise;
use event::Timestamp;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use pipeline::respond::Transform;
use pipeline::{Access, AnswerHead, Context, Deciding, RequestHead, Respond, Verdict, answer, reading};
use uuid::Uuid;

use super::config::{Config, LimitBy, Valid};
use super::counters::{Kind, Left, Limits, Looked, Table};
use super::period::Period;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// One configured rate-limiting.
pub(super) struct RateLimiting {
    config: Config,
    limits: Limits,
    header: Option<HeaderName>,
    /// In the form that [`reading::canonical`] gives.
    path: Option<String>,
    table: Arc<Table>,
    /// For messages.
    owner: String,
}

/// The caller whose requests are counted.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Who<'a> {
    Known(Uuid),
    Address(IpAddr),
    Text(&'a [u8]),
}

impl Who<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Known(_) => Kind::Known,
            Self::Address(_) => Kind::Address,
            Self::Text(_) => Kind::Text,
        }
    }
}

/// The headers about limits for the answer of one exchange.
#[derive(Debug)]
struct Told {
    looked: Looked,
    now: Timestamp,
}

impl RateLimiting {
    pub fn new(valid: Valid, table: Arc<Table>, owner: String) -> Self {
        let Valid { config, limits, header } = valid;
        let path = config.path.as_deref().filter(|_| config.limit_by == LimitBy::Path);
        let path = path.map(|path| reading::canonical(&normalise(path)).into_owned());
        Self { config, limits, header, path, table, owner }
    }

    fn judge(&self, request: &RequestHead, context: &mut Context) -> Verdict {
        // Not the time when it began: reading its body may have taken long, and an old window would make the table drop the current one.
        let now = context.started_at.plus(context.started.elapsed());
        let who = self.who(request, context);
        let looked = self.table.take(who.kind(), &who, &self.limits, now);
        if looked.forgotten > 0 {
            tracing::warn!(
                plugin = "rate-limiting",
                owner = self.owner,
                forgotten = looked.forgotten,
                "rate-limiting has no room for more callers: it dropped the counts of those that had used the least of their limits"
            );
        }
        if !self.config.hide_client_headers {
            context.data.insert(Told { looked, now });
        }
        if looked.passes {
            return Verdict::Continue;
        }
        let status = StatusCode::from_u16(self.config.error_code).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        Verdict::Respond(answer::refusal(status, &self.config.error_message, context))
    }

    fn who<'a>(&'a self, request: &'a RequestHead, context: &'a Context) -> Who<'a> {
        let consumer = || context.consumer.as_ref().map(|consumer| Who::Known(consumer.id));
        let credential = || context.credential.as_ref().map(|credential| Who::Known(credential.id));
        let who = match self.config.limit_by {
            LimitBy::Consumer => consumer().or_else(credential),
            LimitBy::Credential => credential(),
            LimitBy::Ip => None,
            LimitBy::Service => {
                context.route.as_ref().map(|route| Who::Text(route.facts().service.as_bytes()))
            }
            LimitBy::Header => {
                let value = self.header.as_ref().and_then(|name| request.headers.get(name));
                value.map(|value| Who::Text(value.as_bytes()))
            }
            LimitBy::Path => self.path.as_ref().and_then(|path| {
                let asked = normalise(request.uri.path());
                (reading::canonical(&asked) == *path).then_some(Who::Text(path.as_bytes()))
            }),
        };
        who.unwrap_or_else(|| Who::Address(network(context.client)))
    }
}

/// The network that an address is counted as: of IPv6 the /64, because one client can have any number of addresses in it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(all) => IpAddr::V6(Ipv6Addr::from_bits(all.to_bits() & !u128::from(u64::MAX))),
    }
}

impl Access for RateLimiting {
    fn access<'a>(&'a self, request: &'a mut RequestHead, context: &'a mut Context) -> Deciding<'a> {
        Deciding::Now(self.judge(request, context))
    }
}

impl Respond for RateLimiting {
    fn respond(&self, answer: &mut AnswerHead<'_>, context: &mut Context) -> Option<Box<dyn Transform>> {
        if let Some(told) = context.data.get::<Told>() {
            told.write(answer.headers);
        }
        None
    }
}

impl Told {
    fn write(&self, headers: &mut HeaderMap) {
        let Self { looked, now } = self;
        // The limits are in order, so of two that are equally used up it is the one with the longer window.
        let mut tightest: Option<(u64, &Left)> = None;
        for one in looked.left.iter().flatten() {
            let takes = looked.passes || one.left == 0;
            let remaining = if takes { one.left.saturating_sub(1) } else { one.left };
            if tightest.is_none_or(|(least, _)| remaining <= least) {
                tightest = Some((remaining, one));
            }
            let (limit, left) = names(one.period);
            headers.insert(limit, HeaderValue::from(one.limit));
            headers.insert(left, HeaderValue::from(remaining));
        }
        if let Some((remaining, one)) = tightest {
            let reset = HeaderValue::from(one.window.left(*now));
            headers.insert(LIMIT, HeaderValue::from(one.limit));
            headers.insert(REMAINING, HeaderValue::from(remaining));
            headers.insert(RESET, reset.clone());
            if !looked.passes {
                headers.insert(RETRY_AFTER, reset);
            }
        }
    }
}

/// The names of the headers for the limit and for what is left.
fn names(period: Period) -> (HeaderName, HeaderName) {
    let (limit, left) = match period {
        Period::Second => ("x-ratelimit-limit-second", "x-ratelimit-remaining-second"),
        Period::Minute => ("x-ratelimit-limit-minute", "x-ratelimit-remaining-minute"),
        Period::Hour => ("x-ratelimit-limit-hour", "x-ratelimit-remaining-hour"),
        Period::Day => ("x-ratelimit-limit-day", "x-ratelimit-remaining-day"),
        Period::Month => ("x-ratelimit-limit-month", "x-ratelimit-remaining-month"),
        Period::Year => ("x-ratelimit-limit-year", "x-ratelimit-remaining-year"),
    };
    (HeaderName::from_static(limit), HeaderName::from_static(left))
}
