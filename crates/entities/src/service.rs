//! Services: the HTTP services behind the gateway. The rules are Kong's.

use std::time::Duration;

use event::Timestamp;
use rustls_pki_types::ServerName;
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use uuid::Uuid;

use crate::field::{self, FieldError, Flaw, Path};
use crate::normalise::is_unreserved;
use crate::{Origin, name};

/// An HTTP service behind the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The protocol by which it is reached.
    #[serde(default)]
    pub protocol: Protocol,
    /// A host name in lower case, or an IP address (version 6 without brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The beginning of the path of every forwarded request; begins with `/`.
    pub path: Option<String>,
    /// The longest time to establish a connection.
    #[serde(with = "crate::millis")]
    pub connect_timeout: Duration,
    /// The longest pause between two pieces of the request.
    #[serde(with = "crate::millis")]
    pub write_timeout: Duration,
    /// The longest pause between two pieces of the answer.
    #[serde(with = "crate::millis")]
    pub read_timeout: Duration,
    /// Kong's; there is one target, so that nothing is retried.
    pub retries: u16,
    /// Over https: `false` believes whoever answers; verified if nothing is said.
    #[serde(default)]
    pub tls_verify: Option<bool>,
    /// Over https: the most certificates between its own and that of a trusted authority; no limit of its own if nothing is said.
    #[serde(default)]
    pub tls_verify_depth: Option<u8>,
    /// Over https: the ids of the authorities that are trusted; the system's if there are none.
    #[serde(default)]
    pub ca_certificates: Vec<Uuid>,
    /// `false`: its routes do not exist for requests.
    pub enabled: bool,
    /// Words by which it can be found.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Service {
    /// Its name, or its id.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// Its address as one URL; the protocol's usual port is left out.
    pub fn url(&self) -> String {
        url(self.protocol, &self.host, self.port, self.path.as_deref())
    }

    /// Everything that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        name::check(self.name.as_deref(), &self.tags, &mut errors);
        if let Some(path) = &self.path {
            field::note(&mut errors, Path::key("path"), self::path(path));
        }
        match self.protocol {
            Protocol::Http => self.check_without_tls(&mut errors),
            Protocol::Https => field::note(&mut errors, Path::key("host"), host_of_certificate(&self.host)),
        }
        errors
    }

    /// Kong's rule: options for TLS are not allowed without TLS.
    fn check_without_tls(&self, errors: &mut Vec<FieldError>) {
        let said = [
            ("tls_verify", self.tls_verify.is_some()),
            ("tls_verify_depth", self.tls_verify_depth.is_some()),
            ("ca_certificates", !self.ca_certificates.is_empty()),
        ];
        for (key, _) in said.iter().filter(|(_, is_said)| *is_said) {
            let hint =
                "it is for services that are reached over https: remove it, or begin the url with https://";
            errors.push(Flaw::invalid("value must be null", hint).at(Path::key(key)));
        }
    }
}

/// The protocol by which a service is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1 without TLS.
    #[default]
    Http,
    /// HTTP/1.1 over TLS.
    Https,
}

impl Protocol {
    /// As Kong writes it, and as a URL's scheme.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The default port.
    pub fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A host for which no certificate can exist could never be reached.
fn host_of_certificate(host: &str) -> Result<(), Flaw> {
    let hint = "over https a host is a name of letters, digits, `-`, `_` and dots, or an IP address";
    match ServerName::try_from(host) {
        Ok(_) => Ok(()),
        Err(_) => Err(Flaw::invalid("no certificate can be for this host", hint)),
    }
}

/// Where a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The protocol by which it is reached.
    pub protocol: Protocol,
    /// A host name in lower case, or an IP address (version 6 without brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The beginning of the path of every forwarded request.
    pub path: Option<String>,
}

impl Address {
    /// As one URL, in its one spelling: that of [`Service::url`].
    pub fn url(&self) -> String {
        url(self.protocol, &self.host, self.port, self.path.as_deref())
    }
}

fn url(protocol: Protocol, host: &str, port: u16, path: Option<&str>) -> String {
    let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
    let port = if port == protocol.port() { String::new() } else { format!(":{port}") };
    format!("{}://{open}{host}{close}{port}{}", protocol.as_str(), path.unwrap_or_default())
}

/// Kong's protocols for services that are not supported yet.
const SCHEMES_NOT_YET: [&str; 6] = ["grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp"];

/// Reads Kong's `url`, which stands for protocol, host, port and path.
///
/// # Errors
/// If it is not one, or its protocol is not supported. The caller must check its path ([`path`]).
pub fn address(url: &str) -> Result<Address, Flaw> {
    let example = "write it like http://localhost:9000/path";
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Flaw::invalid("not a URL: it does not begin with http://", example));
    };
    if SCHEMES_NOT_YET.contains(&scheme) {
        let hint = "services are reached over http and https";
        return Err(Flaw::unsupported(format!("`{scheme}` is not supported yet"), hint));
    }
    let protocol = match scheme {
        "http" => Protocol::Http,
        "https" => Protocol::Https,
        _ => return Err(Flaw::invalid("a service is reached over http or https", example)),
    };
    let (authority, path) = rest.find('/').map_or((rest, None), |at| (&rest[..at], Some(&rest[at..])));
    if authority.is_empty() {
        return Err(Flaw::invalid("missing host in url", example));
    }
    if authority.contains('@') {
        return Err(Flaw::unsupported("a user or password in the url is not supported", "remove it"));
    }
    if url.contains(['?', '#']) {
        return Err(Flaw::invalid("a url of a service has no `?` and no `#`", "end it with the path"));
    }
    let parsed = Url::parse(&format!("{scheme}://{authority}/"));
    let parsed = parsed.map_err(|error| Flaw::invalid(format!("not a URL: {error}"), example))?;
    let host = parsed.host().map(plain_host).ok_or_else(|| Flaw::invalid("missing host in url", example))?;
    let port = parsed.port().unwrap_or(protocol.port());
    Ok(Address { protocol, host, port, path: path.map(str::to_owned) })
}

/// Reads a host name or an IP address, with or without brackets, and gives its one spelling.
///
/// # Errors
/// If it is neither.
pub fn host(text: &str) -> Result<String, Flaw> {
    let bracketed =
        if text.contains(':') && !text.starts_with('[') { format!("[{text}]") } else { text.to_owned() };
    let host = Host::parse(&bracketed).map(plain_host);
    host.map_err(|_| {
        Flaw::invalid("invalid hostname", "a host is a name or an IP address, without port and path")
    })
}

fn plain_host<S: AsRef<str>>(host: Host<S>) -> String {
    match host {
        Host::Domain(name) => name.as_ref().to_ascii_lowercase(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    }
}

/// Kong's rules for the path of a service.
///
/// # Errors
/// If it does not keep them.
pub fn path(path: &str) -> Result<(), Flaw> {
    if !path.starts_with('/') {
        return Err(Flaw::invalid("should start with: /", "put a slash in front"));
    }
    if path.contains("//") {
        return Err(Flaw::invalid("must not have empty segments", "write one slash instead of two"));
    }
    match foreign_character(path) {
        Some(bad) => Err(Flaw::invalid(
            format!("{bad:?} is not allowed in a path"),
            "write it percent-encoded, as %xx",
        )),
        None => Ok(()),
    }
}

/// The first character that RFC 3986 does not allow in a path.
pub(crate) fn foreign_character(path: &str) -> Option<char> {
    let fits = |c: char| c.is_ascii() && is_unreserved(c as u8) || "/%:@!$&'()*+,;=".contains(c);
    path.chars().find(|&c| !fits(c))
}
