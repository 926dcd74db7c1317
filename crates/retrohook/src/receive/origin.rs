//! What may be fetched because a message names it.
//!
//! A message says itself where its certificate is and which link confirms it, and anyone who reaches the port can send one. So this is all that is
//! fetched: over plain http, from this machine or from the hub that the operator named, one of the two things that a hub serves, with GET, no
//! redirect followed, for a few seconds and up to a size. From elsewhere nothing is, and the output says so.

use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;

/// What a URL asks of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A signing certificate.
    Certificate,
    /// The confirmation of a subscription.
    Confirmation,
}

/// Checks that a URL is one of a hub that may be asked. `hub` is the one that the operator named.
///
/// # Errors
/// Why it is not fetched.
pub fn check(url: &str, wanted: Wanted, hub: Option<&Authority>) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|_| "its URL cannot be read".to_owned())?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("it is not at an http:// address, and nothing else is fetched here".to_owned());
    };
    let is_hub = hub == Some(authority);
    if authority.as_str().contains('@') || !(is_hub || is_here(authority.host())) {
        return Err(format!(
            "{} is neither on this machine nor the one of --hub-url, so it is not asked",
            authority.host()
        ));
    }
    if !is_of_a_hub(&uri, wanted) {
        return Err("a hub has no such address".to_owned());
    }
    Ok(uri)
}

fn is_of_a_hub(uri: &Uri, wanted: Wanted) -> bool {
    // A `--hub-url` may have a path before it.
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    match wanted {
        Wanted::Certificate => last
            .strip_prefix("SimpleNotificationService-")
            .and_then(|rest| rest.strip_suffix(".pem"))
            .is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())),
        Wanted::Confirmation => {
            let query = uri.query().unwrap_or_default();
            last.is_empty() && query.starts_with("Action=ConfirmSubscription&")
        }
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
    const LINK: &str = "/?Action=ConfirmSubscription&TopicArn=a&Token=b";

    #[test]
    fn only_a_hub_on_this_machine_or_the_named_one_is_asked() {
        let hub: Authority = "gateway:4566".parse().unwrap();
        let certificate = |host: &str| check(&format!("http://{host}{PEM}"), Wanted::Certificate, Some(&hub));
        for host in ["127.0.0.1:4566", "localhost:4566", "[::1]:1", "127.9.9.9", "gateway:4566"] {
            assert!(certificate(host).is_ok(), "{host}");
        }
        for host in [
            "169.254.169.254",
            "10.0.0.1:4566",
            "gateway:4567",
            "gateway",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.0.0.1@example.com",
            "user@127.0.0.1",
            "[::ffff:169.254.169.254]",
            "0.0.0.0:4566",
        ] {
            assert!(certificate(host).is_err(), "{host}");
        }
        assert!(check(&format!("http://127.0.0.1{LINK}"), Wanted::Confirmation, None).is_ok());
        for (url, wanted) in [
            (format!("https://127.0.0.1{PEM}"), Wanted::Certificate),
            ("http://127.0.0.1/secrets".to_owned(), Wanted::Certificate),
            (format!("http://127.0.0.1{LINK}"), Wanted::Certificate),
            (format!("http://127.0.0.1{PEM}"), Wanted::Confirmation),
            ("http://127.0.0.1:8001/?Action=Other".to_owned(), Wanted::Confirmation),
            ("http://127.0.0.1:8001/shutdown?Action=ConfirmSubscription&x".to_owned(), Wanted::Confirmation),
            ("not a URL".to_owned(), Wanted::Confirmation),
        ] {
            assert!(check(&url, wanted, None).is_err(), "{url}");
        }
    }
}
