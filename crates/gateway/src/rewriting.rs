//! Answers in the client's terms: what a service says of itself in references and cookies, said as the client has to ask for it.
//!
//! A service behind a prefix knows its own scheme, authority and path; its clients know the gateway's, and the part of the path that the gateway
//! removed. A route may ask for references (`rewrite_location`), for cookies (`rewrite_cookies`), or for both. What is not the service's own
//! stays as it is, and so does what is in the client's terms already: a service may heed `X-Forwarded-Prefix`.
//!
//! What comes of it never leads to another host than the client's: a reference that could be read so stays as the service wrote it.

use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::path::has_dot_segment;
use crate::references::{Absolute, Referring};

/// What of an answer is rewritten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrites {
    /// `Location`, `Content-Location`, `Link` and `Refresh`.
    pub location: bool,
    /// Path and domain of `Set-Cookie`.
    pub cookies: bool,
}

/// How one request was asked for.
#[derive(Clone, Debug)]
pub struct Rewriting {
    /// What is rewritten.
    pub rewrites: Rewrites,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Its host, with `:port` if it wrote one.
    pub authority: String,
    /// What `strip_path` removed of its path; empty if that is nothing.
    pub prefix: String,
    /// The Host that the service got, if that was the client's and not the service's own.
    pub kept_host: Option<String>,
}

/// How the service that answered knows itself.
#[derive(Clone, Copy, Debug)]
pub struct Own<'s> {
    /// `http` or `https`.
    pub scheme: &'s str,
    /// Host and port, as the gateway dials them.
    pub address: &'s str,
    /// The Host that it got.
    pub host: &'s str,
    /// The path of its URL.
    pub path: &'s str,
}

impl Own<'_> {
    fn authority_is(&self, authority: &[u8]) -> bool {
        let usual = if self.scheme == "https" { ":443" } else { ":80" };
        let bare = self.address.strip_suffix(usual).unwrap_or(self.address);
        [self.address, bare, self.host].iter().any(|own| authority.eq_ignore_ascii_case(own.as_bytes()))
    }

    fn host_is(&self, host: &[u8]) -> bool {
        [self.address, self.host].iter().any(|own| host.eq_ignore_ascii_case(without_port(own).as_bytes()))
    }

    /// Its path without a slash at the end.
    fn base(&self) -> &str {
        self.path.strip_suffix('/').unwrap_or(self.path)
    }
}

impl Rewriting {
    /// Rewrites the headers of an answer.
    #[inline(never)]
    pub fn answer(&self, headers: &mut HeaderMap, own: Own<'_>) {
        for (name, value) in headers.iter_mut() {
            let rewritten = match Referring::of(name) {
                Some(header) if self.rewrites.location => self.references(header, value.as_bytes(), own),
                None if self.rewrites.cookies && name == SET_COOKIE => self.cookie(value.as_bytes(), own),
                Some(_) | None => None,
            };
            if let Some(rewritten) = rewritten.and_then(|bytes| HeaderValue::from_bytes(&bytes).ok()) {
                *value = rewritten;
            }
        }
    }

    /// A value of this header with its references rewritten; `None` if it stays.
    pub fn references(&self, header: Referring, value: &[u8], own: Own<'_>) -> Option<Vec<u8>> {
        let mut rewritten = Vec::new();
        let mut done = 0;
        for range in header.references(value) {
            if let Some(reference) = self.reference(&value[range.clone()], own) {
                rewritten.extend_from_slice(&value[done..range.start]);
                rewritten.extend_from_slice(&reference);
                done = range.end;
            }
        }
        rewritten.extend_from_slice(&value[done..]);
        (done > 0).then_some(rewritten)
    }

    /// A reference in the client's terms; `None` if it stays.
    fn reference(&self, reference: &[u8], own: Own<'_>) -> Option<Vec<u8>> {
        // Browsers leave some control characters out, and what comes of it could lead elsewhere.
        if reference.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return None;
        }
        let rewritten = match Absolute::of(reference) {
            Some(absolute) => self.absolute(absolute, own)?,
            None if reference.starts_with(b"/") && !leads_to_a_host(reference) => {
                let path = self.path(reference, own)?;
                if leads_to_a_host(&path) {
                    return None;
                }
                path
            }
            None => return None,
        };
        (rewritten != reference).then_some(rewritten)
    }

    fn absolute(&self, Absolute { scheme, authority, rest }: Absolute<'_>, own: Own<'_>) -> Option<Vec<u8>> {
        let is_own = |scheme: &[u8]| {
            [own.scheme, self.scheme].iter().any(|own| scheme.eq_ignore_ascii_case(own.as_bytes()))
        };
        if !own.authority_is(authority) || !scheme.is_none_or(is_own) || rest.starts_with(b"\\") {
            return None;
        }
        let path = self.path(rest, own)?;
        let scheme = if scheme.is_some() { [self.scheme, ":"].concat() } else { String::new() };
        Some([scheme.as_bytes(), b"//", self.authority.as_bytes(), &path].concat())
    }

    /// A path of the service, with query and fragment, as the client asks for it; `None` if this route does not lead to it.
    fn path(&self, path: &[u8], own: Own<'_>) -> Option<Vec<u8>> {
        let end = path.iter().position(|byte| b"?#".contains(byte)).unwrap_or(path.len());
        if has_dot_segment(&String::from_utf8_lossy(&path[..end])) {
            return None;
        }
        let (prefix, base) = (self.prefix(), own.base());
        let is_under = |prefix: &str| {
            path[..end].strip_prefix(prefix.as_bytes()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        if prefix.len() > base.len() && is_under(prefix) {
            return Some(path.to_vec());
        }
        // Without a slash it would be the path that was asked.
        let slash = if prefix.is_empty() && end == base.len() { "/" } else { "" };
        is_under(base).then(|| [prefix.as_bytes(), slash.as_bytes(), &path[base.len()..]].concat())
    }

    /// What was removed, without a slash at the end.
    fn prefix(&self) -> &str {
        self.prefix.strip_suffix('/').unwrap_or(&self.prefix)
    }

    /// A `Set-Cookie` (RFC 6265, 4.1) whose path is the client's, and whose domain, where it was the service's own host, is left out: it is then
    /// for the host that was asked. `None` if it stays.
    pub fn cookie(&self, value: &[u8], own: Own<'_>) -> Option<Vec<u8>> {
        const FOR_THE_WHOLE_HOST: &[u8] = b"__host-";
        let mut parts = value.split(|byte| *byte == b';');
        let pair = parts.next()?;
        let name = pair.trim_ascii_start();
        let start = name.get(..FOR_THE_WHOLE_HOST.len()).unwrap_or_default();
        if start.eq_ignore_ascii_case(FOR_THE_WHOLE_HOST) || self.prefix.contains(';') {
            return None;
        }
        let mut rewritten = pair.to_vec();
        let mut is_changed = false;
        for part in parts {
            let changed = self.attribute(part, own);
            is_changed |= changed.is_some();
            match changed {
                Some(Attribute::Path(path)) => rewritten.extend([b"; Path=", &*path].concat()),
                Some(Attribute::LeftOut) => {}
                None => rewritten.extend([b";", part].concat()),
            }
        }
        is_changed.then_some(rewritten)
    }

    fn attribute(&self, part: &[u8], own: Own<'_>) -> Option<Attribute> {
        let equals = part.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (part[..equals].trim_ascii(), part[equals + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"domain") {
            let host = value.strip_prefix(b".").unwrap_or(value);
            let is_the_clients = host.eq_ignore_ascii_case(without_port(&self.authority).as_bytes());
            return (own.host_is(host) && !is_the_clients).then_some(Attribute::LeftOut);
        }
        if !name.eq_ignore_ascii_case(b"path") || !value.starts_with(b"/") {
            return None;
        }
        // A path without a slash at its end is that of the resource itself, too.
        let is_all_of_it = value.strip_suffix(b"/").unwrap_or(value) == own.base().as_bytes();
        let path = match self.prefix() {
            "" if is_all_of_it => b"/".to_vec(),
            prefix if is_all_of_it => prefix.as_bytes().to_vec(),
            _ => self.path(value, own)?,
        };
        (path != value).then_some(Attribute::Path(path))
    }
}

/// What becomes of an attribute of a cookie.
enum Attribute {
    Path(Vec<u8>),
    LeftOut,
}

/// An authority without its port; an IPv6 literal keeps its brackets.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => authority,
    }
}

/// Whether a reference without a scheme names a host, to a browser at least: it takes a backslash for a slash.
fn leads_to_a_host(reference: &[u8]) -> bool {
    reference.first() == Some(&b'/') && reference.get(1).is_some_and(|byte| b"/\\".contains(byte))
}

#[cfg(test)]
mod tests;
