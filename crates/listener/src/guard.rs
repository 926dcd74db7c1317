//! Refuses requests of other sites' pages, open in a browser on this machine or network, to the admin API and the hub.
//!
//! Neither asks for a password, so a page must not be able to reach them. A page has two ways: a host name of its own that resolves to our
//! address (DNS rebinding), which shows in the Host, and plain cross-site requests, which show in `Origin` and `Sec-Fetch-Site`. Clients that
//! are not browsers send neither of these two, and a Host that is accepted: an address, a name that no public site can have, or one that the
//! node's settings allow.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::header::{HOST, HeaderName, ORIGIN};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How much of a Host or an Origin a refusal repeats, in characters.
const SHOWN: usize = 100;

/// Decides for one listener which requests are refused.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Hosts that are accepted besides those that always are; any Host is accepted if `None`.
    pub hosts: Option<Vec<HostPattern>>,
    /// Origins that are accepted besides that of the Host.
    pub origins: Vec<Origin>,
}

/// A host name, or a domain with its subdomains: `gateway.example.com`, `.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// In lower case, without the leading dot.
    name: String,
    with_subdomains: bool,
}

/// Where a page comes from: host and port. The scheme is not compared, because a proxy before the node may terminate TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// In lower case; of an IPv6 address without brackets.
    host: String,
    port: u16,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl HostPattern {
    /// Exactly this name.
    pub fn exactly(name: &str) -> Self {
        Self { name: without_dot(name).to_ascii_lowercase(), with_subdomains: false }
    }

    fn matches(&self, host: &str) -> bool {
        let Some(rest) = host.strip_suffix(&self.name) else { return false };
        rest.is_empty() || (self.with_subdomains && rest.ends_with('.'))
    }
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix('.').unwrap_or(text);
        let labels = without_dot(name).split('.');
        if !is_name(name) || labels.into_iter().any(str::is_empty) {
            return Err(format!(
                "`{text}` is not a host name: write it without scheme and port, like gateway.example.com, or .example.com for a \
                 domain with its subdomains"
            ));
        }
        Ok(Self { with_subdomains: text.starts_with('.'), ..Self::exactly(name) })
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            format!("`{text}` is not an origin: write scheme, host and, if need be, port, like https://admin.example.com")
        })
    }
}

impl Origin {
    /// Of `scheme://host[:port]`, where the port is the scheme's if there is none.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        let known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let (host, given) = host_and_port(authority)?;
        known.then_some(Self { host, port: given.unwrap_or(port) })
    }

    /// Whether a Host of this name and port is this origin's; a Host without a port has the `default` one, that of the origin's scheme.
    fn is_at(&self, host: &str, port: Option<u16>, default: u16) -> bool {
        self.host == host && self.port == port.unwrap_or(default)
    }
}

impl Guard {
    /// Decides on a request. `is_link` says whether it is a link that people follow from elsewhere, from a mail for example.
    ///
    /// # Errors
    /// If it may come from a page of another site: with the status and the text of the answer.
    pub fn judge(&self, head: &Parts, is_link: bool) -> Result<(), Refusal> {
        let named = hosts(head);
        if let Some(allowed) = &self.hosts
            && let Some(refused) = named.iter().find(|host| !is_accepted(host, allowed))
        {
            return Err(Refusal::host(refused));
        }
        let origins: Vec<&HeaderValue> = head.headers.get_all(ORIGIN).iter().collect();
        let is_allowed = |origin: &&HeaderValue| self.allows(origin);
        if let Some(foreign) = origins
            .iter()
            .find(|origin| !is_allowed(origin) && !named.iter().any(|host| is_same(origin, host)))
        {
            return Err(Refusal::origin(foreign));
        }
        let is_cross_site =
            head.headers.get_all(SEC_FETCH_SITE).iter().any(|site| site.as_bytes() == b"cross-site");
        let is_expected = (is_link && head.method == Method::GET)
            || (!origins.is_empty() && origins.iter().all(is_allowed));
        if is_cross_site && !is_expected { Err(Refusal::cross_site()) } else { Ok(()) }
    }

    /// Whether the node's settings name an origin.
    fn allows(&self, origin: &HeaderValue) -> bool {
        let origin = origin.to_str().ok().and_then(Origin::parse);
        origin.is_some_and(|origin| self.origins.contains(&origin))
    }
}

/// All hosts that a request names: in its target and in its headers.
fn hosts(head: &Parts) -> Vec<String> {
    let in_target = head.uri.authority().map(|authority| authority.as_str().to_owned());
    let in_headers =
        head.headers.get_all(HOST).iter().map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    in_target.into_iter().chain(in_headers).collect()
}

fn is_accepted(host: &str, allowed: &[HostPattern]) -> bool {
    let Some((name, _)) = host_and_port(host) else { return false };
    if name.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    // No public site has a name without a dot; the names of containers are like that.
    !name.is_empty() && (!host.contains('.') || allowed.iter().any(|pattern| pattern.matches(&name)))
}

fn is_same(origin: &HeaderValue, host: &str) -> bool {
    let Some(text) = origin.to_str().ok() else { return false };
    let default = if text.starts_with("https://") { 443 } else { 80 };
    match (Origin::parse(text), host_and_port(host)) {
        (Some(origin), Some((name, port))) => origin.is_at(&name, port, default),
        _ => false,
    }
}

/// A host in lower case (an IPv6 address without brackets, a name without the root's dot) and its port. `None` if the text is not a host.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, rest) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            (address.parse::<Ipv6Addr>().ok()?.to_string(), rest)
        }
        None => {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            if !is_name(name) {
                return None;
            }
            (without_dot(name).to_ascii_lowercase(), rest)
        }
    };
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port.parse().ok()?))),
        None => rest.is_empty().then_some((host, None)),
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Without the dot of the root at its end.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The host of a URL, for the host of `--hub-url`.
pub fn host_of(url: &str) -> Option<HostPattern> {
    let uri: Uri = url.parse().ok()?;
    uri.host().filter(|host| is_name(host)).map(HostPattern::exactly)
}

impl Refusal {
    fn host(host: &str) -> Self {
        let shown: String = host.chars().take(SHOWN).collect();
        let name = host_and_port(&shown).map_or_else(|| "NAME".to_owned(), |(name, _)| name);
        Self {
            status: StatusCode::MISDIRECTED_REQUEST,
            message: format!(
                "this node does not answer to the host `{shown}`, so that pages of other sites cannot ask it"
            ),
            hint: format!(
                "if it is a name of this node, start it with --allow-host {name}, or use its address"
            ),
        }
    }

    fn origin(origin: &HeaderValue) -> Self {
        let shown: String = String::from_utf8_lossy(origin.as_bytes()).chars().take(SHOWN).collect();
        Self {
            status: StatusCode::FORBIDDEN,
            message: format!("a page from `{shown}` may not ask this node"),
            hint: "if the page is yours, start the node with --allow-origin and the page's scheme, host and port".into(),
        }
    }

    fn cross_site() -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            message: "a page of another site may not ask this node (Sec-Fetch-Site: cross-site)".into(),
            hint: "type the address into the browser; if the page is yours, start the node with --allow-origin and the page's \
                   scheme, host and port"
                .into(),
        }
    }
}

#[cfg(test)]
mod tests;
