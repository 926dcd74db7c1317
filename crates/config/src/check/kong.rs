//! The names of Kong's own plug-ins: one that is known and not there is something else than one that is misspelt.

use crate::schema::did_you_mean;

/// The plug-ins of Kong 3.9 and the best known ones that are sold with it, in order.
const PLUGINS: [&str; 51] = [
    "acl",
    "acme",
    "ai-prompt-decorator",
    "ai-prompt-guard",
    "ai-prompt-template",
    "ai-proxy",
    "ai-request-transformer",
    "ai-response-transformer",
    "aws-lambda",
    "azure-functions",
    "basic-auth",
    "bot-detection",
    "correlation-id",
    "cors",
    "datadog",
    "file-log",
    "forward-proxy",
    "grpc-gateway",
    "grpc-web",
    "hmac-auth",
    "http-log",
    "ip-restriction",
    "jwt",
    "kafka-log",
    "key-auth",
    "ldap-auth",
    "loggly",
    "mtls-auth",
    "oauth2",
    "openid-connect",
    "opentelemetry",
    "post-function",
    "pre-function",
    "prometheus",
    "proxy-cache",
    "rate-limiting",
    "rate-limiting-advanced",
    "redirect",
    "request-size-limiting",
    "request-termination",
    "request-transformer",
    "request-validator",
    "response-ratelimiting",
    "response-transformer",
    "session",
    "standard-webhooks",
    "statsd",
    "syslog",
    "tcp-log",
    "udp-log",
    "zipkin",
];

/// Kong's plug-in of this name.
pub(super) fn is_plugin(name: &str) -> bool {
    PLUGINS.binary_search(&name).is_ok()
}

/// Kong's plug-in that was probably meant by a name.
pub(super) fn near(name: &str) -> Option<&'static str> {
    did_you_mean(name, PLUGINS.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_can_be_searched() {
        assert!(PLUGINS.is_sorted());
        assert!(PLUGINS.iter().all(|name| is_plugin(name)));
        assert_eq!((is_plugin("key-auht"), near("key-auht")), (false, Some("key-auth")));
        assert_eq!(near("publish-things"), None);
    }
}
