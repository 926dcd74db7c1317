//! The spelling of a request in which a rule matches.
//!
//! A rule is compared with the path in every reading that a service may have of it ([`pipeline::reading`]): first those by which the gateway
//! routed (at last those of the client's own spelling, if the service gets that), then looser and looser ones. A match too many costs an intent, and makes an event only if the service answers with success; a match
//! too few loses an event. Key and groups come from the first reading that matches, so that two spellings of one path have one key.

use std::borrow::Cow;
use std::iter::once;

use http::{HeaderMap, Method};
use pipeline::reading::{self, Loosening, loosenings};
use pipeline::{Forward, Reading};

use super::config::MatchOn;
use super::matcher::Matcher;

/// A spelling of a request in which a rule matches.
pub(super) struct Spelling<'a> {
    /// The method's index in the matcher.
    pub method: usize,
    /// The text that the matcher was compared with.
    pub text: Cow<'a, str>,
    /// The service path in this spelling.
    pub service_path: Cow<'a, str>,
}

/// Headers that make many services execute a `POST` as if it had another method.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// The argument of a query that does the same, however it is escaped.
const OVERRIDE_ARGUMENT: &str = "_method";

/// The first spelling in which one of the entries matches.
pub(super) fn find<'a>(matcher: &Matcher, match_on: MatchOn, forward: &Forward<'a>) -> Option<Spelling<'a>> {
    let asked = matcher.index_of(forward.method).and_then(|index| find_at(index, matcher, match_on, forward));
    if asked.is_some() || forward.method != Method::POST {
        return asked;
    }
    let methods = overrides(forward.headers, forward.uri);
    methods
        .filter_map(|method| matcher.index_of(&method))
        .find_map(|index| find_at(index, matcher, match_on, forward))
}

/// The other methods as which a service may execute this `POST`.
fn overrides<'a>(headers: &'a HeaderMap, uri: &'a str) -> impl Iterator<Item = Method> + 'a {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let arguments = url::form_urlencoded::parse(query.as_bytes());
    let arguments = arguments.filter(|(name, _)| name == OVERRIDE_ARGUMENT).map(|(_, value)| value);
    let values =
        OVERRIDES.iter().flat_map(|name| headers.get_all(*name)).filter_map(|value| value.to_str().ok());
    values
        .map(Cow::Borrowed)
        .chain(arguments)
        .filter_map(|name| Method::from_bytes(name.trim().to_ascii_uppercase().as_bytes()).ok())
}

fn find_at<'a>(
    method: usize,
    matcher: &Matcher,
    match_on: MatchOn,
    forward: &Forward<'a>,
) -> Option<Spelling<'a>> {
    let plain = Reading { request_path: forward.request_path, service_path: forward.service_path };
    let matches = |text: &str| matcher.is_match(method, text);
    let normal = || forward.others.iter().copied().chain(once(plain));
    let find = |reading: Reading<'a>| {
        let text = text_of(match_on, reading.request_path.into(), reading.service_path.into(), forward.uri);
        matches(&text).then(|| Spelling { method, text, service_path: reading.service_path.into() })
    };
    if let Some(spelling) = normal().find_map(find) {
        return Some(spelling);
    }
    if match_on == MatchOn::RequestUri && path_of(forward.uri) != forward.request_path && matches(forward.uri)
    {
        return Some(Spelling {
            method,
            text: forward.uri.into(),
            service_path: forward.service_path.into(),
        });
    }
    let as_spelt = || forward.as_spelt.iter().copied();
    if let Some(spelling) = as_spelt().find_map(find) {
        return Some(spelling);
    }
    let mut loosened =
        normal().chain(as_spelt()).flat_map(|one| loosenings(one.request_path).map(move |how| (one, how)));
    loosened.find_map(|(reading, how)| {
        let text = loosened_text(match_on, reading, how, forward.uri);
        let service_path = || reading::loosened(reading.service_path, how).into();
        matches(&text).then(|| Spelling { method, text, service_path: service_path() })
    })
}

fn loosened_text<'a>(match_on: MatchOn, reading: Reading<'_>, how: Loosening, uri: &'a str) -> Cow<'a, str> {
    let path = match match_on {
        MatchOn::ServicePath => reading.service_path,
        MatchOn::RequestPath | MatchOn::RequestUri => reading.request_path,
    };
    let path: Cow<'a, str> = reading::loosened(path, how).into();
    text_of(match_on, path.clone(), path, uri)
}

/// The text of a reading that the matcher is compared with.
fn text_of<'a>(
    match_on: MatchOn,
    request_path: Cow<'a, str>,
    service_path: Cow<'a, str>,
    uri: &'a str,
) -> Cow<'a, str> {
    match match_on {
        MatchOn::ServicePath => service_path,
        MatchOn::RequestPath => request_path,
        MatchOn::RequestUri if path_of(uri) == request_path => uri.into(),
        MatchOn::RequestUri => Cow::Owned(format!("{request_path}{}", &uri[path_of(uri).len()..])),
    }
}

/// A request target without its query.
fn path_of(uri: &str) -> &str {
    uri.split_once('?').map_or(uri, |(path, _)| path)
}
