//! The answers that the gateway makes itself, in Kong's words and forms.

use bytes::Bytes;
use event::EventId;
use http::header::{ACCEPT, ALLOW, CONNECTION, HeaderMap, HeaderValue, RETRY_AFTER, UPGRADE};
use http::{Extensions, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use pipeline::answer;

use crate::upstream::failure::{Lost, Unsent};

/// Why the gateway answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request cannot be understood.
    BadRequest,
    /// The method is one that is never forwarded.
    MethodNotAllowed,
    /// Services read the path in different ways.
    AmbiguousPath,
    /// The request has passed through this node too often.
    Looping,
    /// No route matches.
    NoRoute,
    /// The route takes only https, and this came without.
    HttpsOnly,
    /// The route has no service.
    NoService,
    /// The service's upstream has no target.
    NoTarget,
    /// The service's name does not resolve.
    NameResolution,
    /// No connection, or no valid answer.
    BadGateway,
    /// No answer in time.
    GatewayTimeout,
    /// The client's body did not come in time.
    RequestTimeout,
    /// A plug-in needs the body, and there is no room to read it now.
    NoRoom,
    /// A plug-in broke a rule of its role.
    Unexpected,
    /// The request matches a rule, and its intent could not be made durable.
    StoreUnavailable,
    /// The request matches a rule, and too many exchanges are open.
    TooManyExchanges,
}

/// `Retry-After`, in seconds, of a request that was refused because there was no room or because the store could not write.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// The answer to a request of which nothing was sent.
impl From<Unsent> for Refusal {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::NameResolution => Self::NameResolution,
            Unsent::Connect | Unsent::Closed => Self::BadGateway,
            Unsent::ConnectTimeout => Self::GatewayTimeout,
            Unsent::Body(lost) => lost.into(),
        }
    }
}

/// The answer to a request that was sent, in part or whole, and not answered.
impl From<Lost> for Refusal {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::BodyBroken => Self::BadRequest,
            Lost::BodyStalled => Self::RequestTimeout,
            Lost::Reset | Lost::Invalid | Lost::TooLarge | Lost::Switched => Self::BadGateway,
        }
    }
}

impl Refusal {
    /// All of them, in their order.
    pub const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::MethodNotAllowed,
        Self::AmbiguousPath,
        Self::Looping,
        Self::NoRoute,
        Self::HttpsOnly,
        Self::NoService,
        Self::NoTarget,
        Self::NameResolution,
        Self::BadGateway,
        Self::GatewayTimeout,
        Self::RequestTimeout,
        Self::NoRoom,
        Self::Unexpected,
        Self::StoreUnavailable,
        Self::TooManyExchanges,
    ];

    /// The word for it in metrics.
    pub fn cause(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::AmbiguousPath => "ambiguous_path",
            Self::Looping => "looping",
            Self::NoRoute => "no_route",
            Self::HttpsOnly => "https_only",
            Self::NoService => "no_service",
            Self::NoTarget => "no_target",
            Self::NameResolution => "name_resolution",
            Self::BadGateway => "bad_gateway",
            Self::GatewayTimeout => "gateway_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::NoRoom => "no_room",
            Self::Unexpected => "unexpected",
            Self::StoreUnavailable => "store_unavailable",
            Self::TooManyExchanges => "too_many_exchanges",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::AmbiguousPath => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Looping => StatusCode::LOOP_DETECTED,
            Self::HttpsOnly => StatusCode::UPGRADE_REQUIRED,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::NoService
            | Self::NoTarget
            | Self::NameResolution
            | Self::NoRoom
            | Self::StoreUnavailable
            | Self::TooManyExchanges => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unexpected => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad request",
            Self::MethodNotAllowed => "Method not allowed",
            Self::AmbiguousPath => "The path can be read in more than one way",
            Self::Looping => {
                "The request has passed through this gateway too often: a Service leads back to it"
            }
            Self::NoRoute => "no Route matched with those values",
            Self::HttpsOnly => "Please use HTTPS protocol",
            Self::NoService => "no Service found with those values",
            Self::NoTarget => "failure to get a peer from the ring-balancer",
            Self::NameResolution => "name resolution failed",
            Self::BadGateway => "An invalid response was received from the upstream server",
            Self::GatewayTimeout => "The upstream server is timing out",
            Self::RequestTimeout => "Request timeout",
            Self::NoRoom => "Too many request bodies are being read; nothing was sent to the upstream server",
            Self::Unexpected => "An unexpected error occurred",
            Self::StoreUnavailable => {
                "The event of this request cannot be stored; nothing was sent to the upstream server"
            }
            Self::TooManyExchanges => "Too many exchanges are open; nothing was sent to the upstream server",
        }
    }

    /// The answer, in the form that the client's `Accept` prefers. Latencies and id headers are added where the answer is sent.
    pub fn answer(self, id: EventId, accept: Option<&HeaderValue>) -> Response<Bytes> {
        let mut response = answer::error(self.status(), self.message(), id, accept);
        if matches!(self, Self::NoRoom | Self::StoreUnavailable | Self::TooManyExchanges) {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        }
        if self == Self::HttpsOnly {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            response.headers_mut().insert(UPGRADE, HeaderValue::from_static("TLS/1.2, HTTP/1.1"));
        }
        if self == Self::MethodNotAllowed {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(entities::method::ALLOWED));
        }
        if matches!(self, Self::BadRequest | Self::MethodNotAllowed | Self::RequestTimeout) {
            // It is not certain where the next request on this connection would begin.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The size of status line and headers as they are sent to the client, in bytes, with the `Date` that the server adds where there is none.
pub fn head_size(status: StatusCode, headers: &HeaderMap, extensions: &Extensions) -> u64 {
    const DATE: usize = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\n".len();
    let usual = status.canonical_reason().unwrap_or("<none>").len();
    let reason = extensions.get::<ReasonPhrase>().map_or(usual, |reason| reason.as_bytes().len());
    let line = "HTTP/1.1 200 \r\n".len() + reason;
    let date = if headers.contains_key(http::header::DATE) { 0 } else { DATE };
    let headers: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    (line + headers + date + "\r\n".len()) as u64
}

/// The `Accept` header, kept from a request whose headers move on.
pub fn accept_of(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ACCEPT).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Timestamp;
    use http::header::CONTENT_TYPE;

    #[test]
    fn each_refusal_is_counted_at_its_own_place() {
        for (place, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, place, "{refusal:?}");
        }
    }

    #[test]
    fn the_json_is_kongs_to_the_byte() {
        let id = EventId::v7(Timestamp::from_millis(0), [0; 10]);
        let answer = Refusal::NoRoute.answer(id, None);
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json; charset=utf-8");
        assert_eq!(
            answer.body(),
            "{\n  \"message\":\"no Route matched with those values\",\n  \
             \"request_id\":\"00000000000070008000000000000000\"\n}"
        );
    }
}
