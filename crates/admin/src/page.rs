//! What lists have in common: the size of a page, and the reading of parameters.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query};
use serde::{Deserialize, Deserializer};

use crate::Error;

/// How many entries a page has if the request does not say.
const PAGE: usize = 50;
/// The most entries of a page.
const MAX_PAGE: usize = 500;

/// The longest reason that an operator may give, in bytes.
const MAX_REASON: usize = 500;

/// A list or a count that has taken longer than this ends with what it has found so far.
pub(crate) const MAX_TIME: Duration = Duration::from_secs(1);

/// The number of entries that `limit` asks for.
///
/// # Errors
/// If it is not 1 to [`MAX_PAGE`].
pub(crate) fn size(limit: Option<usize>) -> Result<usize, Error> {
    let limit = limit.unwrap_or(PAGE);
    if (1..=MAX_PAGE).contains(&limit) {
        return Ok(limit);
    }
    Err(Error::bad_request(
        format!("`limit` is {limit}, and a page has 1 to {MAX_PAGE} entries"),
        "ask for a smaller page, and for the next one with the `next_...` that a page ends with",
    ))
}

/// The parameters of a request's query. `known` lists in words those that exist, for the hint of the error.
pub(crate) fn parameters<T>(query: Result<Query<T>, QueryRejection>, known: &str) -> Result<T, Error> {
    match query {
        Ok(Query(parameters)) => Ok(parameters),
        Err(error) => {
            Err(Error::bad_request(plain(&error.body_text()), format!("the parameters are {known}")))
        }
    }
}

/// A parameter that is read from its text by [`FromStr`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromText<T>(pub T);

impl<'de, T> Deserialize<'de> for FromText<T>
where
    T: FromStr<Err: Display>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The parameters in a path, which are numbers of subscriptions and sequences of events.
pub(crate) fn numbers<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Error> {
    let refused = |_| {
        let hint = "GET /retrohook/subscriptions and /retrohook/dead-letters list the numbers that there are";
        Error::bad_request("a number in the path is not a whole number".to_owned(), hint)
    };
    path.map(|Path(numbers)| numbers).map_err(refused)
}

/// Messages of the libraries that read numbers, each with ours for it.
const WORDS: [(&str, &str); 4] = [
    (": invalid digit found in string", "is not a whole number"),
    (": cannot parse integer from empty string", "has no number"),
    (": number too large to fit in target type", "is too large"),
    (": number too small to fit in target type", "is too small"),
];

/// A library's message about a query, in plain words if it is a known one.
fn plain(text: &str) -> String {
    let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(text);
    let found = WORDS.into_iter().find_map(|(theirs, ours)| Some((text.strip_suffix(theirs)?, ours)));
    found.map_or_else(|| text.to_owned(), |(name, ours)| format!("`{name}` {ours}"))
}

/// The reason that an operator gives for the action `what`, without spaces at its ends.
///
/// # Errors
/// If there is none, if it has more than [`MAX_REASON`] bytes, or if it has control characters.
pub(crate) fn words(reason: Option<String>, what: &str) -> Result<String, Error> {
    let reason = reason.unwrap_or_default();
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Error::bad_request(
            format!("{what} needs a `reason` of 1 to {MAX_REASON} bytes, without line breaks"),
            "add ?reason=TEXT (curl -G -X POST --data-urlencode 'reason=TEXT'): it is kept for whoever asks later",
        ));
    }
    Ok(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_words_and_one_line() {
        let reason = |text: Option<&str>| words(text.map(str::to_owned), "it").ok();
        assert_eq!(reason(Some(" poison ")).as_deref(), Some("poison"));
        let long = "x".repeat(MAX_REASON);
        assert_eq!(reason(Some(&long)).as_ref(), Some(&long));
        for refused in [None, Some(""), Some(" "), Some("a\nb"), Some(&*(long + "x"))] {
            assert_eq!(reason(refused), None, "{refused:?}");
        }
    }
}
