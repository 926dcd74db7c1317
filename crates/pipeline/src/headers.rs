//! The headers that a client may not set, in one list: the gateway removes them from every request, and plug-ins that are configured with the
//! name of a header refuse these names.
//!
//! A plug-in sees a request's headers after that. It does see `Host` and `Content-Length`, but these say where the message goes and where it
//! ends, and the service gets the gateway's own: they can carry nothing else.

use http::header::HeaderName;

/// What the gateway writes into each request, whatever a client sent. All begin with `x-`; `via` is the only other one.
const WRITTEN: [&str; 9] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-path",
    "x-forwarded-prefix",
    "x-real-ip",
    "x-kong-request-id",
    "x-retrohook-hops",
];

/// How the names of headers begin that say who the client is: only plug-ins may set them.
const IDENTITY: [&str; 4] = ["x-consumer-", "x-credential-", "x-authenticated-", "x-anonymous-"];

/// How the names begin, written with hyphens, that a client may not send with underscores: a CGI server takes both spellings for one name. The
/// last two are of headers that say which method a `POST` stands for, and rules read these only with hyphens.
const NEVER_WITH_UNDERSCORES: [&str; 8] = [
    "x-forwarded-",
    "x-real-ip",
    "x-kong-",
    "x-retrohook-",
    "content-length",
    "transfer-encoding",
    "x-http-method",
    "x-method-override",
];

/// Whether a client may send this header. The others are removed from its request before any plug-in sees it.
pub fn is_the_clients(name: &HeaderName) -> bool {
    let text = name.as_str();
    if text.contains('_') {
        let hyphens = text.replace('_', "-");
        let taken = IDENTITY.iter().chain(&NEVER_WITH_UNDERSCORES);
        return !taken.into_iter().any(|begin| hyphens.starts_with(begin));
    }
    if !text.starts_with("x-") {
        // hyper itself has answered `Expect` when the body is read.
        return !matches!(text, "via" | "proxy" | "expect");
    }
    !WRITTEN.contains(&text) && !IDENTITY.iter().any(|begin| text.starts_with(begin))
}

/// Whether it concerns one connection only, whatever `Connection` says.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade"
    )
}

/// Whether a plug-in can be configured to read this header: a client can send it, and it does not frame or address the message itself.
pub fn can_be_configured(name: &HeaderName) -> bool {
    is_the_clients(name)
        && !is_hop_by_hop(name)
        && !matches!(name.as_str(), "host" | "content-length" | "trailer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_removes_or_writes_cannot_be_configured() {
        for name in [
            "X-Forwarded-For",
            "x-real-ip",
            "via",
            "host",
            "content-length",
            "connection",
            "keep-alive",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "proxy",
            "proxy-connection",
            "expect",
            "x-consumer-id",
            "x_consumer_id",
            "x-credential-identifier",
            "x-authenticated-groups",
            "x-anonymous-consumer",
            "x-kong-request-id",
            "x-retrohook-hops",
        ] {
            assert!(!can_be_configured(&name.parse().unwrap()), "{name}");
        }
        for name in
            ["apikey", "authorization", "x-api-key", "x-tenant", "x_tenant", "user-agent", "x-kong-debug"]
        {
            assert!(can_be_configured(&name.parse().unwrap()), "{name}");
        }
    }
}
