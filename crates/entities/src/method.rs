//! Which methods the gateway forwards. A route or a rule that asks for any other never matches.

use std::fmt;

use crate::misspelt::did_you_mean;

/// The methods that a refused one may be replaced by, as an `Allow` header lists them. Others of the right form are forwarded, too.
pub const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Why the gateway does not forward a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodProblem {
    /// It is not made of `A` to `Z`, `-` and `_` alone. Some servers fold `put` to `PUT` and execute it, and no rule would see that.
    Malformed,
    /// `CONNECT` and `TRACE`: a server may read no body after them, and take what follows the head for the next request.
    NotForwarded,
}

impl fmt::Display for MethodProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => {
                "the gateway answers a method that has anything except A to Z, `-` and `_` with 400"
            }
            Self::NotForwarded => "the gateway answers CONNECT and TRACE with 405",
        })
    }
}

/// What keeps the gateway from forwarding this method; `None` if nothing does.
pub fn problem(method: &str) -> Option<MethodProblem> {
    let is_allowed = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    if method.is_empty() || !method.bytes().all(is_allowed) {
        return Some(MethodProblem::Malformed);
    }
    matches!(method, "CONNECT" | "TRACE").then_some(MethodProblem::NotForwarded)
}

/// The methods that HTTP's registry at IANA has, and those in wide use beside it.
const KNOWN: [&str; 42] = [
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "DELETE",
    "GET",
    "HEAD",
    "LABEL",
    "LINK",
    "LOCK",
    "M-SEARCH",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "NOTIFY",
    "OPTIONS",
    "ORDERPATCH",
    "PATCH",
    "POST",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "PUT",
    "QUERY",
    "REBIND",
    "REPORT",
    "SEARCH",
    "SUBSCRIBE",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UNSUBSCRIBE",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
];

/// Whether a method, in upper case, is one that services are known to have. Others are forwarded as well, but are more often a slip.
pub fn is_known(method: &str) -> bool {
    KNOWN.contains(&method)
}

/// What is to be said of a method, in upper case, that is probably a slip: it costs every request that was meant, and nothing else would report it.
/// A message and a hint, which ends with `otherwise`: what becomes of requests with another method.
pub fn doubt(method: &str, otherwise: &str) -> Option<(String, String)> {
    if is_known(method) {
        return None;
    }
    let close = did_you_mean(method, KNOWN.into_iter());
    let close = close.map(|close| format!("did you mean `{close}`? ")).unwrap_or_default();
    let hint = format!("{close}correct it, unless the service really has a method of this name: {otherwise}");
    Some((format!("`{method}` is not a method that HTTP's registry has"), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_upper_case_and_need_no_tunnel() {
        for method in ["GET", "PUT", "M-SEARCH", "A_B", "PRI"] {
            assert_eq!(problem(method), None, "{method}");
        }
        for method in ["put", "Put", "", "GET1", "P.UT", "PUT\u{e4}"] {
            assert_eq!(problem(method), Some(MethodProblem::Malformed), "{method}");
        }
        assert!(["GET", "M-SEARCH", "VERSION-CONTROL"].iter().all(|method| is_known(method)));
        let (message, hint) = doubt("PUTT", "no event").unwrap();
        assert_eq!(message, "`PUTT` is not a method that HTTP's registry has");
        assert_eq!(
            hint,
            "did you mean `PUT`? correct it, unless the service really has a method of this name: no event"
        );
        assert_eq!(
            (doubt("PURGE", ""), doubt("FROBNICATE", "x").map(|(_, hint)| hint.starts_with("correct"))),
            (None, Some(true))
        );
        assert!(!["PUTT", "put", "CONNECT", ""].iter().any(|method| is_known(method)));
        for method in ["CONNECT", "TRACE"] {
            assert_eq!(problem(method), Some(MethodProblem::NotForwarded), "{method}");
        }
    }
}
