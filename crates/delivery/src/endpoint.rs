//! The URL of an endpoint, parsed once, so that the address that is checked is the one that is dialled.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderValue;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

pub use entities::subscription::shown;

/// The longest URL of an endpoint, in bytes.
pub const MAX_URL: usize = 2_048;

/// The shortest value of a query that is removed from an answer, in bytes: a shorter one may be there by chance.
const SHORTEST_SECRET: usize = 6;

/// A webhook's URL in the parts that a sink needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// The host to dial; it is not parsed again.
    pub host: EndpointHost,
    /// Never 0.
    pub port: u16,
    /// The request target, query kept.
    pub path: PathAndQuery,
    /// The `Host` header: the port only where it is not the scheme's own.
    pub authority: HeaderValue,
    /// `Basic …`, from a URL with a user and password. Marked sensitive: never logged.
    pub authorization: Option<HeaderValue>,
}

/// How an endpoint is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// Over TLS.
    Https,
}

/// An endpoint's host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointHost {
    /// A literal, in any of its spellings.
    Address(IpAddr),
    /// Lower case, ASCII, without a trailing dot.
    Name(String),
}

/// Why a text is not an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is not a URL.
    #[error("the endpoint is not a URL")]
    Url(#[source] url::ParseError),
    /// `ftp:`, `file:`, …
    #[error("an endpoint's URL begins with http:// or https://, not {0}:")]
    Scheme(String),
    /// Longer than [`MAX_URL`].
    #[error("an endpoint's URL has at most {MAX_URL} bytes")]
    TooLong,
    /// Nothing that could be resolved.
    #[error("the endpoint's host is not a valid name")]
    Host,
    /// The port is 0.
    #[error("an endpoint's port is not 0")]
    Port,
    /// Characters that no request line can carry.
    #[error("the endpoint's path cannot be sent in a request")]
    Path,
}

impl std::str::FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.len() > MAX_URL {
            return Err(EndpointError::TooLong);
        }
        let url = Url::parse(text).map_err(EndpointError::Url)?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(EndpointError::Port)?;
        let (host, authority) = host(&url)?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self {
            scheme,
            host,
            port,
            path: path.parse().map_err(|_| EndpointError::Path)?,
            authority: authority.parse().map_err(|_| EndpointError::Host)?,
            authorization: authorization(&url),
        })
    }
}

impl Endpoint {
    /// An answer as it is stored: without the values of the URL's query, which an error page may repeat.
    pub fn without_query(&self, answer: Bytes) -> Bytes {
        let arguments = self.path.query().unwrap_or_default().split('&');
        let values = arguments.map(|argument| argument.split_once('=').map_or(argument, |(_, value)| value));
        let mut values: Vec<&[u8]> =
            values.map(str::as_bytes).filter(|value| value.len() >= SHORTEST_SECRET).collect();
        if values.is_empty() {
            return answer;
        }
        // The longest first: one may be the beginning of another.
        values.sort_unstable_by_key(|value| std::cmp::Reverse(value.len()));
        let mut kept = Vec::with_capacity(answer.len());
        let mut rest = &answer[..];
        while let Some((first, behind)) = rest.split_first() {
            rest = match values.iter().find_map(|value| rest.strip_prefix(*value)) {
                Some(behind) => {
                    kept.extend_from_slice(b"...");
                    behind
                }
                None => {
                    kept.push(*first);
                    behind
                }
            };
        }
        kept.into()
    }
}

fn host(url: &Url) -> Result<(EndpointHost, String), EndpointError> {
    let (host, mut authority) = match url.host().ok_or(EndpointError::Host)? {
        Host::Ipv4(address) => (EndpointHost::Address(address.into()), address.to_string()),
        Host::Ipv6(address) => (EndpointHost::Address(address.into()), format!("[{address}]")),
        Host::Domain(name) => {
            // One dot at the end means the root. After two dots, the parser does not take a number for an address, but a resolver may.
            let name = name.strip_suffix('.').unwrap_or(name);
            if !is_name(name) {
                return Err(EndpointError::Host);
            }
            (EndpointHost::Name(name.to_owned()), name.to_owned())
        }
    };
    if let Some(port) = url.port() {
        authority.push_str(&format!(":{port}"));
    }
    Ok((host, authority))
}

/// What DNS could know: labels of 1 to 63 letters, digits, hyphens and underscores, at most 253 in all.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent_decode_str(url.username()).collect::<Vec<u8>>();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
