//! Serving one request: route, plug-ins, upstream, answer.

use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use entities::method::MethodProblem;
use event::EventId;
use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use pipeline::{Access, Forward, RequestHead, Verdict, Watch};

use crate::answer::{Refusal, accept_of};
use crate::body::{BodyError, ClientBody, PlainBody, UpstreamBody};
use crate::core::Core;
use crate::exchange::detach::Detach;
use crate::exchange::{self, Exchange, Plan, refusal_of, refusal_of_lost};
use crate::framing::host_of;
use crate::front::{self, Found, Reading, Unrouted};
use crate::headers::{self, ForwardedBy, FromClient};
use crate::hops::{self, Looping};
use crate::path;
use crate::read_ahead::{Ahead, read_ahead};
use crate::router::without_port;
use crate::table::Service;
use crate::upstream::{self, Audience, Failure, Progress};

/// Where a request came in.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub peer: SocketAddr,
    /// Where the client connected to.
    pub local: SocketAddr,
}

/// What the upstream will be asked, before its headers are made.
struct Target {
    service: Arc<Service>,
    path_and_query: PathAndQuery,
    /// That the client asked, without port: as others are told it.
    host: String,
    request_path: String,
    prefix: Option<usize>,
    /// The upstream does not see the client's Host.
    replaces_host: bool,
    request_buffering: bool,
}

impl Target {
    /// Asks the plug-ins of the route, in order, for the one watch that there may be.
    fn watch(
        &self,
        origin: Origin,
        head: &RequestHead,
        found: &Found<'_, '_>,
        head_size: u64,
    ) -> Option<Box<dyn Watch>> {
        let Found { route, plain, others } = found;
        if route.chain.is_empty() {
            return None;
        }
        let service_path = |reading: &Reading<'_>| {
            path::service_path(&reading.path, reading.matched, route.strip_path).into_owned()
        };
        let service_paths: Vec<String> = others.iter().map(service_path).collect();
        let others: Vec<_> = others
            .iter()
            .zip(&service_paths)
            .map(|(other, service_path)| pipeline::Reading { request_path: &other.path, service_path })
            .collect();
        let upstream_host =
            if self.replaces_host { Some(&self.service.host_header) } else { head.headers.get(HOST) };
        let forward = Forward {
            id: head.id,
            started_at: head.started_at,
            method: &head.method,
            scheme: "http",
            host: &self.host,
            port: origin.local.port(),
            uri: head.uri.path_and_query().map_or("/", PathAndQuery::as_str),
            request_path: &plain.path,
            service_path: &path::service_path(&plain.path, plain.matched, route.strip_path),
            others: &others,
            upstream_uri: self.path_and_query.as_str(),
            upstream_host: upstream_host.and_then(|host| host.to_str().ok()).unwrap_or_default(),
            headers: &head.headers,
            head_size,
            client_ip: origin.peer.ip(),
            route: &route.facts,
        };
        route.chain.iter().find_map(|plugin| plugin.watch(&forward))
    }
}

/// Serves one request.
///
/// # Errors
/// If the answer must not reach the client: hyper then cuts the connection.
pub(crate) async fn serve(
    core: Rc<Core>,
    origin: Origin,
    request: Request<Incoming>,
) -> Result<Response<ClientBody>, BodyError> {
    let started = Instant::now();
    // In a block of its own, so that what is done with takes no room while the exchange waits; likewise below.
    let (head, body, version, accept) = {
        let now = core.clock.now();
        let (parts, body) = request.into_parts();
        let accept = accept_of(&parts.headers);
        let head = RequestHead {
            id: core.new_id(now),
            started_at: now,
            method: parts.method,
            uri: rooted(parts.uri),
            headers: parts.headers,
            peer: origin.peer,
        };
        (head, body, parts.version, accept)
    };
    let id = head.id;
    let found = match Routed::find(&core, origin, version, head).await {
        Ok(found) => Ok(found),
        Err(Early::Refused(refusal)) => Err(own_answer(refusal, id, accept.as_ref(), started)),
        Err(Early::Answered(mut answer)) => {
            headers::of_own_answer(answer.headers_mut(), id, started.elapsed());
            Err(answer.map(|body| ClientBody::Own(Some(body))))
        }
    };
    let answer = match found {
        Ok((routed, Some(watch))) => routed.watched(&core, watch, body, started, accept, version).await?,
        Ok((routed, None)) => routed.plain(&core, body, started, accept).await,
        Err(answer) => answer,
    };
    core.stats.answered(answer.status(), started.elapsed());
    Ok(answer)
}

fn own_answer(
    refusal: Refusal,
    id: EventId,
    accept: Option<&HeaderValue>,
    started: Instant,
) -> Response<ClientBody> {
    let mut answer = refusal.answer(id, accept);
    headers::of_own_answer(answer.headers_mut(), id, started.elapsed());
    answer.map(|body| ClientBody::Own(Some(body)))
}

/// A request that has its route and has passed the plug-ins.
struct Routed {
    origin: Origin,
    head: RequestHead,
    client: FromClient,
    hops: HeaderValue,
    target: Target,
}

/// The gateway answers without asking the upstream.
enum Early {
    Refused(Refusal),
    Answered(Response<Bytes>),
}

impl From<Unrouted> for Early {
    fn from(unrouted: Unrouted) -> Self {
        Self::Refused(match unrouted {
            Unrouted::Method(MethodProblem::NotForwarded) => Refusal::MethodNotAllowed,
            Unrouted::Method(MethodProblem::Malformed) | Unrouted::Path => Refusal::BadRequest,
            Unrouted::Ambiguous => Refusal::AmbiguousPath,
            Unrouted::NoRoute => Refusal::NoRoute,
        })
    }
}

impl From<Looping> for Early {
    fn from(_: Looping) -> Self {
        Self::Refused(Refusal::Looping)
    }
}

impl Routed {
    /// Finds the route and asks its plug-ins; with the watch of the one that wants to know what becomes of the request.
    async fn find(
        core: &Rc<Core>,
        origin: Origin,
        version: Version,
        mut head: RequestHead,
    ) -> Result<(Self, Option<Box<dyn Watch>>), Early> {
        front::check_method(&head.method)?;
        let mut host = host_of(version, &head.headers, &head.uri).map_err(Early::Refused)?;
        if let Some(authority) = head.uri.authority() {
            let authority = HeaderValue::from_str(authority.as_str());
            head.headers.insert(HOST, authority.map_err(|_| Early::Refused(Refusal::BadRequest))?);
        }
        // Plug-ins may change the head meanwhile.
        let asked = head.uri.path_and_query().cloned().ok_or(Early::Refused(Refusal::BadRequest))?;
        let port = origin.local.port();
        let named = Some(host.as_str()).filter(|host| !host.is_empty());
        let policy = core.front.ambiguous_paths;
        // A generation that comes meanwhile is for those that begin after it.
        let snapshot = core.snapshot();
        let found = front::find(snapshot.router(), policy, &head.method, named, port, asked.path())?;
        let Found { route, plain, .. } = &found;
        let Some(service) = &route.service else { return Err(Early::Refused(Refusal::NoService)) };

        let size = head_size(&head);
        let client = headers::take(&mut head.headers);
        let hops = match (&client.hops, &core.first_pass) {
            (None, Some(first)) => first.clone(),
            (came, _) => hops::next(&core.front.node, came.as_ref())?,
        };
        for plugin in route.chain.iter() {
            let verdict = match plugin.access(&mut head) {
                Access::Ready(verdict) => verdict,
                Access::Pending(verdict) => verdict.await,
            };
            if let Verdict::Respond(answer) = verdict {
                return Err(Early::Answered(answer));
            }
        }

        let upstream = path::upstream_path(&service.path, &plain.path, plain.matched, route.strip_path);
        let path_and_query = path_and_query(&asked, &upstream).ok_or(Early::Refused(Refusal::BadRequest))?;
        // HTTP/1.0 may come without a Host; what we send, and what others are told, may not.
        let replaces_host = !route.preserve_host || host.is_empty();
        if host.is_empty() {
            host = address_as_host(origin.local.ip());
        }
        host.truncate(without_port(&host).len());
        let target = Target {
            service: service.clone(),
            path_and_query,
            host,
            request_path: plain.path.clone().into_owned(),
            prefix: (route.strip_path && plain.matched > 1).then_some(plain.matched),
            replaces_host,
            request_buffering: route.request_buffering,
        };
        let watch = target.watch(origin, &head, &found, size);
        Ok((Self { origin, head, client, hops, target }, watch))
    }

    /// The upstream's request. Its headers are the client's, changed in place.
    fn into_request(self, body: UpstreamBody) -> Request<UpstreamBody> {
        let Self { origin, mut head, client, hops, target, .. } = self;
        headers::to_upstream(
            &mut head.headers,
            client,
            ForwardedBy {
                id: head.id,
                client_ip: origin.peer.ip(),
                scheme: "http",
                port: origin.local.port(),
                host: &target.host,
                path: &target.request_path,
                prefix: target.prefix.map(|matched| &target.request_path[..matched]),
                upstream_host: target.replaces_host.then_some(&target.service.host_header),
                hops,
            },
        );
        if body.size_hint().exact().is_none() {
            // hyper would send a GET without it.
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = Uri::from(target.path_and_query);
        *request.headers_mut() = head.headers;
        request
    }

    /// Relays an unwatched exchange; it ends with its client.
    #[expect(
        clippy::manual_async_fn,
        reason = "it would hold its arguments twice, and each exchange would pay for that"
    )]
    fn plain(
        self,
        core: &Rc<Core>,
        mut body: Incoming,
        started: Instant,
        accept: Option<HeaderValue>,
    ) -> impl Future<Output = Response<ClientBody>> {
        async move {
            let id = self.head.id;
            let progress = Progress::new();
            let body = match read_ahead(core, &mut body, false, self.target.request_buffering).await {
                Ok(Ahead::Whole(bytes)) => UpstreamBody::whole(bytes),
                Ok(Ahead::Begun(ahead)) => {
                    UpstreamBody::stream(ahead, body, core.limits.body_patience, progress.clone(), None)
                }
                Err(refusal) => return own_answer(refusal, id, accept.as_ref(), started),
            };
            let service = self.target.service.clone();
            let request = self.into_request(body);
            let asked = Instant::now();
            let (pool, asked_of) = (core.pool.clone(), service.clone());
            let mut asking = pin!(upstream::ask(pool, asked_of, request, progress.clone(), Audience::Client));
            let refusal = match within_timeouts(asking.as_mut(), &progress, &service).await {
                Some(Ok((response, lease))) => {
                    let (mut parts, incoming) = response.into_parts();
                    headers::to_client(&mut parts, id, asked.elapsed(), asked - started);
                    let body = PlainBody::new(incoming, lease, service.read_timeout);
                    return Response::from_parts(parts, ClientBody::Plain(body));
                }
                Some(Err(Failure::Unsent(unsent))) => refusal_of(unsent),
                Some(Err(Failure::Lost(lost))) => refusal_of_lost(lost),
                None => Refusal::GatewayTimeout,
            };
            own_answer(refusal, id, accept.as_ref(), started)
        }
    }

    /// Runs a watched exchange; from its intent on it outlives its client.
    async fn watched(
        self,
        core: &Rc<Core>,
        watch: Box<dyn Watch>,
        mut body: Incoming,
        started: Instant,
        accept: Option<HeaderValue>,
        version: Version,
    ) -> Result<Response<ClientBody>, BodyError> {
        core.stats.matched.fetch_add(1, Ordering::Relaxed);
        let id = self.head.id;
        let refuse = |refusal| Ok(own_answer(refusal, id, accept.as_ref(), started));
        let ahead = match read_ahead(core, &mut body, true, self.target.request_buffering).await {
            Ok(ahead) => ahead,
            Err(refusal) => return refuse(refusal),
        };
        // Only now: who trickles a body holds no place among the exchanges.
        let Some(permit) = core.open_exchange() else { return refuse(Refusal::TooManyExchanges) };
        let bound = watch.bound();
        let exchange = Exchange::new(core.clone(), watch, started, permit);
        let body = match ahead {
            Ahead::Whole(bytes) => {
                exchange.request_data(&bytes);
                UpstreamBody::whole(bytes)
            }
            Ahead::Begun(ahead) => {
                ahead.iter().for_each(|bytes| exchange.request_data(bytes));
                let (progress, patience) = (exchange.progress().clone(), core.limits.body_patience);
                UpstreamBody::stream(ahead, body, patience, progress, Some(exchange.clone()))
            }
        };
        let service = self.target.service.clone();
        let plan = Plan { id, started, service, accept: accept.clone(), version, bound };
        let request = self.into_request(body);
        let running = exchange::run(core.clone(), exchange.clone(), plan, request);
        Detach::new(core.clone(), exchange, running).await
    }
}

/// An address as it stands in a Host header.
fn address_as_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The absolute form may leave the path out (`http://host?x=1`), which no target that is sent on may.
fn rooted(uri: Uri) -> Uri {
    match uri.path_and_query() {
        Some(target) if target.as_str().starts_with('?') => {
            let rooted = PathAndQuery::from_maybe_shared(Bytes::from(format!("/{target}"))).ok();
            let mut parts = uri.clone().into_parts();
            parts.path_and_query = rooted;
            Uri::from_parts(parts).unwrap_or(uri)
        }
        _ => uri,
    }
}

/// The upstream's target: the client's own bytes where the path is unchanged.
fn path_and_query(original: &PathAndQuery, path: &str) -> Option<PathAndQuery> {
    if original.path() == path {
        return Some(original.clone());
    }
    let target = match original.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::from_maybe_shared(Bytes::from(target)).ok()
}

/// Request line and headers, in bytes, in canonical form.
fn head_size(head: &RequestHead) -> u64 {
    let target = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = head.method.as_str().len() + target + " ".len() * 2 + "HTTP/1.1\r\n".len();
    let headers: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (line + headers + "\r\n".len()) as u64
}

/// Waits for an answer as long as the service's timeouts allow; `None` if they do not.
async fn within_timeouts<F: Future>(
    mut asking: Pin<&mut F>,
    progress: &Progress,
    service: &Service,
) -> Option<F::Output> {
    let mut timer = pin!(tokio::time::sleep(service.read_timeout.min(service.write_timeout)));
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
