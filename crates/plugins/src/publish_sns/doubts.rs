//! Warnings: what a `config` may say, but probably does not mean. Options without effect, a key that makes a secret public, and matchers that no
//! path can match.
//!
//! A warning is given only for what can be proven. A matcher is judged by the texts with which its matches can begin, as far as the parser of
//! the crate regex can list them. There is never a warning about a matcher that is not anchored at its beginning, or that can begin in too many
//! ways.

use entities::method;
use pipeline::reading::{Loosening, loosened};
use pipeline::{ConfigProblem, Mount};
use regex_syntax::hir::Look;
use regex_syntax::hir::literal::Extractor;
use serde_json::Value;

use super::capture;
use super::config::{Config, MatchOn};

/// All warnings about a `config` without problems on these routes.
pub(super) fn find(config: &Value, mounts: &[Mount]) -> Vec<ConfigProblem> {
    let Ok(config) = serde_json::from_value::<Config>(config.clone()) else { return Vec::new() };
    let mut doubts = without_effect(&config);
    doubts.extend(capture::opened_by_key(&config).into_iter().map(opened));
    for (index, route) in config.routes.iter().enumerate() {
        let otherwise = "requests with another method make no event";
        doubts.extend(method::doubt(&route.method.to_ascii_uppercase(), otherwise).map(|(message, hint)| {
            let pointer = format!("/routes/{index}/method");
            ConfigProblem { pointer, message, hint }
        }));
        let Some(beginnings) = beginnings(&route.matcher) else { continue };
        if let Some((message, hint)) = never(&beginnings, config.match_on, mounts) {
            let pointer = format!("/routes/{index}/matcher");
            doubts.push(ConfigProblem { pointer, message, hint });
        }
    }
    doubts
}

/// Options of real SNS have no effect with a bare name. Whether an ARN is one of this gateway's is not known here.
fn without_effect(config: &Config) -> Vec<ConfigProblem> {
    if config.topic_arn.contains(':') {
        return Vec::new();
    }
    let options = [
        ("region", config.region.is_some()),
        ("endpoint", config.endpoint.is_some()),
        ("sns_endpoint", config.sns_endpoint.is_some()),
        ("aws_key", config.aws_key.is_some()),
        ("aws_secret", config.aws_secret.is_some()),
    ];
    let given = options.into_iter().filter(|(_, is_there)| *is_there);
    let doubt = |(option, _)| ConfigProblem {
        pointer: format!("/{option}"),
        message: format!("`{option}` has no effect: the topic is in this process"),
        hint: "remove it, or give the ARN of a topic of real SNS".into(),
    };
    given.map(doubt).collect()
}

/// A warning that the key makes a header public which would be redacted otherwise.
fn opened(header: String) -> ConfigProblem {
    ConfigProblem {
        pointer: "/key".into(),
        message: format!("the key has the header `{header}`, which usually carries a secret"),
        hint: "keys are stored and sent as they are, so the header is not redacted either: take another header if its value lets someone in"
            .into(),
    }
}

/// The texts with which a match can begin, if it is at the beginning of the text; `None` if they cannot be listed.
fn beginnings(matcher: &str) -> Option<Vec<Vec<u8>>> {
    let regex = regex_syntax::parse(matcher).ok()?;
    if !regex.properties().look_set_prefix().contains(Look::Start) {
        return None;
    }
    let literals = Extractor::new().extract(&regex);
    let texts: Vec<_> = literals.literals()?.iter().map(|literal| literal.as_bytes().to_vec()).collect();
    // `OPTIONS *` has a path without a slash.
    let judged = !texts.is_empty() && texts.iter().all(|text| !text.is_empty() && text[0] != b'*');
    judged.then_some(texts)
}

/// Why no usual request on any of the routes matches, and what to do about it; `None` if one may match.
fn never(beginnings: &[Vec<u8>], match_on: MatchOn, mounts: &[Mount]) -> Option<(String, String)> {
    // A target as the client sent it can be spelt in many ways.
    if match_on == MatchOn::RequestUri || mounts.is_empty() {
        return None;
    }
    let mut stripped = None;
    let mut foreign = None;
    for Mount { paths, strip_path } in mounts {
        let strips = *strip_path && match_on == MatchOn::ServicePath;
        let any = paths.is_empty().then_some("/");
        for path in paths.iter().map(String::as_str).chain(any) {
            match missed(beginnings, path, strips)? {
                Missed::Stripped => stripped = stripped.or(Some(path)),
                Missed::Foreign => foreign = foreign.or(Some(path)),
            }
        }
    }
    let asked = String::from_utf8_lossy(&beginnings[0]).into_owned();
    if let Some(path) = stripped {
        let message = format!(
            "matches only paths that repeat `{path}`: `strip_path` removes `{path}` before the matcher is compared"
        );
        let hint = "begin the matcher with what comes after it, or set `strip_path: false` on the route or `match_on: request_path` here";
        return Some((message, hint.into()));
    }
    let path = foreign?;
    if !asked.starts_with('/') {
        let message =
            format!("matches nothing: paths begin with `/`, and it asks for `{asked}` at the beginning");
        return Some((message, "put a slash after the `^`".into()));
    }
    let message =
        format!("matches nothing: paths on this route begin with `{path}`, and it asks for `{asked}`");
    Some((message, "make the matcher and the route's `paths` agree".into()))
}

/// Why a matcher never matches below a path of a route.
enum Missed {
    /// The matcher asks for what `strip_path` removes: only a path that repeats it would match.
    Stripped,
    /// The paths begin with something else.
    Foreign,
}

/// `None` if a usual request below this path may match.
fn missed(beginnings: &[Vec<u8>], path: &str, strips: bool) -> Option<Missed> {
    let seen = if strips || path.starts_with('~') { "/" } else { path };
    // Matchers are compared with looser readings of the path, too.
    let loosest = loosened(seen, Loosening::FULL);
    let agrees =
        |text: &Vec<u8>, seen: &str| text.starts_with(seen.as_bytes()) || seen.as_bytes().starts_with(text);
    let is_foreign = |text: &Vec<u8>| !agrees(text, seen) && !agrees(text, &loosest);
    if beginnings.iter().all(is_foreign) {
        return Some(Missed::Foreign);
    }
    let repeats = |text: &Vec<u8>| {
        let rest = text.strip_prefix(path.as_bytes());
        rest.is_some_and(|rest| path.ends_with('/') || rest.first().is_none_or(|next| *next == b'/'))
    };
    let prefix = strips && path.len() > 1 && !path.starts_with('~');
    (prefix && beginnings.iter().all(|text| is_foreign(text) || repeats(text))).then_some(Missed::Stripped)
}
