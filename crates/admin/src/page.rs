//! Pages of lists: how many, and where the next one begins.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use crate::Error;

/// Entries in a page if not asked otherwise.
const PAGE: usize = 50;
/// The largest page.
const MAX_PAGE: usize = 500;

/// How many entries were asked for.
pub(crate) fn size(limit: Option<usize>) -> usize {
    limit.unwrap_or(PAGE).clamp(1, MAX_PAGE)
}

/// The parameters of a list; `known` are those that it takes, in words.
pub(crate) fn parameters<T>(query: Result<Query<T>, QueryRejection>, known: &str) -> Result<T, Error> {
    match query {
        Ok(Query(parameters)) => Ok(parameters),
        Err(error) => Err(Error::bad_request(error.body_text(), format!("the parameters are {known}"))),
    }
}
