//! Checks that every hop reads the same request in a head.
//!
//! hyper refuses most of what is ambiguous: lengths that differ or are no number, a last coding that is not `chunked`, folded lines, whitespace
//! before a colon, control characters. It drops a length next to a `Transfer-Encoding`, and closes the connection after the answer. What it
//! accepts but another hop may read differently is refused here, with 400 and the end of the connection.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::header::{HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Uri, Version};

use crate::answer::Refusal;

/// The Host in lower case, with its port if it has one; empty if there is none, which only HTTP/1.0 may do.
///
/// # Errors
/// If another hop may read another request in it.
pub(crate) fn host_of(version: Version, headers: &HeaderMap, uri: &Uri) -> Result<String, Refusal> {
    check_coding(headers)?;
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Cow::Borrowed(host.to_str().map_err(|_| Refusal::BadRequest)?),
        (None, _) if version < Version::HTTP_11 => Cow::Borrowed(""),
        (None, _) | (_, Some(_)) => return Err(Refusal::BadRequest),
    };
    // An authority in the target wins over the Host.
    let host = uri.authority().map_or(host, |authority| Cow::Borrowed(authority.as_str()));
    if host.is_empty() && headers.get(HOST).is_none() {
        return Ok(String::new());
    }
    if is_host(&host) { Ok(host.to_ascii_lowercase()) } else { Err(Refusal::BadRequest) }
}

/// `chunked` and nothing else, once: a body in another coding would be forwarded without its name.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(only), None) if only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => Err(Refusal::BadRequest),
    }
}

/// Whether it is a name or an address, with or without a port: no user, no list, no escape, nothing of a path. So it can be put into a URL.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address.parse::<Ipv6Addr>().is_ok(), port),
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, port) = text.split_at(end);
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte);
            (!name.is_empty() && name.bytes().all(allowed), port)
        }
    };
    let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    name && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_a_port() {
        for host in
            ["a", "api.example.com", "api.example.com:8000", "a_b", "127.0.0.1:80", "[::1]", "[::1]:80"]
        {
            assert!(is_host(host), "{host}");
        }
        let others = [
            "", ":80", "a:", "a:b", "a:123456", "a b", "a,b", "a/b", "u@a", "a%zz", "[]", "[..]", "[1]",
            "[::1", "[::1]80", "a:1:2",
        ];
        for host in others {
            assert!(!is_host(host), "{host}");
        }
    }
}
