//! The server name that is asked for in TLS.

use dialing::tls::Trouble;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use rustls_pki_types::ServerName;

use crate::service::Service;

/// The server name that is asked for in TLS if it is not the destination's own: that of the request, with `preserve_host`. As in Kong, a
/// connection is then for one host. A client can thereby choose the certificate of the connection for its own requests only: requests for other
/// hosts do not use that connection.
pub(super) type Name = Option<ServerName<'static>>;

/// The name for a request with these headers.
pub(super) fn name_of(service: &Service, headers: &HeaderMap) -> Result<Name, Trouble> {
    if service.destination.tls.is_none() {
        return Ok(None);
    }
    match headers.get(HOST) {
        Some(host) if host != service.host_header => name_of_client(host),
        _ => Ok(None),
    }
}

fn name_of_client(host: &HeaderValue) -> Result<Name, Trouble> {
    let authority = Authority::try_from(host.as_bytes()).ok();
    let name =
        authority.as_ref().map(|authority| authority.host().trim_start_matches('[').trim_end_matches(']'));
    match name.map(|name| ServerName::try_from(name.to_owned())) {
        Some(Ok(name)) => Ok(Some(name)),
        _ => Err(Trouble::no_name(&String::from_utf8_lossy(host.as_bytes()))),
    }
}
