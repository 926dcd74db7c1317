//! Services: what the gateway stands in front of. The rules are Kong's.

use std::time::Duration;

use event::Timestamp;
use serde::{Deserialize, Serialize};
use url::{Host, Url};
use uuid::Uuid;

use crate::field::{self, FieldError, Flaw, Path};
use crate::normalise::is_unreserved;
use crate::{Origin, name};

/// What the gateway stands in front of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its id.
    pub id: Uuid,
    /// Who owns it.
    pub origin: Origin,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// A host name in lower case, or an IP address (version 6 without brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Put in front of what is forwarded; begins with `/`.
    pub path: Option<String>,
    /// To establish a connection.
    #[serde(with = "crate::millis")]
    pub connect_timeout: Duration,
    /// Between two pieces of the request.
    #[serde(with = "crate::millis")]
    pub write_timeout: Duration,
    /// Between two pieces of the answer.
    #[serde(with = "crate::millis")]
    pub read_timeout: Duration,
    /// Kong's; there is one target, so that nothing is retried.
    pub retries: u16,
    /// `false`: its routes do not exist for requests.
    pub enabled: bool,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Service {
    /// Its name, or its id.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.id.to_string())
    }

    /// Its address as one URL; a port of 80 is left out.
    pub fn url(&self) -> String {
        let brackets = self.host.contains(':');
        let (open, close) = if brackets { ("[", "]") } else { ("", "") };
        let port = if self.port == 80 { String::new() } else { format!(":{}", self.port) };
        let path = self.path.as_deref().unwrap_or_default();
        format!("http://{open}{}{close}{port}{path}", self.host)
    }

    /// All that is wrong with its fields.
    pub fn check(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        name::check(self.name.as_deref(), &self.tags, &mut errors);
        if let Some(path) = &self.path {
            field::note(&mut errors, Path::key("path"), self::path(path));
        }
        errors
    }
}

/// Where a service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// A host name in lower case, or an IP address (version 6 without brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Put in front of what is forwarded.
    pub path: Option<String>,
}

/// Protocols of Kong's that we do not speak to a service yet.
const SCHEMES_NOT_YET: [&str; 7] = ["https", "grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp"];

/// Reads Kong's `url`, which stands for host, port and path.
///
/// # Errors
/// If it is none, or one of a protocol that is not spoken. Its path is the caller's to check ([`path`]).
pub fn address(url: &str) -> Result<Address, Flaw> {
    let example = "write it like http://localhost:9000/path";
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Flaw::invalid("not a URL: it does not begin with http://", example));
    };
    if SCHEMES_NOT_YET.contains(&scheme) {
        let hint =
            "services are reached over plain http for now; put a TLS client such as stunnel in between";
        return Err(Flaw::unsupported(format!("`{scheme}` is not supported yet"), hint));
    }
    if scheme != "http" {
        return Err(Flaw::invalid("a service is reached over http", example));
    }
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
    let parsed = Url::parse(&format!("http://{authority}/"));
    let parsed = parsed.map_err(|error| Flaw::invalid(format!("not a URL: {error}"), example))?;
    let host = parsed.host().map(plain_host).ok_or_else(|| Flaw::invalid("missing host in url", example))?;
    Ok(Address { host, port: parsed.port().unwrap_or(80), path: path.map(str::to_owned) })
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
        return Err(Flaw::invalid("must not have empty segments", "write one slash in the place of two"));
    }
    match foreign_character(path) {
        Some(bad) => {
            Err(Flaw::invalid(format!("{bad:?} cannot stand in a path"), "write it percent-encoded, as %xx"))
        }
        None => Ok(()),
    }
}

/// The first character that RFC 3986 does not let stand in a path.
pub(crate) fn foreign_character(path: &str) -> Option<char> {
    let fits = |c: char| c.is_ascii() && is_unreserved(c as u8) || "/%:@!$&'()*+,;=".contains(c);
    path.chars().find(|&c| !fits(c))
}
