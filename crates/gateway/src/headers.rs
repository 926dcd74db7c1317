//! Which headers of requests and answers are removed and which are set, as Kong 3 does it.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use event::EventId;
use http::Version;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, SERVER, TE, TRAILER,
    TRANSFER_ENCODING, VIA,
};
use http::response::Parts;
use pipeline::headers::{is_hop_by_hop, is_the_clients};
use smallvec::SmallVec;

use crate::front::Telling;
use crate::hops::HOPS;

/// The request's id, 32 hexadecimal digits; to the upstream and to the client.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-kong-request-id");
/// Milliseconds to the upstream's head.
pub const UPSTREAM_LATENCY: HeaderName = HeaderName::from_static("x-kong-upstream-latency");
/// Milliseconds spent in the gateway before the upstream was asked.
pub const PROXY_LATENCY: HeaderName = HeaderName::from_static("x-kong-proxy-latency");
/// Milliseconds spent on an answer of the gateway's own.
pub const RESPONSE_LATENCY: HeaderName = HeaderName::from_static("x-kong-response-latency");

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_PATH: HeaderName = HeaderName::from_static("x-forwarded-path");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
/// RFC 7239.
const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const SCRIPT_NAME: HeaderName = HeaderName::from_static("x-script-name");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What the gateway calls itself in `Via` and `Server`.
pub const NAME: &str = concat!("retrohook/", env!("CARGO_PKG_VERSION"));
const VIA_VALUE: HeaderValue = HeaderValue::from_static(concat!("1.1 retrohook/", env!("CARGO_PKG_VERSION")));
const SERVER_VALUE: HeaderValue = HeaderValue::from_static(NAME);

/// What the client's headers said about things that the gateway itself tells the upstream.
#[derive(Debug, Default)]
pub struct FromClient {
    forwarded_for: Option<HeaderValue>,
    via: Option<HeaderValue>,
    /// Whether the client understands trailers.
    trailers: bool,
    /// Which nodes it has passed through.
    pub hops: Option<HeaderValue>,
    /// How the request came to a trusted peer, as the peer's headers say.
    forwarded: Option<Box<Forwarded>>,
}

/// What a trusted peer's headers say about a request.
#[derive(Debug, Default)]
struct Forwarded {
    proto: Option<HeaderValue>,
    host: Option<HeaderValue>,
    port: Option<HeaderValue>,
    path: Option<HeaderValue>,
    prefix: Option<HeaderValue>,
}

impl Forwarded {
    #[inline(never)]
    fn of(headers: &HeaderMap) -> Box<Self> {
        let [proto, host, port, path, prefix] =
            [FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_PORT, FORWARDED_PATH, FORWARDED_PREFIX]
                .map(|name| headers.get(name).cloned());
        Box::new(Self { proto, host, port, path, prefix })
    }
}

impl FromClient {
    /// Whether a trusted peer says that the request came to it over TLS.
    pub fn came_over_https(&self) -> bool {
        let proto = self.forwarded.as_ref().and_then(|forwarded| forwarded.proto.as_ref());
        proto.is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"))
    }

    /// The host that a trusted peer says was asked.
    pub fn forwarded_host(&self) -> Option<&HeaderValue> {
        self.forwarded.as_ref()?.host.as_ref()
    }
}

/// What the upstream gets to know about the client's request.
pub struct ForwardedBy<'a> {
    /// The request's id.
    pub id: EventId,
    /// The peer's address.
    pub client_ip: HeaderValue,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The listener's port.
    pub port: HeaderValue,
    /// The client's Host as the upstream is to know it; the address that it connected to if there was none.
    pub host: String,
    /// The normalised request path, without the query.
    pub path: String,
    /// How many bytes of it `strip_path` removed, if it removed anything except `/`.
    pub prefix: Option<usize>,
    /// The upstream's Host, unless the client's is kept.
    pub upstream_host: Option<&'a HeaderValue>,
    /// Which nodes it has passed through, this one included.
    pub hops: HeaderValue,
    /// What it is told, as far as a setting decides it.
    pub telling: Telling,
}

/// Removes from a client's headers those that concern only its connection, those that a client cannot know, and those that the gateway writes
/// itself. The rest is what plug-ins and events see and the upstream gets; the Host is still the client's. What a trusted peer says about how
/// the request came to it is kept for the upstream.
pub fn take(headers: &mut HeaderMap, peer_is_trusted: bool) -> FromClient {
    let mut taken = FromClient::default();
    if peer_is_trusted {
        taken.forwarded = Some(Forwarded::of(headers));
    }
    let mut nominated = Names::new();
    let names: Names =
        headers.keys().filter(|name| is_hop_by_hop(name) || !is_the_clients(name)).cloned().collect();
    for name in names {
        match () {
            () if name == FORWARDED_FOR => taken.forwarded_for = joined(headers, &name),
            () if name == VIA => taken.via = joined(headers, &name),
            () if name == HOPS => taken.hops = joined(headers, &name),
            () if name == CONNECTION => nominated = nominated_by(headers),
            () if name == TE => {
                let all = headers.get_all(&name).iter();
                let mut codings = all.flat_map(|te| te.as_bytes().split(|&byte| byte == b','));
                taken.trailers = codings.any(|one| one.trim_ascii().eq_ignore_ascii_case(b"trailers"));
            }
            () => {}
        }
        headers.remove(&name);
    }
    for name in nominated {
        headers.remove(name);
    }
    taken
}

/// A client's trailers without what it may not say in headers either. What must not be in trailers at all hyper removes.
pub fn trailers_of_client(mut trailers: HeaderMap) -> HeaderMap {
    let is_refused = |name: &&HeaderName| {
        is_hop_by_hop(name) || !is_the_clients(name) || **name == CONTENT_LENGTH || **name == HOST
    };
    let refused = trailers.keys().filter(is_refused);
    for name in refused.cloned().collect::<Names>() {
        trailers.remove(&name);
    }
    trailers
}

/// Announces trailers, as HTTP/1.1 wants it, unless the client has.
pub fn announce_trailers(headers: &mut HeaderMap, trailers: &HeaderMap) {
    if headers.contains_key(TRAILER) {
        return;
    }
    let names: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
    if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
        headers.insert(TRAILER, names);
    }
}

/// Usually none or one.
type Names = SmallVec<[HeaderName; 2]>;

/// Turns headers that went through [`take`] and the plug-ins into the upstream's.
pub fn to_upstream(headers: &mut HeaderMap, client: FromClient, by: ForwardedBy<'_>) {
    // Room for all headers that follow, and for `Transfer-Encoding`: a map that grows in steps is copied in each step.
    headers.reserve(14);
    if client.trailers {
        // RFC 9110, 10.1.4: whoever sends it names it as concerning this connection only.
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(host) = by.upstream_host {
        headers.insert(HOST, host.clone());
    }
    if by.telling.script_name || by.telling.forwarded {
        tell_more(headers, &by);
    }
    headers.insert(FORWARDED_FOR, appended(client.forwarded_for, &by.client_ip));
    headers.insert(REAL_IP, by.client_ip);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(by.scheme));
    headers.insert(FORWARDED_PORT, by.port);
    if let Some(matched) = by.prefix {
        insert_text(headers, FORWARDED_PREFIX, by.path[..matched].to_owned());
    }
    insert_text(headers, FORWARDED_HOST, by.host);
    insert_text(headers, FORWARDED_PATH, by.path);
    if let Some(forwarded) = client.forwarded {
        let Forwarded { proto, host, port, path, prefix } = *forwarded;
        let said = [
            (FORWARDED_PROTO, proto),
            (FORWARDED_HOST, host),
            (FORWARDED_PORT, port),
            (FORWARDED_PATH, path),
            (FORWARDED_PREFIX, prefix),
        ];
        for (name, value) in said.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            headers.insert(name, value);
        }
    }
    let via = if by.telling.via { Some(appended(client.via, &VIA_VALUE)) } else { client.via };
    if let Some(via) = via {
        headers.insert(VIA, via);
    }
    headers.insert(REQUEST_ID, request_id(by.id));
    headers.insert(HOPS, by.hops);
}

/// What services are told only if they are to be.
#[inline(never)]
fn tell_more(headers: &mut HeaderMap, by: &ForwardedBy<'_>) {
    if by.telling.script_name {
        // Also where nothing was removed: a client must not say it.
        insert_text(headers, SCRIPT_NAME, by.path[..by.prefix.unwrap_or(0)].to_owned());
        if by.prefix.is_none() {
            headers.remove(SCRIPT_NAME);
        }
    }
    if by.telling.forwarded {
        let address = by.client_ip.to_str().unwrap_or("unknown");
        let address = if address.contains(':') { format!("\"[{address}]\"") } else { address.to_owned() };
        // A host has no quotes and no backslashes; a port's colon must stand in quotes.
        let element = format!("for={address};host=\"{}\";proto={}", by.host, by.scheme);
        let said = joined(headers, &FORWARDED);
        match HeaderValue::try_from(element) {
            Ok(element) => drop(headers.insert(FORWARDED, appended(said, &element))),
            Err(_) => drop(headers.remove(FORWARDED)),
        }
    }
}

/// Turns the head of an upstream's answer into the client's.
pub fn to_client(head: &mut Parts, id: EventId, upstream: Duration, gateway: Duration) {
    // Each hop has its own version. With HTTP/1.0, the end of the connection would be the end of the answer.
    head.version = Version::HTTP_11;
    let headers = &mut head.headers;
    one_framing(headers);
    remove_hop_by_hop(headers);
    let via = joined(headers, &VIA);
    headers.insert(VIA, appended(via, &VIA_VALUE));
    headers.entry(SERVER).or_insert(SERVER_VALUE);
    headers.insert(UPSTREAM_LATENCY, millis(upstream));
    headers.insert(PROXY_LATENCY, millis(gateway));
    headers.insert(REQUEST_ID, request_id(id));
}

/// The headers of an answer that the gateway makes itself.
pub fn of_own_answer(headers: &mut HeaderMap, id: EventId, took: Duration) {
    headers.insert(SERVER, SERVER_VALUE);
    headers.insert(RESPONSE_LATENCY, millis(took));
    headers.insert(REQUEST_ID, request_id(id));
}

/// Makes the length of an answer unambiguous. A `Transfer-Encoding` wins over a `Content-Length`. If `Content-Length` is repeated, one is kept;
/// hyper has refused answers whose values differ.
fn one_framing(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
        return;
    }
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return };
    if lengths.next().is_none() && !first.as_bytes().contains(&b',') {
        return;
    }
    let first = first.as_bytes().split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
    if let Ok(length) = HeaderValue::from_bytes(first) {
        headers.insert(CONTENT_LENGTH, length);
    }
}

/// Removes what concerns one connection only, and what the `Connection` header names as such.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let names: Names = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    let nominated = if names.contains(&CONNECTION) { nominated_by(headers) } else { Names::new() };
    for name in names.into_iter().chain(nominated) {
        headers.remove(name);
    }
}

/// What the `Connection` header names as concerning the connection only, besides what always does.
fn nominated_by(headers: &HeaderMap) -> Names {
    let values = headers.get_all(CONNECTION).iter();
    let words = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    let words = words.map(<[u8]>::trim_ascii);
    // The two words that it nearly always has: one is not a header, and the other one is removed anyway.
    let words =
        words.filter(|word| ![&b"close"[..], b"keep-alive"].iter().any(|no| word.eq_ignore_ascii_case(no)));
    let names = words.filter_map(|word| HeaderName::from_bytes(word).ok());
    // `Content-Length` says where the message ends: a client that names it here attacks.
    names.filter(|name| *name != CONTENT_LENGTH && *name != HOST).collect()
}

/// All values of a name as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.clone();
    Some(values.fold(first, |list, value| appended(Some(list), value)))
}

/// A comma-separated list with one more item.
fn appended(list: Option<HeaderValue>, item: &HeaderValue) -> HeaderValue {
    let Some(list) = list else { return item.clone() };
    let bytes = [list.as_bytes(), b", ", item.as_bytes()].concat();
    // Made of header values and a comma: always a header value.
    HeaderValue::from_maybe_shared(Bytes::from(bytes)).unwrap_or(list)
}

fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: String) {
    let value = text.is_ascii().then(|| HeaderValue::from_maybe_shared(Bytes::from(text)));
    match value {
        Some(Ok(value)) => drop(headers.insert(name, value)),
        // If the gateway does not know a value, the client's claim is removed.
        Some(Err(_)) | None => drop(headers.remove(name)),
    }
}

fn millis(duration: Duration) -> HeaderValue {
    /// The texts of most durations, which need no allocation.
    const SHORT: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let millis = usize::try_from(duration.as_millis()).unwrap_or(usize::MAX);
    SHORT.get(millis).map_or_else(|| HeaderValue::from(millis), |text| HeaderValue::from_static(text))
}

/// An address as a header carries it.
pub fn address(address: IpAddr) -> HeaderValue {
    // It consists of digits, letters, dots and colons, so it is a valid value.
    HeaderValue::try_from(address.to_string()).unwrap_or(HeaderValue::from_static(""))
}

/// The id as the header carries it.
pub fn request_id(id: EventId) -> HeaderValue {
    let mut digits = [0; 32];
    id.write_simple(&mut digits);
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn lines(map: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<_> =
            map.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn the_upstream_learns_of_the_client_and_nothing_hop_by_hop() {
        let mut map = headers(&[
            ("host", "api.example.com"),
            ("connection", "close, x-hop, content-length, x-real-ip"),
            ("content-length", "2"),
            ("keep-alive", "timeout=5"),
            ("te", "deflate, Trailers"),
            ("upgrade", "h2c"),
            ("x-hop", "1"),
            ("x-kept", "1"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-prefix", "/claimed"),
            ("via", "1.0 fred"),
            ("via", "1.1 barney"),
            ("x-real-ip", "9.9.9.9"),
            ("x-kong-request-id", "claimed"),
            ("x-consumer-username", "root"),
            ("x-credential-identifier", "root"),
            ("x-authenticated-groups", "root"),
            ("x-anonymous-consumer", "false"),
            ("proxy", "httpoxy"),
            ("expect", "100-continue"),
        ]);
        let host = HeaderValue::from_static("127.0.0.1:9000");
        let id = EventId::v7(Timestamp::from_millis(0), [0; 10]);
        let client = take(&mut map, false);
        assert_eq!(lines(&map), ["content-length: 2", "host: api.example.com", "x-kept: 1"]);
        let kept = map.clone();
        to_upstream(
            &mut map,
            client,
            ForwardedBy {
                id,
                client_ip: HeaderValue::from_static("10.0.0.1"),
                scheme: "http",
                port: HeaderValue::from(8000),
                host: "api.example.com".into(),
                path: "/mockbin/x".into(),
                prefix: None,
                upstream_host: Some(&host),
                hops: HeaderValue::from_static("0123456789abcdef;1"),
                telling: Telling::default(),
            },
        );
        assert_eq!(
            lines(&map),
            [
                "connection: te",
                "content-length: 2",
                "host: 127.0.0.1:9000",
                "te: trailers",
                &format!("via: 1.0 fred, 1.1 barney, 1.1 {NAME}"),
                "x-forwarded-for: 1.1.1.1, 10.0.0.1",
                "x-forwarded-host: api.example.com",
                "x-forwarded-path: /mockbin/x",
                "x-forwarded-port: 8000",
                "x-forwarded-proto: http",
                "x-kept: 1",
                "x-kong-request-id: 00000000000070008000000000000000",
                "x-real-ip: 10.0.0.1",
                "x-retrohook-hops: 0123456789abcdef;1",
            ]
        );
        for name in map.keys().filter(|name| !kept.contains_key(*name)) {
            assert!(!pipeline::headers::can_be_configured(name), "{name} is written by the gateway");
        }
    }

    #[test]
    fn a_trusted_peer_says_how_the_request_came_to_it_and_nothing_else() {
        let pairs = [
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example.com"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-prefix", "/shop"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-real-ip", "192.0.2.1"),
            ("x-consumer-username", "root"),
        ];
        let upstream = |trusted: bool| {
            let mut map = headers(&pairs);
            let client = take(&mut map, trusted);
            assert_eq!((map.len(), client.came_over_https()), (0, trusted));
            let by = ForwardedBy {
                id: EventId::v7(Timestamp::from_millis(0), [0; 10]),
                client_ip: HeaderValue::from_static("10.0.0.1"),
                scheme: "http",
                port: HeaderValue::from(8000),
                host: "api".into(),
                path: "/a".into(),
                prefix: None,
                upstream_host: None,
                hops: HeaderValue::from_static("0123456789abcdef;1"),
                telling: Telling::default(),
            };
            to_upstream(&mut map, client, by);
            lines(&map)
                .into_iter()
                .filter(|line| !line.starts_with("via") && !line.contains("-kong-"))
                .collect::<Vec<_>>()
        };
        let both = [
            "x-forwarded-for: 192.0.2.1, 10.0.0.1",
            "x-real-ip: 10.0.0.1",
            "x-retrohook-hops: 0123456789abcdef;1",
        ];
        let forwarded = [
            "x-forwarded-host: shop.example.com",
            "x-forwarded-path: /a",
            "x-forwarded-port: 443",
            "x-forwarded-prefix: /shop",
            "x-forwarded-proto: https",
        ];
        let own = [
            "x-forwarded-host: api",
            "x-forwarded-path: /a",
            "x-forwarded-port: 8000",
            "x-forwarded-proto: http",
        ];
        assert_eq!(upstream(true), [&both[..1], &forwarded, &both[1..]].concat());
        assert_eq!(upstream(false), [&both[..1], &own, &both[1..]].concat());
    }

    #[test]
    fn an_underscore_is_no_second_spelling_of_a_name_that_is_not_the_clients() {
        let dropped = [
            "x_real_ip",
            "x_real-ip",
            "x_forwarded_for",
            "x-forwarded_proto",
            "x_kong_request_id",
            "x_retrohook_hops",
            "x_consumer_username",
            "x-credential_identifier",
            "x_authenticated_groups",
            "content_length",
            "transfer_encoding",
            "x_http_method_override",
            "x-http_method",
            "x_method_override",
        ];
        for name in dropped {
            let mut map = headers(&[(name, "1")]);
            take(&mut map, false);
            assert!(map.is_empty(), "{name}");
        }
        for name in ["x_tenant", "_", "x_kongs", "content_type", "x-kong-debug", "x-real"] {
            let mut map = headers(&[(name, "1")]);
            take(&mut map, false);
            assert_eq!(map.len(), 1, "{name}");
        }
    }

    #[test]
    fn a_path_that_no_header_can_hold_is_not_left_to_the_client() {
        for path in ["/\u{e9}", "/\u{7f}", "/\n"] {
            let mut map = headers(&[("x-forwarded-path", "/claimed")]);
            insert_text(&mut map, FORWARDED_PATH, path.to_owned());
            assert!(map.is_empty(), "{path:?}");
        }
    }

    #[test]
    fn the_client_learns_latencies_and_keeps_the_upstreams_server() {
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.version = Version::HTTP_10;
        head.headers = headers(&[
            ("server", "nginx"),
            ("connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
        ]);
        let id = EventId::v7(Timestamp::from_millis(0), [0; 10]);
        to_client(&mut head, id, Duration::from_millis(12), Duration::from_micros(1_900));
        assert_eq!(head.version, Version::HTTP_11);
        assert_eq!(
            lines(&head.headers),
            [
                "server: nginx",
                &format!("via: 1.1 {NAME}"),
                "x-kong-proxy-latency: 1",
                "x-kong-request-id: 00000000000070008000000000000000",
                "x-kong-upstream-latency: 12",
            ]
        );
    }
}
