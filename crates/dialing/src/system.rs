//! The operating system's resolver, `getaddrinfo`: whatever `/etc/hosts` and `nsswitch.conf` say goes.

use std::net::IpAddr;

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};

use crate::names::{Source, Unresolved};

/// Asks `getaddrinfo`.
pub(crate) struct System;

impl Source for System {
    fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
        let found = getaddrinfo(Some(name), None, Some(hints)).map_err(unresolved)?;
        Ok(found.filter_map(Result::ok).map(|found| found.sockaddr.ip()).collect())
    }
}

fn unresolved(error: LookupError) -> Unresolved {
    match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Unresolved::NoSuchName,
        _ => Unresolved::Failed(std::io::Error::from(error).to_string()),
    }
}
