//! Serving one request: route, plug-ins, upstream, answer.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use entities::method::MethodProblem;
use http::header::{ALLOW, CONTENT_LENGTH, HOST, LOCATION};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use listener::connection::OddCharacters;
use listener::places::Seat;
use pipeline::Context;
use pipeline::access::{Deciding, RequestBody, RequestHead, Verdict};
use pipeline::context::{Carried, Inbound, Scheme};
use pipeline::observe::{End, Source};

use crate::account::Account;
use crate::answer::{Refusal, accept_of};
use crate::body::BodyError;
use crate::body::answer::ClientBody;
use crate::body::request::{Follow, UpstreamBody};
use crate::body::upload::Upload;
use crate::core::Core;
use crate::exchange::Exchange;
use crate::exchange::detach::Detach;
use crate::exchange::run::run;
use crate::exchange::watches::Watches;
use crate::framing::host_of;
use crate::front::{self, Unrouted};
use crate::headers::{self, FromClient};
use crate::hops::{self, Looping};
use crate::inbound::Connection;
use crate::read_ahead::{Ahead, Sent};
use crate::router::without_port;
use crate::snapshot::{Place, Served, ServiceRef};
use crate::table::{HttpsOnly, Route};

mod plain;
mod routed;

use routed::{Routed, Target, address_as_host};

/// Serves one request.
///
/// # Errors
/// If the answer must not reach the client: hyper then cuts the connection.
pub(crate) async fn serve(
    core: Rc<Core>,
    connection: Rc<Connection>,
    seat: Rc<Seat>,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, BodyError> {
    // In a function of its own, so that its variables take no memory while the exchange waits.
    let (mut account, mut head, mut sent, odd) = begin(&core, connection, seat, request);
    let started = account.context.started;
    let found = find(&core, &mut account, &mut head, &mut sent, odd).await;
    let number = account.number();
    let answer = match found {
        Ok((routed, watches)) if watches.is_empty() => {
            let answer = routed.plain(&core, &mut account, head, sent).await;
            account.attach(answer)
        }
        Ok((routed, watches)) => recorded(&core, account, routed, watches, head, sent).await?,
        Err(early) => early.told(account),
    };
    core.stats.answered(number, answer.status(), started.elapsed());
    Ok(answer)
}

fn begin(
    core: &Core,
    connection: Rc<Connection>,
    seat: Rc<Seat>,
    request: Request<Incoming>,
) -> (Account, RequestHead, Sent, Option<Box<OddCharacters>>) {
    let started = Instant::now();
    let now = core.clock.now();
    let (mut parts, body) = request.into_parts();
    let odd = parts.extensions.remove::<Box<OddCharacters>>();
    if let Some(odd) = &odd {
        parts.uri = with_escaped_query(parts.uri, odd);
    }
    let Connection { scheme, peer, local, .. } = *connection;
    let context = Context {
        id: core.new_id(now),
        started_at: now,
        started,
        inbound: Inbound { scheme, version: parts.version, peer, local },
        client: peer.ip(),
        accept: accept_of(&parts.headers),
        route: None,
        consumer: None,
        credential: None,
        carried: Carried::default(),
        data: pipeline::context::PluginData::default(),
    };
    let (method, uri, headers) = (parts.method, rooted(parts.uri), parts.headers);
    let head = RequestHead { method, uri, headers, body: RequestBody::Unread };
    let sent = Sent::new(Upload::new(body, seat.clone()), parts.extensions);
    (Account::new(connection, seat, context), head, sent, odd)
}

/// An answer of the gateway itself, before the upstream is asked.
enum Early {
    Refused(Refusal),
    /// A redirect to the same URL over https, or what is said of the server as a whole.
    Own(Response<Bytes>),
    Answered(Response<Bytes>),
}

impl Early {
    /// Out of the way of requests that go on: their instructions fill the processor's cache as it is.
    #[inline(never)]
    fn told(self, mut account: Account) -> Response<ClientBody> {
        let answer = match self {
            Self::Refused(refusal) => account.refuse(refusal),
            Self::Own(answer) => account.answer(answer, Source::Gateway),
            Self::Answered(answer) => {
                account.count_plugins_answer(answer.status());
                account.answer(answer, Source::Plugin)
            }
        };
        account.attach(answer)
    }
}

impl From<Unrouted> for Refusal {
    fn from(unrouted: Unrouted) -> Self {
        match unrouted {
            Unrouted::Method(MethodProblem::NotForwarded) => Self::MethodNotAllowed,
            Unrouted::Method(MethodProblem::Malformed) | Unrouted::Path => Self::BadRequest,
            Unrouted::Ambiguous => Self::AmbiguousPath,
            Unrouted::NoRoute => Self::NoRoute,
        }
    }
}

impl From<Looping> for Early {
    fn from(_: Looping) -> Self {
        Self::Refused(Refusal::Looping)
    }
}

/// Finds the route and asks its plug-ins. Returns the watches of those that record the request.
async fn find(
    core: &Rc<Core>,
    account: &mut Account,
    head: &mut RequestHead,
    sent: &mut Sent,
    odd: Option<Box<OddCharacters>>,
) -> Result<(Routed, Watches), Early> {
    let inbound = account.context.inbound;
    // A generation that is published in the meantime is for requests that begin after it.
    let snapshot = core.snapshot();
    let asked = asked(head, inbound.version);
    let size = head_size(head);
    let (host, asked) = match asked {
        Ok(asked) => asked,
        Err(refusal) => return Err(lost(account, snapshot, head, size, Early::Refused(refusal))),
    };
    let named = Some(host.as_str()).filter(|host| !host.is_empty());
    let (policy, port) = (core.front.ambiguous_paths, inbound.local.port());
    let found = match front::find(snapshot.router(), policy, &head.method, named, port, asked.path()) {
        Ok(found) => found,
        Err(unrouted) => {
            let early = unrouted_answer(unrouted, &head.method, asked.path());
            return Err(lost(account, snapshot.clone(), head, size, early));
        }
    };
    let client = headers::take(&mut head.headers, account.peer_is_trusted());
    account.led_to(Place::on_route(snapshot.clone(), found.index), head, size);
    let route = found.route;
    if let Some(only) = &route.https_only
        && inbound.scheme != Scheme::Https
        && let Some(early) = https_only(only, &client, &host, inbound.local.ip(), asked.as_str())
    {
        return Err(early);
    }
    let hops = match (&client.hops, &core.first_pass) {
        (None, Some(first)) => first.clone(),
        (came, _) => hops::next(&core.front.node, came.as_ref())?,
    };
    access(core, account, route, head, sent).await?;
    // Only checked here, because a plug-in may have answered instead of a service.
    let backend = route.service.as_ref().ok_or(Early::Refused(Refusal::NoService))?;
    let target = core.turns.choose(backend);
    let service = target.and_then(|target| ServiceRef::new(snapshot.clone(), found.index, target));
    let service = service.ok_or(Early::Refused(Refusal::NoTarget))?;
    if let RequestBody::Whole(body) = std::mem::replace(&mut head.body, RequestBody::Unread) {
        forward_body(head, sent, body);
    }
    let query = head.uri.path_and_query().unwrap_or(&asked);
    // A plug-in may have changed the query.
    let odd = odd.filter(|_| query.query() == asked.query());
    let target = Target::new(service, &found, query, odd, host, inbound.local.ip())
        .ok_or(Early::Refused(Refusal::BadRequest))?;
    let rewriting = target.rewriting(route.rewrites, &client, inbound.scheme);
    account.asks_for(target.asked_for, rewriting);
    let watches = target.watches(account, head, &found, size);
    Ok((Routed { client, hops, telling: core.front.telling, target }, watches))
}

/// The Host and the target that a request asks for, kept because plug-ins may change the head.
fn asked(head: &mut RequestHead, version: Version) -> Result<(String, PathAndQuery), Refusal> {
    front::check_method(&head.method)?;
    let host = host_of(version, &head.headers, &head.uri)?;
    if let Some(authority) = head.uri.authority() {
        let authority = HeaderValue::from_str(authority.as_str());
        head.headers.insert(HOST, authority.map_err(|_| Refusal::BadRequest)?);
    }
    let asked = head.uri.path_and_query().cloned().ok_or(Refusal::BadRequest)?;
    Ok((host, asked))
}

/// Answers a request without a route. The plug-ins that are for all requests may change the answer, and observe it.
#[inline(never)]
fn lost(
    account: &mut Account,
    snapshot: Rc<Served>,
    head: &mut RequestHead,
    size: u64,
    answer: Early,
) -> Early {
    headers::take(&mut head.headers, account.peer_is_trusted());
    account.led_to(Place::unrouted(snapshot), head, size);
    answer
}

/// The answer to a request without a route. `OPTIONS *` asks what the server as a whole can do (RFC 9110, 9.3.7), and there is no path by which
/// it could be for one service.
#[inline(never)]
fn unrouted_answer(unrouted: Unrouted, method: &Method, path: &str) -> Early {
    if unrouted != Unrouted::Path || method != Method::OPTIONS || path != "*" {
        return Early::Refused(unrouted.into());
    }
    let mut answer = Response::new(Bytes::new());
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(entities::method::ALLOWED));
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    Early::Own(answer)
}

/// The answer to a request without TLS on a route that accepts only https; `None` if a trusted peer in front terminated TLS. `host` and `target`
/// are those of the request; `local` is used if there is no Host.
#[inline(never)]
fn https_only(
    only: &HttpsOnly,
    client: &FromClient,
    host: &str,
    local: IpAddr,
    target: &str,
) -> Option<Early> {
    if only.heeds_forwarded_proto && client.came_over_https() {
        return None;
    }
    if only.status == StatusCode::UPGRADE_REQUIRED {
        return Some(Early::Refused(Refusal::HttpsOnly));
    }
    let host = client.forwarded_host().and_then(|host| host.to_str().ok()).unwrap_or(host);
    let host = if host.is_empty() { address_as_host(local) } else { without_port(host).to_owned() };
    let Ok(location) = HeaderValue::try_from(format!("https://{host}{target}")) else {
        return Some(Early::Refused(Refusal::BadRequest));
    };
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = only.status;
    answer.headers_mut().insert(LOCATION, location);
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(0));
    Some(Early::Own(answer))
}

/// Asks the plug-ins one after the other. Once the consumer is known, the plug-ins for this consumer are included.
async fn access(
    core: &Core,
    account: &mut Account,
    route: &Route,
    head: &mut RequestHead,
    sent: &mut Sent,
) -> Result<(), Early> {
    let mut chain = route.chains.nobody();
    let mut next = 0;
    while let Some(link) = chain.access().get(next) {
        let verdict = match link.role.access(head, &mut account.context) {
            Deciding::Now(verdict) => verdict,
            Deciding::Later(verdict) => verdict.await,
        };
        match verdict {
            Verdict::Continue => next += 1,
            Verdict::Respond(answer) => return Err(Early::Answered(answer)),
            Verdict::NeedsBody if head.body == RequestBody::Unread => {
                head.body = sent.whole(core).await.map_err(Early::Refused)?;
                continue;
            }
            Verdict::NeedsBody => {
                let instance = link.instance;
                tracing::error!(%instance, "a plug-in needs a body that it was given: this is a bug in Retrohook");
                return Err(Early::Refused(Refusal::Unexpected));
            }
        }
        let chosen = route.chains.of(account.context.consumer.as_deref());
        if !std::ptr::eq(chosen, chain) {
            next = chosen.access_after(link.rank);
            chain = chosen;
        }
    }
    Ok(())
}

/// Forwards a body that plug-ins have changed.
fn forward_body(head: &mut RequestHead, sent: &mut Sent, body: Bytes) {
    if !sent.is_chunked() && (head.headers.contains_key(CONTENT_LENGTH) || !body.is_empty()) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    sent.replace(body);
}

/// Runs a recorded exchange. From its intents on, it goes on even if its client leaves.
#[expect(
    clippy::manual_async_fn,
    reason = "it would hold its arguments twice, and each exchange would pay for that"
)]
fn recorded(
    core: &Rc<Core>,
    mut account: Account,
    routed: Routed,
    watches: Watches,
    head: RequestHead,
    mut sent: Sent,
) -> impl Future<Output = Result<Response<ClientBody>, BodyError>> {
    async move {
        core.stats.matched.fetch_add(1, Ordering::Relaxed);
        let ahead = sent.read_ahead(core, true, routed.target.request_buffering).await;
        // Only now, so that a client that sends its body slowly holds no permit meanwhile.
        let ready = ahead.and_then(|ahead| {
            let permit = core.open_exchange().ok_or(Refusal::TooManyExchanges)?;
            Ok((ahead, permit))
        });
        let (ahead, permit) = match ready {
            Ok(ready) => ready,
            Err(refusal) => {
                let answer = account.refuse(refusal);
                return Ok(account.attach(answer));
            }
        };
        let (is_chunked, names) = (sent.is_chunked(), std::mem::take(&mut sent.names));
        let exchange = Exchange::new(core.clone(), watches, account, permit);
        let body = match ahead {
            Ahead::Whole(bytes) => {
                exchange.passes(&bytes);
                sent.all(bytes)
            }
            Ahead::Begun(ahead, _) => {
                ahead.iter().for_each(|bytes| exchange.passes(bytes));
                let (progress, patience) = (exchange.progress().clone(), core.limits.body_patience);
                let body = sent.incoming;
                let follower: Rc<dyn Follow> = exchange.clone();
                UpstreamBody::stream(ahead, body, patience, progress, Some(follower))
            }
        };
        let service = routed.target.service.clone();
        let mut request = routed.into_request(&exchange.account(), head, body, is_chunked);
        request.extensions_mut().extend(names);
        let running = run(core.clone(), exchange.clone(), service, request);
        match Detach::new(core.clone(), exchange.clone(), running).await {
            Ok(answer) => Ok(exchange.attach(answer)),
            Err(cut) => {
                exchange.account().ended(End::Cut);
                Err(cut)
            }
        }
    }
}

/// Everybody but the service sees such a query escaped. One that is then too long for a target is refused, as a path that is none.
#[inline(never)]
fn with_escaped_query(uri: Uri, odd: &OddCharacters) -> Uri {
    let mut parts = uri.into_parts();
    let target = parts.path_and_query.as_ref().and_then(|target| {
        let query = odd.escaped(target.query()?);
        PathAndQuery::from_maybe_shared(Bytes::from(format!("{}?{query}", target.path()))).ok()
    });
    parts.path_and_query = Some(target.unwrap_or(PathAndQuery::from_static("*")));
    Uri::from_parts(parts).unwrap_or(Uri::from_static("*"))
}

/// Adds the path `/` where the absolute form has none (`http://host?x=1`): a forwarded target must have a path.
fn rooted(uri: Uri) -> Uri {
    match uri.path_and_query() {
        Some(target) if target.as_str().starts_with('?') => {
            let rooted = PathAndQuery::from_maybe_shared(Bytes::from(format!("/{}", target.as_str()))).ok();
            let mut parts = uri.clone().into_parts();
            parts.path_and_query = rooted;
            Uri::from_parts(parts).unwrap_or(uri)
        }
        _ => uri,
    }
}

/// Request line and headers, in bytes, in canonical form.
fn head_size(head: &RequestHead) -> u64 {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " ".len() * 2 + "HTTP/1.1\r\n".len();
    let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (line + headers + "\r\n".len()) as u64
}
