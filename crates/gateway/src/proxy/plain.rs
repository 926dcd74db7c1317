//! An exchange that nobody records: it ends with its client.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::Response;
use pipeline::access::RequestHead;

use super::routed::Routed;
use crate::account::{Account, Audience};
use crate::answer::Refusal;
use crate::body::answer::{ClientBody, PlainBody};
use crate::body::request::{Follow, Follower, UpstreamBody};
use crate::core::Core;
use crate::read_ahead::{Ahead, Sent};
use crate::service::Service;
use crate::upstream;
use crate::upstream::failure::Failure;
use crate::upstream::progress::Progress;

impl Routed {
    /// Relays the request and its answer.
    #[expect(
        clippy::manual_async_fn,
        reason = "it would hold its arguments twice, and each exchange would pay for that"
    )]
    pub(super) fn plain(
        self,
        core: &Rc<Core>,
        account: &mut Account,
        head: RequestHead,
        mut sent: Sent,
    ) -> impl Future<Output = Response<ClientBody>> {
        async move {
            let progress = Progress::new(account.context.started, account.interim());
            let counter = account.request_counter();
            let (is_chunked, names) = (sent.is_chunked(), std::mem::take(&mut sent.names));
            let body = match sent.read_ahead(core, false, self.target.request_buffering).await {
                Ok(Ahead::Whole(bytes)) => {
                    counter.into_iter().for_each(|count| count.set(bytes.len() as u64));
                    sent.all(bytes)
                }
                Ok(Ahead::Begun(ahead, _)) => {
                    let follower: Follower = counter.map(|count| count as Rc<dyn Follow>);
                    if let Some(follower) = &follower {
                        ahead.iter().for_each(|bytes| follower.passes(bytes));
                    }
                    let body = sent.incoming;
                    UpstreamBody::stream(ahead, body, core.limits.body_patience, progress.clone(), follower)
                }
                Err(refusal) => return account.refuse(refusal),
            };
            let service = self.target.service.clone();
            let mut request = self.into_request(account, head, body, is_chunked);
            request.extensions_mut().extend(names);
            let asked = Instant::now();
            account.asks(asked, &service);
            let (pool, asked_of) = (core.pool.clone(), service.clone());
            let audience = upstream::Audience::Client;
            let mut asking = pin!(upstream::ask(pool, asked_of, request, progress.clone(), audience, asked));
            let refusal = match within_timeouts(asking.as_mut(), asked, &progress, &service).await {
                Some(Ok((response, lease))) => {
                    let (mut parts, incoming) = response.into_parts();
                    let transforms = account.upstream_answered(&mut parts, &service, asked, Audience::Client);
                    lease.announce_end(&mut parts.headers);
                    let body = PlainBody::new(incoming, lease, service.read_timeout);
                    let body = ClientBody::plain(&parts, body);
                    return Response::from_parts(parts, transforms.of(body));
                }
                Some(Err(Failure::Unsent(unsent))) => unsent.into(),
                Some(Err(Failure::Lost(lost))) => lost.into(),
                None => {
                    service.timed_out(progress.waits_for());
                    Refusal::GatewayTimeout
                }
            };
            account.refuse(refusal)
        }
    }
}

/// Waits for an answer, asked for now, as long as the service's timeouts allow; `None` if they do not.
async fn within_timeouts<F: Future>(
    mut asking: Pin<&mut F>,
    now: Instant,
    progress: &Progress,
    service: &Service,
) -> Option<F::Output> {
    let due = now + service.read_timeout.min(service.write_timeout);
    let mut timer = pin!(tokio::time::sleep_until(due.into()));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = asking.as_mut().poll(cx) {
            return Poll::Ready(Some(answer));
        }
        while timer.as_mut().poll(cx).is_ready() {
            let Some(left) = progress.remaining(service) else { return Poll::Ready(None) };
            timer.as_mut().reset(tokio::time::Instant::now() + left.max(Duration::from_millis(1)));
        }
        Poll::Pending
    })
    .await
}
