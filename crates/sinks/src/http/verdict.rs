//! What an endpoint's answer means for the delivery.

use std::time::Duration;

use delivery::policy::MAX_RETRY_AFTER;
use delivery::sink::Verdict;
use event::Timestamp;

use super::Reply;
use super::retry_after::parse_retry_after;

/// 2xx means delivered. 410 means that the endpoint will never want this delivery. Everything else may be tried again: redirects, which are
/// never followed, 4xx, 5xx, and no answer at all. `now` is the wall clock.
pub(super) fn verdict(reply: &Reply, now: Timestamp) -> Verdict {
    match reply.status {
        Some(200..=299) => Verdict::Delivered,
        Some(410) => Verdict::Refused { reason: "the endpoint answered 410: it is gone".into() },
        _ => Verdict::Failed { reason: describe(reply), wait: asked_wait(reply, now) },
    }
}

fn describe(reply: &Reply) -> String {
    match (&reply.error, reply.status) {
        (Some(error), _) => error.text.clone(),
        (None, Some(status @ 300..=399)) => format!("answered {status}; redirects are not followed"),
        (None, Some(status)) => format!("answered {status}"),
        (None, None) => "no answer".into(),
    }
}

/// The wait that the endpoint asked for, up to a limit: `Retry-After` of a redirect, of a 429, and of the answers of a service that is away for
/// a while (502, 503, 504).
fn asked_wait(reply: &Reply, now: Timestamp) -> Option<Duration> {
    let heeded = matches!(reply.status, Some(429 | 502..=504 | 300..=399));
    let text = reply.retry_after.as_deref().filter(|_| heeded)?;
    parse_retry_after(text, now).map(|wait| wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests;
