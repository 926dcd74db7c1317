//! A byte for the header, lines for the client's host, the prefix that was removed and the path of the service, and the value of the header.
//!
//! Whatever a service writes, what its references and cookies are rewritten to is a valid header, a reference that is changed leads to the client's
//! own host and below the prefix for a browser too (as WHATWG's URL reads it), and each is found again where it was.

use gateway::references::{Absolute, Referring};
use gateway::rewriting::{Own, Rewrites, Rewriting};
use http::HeaderValue;
use url::Url;

use crate::input::Input;

/// Panics when a promise is broken.
pub fn target(data: &[u8]) {
    let mut input = Input::new(data);
    let header = Referring::ALL[usize::from(input.byte()) % Referring::ALL.len()];
    let (prefix, path) = (path(input.line()), path(input.line()));
    let value = input.rest();
    if HeaderValue::from_bytes(value).is_err() {
        return;
    }
    let rewriting = Rewriting {
        rewrites: Rewrites { location: true, cookies: true },
        scheme: "https",
        authority: "client.test:8443".into(),
        prefix: if prefix == "/" { String::new() } else { prefix },
        kept_host: None,
    };
    let own = Own { scheme: "http", address: "own.test:80", host: "own.test", path: &path };
    if let Some(rewritten) = rewriting.cookie(value, own) {
        assert!(HeaderValue::from_bytes(&rewritten).is_ok());
    }
    let before: Vec<_> = header.references(value).map(|range| &value[range]).collect();
    for reference in &before {
        let Some(absolute) = Absolute::of(reference) else { continue };
        assert!(!absolute.authority.iter().any(|byte| b"/?#\\@".contains(byte)));
    }
    let Some(rewritten) = rewriting.references(header, value, own) else { return };
    assert!(HeaderValue::from_bytes(&rewritten).is_ok());
    let after: Vec<_> = header.references(&rewritten).map(|range| &rewritten[range]).collect();
    assert_eq!(before.len(), after.len(), "{}", rewritten.escape_ascii());
    for (_, reference) in before.iter().zip(&after).filter(|(before, after)| before != after) {
        leads_to_the_client(reference, &rewriting.prefix);
    }
}

fn leads_to_the_client(reference: &[u8], prefix: &str) {
    let Ok(text) = std::str::from_utf8(reference) else { return };
    let base = Url::parse("https://client.test:8443/asked").expect("a URL");
    let Ok(url) = base.join(text) else { return };
    assert_eq!(
        (url.scheme(), url.host_str(), url.port()),
        ("https", Some("client.test"), Some(8443)),
        "{text}"
    );
    let below = url.path().strip_prefix(prefix.trim_end_matches('/'));
    assert!(below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{text} below {prefix}");
}

/// A path as routes and services have them: a slash, and characters that a URL keeps.
fn path(line: String) -> String {
    let kept = line.chars().filter(|one| one.is_ascii_alphanumeric() || "/-_~".contains(*one));
    let mut path = String::from("/");
    for one in kept {
        if !(one == '/' && path.ends_with('/')) {
            path.push(one);
        }
    }
    path
}
