//! Serving one request: route, plug-ins, upstream, answer.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use config::normalise;
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
use crate::headers::{self, ForwardedBy};
use crate::path;
use crate::read_ahead::{Ahead, read_ahead};
use crate::router::{Match, without_port};
use crate::table::Service;
use crate::upstream::{self, Audience, Failure, Progress};

/// Where a request came in.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub peer: SocketAddr,
    pub port: u16,
}

/// What the upstream will be asked, before its headers are made.
struct Target {
    service: Arc<Service>,
    path_and_query: PathAndQuery,
    host: String,
    request_path: String,
    prefix: Option<usize>,
    preserve_host: bool,
    request_buffering: bool,
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
    let now = core.clock.now();
    let (parts, body) = request.into_parts();
    let version = parts.version;
    let accept = accept_of(&parts.headers);
    let head = RequestHead {
        id: core.new_id(now),
        started_at: now,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        peer: origin.peer,
    };
    let id = head.id;
    let answer = match Routed::find(&core, origin, version, head).await {
        Ok(routed) => routed.forward(core.clone(), body, started, accept, version).await,
        Err(Early::Refused(refusal)) => Ok(own_answer(refusal, id, accept.as_ref(), started)),
        Err(Early::Answered(mut answer)) => {
            headers::of_own_answer(answer.headers_mut(), id, started.elapsed());
            Ok(answer.map(|body| ClientBody::Own(Some(body))))
        }
    };
    if let Ok(answer) = &answer {
        core.stats.answered(answer.status(), started.elapsed());
    }
    answer
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
    target: Target,
    watch: Option<Box<dyn Watch>>,
}

/// The gateway answers without asking the upstream.
enum Early {
    Refused(Refusal),
    Answered(Response<Bytes>),
}

impl Routed {
    async fn find(
        core: &Rc<Core>,
        origin: Origin,
        version: Version,
        mut head: RequestHead,
    ) -> Result<Self, Early> {
        let host = host_of(version, &head.headers, &head.uri).map_err(Early::Refused)?;
        if let Some(authority) = head.uri.authority() {
            let authority = HeaderValue::from_str(authority.as_str());
            head.headers.insert(HOST, authority.map_err(|_| Early::Refused(Refusal::BadRequest))?);
        }
        let request_path = normalise(head.uri.path()).into_owned();
        if !request_path.starts_with('/') {
            return Err(Early::Refused(Refusal::BadRequest));
        }
        let host_if_any = Some(host.as_str()).filter(|host| !host.is_empty());
        let found = core.router.find(&head.method, host_if_any, origin.port, &request_path);
        let Some(Match { route, matched }) = found else {
            return Err(Early::Refused(Refusal::NoRoute));
        };
        let Some(service) = &route.service else { return Err(Early::Refused(Refusal::NoService)) };

        for plugin in route.chain.iter() {
            let verdict = match plugin.access(&mut head) {
                Access::Ready(verdict) => verdict,
                Access::Pending(verdict) => verdict.await,
            };
            if let Verdict::Respond(answer) = verdict {
                return Err(Early::Answered(answer));
            }
        }

        let upstream = path::upstream_path(&service.path, &request_path, matched, route.strip_path);
        let path_and_query =
            path_and_query(&head.uri, &upstream).ok_or(Early::Refused(Refusal::BadRequest))?;
        let mut watch = None;
        for plugin in route.chain.iter() {
            watch = watch.or_else(|| {
                plugin.watch(&Forward {
                    id: head.id,
                    started_at: head.started_at,
                    method: &head.method,
                    scheme: "http",
                    host: without_port(&host),
                    port: origin.port,
                    uri: head.uri.path_and_query().map_or("/", PathAndQuery::as_str),
                    request_path: &request_path,
                    service_path: &path::service_path(&request_path, matched, route.strip_path),
                    upstream_uri: path_and_query.as_str(),
                    headers: &head.headers,
                    head_size: head_size(&head),
                    client_ip: origin.peer.ip(),
                    route: &route.facts,
                })
            });
        }
        let prefix = (route.strip_path && matched > 1).then_some(matched);
        let target = Target {
            service: service.clone(),
            path_and_query,
            host,
            request_path,
            prefix,
            preserve_host: route.preserve_host,
            request_buffering: route.request_buffering,
        };
        Ok(Self { origin, head, target, watch })
    }

    async fn forward(
        mut self,
        core: Rc<Core>,
        body: Incoming,
        started: Instant,
        accept: Option<HeaderValue>,
        version: Version,
    ) -> Result<Response<ClientBody>, BodyError> {
        match self.watch.take() {
            Some(watch) => self.watched(core, watch, body, started, accept, version).await,
            None => Ok(self.plain(core, body, started, accept).await),
        }
    }

    /// The upstream's request. Its headers are the client's, changed in place.
    fn into_request(self, body: UpstreamBody) -> Request<UpstreamBody> {
        let Self { origin, mut head, target, .. } = self;
        // HTTP/1.0 may come without one; what we send may not.
        let replaces_host = !target.preserve_host || target.host.is_empty();
        headers::to_upstream(
            &mut head.headers,
            &ForwardedBy {
                id: head.id,
                client_ip: origin.peer.ip(),
                scheme: "http",
                port: origin.port,
                host: without_port(&target.host),
                path: &target.request_path,
                prefix: target.prefix.map(|matched| &target.request_path[..matched]),
                upstream_host: replaces_host.then_some(&target.service.host_header),
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
    async fn plain(
        self,
        core: Rc<Core>,
        mut body: Incoming,
        started: Instant,
        accept: Option<HeaderValue>,
    ) -> Response<ClientBody> {
        let id = self.head.id;
        let service = self.target.service.clone();
        let progress = Progress::new();
        let body = match read_ahead(&core, &mut body, false, self.target.request_buffering).await {
            Ok(Ahead::Whole(bytes)) => UpstreamBody::whole(bytes),
            Ok(Ahead::Begun(ahead)) => {
                UpstreamBody::stream(ahead, body, core.limits.body_patience, progress.clone(), None)
            }
            Err(refusal) => return own_answer(refusal, id, accept.as_ref(), started),
        };
        let request = self.into_request(body);
        let asked = Instant::now();
        let (pool, asked_of) = (core.pool.clone(), service.clone());
        let asking = upstream::ask(pool, asked_of, request, progress.clone(), Audience::Client);
        let refusal = match within_timeouts(asking, &progress, &service).await {
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

    /// Runs a watched exchange; from its intent on it outlives its client.
    async fn watched(
        self,
        core: Rc<Core>,
        watch: Box<dyn Watch>,
        mut body: Incoming,
        started: Instant,
        accept: Option<HeaderValue>,
        version: Version,
    ) -> Result<Response<ClientBody>, BodyError> {
        core.stats.matched.fetch_add(1, Ordering::Relaxed);
        let id = self.head.id;
        let refuse = |refusal| Ok(own_answer(refusal, id, accept.as_ref(), started));
        let ahead = match read_ahead(&core, &mut body, true, self.target.request_buffering).await {
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
        Detach::new(core, exchange, running).await
    }
}

/// The upstream's target: the client's own bytes where the path is unchanged.
fn path_and_query(uri: &Uri, path: &str) -> Option<PathAndQuery> {
    let original = uri.path_and_query()?;
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
async fn within_timeouts<F: Future>(asking: F, progress: &Progress, service: &Service) -> Option<F::Output> {
    let mut asking = pin!(asking);
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
