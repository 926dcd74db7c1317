//! Judging a request by how many came before it, and saying so to its client.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use entities::normalise;
use event::Timestamp;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use pipeline::respond::Transform;
use pipeline::{Access, AnswerHead, Context, Deciding, RequestHead, Respond, Verdict, answer};
use uuid::Uuid;

use super::config::{Config, LimitBy, Valid};
use super::counters::{Left, Looked, Table};
use super::period::Period;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// One configured rate-limiting.
pub(super) struct RateLimiting {
    config: Config,
    limits: Vec<(Period, u64)>,
    header: Option<HeaderName>,
    /// Normalised.
    path: Option<String>,
    table: Arc<Table>,
    /// For messages.
    owner: String,
}

/// Who is counted.
#[derive(Debug, PartialEq, Eq)]
enum Who<'a> {
    Entity(Uuid),
    Address(IpAddr),
    Text(Cow<'a, [u8]>),
}

impl Hash for Who<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Entity(id) => (0_u8, id.as_bytes()).hash(state),
            Self::Address(address) => (1_u8, address).hash(state),
            Self::Text(text) => (2_u8, text).hash(state),
        }
    }
}

/// What the client of one exchange is told.
#[derive(Debug)]
struct Told(Vec<(HeaderName, HeaderValue)>);

impl RateLimiting {
    pub fn new(valid: Valid, table: Arc<Table>, owner: String) -> Self {
        let Valid { config, limits, header } = valid;
        let path = config.path.as_deref().filter(|_| config.limit_by == LimitBy::Path);
        let path = path.map(|path| normalise(path).into_owned());
        Self { config, limits, header, path, table, owner }
    }

    fn judge(&self, request: &RequestHead, context: &mut Context) -> Verdict {
        // Not when it began: its body may have been waited for, and an old window would make the table forget the new one.
        let now = context.started_at.plus(context.started.elapsed());
        let limits: Vec<_> =
            self.limits.iter().map(|(period, limit)| (*period, *limit, period.window(now))).collect();
        let looked = self.table.take(self.who(request, context), &limits);
        if looked.forgotten > 0 {
            tracing::warn!(
                plugin = "rate-limiting",
                owner = self.owner,
                forgotten = looked.forgotten,
                "more are counted at a time than are remembered: those that asked least recently begin anew"
            );
        }
        if !self.config.hide_client_headers {
            context.data.insert(Told::of(&looked, now));
        }
        if looked.passes {
            return Verdict::Continue;
        }
        let status = StatusCode::from_u16(self.config.error_code).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        Verdict::Respond(answer::refusal(status, &self.config.error_message, context))
    }

    fn who<'a>(&self, request: &'a RequestHead, context: &Context) -> Who<'a> {
        let consumer = || context.consumer.as_ref().map(|consumer| Who::Entity(consumer.id));
        let credential = || context.credential.as_ref().map(|credential| Who::Entity(credential.id));
        let who = match self.config.limit_by {
            LimitBy::Consumer => consumer().or_else(credential),
            LimitBy::Credential => credential(),
            LimitBy::Ip => None,
            LimitBy::Service => context
                .route
                .as_ref()
                .map(|route| Who::Text(Cow::Owned(route.facts().service.clone().into_bytes()))),
            LimitBy::Header => {
                let value = self.header.as_ref().and_then(|name| request.headers.get(name));
                value.map(|value| Who::Text(Cow::Borrowed(value.as_bytes())))
            }
            LimitBy::Path => {
                let path = normalise(request.uri.path());
                let is_it = self.path.as_deref() == Some(&*path);
                is_it.then(|| Who::Text(Cow::Owned(path.into_owned().into_bytes())))
            }
        };
        who.unwrap_or_else(|| Who::Address(network(context.client)))
    }
}

/// Whom an address stands for: of IPv6 the /64, of which one client has as many addresses as it likes.
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
        if let Some(Told(headers)) = context.data.get::<Told>() {
            write(headers, answer.headers);
        }
        None
    }
}

fn write(told: &[(HeaderName, HeaderValue)], headers: &mut HeaderMap) {
    for (name, value) in told {
        headers.insert(name, value.clone());
    }
}

impl Told {
    fn of(looked: &Looked, now: Timestamp) -> Self {
        let mut headers = Vec::with_capacity(looked.left.len() * 2 + 4);
        // Of two that are used up alike, the longer window; they stand in order.
        let mut tightest: Option<(u64, &Left)> = None;
        for one in &looked.left {
            let takes = looked.passes || one.left == 0;
            let remaining = if takes { one.left.saturating_sub(1) } else { one.left };
            if tightest.is_none_or(|(least, _)| remaining <= least) {
                tightest = Some((remaining, one));
            }
            let (limit, left) = names(one.period);
            headers.push((limit, HeaderValue::from(one.limit)));
            headers.push((left, HeaderValue::from(remaining)));
        }
        if let Some((remaining, one)) = tightest {
            let reset = HeaderValue::from(one.window.left(now));
            headers.push((LIMIT, HeaderValue::from(one.limit)));
            headers.push((REMAINING, HeaderValue::from(remaining)));
            headers.push((RESET, reset.clone()));
            if !looked.passes {
                headers.push((RETRY_AFTER, reset));
            }
        }
        Self(headers)
    }
}

/// Of the limit, and of what is left.
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
