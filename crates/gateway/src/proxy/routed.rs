//! A request that has its route and has passed the plug-ins: the request to the upstream, and the recorders that are asked before it.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Uri};
use listener::connection::OddCharacters;
use pipeline::access::RequestHead;
use pipeline::context::Scheme;
use pipeline::record::{EventIds, Turn};
use pipeline::{Chain, Forward};

use crate::account::Account;
use crate::body::request::UpstreamBody;
use crate::exchange::watches::Watches;
use crate::front::{Found, HostPort, Reading, Telling};
use crate::headers::{self, ForwardedBy, FromClient};
use crate::own_address::AskedFor;
use crate::path;
use crate::rewriting::{Rewrites, Rewriting};
use crate::router::without_port;
use crate::snapshot::ServiceRef;

pub(super) struct Routed {
    pub client: FromClient,
    pub hops: HeaderValue,
    pub telling: Telling,
    pub target: Target,
}

/// The request to the upstream, before its headers are made.
pub(super) struct Target {
    pub service: ServiceRef,
    path_and_query: PathAndQuery,
    /// What of the client's query is escaped in it.
    odd: Option<Box<OddCharacters>>,
    /// The host that the client asked for, as it wrote it.
    host: String,
    /// How many bytes of it come before its port; events have no more of it.
    bare_host: usize,
    /// Whether the client named a host.
    has_host: bool,
    request_path: String,
    prefix: Option<usize>,
    /// Whether the upstream gets the path as the client spelt it and not in normal form.
    is_as_spelt: bool,
    /// Whether the upstream gets its own Host instead of the client's.
    replaces_host: bool,
    /// What the client asked for.
    pub asked_for: AskedFor,
    pub request_buffering: bool,
}

impl Target {
    /// `None` if the upstream's path would not be valid in a request. `local` is used if the request has no Host.
    pub fn new(
        service: ServiceRef,
        found: &Found<'_, '_>,
        asked: &PathAndQuery,
        odd: Option<Box<OddCharacters>>,
        mut host: String,
        local: IpAddr,
    ) -> Option<Self> {
        let Found { route, plain, .. } = found;
        let spelt = found.spelt.as_deref().filter(|spelt| !spelt.has_dots || service.path == "/");
        let (path, matched) = spelt.map_or((&*plain.path, plain.matched), |spelt| (spelt.path, spelt.cut));
        let handling = route.path_handling;
        let upstream = path::upstream_path(handling, &service.path, path, matched, route.strip_path);
        let path_and_query = path_and_query(asked, &upstream)?;
        // HTTP/1.0 requests may have no Host, but the request to the upstream, headers and events must have one.
        let has_host = !host.is_empty();
        let replaces_host = !route.preserve_host || !has_host;
        if !has_host {
            host = address_as_host(local);
        }
        let bare_host = without_port(&host).len();
        let asked_for = service.asked_for(&host, !replaces_host);
        Some(Self {
            service,
            path_and_query,
            odd,
            host,
            bare_host,
            has_host,
            request_path: plain.path.clone().into_owned(),
            prefix: (route.strip_path && plain.matched > 1).then_some(plain.matched),
            is_as_spelt: spelt.is_some(),
            replaces_host,
            asked_for,
            request_buffering: route.request_buffering,
        })
    }

    /// How the answer is said in the client's terms; `None` if the route does not ask for it, or if the client did not say what it asked for.
    #[inline]
    pub fn rewriting(
        &self,
        rewrites: Rewrites,
        client: &FromClient,
        scheme: Scheme,
    ) -> Option<Box<Rewriting>> {
        if rewrites == Rewrites::default() || !self.has_host {
            None
        } else {
            self.rewrites(rewrites, client, scheme)
        }
    }

    #[inline(never)]
    fn rewrites(&self, rewrites: Rewrites, client: &FromClient, scheme: Scheme) -> Option<Box<Rewriting>> {
        // What a trusted peer says was asked is what its client knows.
        let forwarded = client.forwarded_host().and_then(|host| host.to_str().ok());
        let forwarded =
            forwarded.filter(|host| !host.is_empty() && !host.contains(['/', '\\', '?', '#', '@', ',', ' ']));
        Some(Box::new(Rewriting {
            rewrites,
            scheme: if client.came_over_https() { Scheme::Https.as_str() } else { scheme.as_str() },
            authority: forwarded.unwrap_or(&self.host).to_owned(),
            prefix: self.request_path[..self.prefix.unwrap_or(0)].to_owned(),
            kept_host: (!self.replaces_host).then(|| self.host.clone()),
        }))
    }

    /// Asks every recorder of the route, in order.
    pub fn watches(
        &self,
        account: &Account,
        head: &RequestHead,
        found: &Found<'_, '_>,
        head_size: u64,
    ) -> Watches {
        let mut watches = Watches::default();
        let recorders = account.chain().map_or(&[][..], Chain::record);
        let Some(first) = recorders.first() else { return watches };
        let Found { route, plain, others, spelt, .. } = found;
        let spelt = spelt.as_deref().filter(|_| self.is_as_spelt);
        let as_spelt = spelt.map_or(&[][..], |spelt| &spelt.readings);
        let service_paths =
            [others.as_slice(), as_spelt].map(|readings| service_paths(readings, route.strip_path));
        let others = readings(others, &service_paths[0]);
        let as_spelt = readings(as_spelt, &service_paths[1]);
        let upstream_host =
            if self.replaces_host { Some(&self.service.host_header) } else { head.headers.get(HOST) };
        let client_ip = account.client_ip();
        let id = account.context.id;
        let mut forward = Forward {
            context: &account.context,
            route: &route.facts,
            ids: EventIds::new(id, first.instance, Turn::First),
            client_ip: client_ip.to_str().unwrap_or_default(),
            method: &head.method,
            host: &self.host[..self.bare_host],
            uri: head.uri.path_and_query().map_or("/", PathAndQuery::as_str),
            request_path: &plain.path,
            service_path: &path::service_path(&plain.path, plain.matched, route.strip_path),
            others: &others,
            as_spelt: &as_spelt,
            upstream_uri: self.path_and_query.as_str(),
            upstream_host: upstream_host.and_then(|host| host.to_str().ok()).unwrap_or_default(),
            headers: &head.headers,
            head_size,
        };
        for recorder in recorders {
            let turn = if watches.is_empty() { Turn::First } else { Turn::Further };
            forward.ids = EventIds::new(id, recorder.instance, turn);
            if let Some(watch) = recorder.role.watch(&forward) {
                watches.push(watch);
            }
        }
        watches
    }
}

impl Routed {
    /// The upstream's request. Its headers are the client's, changed in place; it is sent in chunks if the client's is.
    pub fn into_request(
        self,
        account: &Account,
        mut head: RequestHead,
        body: UpstreamBody,
        is_chunked: bool,
    ) -> Request<UpstreamBody> {
        let Self { client, hops, telling, mut target } = self;
        let context = &account.context;
        let scheme = context.inbound.scheme;
        let port = target.host.get(target.bare_host + 1..).unwrap_or_default();
        if telling.host_port == HostPort::Strip || port == scheme.port() {
            target.host.truncate(target.bare_host);
        }
        headers::to_upstream(
            &mut head.headers,
            client,
            ForwardedBy {
                id: context.id,
                client_ip: account.client_ip(),
                scheme: scheme.as_str(),
                port: account.port(),
                host: target.host,
                path: target.request_path,
                prefix: target.prefix,
                upstream_host: target.replaces_host.then_some(&target.service.host_header),
                hops,
                telling,
            },
        );
        if let Some(trailers) = body.trailers() {
            headers::announce_trailers(&mut head.headers, trailers);
        }
        if is_chunked {
            // Otherwise hyper would give it a length, or send a GET without its body.
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = match target.odd {
            None => Uri::from(target.path_and_query),
            Some(odd) => {
                let uri = unescaped(target.path_and_query, &odd);
                request.extensions_mut().insert(odd);
                uri
            }
        };
        *request.headers_mut() = head.headers;
        request
    }
}

/// The paths after `strip_path` of these readings.
fn service_paths(readings: &[Reading<'_>], strip: bool) -> Vec<String> {
    let paths = readings.iter().map(|reading| path::service_path(&reading.path, reading.matched, strip));
    paths.map(Cow::into_owned).collect()
}

/// Readings as recorders see them.
fn readings<'a>(readings: &'a [Reading<'_>], service_paths: &'a [String]) -> Vec<pipeline::Reading<'a>> {
    let pairs = readings.iter().zip(service_paths);
    pairs
        .map(|(reading, service_path)| pipeline::Reading { request_path: &reading.path, service_path })
        .collect()
}

/// The target whose query hyper can write and the connection can put these characters into.
#[inline(never)]
fn unescaped(target: PathAndQuery, odd: &OddCharacters) -> Uri {
    let query = odd.unescaped(target.query().unwrap_or_default());
    let unescaped = PathAndQuery::from_maybe_shared(Bytes::from(format!("{}?{query}", target.path())));
    // It is no longer than the target, and has no character that this has not.
    Uri::from(unescaped.unwrap_or(target))
}

/// An address as a Host header writes it.
pub(super) fn address_as_host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// The upstream's target: the client's own bytes if the path is unchanged.
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
