//! Sending a request a second time.
//!
//! hyper consumes a request's headers when it writes them. Copying them would cost every request something, although few have to be repeated. So
//! the connection keeps the bytes of the last head, and the request is parsed from them if it is needed.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};

use listener::connection::OddCharacters;

use super::wire::Wire;
use crate::body::request::UpstreamBody;

/// More than any request has: the most that the gateway accepts, and those that it adds.
const MAX_HEADERS: usize = 512;

/// What is kept of a request besides its head. It can be sent again only if its whole body is here.
pub(super) struct Again {
    body: Option<Bytes>,
    is_idempotent: bool,
    odd: Option<Box<OddCharacters>>,
}

impl Again {
    pub fn of(request: &Request<UpstreamBody>) -> Option<Self> {
        let UpstreamBody::Whole(body) = request.body() else { return None };
        let odd = request.extensions().get::<Box<OddCharacters>>().cloned();
        Some(Self { body: body.clone(), is_idempotent: request.method().is_idempotent(), odd })
    }

    /// Whether its method may be repeated.
    pub fn may_be_repeated(&self) -> bool {
        self.body.is_none() && self.is_idempotent
    }

    /// The request that was last given to a connection.
    pub fn request(self, wire: &Wire) -> Option<Request<UpstreamBody>> {
        let mut request = wire.with_head(|head| read(head, self.body))?;
        if let Some(odd) = self.odd {
            request.extensions_mut().insert(odd);
        }
        Some(request)
    }
}

fn read(head: &[u8], body: Option<Bytes>) -> Option<Request<UpstreamBody>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(head).ok()?.is_complete().then_some(())?;
    let mut request = Request::new(UpstreamBody::Whole(body));
    *request.method_mut() = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    *request.uri_mut() = parsed.path?.parse::<Uri>().ok()?;
    for header in &*parsed.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        request.headers_mut().append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_from_its_head() {
        let head =
            b"PUT /a%2Fb?x=1 HTTP/1.1\r\nhost: a\r\nx-two: 1\r\nx-two: \xe9\r\ncontent-length: 2\r\n\r\n";
        let request = read(head, Some(Bytes::from_static(b"{}"))).unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("PUT", "/a%2Fb?x=1"));
        let headers: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(
            headers,
            [
                ("host", b"a".as_slice()),
                ("x-two", b"1".as_slice()),
                ("x-two", b"\xe9".as_slice()),
                ("content-length", b"2".as_slice()),
            ]
        );
        assert!(read(&head[..20], None).is_none(), "half a head is none");
    }
}
