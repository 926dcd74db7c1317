//! The headers that are not the client's to say: the one list of them, by which the gateway takes them out of every request, and by which
//! a plug-in refuses to be configured to go by one of them.
//!
//! A plug-in sees a request's headers after that. `Host` and `Content-Length` it does see, but they say where the message goes and where it
//! ends, and the service gets the gateway's: they can carry nothing else.

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

/// What begins the names of headers that say who the client is: only plug-ins may say that.
const IDENTITY: [&str; 4] = ["x-consumer-", "x-credential-", "x-authenticated-", "x-anonymous-"];

/// What begins the names, in hyphens, that a client may not send with underscores: a CGI server reads both spellings as one name. The last
/// two begin those that say which method a `POST` stands for, which rules read with hyphens alone.
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

/// Whether a client may say this of itself. What it may not is taken out of its request before any plug-in sees it.
pub fn is_the_clients(name: &HeaderName) -> bool {
    let text = name.as_str();
    if text.contains('_') {
        let hyphens = text.replace('_', "-");
        let taken = IDENTITY.iter().chain(&NEVER_WITH_UNDERSCORES);
        return !taken.into_iter().any(|begin| hyphens.starts_with(begin));
    }
    if !text.starts_with("x-") {
        // hyper has answered an expectation before it read the body.
        return !matches!(text, "via" | "proxy" | "expect");
    }
    !WRITTEN.contains(&text) && !IDENTITY.iter().any(|begin| text.starts_with(begin))
}

/// Whether it concerns one connection only, whatever `Connection` says.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    )
}

/// Whether a plug-in can be configured to go by this header: a client can send it, and it says nothing about the message itself.
pub fn can_be_configured(name: &HeaderName) -> bool {
    is_the_clients(name) && !is_hop_by_hop(name) && !matches!(name.as_str(), "host" | "content-length")
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
